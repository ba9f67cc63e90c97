"""Train the sequence models that could do a job under one budget, and say which to use."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from os import PathLike

    from ensuite.api import compare, train
    from ensuite.comparison.result import Leaderboard
    from ensuite.core.errors import (
        DataError,
        EnsuiteError,
        NonFiniteGradientError,
        OutOfMemoryError,
        PaddingLeakError,
        RowLeakError,
        RunError,
        TrainingError,
        UnknownLabelError,
        UsageError,
    )
    from ensuite.estimators import EnsuiteClassifier, EnsuiteRegressor
    from ensuite.predictor import Predictor
    from ensuite.training.callback import Callback

    __version__: str

    def load(path: str | PathLike[str], *, device: str = "cpu") -> Predictor:
        """Open a run folder, or the folder of a comparison: then its winner."""


_HOMES = {
    "compare": "ensuite.api",
    "train": "ensuite.api",
    "Callback": "ensuite.training.callback",
    "EnsuiteClassifier": "ensuite.estimators",
    "EnsuiteRegressor": "ensuite.estimators",
    "Leaderboard": "ensuite.comparison.result",
    "Predictor": "ensuite.predictor",
    **dict.fromkeys(
        (
            "DataError", "EnsuiteError", "NonFiniteGradientError", "OutOfMemoryError",
            "PaddingLeakError", "RowLeakError", "RunError", "TrainingError", "UnknownLabelError",
            "UsageError",
        ),
        "ensuite.core.errors",
    ),
}  # fmt: skip

__all__ = [
    "Callback",
    "DataError",
    "EnsuiteClassifier",
    "EnsuiteError",
    "EnsuiteRegressor",
    "Leaderboard",
    "NonFiniteGradientError",
    "OutOfMemoryError",
    "PaddingLeakError",
    "Predictor",
    "RowLeakError",
    "RunError",
    "TrainingError",
    "UnknownLabelError",
    "UsageError",
    "__version__",
    "compare",
    "load",
    "train",
]


if not TYPE_CHECKING:  # it would make every misspelt name right

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first used, so that ``import ensuite`` costs nothing."""
        from importlib import import_module, metadata

        if name == "load":
            return __getattr__("Predictor").load
        if name == "__version__":
            return metadata.version("ensuite")
        if name not in _HOMES:
            raise AttributeError(f"module 'ensuite' has no attribute '{name}'")
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names, which are imported only when they are used."""
    return sorted({*globals(), *__all__})

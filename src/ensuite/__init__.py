"""Train the sequence models that could do a job under one budget, and say which to use."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ensuite.api import compare, train
    from ensuite.predictor import Predictor

    load = Predictor.load

_HOMES = {"compare": "ensuite.api", "train": "ensuite.api", "Predictor": "ensuite.predictor"}

__all__ = ["Predictor", "compare", "load", "train"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import ensuite`` costs nothing."""
    from importlib import import_module

    if name == "load":
        return __getattr__("Predictor").load
    if name not in _HOMES:
        raise AttributeError(f"module 'ensuite' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)

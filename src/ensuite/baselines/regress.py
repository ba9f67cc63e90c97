"""What a regression must beat: the mean of the training rows, and ridge regression."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from ensuite.baselines.features import UNFITTED, Linear, OnNumbers, OnTerms
from ensuite.core.baseline import Baseline
from ensuite.tasks.regress import Example, Prediction, Regress

Numbers = NDArray[Any]

TEXT_PENALTIES = (1.0, 0.3, 3.0)
"""Tried on texts, whose features are of length 1; the first where nothing tells them apart."""

NUMBER_PENALTIES = (0.03, 0.001, 1.0)
"""Likewise on columns of deviation 1: these are for each row, since such columns grow with them."""

MOST_TERMS = 200_000
"""Columns of a text, the most frequent: what stands in fewer texts says little of a number."""


@dataclass(frozen=True, eq=False)
class Mean(Baseline):
    """Always answer the mean of the training rows.

    Args:
        mean: (targets,), as the task scales them: 0, up to rows that lack a target.
    """

    mean: Numbers

    name: ClassVar[str] = "mean"

    @classmethod
    def fits(cls, task: Regress) -> bool:
        return True

    @classmethod
    def fit(
        cls, task: Regress, train: Sequence[Example], valid: Sequence[Example], seed: int
    ) -> Self:
        return cls(np.nanmean(task.scale(train), 0))

    def predict(self, task: Regress, examples: Sequence[Example]) -> list[Prediction]:
        return task.predictions(np.tile(self.mean, (len(examples), 1)))

    @property
    def parameters(self) -> int:
        return 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Ridge(Linear):
    """Ridge regression: least squares that keep their weights small; an output for each target.

    Source:
        Hoerl & Kennard (1970), https://doi.org/10.1080/00401706.1970.10488634
    """

    name: ClassVar[str] = "ridge"

    def predict(self, task: Regress, examples: Sequence[Example]) -> list[Prediction]:
        features = self.features(task.processor, [e.input for e in examples])
        return task.predictions(features @ self.weights + self.bias)


@dataclass(frozen=True, eq=False, kw_only=True)
class TfidfRidge(OnTerms, Ridge):
    """Ridge regression on the terms of a text."""

    name: ClassVar[str] = "TF-IDF + ridge"

    @classmethod
    def fit(
        cls, task: Regress, train: Sequence[Example], valid: Sequence[Example], seed: int
    ) -> Self:
        train = _known(task, train)
        learned, features = cls.learn(task.processor, [e.input for e in train], MOST_TERMS)
        unfitted = cls(**learned, weights=UNFITTED, bias=UNFITTED)
        return _finish(unfitted, task, features, (train, valid), TEXT_PENALTIES)


@dataclass(frozen=True, eq=False, kw_only=True)
class NumberRidge(OnNumbers, Ridge):
    """Ridge regression on the numbers of a row, an image or a series."""

    @classmethod
    def fit(
        cls, task: Regress, train: Sequence[Example], valid: Sequence[Example], seed: int
    ) -> Self:
        train = _known(task, train)
        learned, features = cls.learn(task.processor, [e.input for e in train])
        unfitted = cls(**learned, weights=UNFITTED, bias=UNFITTED)
        penalties = [len(train) * each for each in NUMBER_PENALTIES]
        return _finish(unfitted, task, features, (train, valid), penalties)


AnyRidge = TypeVar("AnyRidge", bound=Ridge)


def _known(task: Regress, examples: Sequence[Example]) -> list[Example]:
    """Return the examples that have all their targets."""
    known = ~np.isnan(task.scale(examples))
    return [example for example, each in zip(examples, known, strict=True) if each.all()]


def _finish(
    unfitted: AnyRidge,
    task: Regress,
    features: Any,
    parts: Sequence[Sequence[Example]],
    penalties: Sequence[float],
) -> AnyRidge:
    """Fit with the penalty whose answers to the validation rows are the nearest on average."""
    train, valid = parts[0], _known(task, parts[1])
    targets, truths = task.scale(train), task.scale(valid)
    if not valid:
        return replace(unfitted, **_fit(features, targets, penalties[0]))
    held_out = unfitted.features(task.processor, [e.input for e in valid])

    def error(fitted: dict[str, Numbers]) -> float:
        answers = held_out @ fitted["weights"] + fitted["bias"]
        return float(np.abs(answers - truths).mean())

    return replace(unfitted, **min((_fit(features, targets, p) for p in penalties), key=error))


def _fit(features: Any, targets: Numbers, penalty: float) -> dict[str, Numbers]:
    from sklearn.linear_model import Ridge as Solver

    model = Solver(alpha=penalty).fit(features, targets)
    weights = np.ascontiguousarray(model.coef_.reshape(targets.shape[1], -1).T)
    return {"weights": weights, "bias": np.atleast_1d(model.intercept_)}

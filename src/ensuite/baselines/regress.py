"""Baselines of regress: the mean of the training examples, and ridge regression."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ensuite.baselines.features import Linear, OnNumbers, OnTerms
from ensuite.core.baseline import Baseline
from ensuite.tasks.regress import Example, Prediction, Regress

Numbers = NDArray[Any]

MOST_TERMS = 200_000
"""Most terms of texts that are features, the most frequent."""


@dataclass(frozen=True, eq=False)
class Mean(Baseline):
    """Always predict the mean of the training examples.

    Args:
        mean: (targets,), scaled as the task does: 0, but for examples without a target.
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
    """Ridge regression, an output for each target.

    Source:
        Hoerl & Kennard (1970), https://doi.org/10.1080/00401706.1970.10488634
    """

    name: ClassVar[str] = "ridge"

    @classmethod
    def labelled(cls, task: Regress, examples: Sequence[Example]) -> list[Example]:
        known = ~np.isnan(task.scale(examples))
        return [example for example, each in zip(examples, known, strict=True) if each.all()]

    @classmethod
    def most_terms(cls, task: Regress) -> int:
        return MOST_TERMS

    @classmethod
    @abstractmethod
    def penalties(cls, rows: int) -> Sequence[float]:
        """Return the penalties to choose from; the first without validation examples."""

    @classmethod
    def solve(
        cls, task: Regress, features: tuple[Any, Any], parts: Sequence[Sequence[Example]]
    ) -> tuple[Numbers, Numbers]:
        """Choose the penalty with the lowest mean absolute error on the validation examples."""
        targets, truths = (task.scale(part) for part in parts)
        penalties = cls.penalties(len(targets))
        if not len(truths):
            return _fit(features[0], targets, penalties[0])

        def error(fitted: tuple[Numbers, Numbers]) -> float:
            return float(np.abs(features[1] @ fitted[0] + fitted[1] - truths).mean())

        return min((_fit(features[0], targets, each) for each in penalties), key=error)

    def predict(self, task: Regress, examples: Sequence[Example]) -> list[Prediction]:
        return task.predictions(self.outputs(task, examples))


@dataclass(frozen=True, eq=False, kw_only=True)
class TfidfRidge(OnTerms, Ridge):
    """Ridge regression on the terms of a text, whose features are of length 1."""

    name: ClassVar[str] = "TF-IDF + ridge"

    @classmethod
    def penalties(cls, rows: int) -> Sequence[float]:
        return 1.0, 0.3, 3.0


@dataclass(frozen=True, eq=False, kw_only=True)
class NumberRidge(OnNumbers, Ridge):
    """Ridge regression on the numbers of a row, an image or a series, of deviation 1."""

    @classmethod
    def penalties(cls, rows: int) -> Sequence[float]:
        return [rows * each for each in (0.03, 0.001, 1.0)]  # columns of deviation 1 grow with them


def _fit(features: Any, targets: Numbers, penalty: float) -> tuple[Numbers, Numbers]:
    from sklearn.linear_model import Ridge as Solver

    model = Solver(alpha=penalty).fit(features, targets)
    weights = np.ascontiguousarray(model.coef_.reshape(targets.shape[1], -1).T)
    return weights, np.atleast_1d(model.intercept_)

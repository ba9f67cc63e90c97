"""Baselines of denoise: the noisy input itself, a median filter, and principal components."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ensuite.baselines.principal import USUAL, Principal, arrays_of, flat
from ensuite.core.baseline import Baseline
from ensuite.tasks.denoise import Denoise, Example, Piece, Prediction

Numbers = NDArray[Any]

AT_ONCE, MOST = 1024, 2**20
"""Examples that are in memory together; numbers of the examples that a strength is chosen on."""


@dataclass(frozen=True, eq=False)
class Identity(Baseline):
    """Do nothing: the answer is the noisy input."""

    name: ClassVar[str] = "do nothing"

    @classmethod
    def fits(cls, task: Denoise) -> bool:
        return True

    @classmethod
    def fit(
        cls, task: Denoise, train: Sequence[Example], valid: Sequence[Example], seed: int
    ) -> Self:
        return cls()

    def predict(self, task: Denoise, examples: Sequence[Example]) -> list[Prediction]:
        return [Prediction(values) for values in task.noisy(examples)]

    @property
    def parameters(self) -> int:
        return 0


@dataclass(frozen=True, eq=False)
class Filter(Baseline):
    """A filter of images and series: of a few strengths, the one with the lowest error.

    Args:
        strength: How much the filter smooths.
    """

    strength: float

    choices: ClassVar[Sequence[float]]

    @classmethod
    def fits(cls, task: Denoise) -> bool:
        return task.processor.kind in ("image", "series")

    @classmethod
    def fit(
        cls, task: Denoise, train: Sequence[Example], valid: Sequence[Example], seed: int
    ) -> Self:
        known = list(valid or train)
        (first,) = arrays_of(task, task.items(known[:1], asking=True))
        some = known[: max(1, min(AT_ONCE, MOST // max(1, first.size)))]

        def error(strength: float) -> float:
            return task.score(cls(strength).predict(task, some), some)["mse"].value

        return cls(min(cls.choices, key=error))

    @property
    def parameters(self) -> int:
        return 1


@dataclass(frozen=True, eq=False)
class MedianFilter(Filter):
    """The median of the numbers around each, in a square of so many pixels or so many steps.

    Source:
        Tukey (1977), Exploratory Data Analysis, chapter 7
    """

    name: ClassVar[str] = "median filter"
    choices: ClassVar[Sequence[float]] = (3, 5, 7)

    def predict(self, task: Denoise, examples: Sequence[Example]) -> list[Prediction]:
        from scipy.ndimage import median_filter  # here, since importing it takes a while

        # Rows and columns of a picture, or the steps of a series; channels and columns each alone.
        noisy, size = task.noisy(examples), int(self.strength)
        return [
            Prediction(median_filter(each, (*[size] * (each.ndim - 1), 1), mode="nearest"))
            for each in noisy
        ]


@dataclass(frozen=True, eq=False, kw_only=True)
class Projection(Principal):
    """The projection of the noisy input on the principal components of clean training inputs."""

    @classmethod
    def fit(
        cls,
        task: Any,
        train: Sequence[Any],
        valid: Sequence[Any],
        seed: int,
        *,
        size: int = USUAL,
    ) -> Self:
        # An original that is asked about gets no noise.
        clean = [Example(task.clean_of(example)) for example in train]
        return super().fit(task, clean, (), seed, size=size)

    def predict(self, task: Any, examples: Sequence[Any]) -> list[Any]:
        pieces: list[Piece] = []
        for start in range(0, len(examples), AT_ONCE):
            some = examples[start : start + AT_ONCE]
            clean = [Example(task.clean_of(example)) for example in some]
            noisy, originals = (
                arrays_of(task, task.items(each, asking=True)) for each in (some, clean)
            )
            for array, original in zip(noisy, originals, strict=True):
                piece = self.piece(array)
                code = self.encode(flat(original, self.steps))
                pieces.append(Piece(piece.values.astype(np.float32), piece.code, code))
        cleaned: list[Any] = task.merge(examples, (), pieces)
        return cleaned

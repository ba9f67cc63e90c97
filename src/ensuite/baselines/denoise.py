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

SIZES = (3, 5, 7)
"""Pixels of the side of a median filter, or steps of a series, that are tried."""

AT_ONCE = 1024
"""Examples that are in memory together."""


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
class MedianFilter(Baseline):
    """The median of the numbers around each, of the size with the lowest error of a few.

    Args:
        size: Pixels of the side of the square around a pixel, or steps around a step.

    Source:
        Tukey (1977), Exploratory Data Analysis, chapter 7
    """

    size: int

    name: ClassVar[str] = "median filter"

    @classmethod
    def fits(cls, task: Denoise) -> bool:
        return task.processor.kind in ("image", "series")

    @classmethod
    def fit(
        cls, task: Denoise, train: Sequence[Example], valid: Sequence[Example], seed: int
    ) -> Self:
        some = list(valid or train)[:AT_ONCE]

        def error(size: int) -> float:
            return task.score(cls(size).predict(task, some), some)["mse"].value

        return cls(min(SIZES, key=error))

    def predict(self, task: Denoise, examples: Sequence[Example]) -> list[Prediction]:
        from scipy.ndimage import median_filter  # here, since importing it takes a while

        # Rows and columns of a picture, or the steps of a series; channels and columns each alone.
        noisy = task.noisy(examples)
        return [
            Prediction(median_filter(each, (*[self.size] * (each.ndim - 1), 1), mode="nearest"))
            for each in noisy
        ]

    @property
    def parameters(self) -> int:
        return 0


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

"""Series of numbers and rows of numbers to scaled tensors."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ensuite.core.backbone import Pretrained
from ensuite.core.batch import Batch, Inputs, Row, Values
from ensuite.core.errors import DataError
from ensuite.core.presentation import Finding
from ensuite.data.processors.processor import Processor, Window

Numbers = NDArray[Any]

LEARNED = {"learned": True}

STEADY = 1e-12
"""Deviation, beside the size of the numbers, that is rounding: the column never changes."""

MOST_NAMES = 12
"""Columns that the data check names."""


@dataclass(frozen=True, kw_only=True)
class Scaled(Processor):
    """What series and rows share: every column brought to mean 0 and deviation 1.

    Args:
        mean: Of each column over the training rows, learned.
        deviation: Likewise; 1 for a column that never changes.
        names: Of the columns they were read from, in order, where those have names.
    """

    names: tuple[str, ...] = field(default=(), metadata=LEARNED)
    mean: tuple[float, ...] = field(default=(), metadata=LEARNED)
    deviation: tuple[float, ...] = field(default=(), metadata=LEARNED)

    def prepare(self, raws: Sequence[Numbers], pretrained: Pretrained | None = None) -> Self:
        values = np.concatenate([np.atleast_2d(raw) for raw in raws]).astype(np.float64)
        mean, deviation = values.mean(0), values.std(0)
        deviation[deviation < STEADY * np.maximum(1, np.abs(mean))] = 1.0
        return replace(self, mean=tuple(mean.tolist()), deviation=tuple(deviation.tolist()))

    def windows(self, raws: Sequence[Numbers]) -> list[list[Window]]:
        """Scale all at once; a window is a view of the whole."""
        arrays = [np.asarray(raw) for raw in raws]
        for array in arrays:
            if array.shape[-1] != len(self.mean):
                raise DataError(
                    f"An input has {array.shape[-1]} columns, but the model was trained on "
                    f"{len(self.mean)}; give the same columns in the same order."
                )
        scaled = self._scale([array.reshape(-1, len(self.mean)) for array in arrays])
        starts = np.cumsum([0, *(array.size // len(self.mean) for array in arrays)])
        pairs = zip(arrays, pairwise(starts), strict=True)
        return [[scaled[a:b].reshape(array.shape)] for array, (a, b) in pairs]

    def _scale(self, arrays: Sequence[Numbers]) -> Window:
        """Return all rows below each other, (rows, columns)."""
        values = np.concatenate(arrays, dtype=np.float64) if arrays else np.empty((0, 1))
        if not np.isfinite(values).all():
            raise DataError("An input has a number that is NaN or infinite; give finite numbers.")
        scaled = (values - np.array(self.mean)) / np.array(self.deviation)
        narrow: Window = scaled.astype(np.float32)
        return narrow

    def show(self, raw: Numbers) -> str:
        flat = np.asarray(raw).reshape(-1)
        return " ".join(f"{value:g}" for value in flat[:8]) + (" ..." if len(flat) > 8 else "")


@dataclass(frozen=True, kw_only=True)
class Series(Scaled):
    """Read series, (time, features) each, of any length.

    Args:
        steps: Length of the longest training series, learned.
    """

    steps: int | None = field(default=None, metadata=LEARNED)

    kind: ClassVar[str] = "series"

    def prepare(self, raws: Sequence[Numbers], pretrained: Pretrained | None = None) -> Self:
        scaled = super().prepare(raws, pretrained)
        return replace(scaled, steps=max(len(raw) for raw in raws))

    @property
    def inputs(self) -> Inputs:
        return {"values": Values(len(self.mean), self.steps)}

    def collate(self, windows: Sequence[Window]) -> Batch:
        if isinstance(windows, np.ndarray):  # all of one length
            values = torch.from_numpy(windows)
            mask = torch.ones(values.shape[:2], dtype=torch.bool)
            return Batch(inputs={"values": values}, mask=mask)
        lengths = np.array([len(series) for series in windows])
        real = np.arange(lengths.max()) < lengths[:, None]
        padded = np.zeros((*real.shape, len(self.mean)), dtype=np.float32)
        padded[real] = np.concatenate(windows)
        return Batch(inputs={"values": torch.from_numpy(padded)}, mask=torch.from_numpy(real))

    def check(self, raws: Sequence[Numbers]) -> list[Finding]:
        lengths = [len(raw) for raw in raws]
        shortest, longest = min(lengths), max(lengths)
        steps = f"{longest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"
        features = np.shape(raws[0])[1]
        noun = "value" if features == 1 else "values"
        return [Finding("series", f"{steps} steps of {features} {noun}; nothing will be cut")]


@dataclass(frozen=True, kw_only=True)
class Columns(Scaled):
    """Read rows of a table, (features,) each."""

    kind: ClassVar[str] = "row"

    @property
    def inputs(self) -> Inputs:
        return {"row": Row(len(self.mean))}

    def collate(self, windows: Sequence[Window]) -> Batch:
        return Batch(inputs={"row": torch.from_numpy(np.asarray(windows))})

    def check(self, raws: Sequence[Numbers]) -> list[Finding]:
        shown = ", ".join(self.names[:MOST_NAMES])
        more = f" and {len(self.names) - MOST_NAMES} more" if len(self.names) > MOST_NAMES else ""
        named = f": {shown}{more}" if shown else ""
        numbers = "1 number" if len(raws[0]) == 1 else f"{len(raws[0])} numbers"
        return [Finding("row", f"{numbers} each{named}")]

"""Series of numbers and rows of numbers to scaled tensors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ensuite.core.backbone import Pretrained
from ensuite.core.batch import Batch, Inputs, Row, Values
from ensuite.core.errors import DataError
from ensuite.core.presentation import Finding
from ensuite.data.processors.processor import Processor, Window
from ensuite.data.series import is_rounding

Numbers = NDArray[Any]

LEARNED = {"learned": True}

FAR = 100.0
"""Deviations that a mean may be from 0 for float32 to hold the differences from it well enough."""

NARROW = 1e-30, 1e30
"""Deviations between which float32 neither loses digits nor overflows."""

BLOCK = 4_000_000
"""Numbers that are converted to float64 at once."""

MOST_NAMES = 12
"""Columns that the data check names."""


@dataclass(frozen=True, kw_only=True)
class Scaled(Processor):
    """What series and rows share: every column is scaled by what the training rows have.

    Numbers stay in the type of the file, and in the file where that is mapped into memory, until
    a batch needs them.

    Args:
        scale: How each column is scaled: ``standard`` to mean 0 and deviation 1, ``minmax`` to
            the range from 0 to 1, ``none`` not at all.
        mean: What is subtracted from each column, learned: its mean, its smallest number, or 0.
        deviation: What it is then divided by: its deviation, its range, or 1; 1 for a column that
            never changes.
        names: Of the columns they were read from, in order, where those have names.
    """

    scale: Literal["standard", "minmax", "none"] = "standard"
    names: tuple[str, ...] = field(default=(), metadata=LEARNED)
    mean: tuple[float, ...] = field(default=(), metadata=LEARNED)
    deviation: tuple[float, ...] = field(default=(), metadata=LEARNED)

    def prepare(self, raws: Sequence[Numbers], pretrained: Pretrained | None = None) -> Self:
        if pretrained is not None and pretrained.scales is not None:
            known = pretrained.scales
            if len(known[0]) == np.shape(raws[0])[-1]:  # else the weights do not fit either
                return replace(self, mean=known[0], deviation=known[1])
        mean, deviation = SCALES[self.scale](raws)
        deviation[is_rounding(deviation, mean)] = 1.0
        return replace(self, mean=tuple(mean.tolist()), deviation=tuple(deviation.tolist()))

    def windows(self, raws: Sequence[Numbers]) -> list[list[Window]]:
        """Return each input whole and as it is; ``collate`` scales it."""
        arrays = [np.asarray(raw) for raw in raws]
        for array in arrays:
            if array.shape[-1] != len(self.mean):
                raise DataError(
                    f"An input has {array.shape[-1]} columns, but the model was trained on "
                    f"{len(self.mean)}; give the same columns in the same order."
                )
            if array.dtype.kind not in "bui" and not np.isfinite(array).all():
                raise DataError(
                    "An input has a number that is NaN or infinite; give finite numbers."
                )
        return [[array] for array in arrays]

    @cached_property
    def _exact_moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and deviation, (columns,) each."""
        return np.array(self.mean), np.array(self.deviation)

    @cached_property
    def _moments(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Mean and deviation, (columns,) each, in the precision that scaling needs."""
        mean, deviation = self._exact_moments
        # Times and other large numbers lose their digits in float32 before the mean is taken off.
        fine = (np.abs(mean) <= FAR * deviation) & (deviation > NARROW[0]) & (deviation < NARROW[1])
        kind = np.float32 if fine.all() else np.float64
        with np.errstate(over="ignore"):  # numbers that are scaled by it are refused
            return mean.astype(kind), deviation.astype(kind)

    @cached_property
    def _keeps(self) -> bool:
        """Whether scaling changes no number."""
        mean, deviation = self._exact_moments
        return not mean.any() and bool((deviation == 1).all())

    def normalise(self, window: Window) -> Window:
        """Return scaled numbers, (..., columns), as float32."""
        mean, deviation = self._moments
        with np.errstate(over="ignore", invalid="ignore"):  # refused below
            if self._keeps:
                scaled = np.asarray(window)
            else:
                scaled = np.subtract(window, mean, dtype=mean.dtype, casting="unsafe")
                np.divide(scaled, deviation, out=scaled)
            narrow: Window = scaled.astype(np.float32, copy=False)
            fine = np.isfinite(narrow.sum()) or np.isfinite(narrow).all()  # the sum takes less time
        if not fine:
            raise DataError(
                "An input has a number that is NaN, infinite, or far larger than any the model was "
                "trained on; correct it."
            )
        return narrow

    def restore(self, values: Window) -> Window:
        """Return scaled numbers, (..., columns), in the units of the input."""
        mean, deviation = self._exact_moments
        restored: Window = values * deviation + mean
        return restored

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
            values = torch.from_numpy(self.normalise(windows))
            mask = torch.ones(values.shape[:2], dtype=torch.bool)
            return Batch(inputs={"values": values}, mask=mask)
        lengths = np.array([len(series) for series in windows])
        real = np.arange(lengths.max()) < lengths[:, None]
        padded = np.zeros((*real.shape, len(self.mean)), dtype=np.float32)
        padded[real] = self.normalise(np.concatenate(windows))
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
        return Batch(inputs={"row": torch.from_numpy(self.normalise(np.asarray(windows)))})

    def check(self, raws: Sequence[Numbers]) -> list[Finding]:
        shown = ", ".join(self.names[:MOST_NAMES])
        more = f" and {len(self.names) - MOST_NAMES} more" if len(self.names) > MOST_NAMES else ""
        named = f": {shown}{more}" if shown else ""
        numbers = "1 number" if len(raws[0]) == 1 else f"{len(raws[0])} numbers"
        return [Finding("row", f"{numbers} each{named}")]


def moments(raws: Sequence[Numbers]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and deviation of each column over all rows, converted block by block.

    Source:
        Chan, Golub & LeVeque (1983), https://doi.org/10.1080/00031305.1983.10483115, equation 2.1
    """
    rows, mean, squares = 0, np.zeros(1), np.zeros(1)
    for block in blocks(raws, np.float64):
        own, count = block.mean(0), len(block)
        away = own - mean
        squares = squares + count * block.var(0) + away**2 * (rows * count / (rows + count))
        mean = own if not rows else mean + away * (count / (rows + count))
        rows += count
    return mean, np.sqrt(squares / max(1, rows))


def extremes(raws: Sequence[Numbers]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the smallest number and the range of each column over all rows, block by block."""
    lowest, highest = np.array(np.inf), np.array(-np.inf)
    for block in blocks(raws):
        lowest = np.minimum(lowest, block.min(0))
        highest = np.maximum(highest, block.max(0))
    return np.atleast_1d(lowest), np.atleast_1d(highest - lowest)


def unscaled(raws: Sequence[Numbers]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return 0 and 1 for each column."""
    columns = np.shape(raws[0])[-1]
    return np.zeros(columns), np.ones(columns)


SCALES = {"standard": moments, "minmax": extremes, "none": unscaled}
"""What is subtracted from each column, and what it is divided by, for each way of scaling."""


def blocks(
    raws: Sequence[Numbers], dtype: type[np.float64] | None = None
) -> Iterator[NDArray[Any]]:
    """Yield the rows of all inputs, (rows, columns), so many at a time as memory easily holds.

    Args:
        raws: The inputs.
        dtype: What numbers are converted to; None: they stay as they are.
    """
    if np.ndim(raws[0]) == 1:
        step = max(1, BLOCK // max(1, len(raws[0])))
        for start in range(0, len(raws), step):
            some = raws[start : start + step]
            yield np.concatenate(some, dtype=dtype).reshape(len(some), -1)
        return
    waiting: list[Numbers] = []
    size = 0
    for raw in raws:
        rows = np.atleast_2d(raw)
        step = max(1, BLOCK // max(1, rows.shape[1]))
        for start in range(0, len(rows), step):
            waiting.append(rows[start : start + step])
            size += waiting[-1].size
            if size >= BLOCK:
                yield np.concatenate(waiting, dtype=dtype)
                waiting, size = [], 0
    if waiting:
        yield np.concatenate(waiting, dtype=dtype)

"""The last steps of a series, as tensors from which the next ones are forecast."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple, Self, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ensuite.core.batch import Inputs, Values
from ensuite.core.stacked import Selectable
from ensuite.data.flat import Flat, known_features
from ensuite.data.series import Series, is_rounding
from ensuite.data.windows import Windows

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

ROWS_AT_ONCE = 4096
"""Rows whose windows are averaged together; more need more memory, not less time."""

LEAST_DEVIATION = 1e-3
"""Least deviation of a window that it is divided by, as a share of that of its series."""


class Row(NamedTuple):
    """A row of a batch: one window, and one of its columns (-1: all of them)."""

    window: int
    column: int


class Rows(Selectable[Row]):
    """The rows of a batch, or of a whole part: numbers of windows and columns, no values.

    Args:
        flat: The values of all series.
        windows: The windows that ``places`` refer to.
        places: (rows,), the window of each row.
        columns: (rows,), the column of each row; -1 for all of them.
    """

    def __init__(self, flat: "Flat", windows: Windows, places: Indices, columns: Indices) -> None:
        self.flat, self.windows, self.places, self.columns = flat, windows, places, columns

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.places)

    @overload
    def __getitem__(self, number: int) -> Row: ...
    @overload
    def __getitem__(self, number: slice) -> "Rows": ...
    def __getitem__(self, number: Any) -> "Row | Rows":
        """Return one row, or a slice of them."""
        if isinstance(number, slice):
            return self.take(np.arange(len(self))[number])
        return Row(int(self.places[number]), int(self.columns[number]))

    def __iter__(self) -> Iterator[Row]:
        """Return the rows in order."""
        return (self[number] for number in range(len(self)))

    def take(self, numbers: Sequence[int] | Indices) -> "Rows":
        """Return the rows of these numbers."""
        chosen = np.asarray(numbers, dtype=np.int64)
        return Rows(self.flat, self.windows, self.places[chosen], self.columns[chosen])


@dataclass(frozen=True, kw_only=True)
class History:
    """Turn windows over series into rows of scaled steps.

    Args:
        look_back: Steps that are read before a forecast; 0: two seasons, at least the horizon.
        segment: Steps that are read together, as one position; it divides ``look_back``.
        per_column: Whether each column to forecast is a row of its own, and all are read by the
            same weights; otherwise all columns are read together.
        normalise: What is subtracted from a window: ``last``, its last value; ``window``, its mean
            (and it is divided by its own deviation); ``none``, the mean of its series in training.
        names: The series of the training part.
        mean: Of each series and column over the training steps.
        deviation: Likewise; 1 for a column that never changes.
        features: Mean and deviation of each column read beside the values.
        known: How many of ``features``, from the first, are known in the future too.
    """

    look_back: int = 0
    segment: int = 1
    per_column: bool = True
    normalise: Literal["last", "window", "none"] = "last"
    names: tuple[str, ...] = field(default=(), metadata={"learned": True})
    mean: tuple[tuple[float, ...], ...] = field(default=(), metadata={"learned": True})
    deviation: tuple[tuple[float, ...], ...] = field(default=(), metadata={"learned": True})
    features: tuple[tuple[float, float], ...] = field(default=(), metadata={"learned": True})
    known: int = field(default=0, metadata={"learned": True})

    kind: ClassVar[str] = "series"

    def __post_init__(self) -> None:
        if self.look_back < 0 or self.segment < 1:
            raise ValueError("look_back must be 0 or more, segment 1 or more")
        if self.look_back % self.segment:
            raise ValueError(
                f"look_back ({self.look_back}) must be a multiple of segment ({self.segment})"
            )

    def prepare(self, windows: Windows, horizon: int) -> Self:
        """Learn scales from the steps that the training windows read or forecast."""
        pairs = zip(windows.series, windows.ends(horizon), strict=True)
        used = [(series, end) for series, end in pairs if end]
        scales = [measure(series.values[:end]) for series, end in used]
        first = windows.series[0]
        return replace(
            self,
            names=tuple(series.name for series, _ in used),
            mean=tuple(tuple(mean.tolist()) for mean, _ in scales),
            deviation=tuple(tuple(deviation.tolist()) for _, deviation in scales),
            features=_measure_features(used),
            known=first.known.shape[1] + len(first.static),
        )

    @property
    def inputs(self) -> Inputs:
        """The steps, in segments."""
        columns = 1 if self.per_column else len(self.mean[0])
        features = (columns + len(self.features)) * self.segment
        return {"values": Values(features, steps=self.look_back // self.segment)}

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}

    @cached_property
    def _typical(self) -> Array:
        """(columns,), the mean deviation of the training series."""
        mean: Array = np.mean(self.deviation, axis=0)
        return mean

    def flat(self, windows: Windows) -> Flat:
        """Return the series of windows in one array, each with its scale."""
        pairs = zip(windows.series, windows.firsts.tolist(), strict=True)
        scales = [self.scale(series, first) for series, first in pairs]
        mean, deviation = (np.array(part) for part in zip(*scales, strict=True))
        return Flat(windows.series, mean, deviation)

    def scale(self, series: Series, first: int) -> tuple[Array, Array]:
        """Return mean and deviation of a series.

        Those of a series of the training part were learned. Those of a new one are measured on the
        steps before its first window, at step ``first``; the deviation of one that has not changed
        by then is the mean deviation of the training series.
        """
        place = self._places.get(series.name)
        if place is not None:
            return np.array(self.mean[place]), np.array(self.deviation[place])
        return measure(series.values[: max(1, first)], otherwise=self._typical)

    def rows(self, windows: Windows) -> Rows:
        """Return the rows of windows, the columns of a window one after another."""
        columns = len(windows.series[0].values[0]) if len(windows.series) else 1
        each = np.arange(columns) if self.per_column else np.full(1, -1)
        places = np.repeat(np.arange(len(windows), dtype=np.int64), len(each))
        return Rows(self.flat(windows), windows, places, np.tile(each, len(windows)))

    def normal(self, rows: Rows) -> tuple[Array, Array]:
        """Return what is subtracted from the values of each row, and what they are divided by.

        Both are (rows, columns); there is one column if each is a row of its own.
        """
        numbers = rows.windows.numbers[rows.places]
        mean = self._pick(rows, rows.flat.mean[numbers])
        deviation = self._pick(rows, rows.flat.deviation[numbers])
        if self.normalise == "last":
            origins = rows.windows.origins[rows.places]
            last = rows.flat.values[rows.flat.starts[numbers] + (origins - 1).clip(0)]
            mean = np.where(origins[:, None] > 0, self._pick(rows, last), mean)
        if self.normalise != "window":
            return mean, deviation
        parts = [
            self._window(rows[start : start + ROWS_AT_ONCE])
            for start in range(0, max(1, len(rows)), ROWS_AT_ONCE)
        ]
        middle, apart = (np.concatenate(part) for part in zip(*parts, strict=True))
        return middle, np.maximum(apart, LEAST_DEVIATION * deviation)

    def _window(self, rows: Rows) -> tuple[Array, Array]:
        """Return mean and deviation of the steps that each row reads."""
        history, mask = self._history(rows)
        counts = mask.sum(1)[:, None].clip(1)
        middle = np.where(mask[..., None], history, 0).sum(1) / counts
        squares = np.where(mask[..., None], (history - middle[:, None]) ** 2, 0).sum(1)
        return middle, np.sqrt(squares / counts)

    def _pick(self, rows: Rows, values: Array) -> Array:
        """Return of (rows, ..., columns) the column of each row; all if a row has all."""
        if not self.per_column:
            return values
        shape = (len(rows), *(1 for _ in values.shape[1:]))
        return np.take_along_axis(values, rows.columns.reshape(shape), axis=-1)

    def _indices(self, rows: Rows, first: int, last: int) -> tuple[Indices, Indices]:
        """Return the steps from ``first`` to ``last`` after each origin, and each row's series."""
        numbers = rows.windows.numbers[rows.places]
        steps = rows.windows.origins[rows.places][:, None] + np.arange(first, last)
        return steps, numbers

    def _history(self, rows: Rows) -> tuple[Array, NDArray[np.bool_]]:
        """Return the values read, (rows, look_back, columns), and which are no padding."""
        steps, numbers = self._indices(rows, -self.look_back, 0)
        mask = steps >= 0
        places = rows.flat.starts[numbers][:, None] + steps.clip(0)
        return self._pick(rows, rows.flat.values[places]), mask

    def collate(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Return what is read, (rows, positions, features), and the mask of its positions.

        Histories shorter than ``look_back`` are padded on the left.
        """
        history, mask = self._history(rows)
        offset, divisor = self.normal(rows)
        scaled = (history - offset[:, None]) / divisor[:, None]
        whole = np.concatenate([scaled, *self._exogenous(rows)], axis=2)
        whole = np.where(mask[..., None], whole, 0).astype(np.float32)
        count, positions = len(rows), self.look_back // self.segment
        values = torch.from_numpy(whole.reshape(count, positions, -1))
        real = mask.reshape(count, positions, -1)[..., -1]
        return values, torch.from_numpy(real)

    def _exogenous(self, rows: Rows) -> list[Array]:
        if not self.features:
            return []
        steps, numbers = self._indices(rows, -self.look_back, 0)
        known = rows.flat.known[rows.flat.known_starts[numbers][:, None] + steps.clip(0)]
        seen = rows.flat.seen[rows.flat.starts[numbers][:, None] + steps.clip(0)]
        mean, deviation = np.array(self.features).T
        return [(np.concatenate([known, seen], axis=2) - mean) / deviation]

    def future(self, rows: Rows, horizon: int) -> Tensor:
        """Return what is known of the steps to forecast, (rows, horizon, features).

        Beyond the end of what is known its last row is repeated.
        """
        steps, numbers = self._indices(rows, 0, horizon)
        last = rows.flat.known_lengths[numbers][:, None] - 1
        places = rows.flat.known_starts[numbers][:, None] + np.minimum(steps, last)
        mean, deviation = np.array(self.features[: self.known]).T
        return torch.from_numpy(((rows.flat.known[places] - mean) / deviation).astype(np.float32))

    def targets(self, rows: Rows, horizon: int) -> Array:
        """Return the steps to forecast as they are in the file, (rows, horizon, columns).

        NaN stands for a missing one, and for one that lies after the end of its series.
        """
        steps, numbers = self._indices(rows, 0, horizon)
        there = steps < rows.flat.lengths[numbers][:, None]
        places = rows.flat.starts[numbers][:, None] + np.where(there, steps, 0)
        return self._pick(rows, np.where(there[..., None], rows.flat.truths[places], np.nan))


def measure(values: Array, otherwise: float | Array = 1.0) -> tuple[Array, Array]:
    """Return mean and deviation of each column, ``otherwise`` for one that never changes."""
    known = ~np.isnan(values)
    counts = known.sum(0).clip(1)
    mean = np.where(known, values, 0).sum(0) / counts
    deviation = np.sqrt(np.where(known, (values - mean) ** 2, 0).sum(0) / counts)
    return mean, np.where(is_rounding(deviation, mean), otherwise, deviation)


def _measure_features(used: Sequence[tuple[Series, int]]) -> tuple[tuple[float, float], ...]:
    """Return mean and deviation of the columns beside the values, over the training steps."""
    steps = [
        np.hstack([known_features(series)[:end][: len(series)], series.seen[:end]])
        for series, end in used
    ]
    mean, deviation = measure(np.concatenate(steps))
    return tuple(zip(mean.tolist(), deviation.tolist(), strict=True))

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
from ensuite.core.errors import DataError
from ensuite.data.panel import Series
from ensuite.data.windows import Windows

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

STEADY = 1e-12
"""Relative deviation at and below which a series counts as constant."""


class Row(NamedTuple):
    """A row of a batch: one window, and one of its columns (-1: all of them)."""

    window: int
    column: int


class Rows(Sequence[Row]):
    """The rows of many windows, read from flat arrays of all series.

    Args:
        flat: The values of all series.
        windows: Where the rows lie.
        places: (rows,), the window of each row.
        columns: (rows,), the column of each row; -1 for all of them.
    """

    def __init__(self, flat: "Flat", windows: Windows, places: Indices, columns: Indices) -> None:
        self.flat, self.windows, self.places, self.columns = flat, windows, places, columns

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.places)

    @overload
    def __getitem__(self, number: int) -> Row: ...
    @overload
    def __getitem__(self, number: slice) -> "Rows": ...
    def __getitem__(self, number: Any) -> "Row | Rows":
        """Return a row, or some of them."""
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


@dataclass(frozen=True, eq=False)
class Flat:
    """All series one after another, so that a batch is one selection by index.

    Args:
        series: What is held.
        mean: (series, columns), subtracted from the values.
        deviation: (series, columns), what they are divided by.
    """

    series: tuple[Series, ...]
    mean: Array
    deviation: Array

    @cached_property
    def starts(self) -> Indices:
        """(series,), where the values of each begin."""
        return _starts([len(each) for each in self.series])

    @cached_property
    def known_starts(self) -> Indices:
        """(series,), where the known features of each begin."""
        return _starts([len(each.known) for each in self.series])

    @cached_property
    def lengths(self) -> Indices:
        """(series,), how many steps each has."""
        return np.array([len(each) for each in self.series], dtype=np.int64)

    @cached_property
    def truths(self) -> Array:
        """(steps, columns), the values as they are in the file, NaN where one is missing."""
        return np.concatenate([each.values for each in self.series])

    @cached_property
    def values(self) -> Array:
        """(steps, columns), a missing value is the last one before it, or the mean."""
        pairs = zip(self.series, self.mean, strict=True)
        return np.concatenate([fill(each.values, mean) for each, mean in pairs])

    @cached_property
    def known(self) -> Array:
        """(steps, features), what is known of the future too."""
        return np.concatenate([fill(s.known, np.zeros(s.known.shape[1])) for s in self.series])

    @cached_property
    def seen(self) -> Array:
        """(steps, features), what is known of the past only."""
        return np.concatenate([fill(s.seen, np.zeros(s.seen.shape[1])) for s in self.series])


def _starts(lengths: Sequence[int]) -> Indices:
    return np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)


def fill(values: Array, otherwise: Array) -> Array:
    """Replace missing values by the last one before them, at the beginning by ``otherwise``.

    >>> fill(np.array([[np.nan], [1.0], [np.nan]]), np.array([5.0])).ravel()
    array([5., 1., 1.])
    """
    known = ~np.isnan(values)
    if known.all():
        return values
    last = np.maximum.accumulate(np.where(known, np.arange(len(values))[:, None], -1), axis=0)
    filled: Array = np.take_along_axis(values, last.clip(0), axis=0)
    return np.where(last < 0, otherwise, filled)


@dataclass(frozen=True, kw_only=True)
class History:
    """Turn windows over series into rows of scaled steps.

    Args:
        look_back: Steps that are read before a forecast; 0: two seasons, at least the horizon.
        segment: Steps that are read together, as one position; it divides ``look_back``.
        per_column: Whether each column to forecast is a row of its own, read by the same weights,
            or all of them are read together.
        normalise: What is subtracted from each window: its last value, its mean (its deviation
            then divides it), or the mean of the series in training.
        names: The series that scales were learned of.
        mean: Of each series and column over the training steps.
        deviation: Likewise; 1 for a column that never changes.
        features: Mean and deviation of the columns known in the future, then of the others.
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
        ends = training_ends(windows, horizon)
        scales = [measure(s.values[:end]) for s, end in zip(windows.series, ends, strict=True)]
        return replace(
            self,
            names=tuple(series.name for series in windows.series),
            mean=tuple(tuple(mean.tolist()) for mean, _ in scales),
            deviation=tuple(tuple(deviation.tolist()) for _, deviation in scales),
            features=_measure_features(windows.series, ends),
            known=windows.series[0].known.shape[1],
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

    def flat(self, windows: Windows) -> Flat:
        """Return the series of windows side by side, each with its scale."""
        scales = [self.scale(series, windows, n) for n, series in enumerate(windows.series)]
        mean, deviation = (np.array(part) for part in zip(*scales, strict=True))
        return Flat(windows.series, mean, deviation)

    def scale(self, series: Series, windows: Windows, number: int) -> tuple[Array, Array]:
        """Return mean and deviation of a series: as learned, or of a new one what it shows.

        Of a new series only the steps before its first window count.
        """
        place = self._places.get(series.name)
        if place is not None:
            return np.array(self.mean[place]), np.array(self.deviation[place])
        first = int(windows.origins[windows.numbers == number].min(initial=len(series)))
        return measure(series.values[: max(1, first)])

    def rows(self, windows: Windows) -> Rows:
        """Return the rows of windows, the columns of a window one after another."""
        columns = len(windows.series[0].values[0]) if len(windows.series) else 1
        each = np.arange(columns) if self.per_column else np.full(1, -1)
        places = np.repeat(np.arange(len(windows), dtype=np.int64), len(each))
        return Rows(self.flat(windows), windows, places, np.tile(each, len(windows)))

    def normal(self, rows: Rows) -> tuple[Array, Array]:
        """Return what is subtracted from the values of each row and what divides them.

        Both are (rows, columns), with one column where each is a row of its own.
        """
        flat, numbers = rows.flat, rows.windows.numbers[rows.places]
        mean, deviation = (
            self._pick(rows, flat.mean[numbers]),
            self._pick(rows, flat.deviation[numbers]),
        )
        if self.normalise == "none":
            return mean, deviation
        history, mask = self._history(rows)
        if self.normalise == "last":
            return np.where(mask[:, -1:], history[:, -1], mean), deviation
        counts = mask.sum(1)[:, None].clip(1)
        middle = np.where(mask[..., None], history, 0).sum(1) / counts
        apart = np.where(mask[..., None], (history - middle[:, None]) ** 2, 0).sum(1) / counts
        return middle, np.maximum(np.sqrt(apart), 1e-3 * deviation)

    def _pick(self, rows: Rows, values: Array) -> Array:
        """Return the column of each row out of (rows, ..., columns); all where it has all."""
        if not self.per_column:
            return values
        shape = (len(rows), *(1 for _ in values.shape[1:]))
        return np.take_along_axis(values, rows.columns.reshape(shape), axis=-1)

    def _indices(self, rows: Rows, first: int, last: int) -> tuple[Indices, Indices]:
        """Return the steps from ``first`` to ``last``, counted from the origin, and the series."""
        numbers = rows.windows.numbers[rows.places]
        steps = rows.windows.origins[rows.places][:, None] + np.arange(first, last)
        return steps, numbers

    def _history(self, rows: Rows) -> tuple[Array, NDArray[np.bool_]]:
        """Return the values read, (rows, look_back, columns), and which of them are there."""
        steps, numbers = self._indices(rows, -self.look_back, 0)
        mask = steps >= 0
        places = rows.flat.starts[numbers][:, None] + steps.clip(0)
        return self._pick(rows, rows.flat.values[places]), mask

    def collate(self, rows: Rows) -> tuple[Tensor, Tensor | None]:
        """Return what is read, (rows, positions, features), and which positions are there."""
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
        """Return what is known of the steps to forecast, (rows, horizon, features)."""
        steps, numbers = self._indices(rows, 0, horizon)
        lengths = np.array([len(series.known) for series in rows.windows.series])
        places = rows.flat.known_starts[numbers][:, None] + np.minimum(
            steps, lengths[numbers][:, None] - 1
        )
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


def training_ends(windows: Windows, horizon: int) -> list[int]:
    """Return for each series the step after the last one that the windows forecast."""
    ends = np.zeros(len(windows.series), dtype=np.int64)
    np.maximum.at(ends, windows.numbers, windows.origins + horizon)
    return [int(end) for end in ends]


def measure(values: Array) -> tuple[Array, Array]:
    """Return mean and deviation of each column, a deviation of 1 for one that never changes."""
    known = ~np.isnan(values)
    counts = known.sum(0).clip(1)
    mean = np.where(known, values, 0).sum(0) / counts
    deviation = np.sqrt(np.where(known, (values - mean) ** 2, 0).sum(0) / counts)
    return mean, np.where(deviation <= STEADY * (1 + np.abs(mean)), 1.0, deviation)


def _measure_features(
    series: Sequence[Series], ends: Sequence[int]
) -> tuple[tuple[float, float], ...]:
    """Return mean and deviation of the exogenous columns over the training steps."""
    pairs = list(zip(series, ends, strict=True))
    steps = [np.hstack([s.known[: min(end, len(s))], s.seen[:end]]) for s, end in pairs]
    mean, deviation = measure(np.concatenate(steps))
    return tuple(zip(mean.tolist(), deviation.tolist(), strict=True))


def refuse_short_future(windows: Windows, horizon: int, names: Sequence[str]) -> None:
    """Refuse windows whose columns known in the future do not reach over the horizon.

    Raises:
        DataError: Names the series, the columns and the number of steps that are missing.
    """
    if not names:
        return
    for window in windows:
        missing = window.origin + horizon - len(window.series.known)
        if missing > 0:
            whose = f"the series {window.series.name}" if window.series.name else "the file"
            raise DataError(
                f"{whose} gives {', '.join(names)} for {horizon - missing} of the {horizon} steps "
                f"to forecast: add {missing} rows with these columns and an empty value."
            )

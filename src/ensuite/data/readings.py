"""Readings of a series, one a step, and the windows that each of them is in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from ensuite.core.stacked import Selectable
from ensuite.data.series import Series

Numbers = NDArray[np.float64]
Indices = NDArray[np.int64]

UNKNOWN = -1
"""Mark of a step of which it is not known whether it is an anomaly."""


@dataclass(frozen=True, eq=False)
class Track:
    """A stretch of a series.

    Args:
        series: What it was cut from.
        begin: Its first step in the series.
        end: The step of the series after its last one.
        first: The first step of the series that is a reading of its own; those before it are only
            looked back at.
        marks: (steps of the series,), 1 for an anomaly, 0 for a normal step, -1 where that is not
            known.
    """

    series: Series
    begin: int
    end: int
    first: int
    marks: Indices

    def __len__(self) -> int:
        """Return the number of steps."""
        return self.end - self.begin

    @cached_property
    def values(self) -> Numbers:
        """(steps, columns), a missing value replaced by the last one before it, or the next one."""
        values = self.series.values[self.begin : self.end]
        known = ~np.isnan(values)
        if known.all():
            return values
        places = np.arange(len(values))[:, None]
        before = np.maximum.accumulate(np.where(known, places, -1), axis=0)
        after = np.minimum.accumulate(np.where(known, places, len(values))[::-1], axis=0)[::-1]
        chosen = np.where(before >= 0, before, after % len(values))
        filled: Numbers = np.nan_to_num(np.take_along_axis(values, chosen, axis=0))
        return filled

    @property
    def steps(self) -> Indices:
        """The steps of the series that are readings: those of which some value is known."""
        values = self.series.values[self.first : self.end]
        return self.first + np.flatnonzero(~np.isnan(values).all(1)).astype(np.int64)


class Reading(NamedTuple):
    """One step of a track, and whether it is an anomaly; None where that is not known."""

    track: Track
    step: int  # of the series
    anomalous: bool | None = None


class Readings(Sequence[Reading]):
    """Readings of several tracks; two whole numbers for each.

    Args:
        tracks: What ``numbers`` refer to.
        numbers: (readings,), the track of each.
        steps: (readings,), the step of the series of each.
        known: (readings,), whether its mark may be told.
    """

    def __init__(
        self, tracks: Sequence[Track], numbers: Indices, steps: Indices, known: NDArray[np.bool_]
    ) -> None:
        self.tracks, self.numbers, self.steps, self.known = tuple(tracks), numbers, steps, known

    @classmethod
    def of(cls, tracks: Sequence[Track]) -> "Readings":
        """Return all readings of tracks."""
        steps = [track.steps for track in tracks]
        numbers = np.repeat(np.arange(len(tracks)), [len(each) for each in steps])
        empty = np.zeros(0, dtype=np.int64)
        return cls(tracks, numbers, np.concatenate([*steps, empty]), np.ones(len(numbers), bool))

    def __len__(self) -> int:
        """Return the number of readings."""
        return len(self.steps)

    @overload
    def __getitem__(self, number: int) -> Reading: ...
    @overload
    def __getitem__(self, number: slice) -> "Readings": ...
    def __getitem__(self, number: Any) -> "Reading | Readings":
        """Return one reading, or a slice of them."""
        if isinstance(number, slice):
            picked = self.numbers[number], self.steps[number], self.known[number]
            return Readings(self.tracks, *picked)
        track, step = self.tracks[self.numbers[number]], int(self.steps[number])
        mark = int(track.marks[step]) if self.known[number] else UNKNOWN
        return Reading(track, step, None if mark == UNKNOWN else bool(mark))

    def __iter__(self) -> Iterator[Reading]:
        """Return the readings in order."""
        return map(self.__getitem__, range(len(self)))

    @property
    def marks(self) -> Indices:
        """(readings,), 1 for an anomaly, 0 for a normal step, -1 where that is not known."""
        marks = np.full(len(self), UNKNOWN, dtype=np.int64)
        for number, track in enumerate(self.tracks):
            mine = self.numbers == number
            marks[mine] = track.marks[self.steps[mine]]
        return np.where(self.known, marks, UNKNOWN)


def gather(examples: Sequence[Reading]) -> Readings:
    """Return any sequence of readings as ``Readings``."""
    if isinstance(examples, Readings):
        return examples
    places: dict[int, int] = {}
    tracks: list[Track] = []
    numbers = np.zeros(len(examples), dtype=np.int64)
    for row, example in enumerate(examples):
        if id(example.track) not in places:
            places[id(example.track)] = len(tracks)
            tracks.append(example.track)
        numbers[row] = places[id(example.track)]
    steps = np.array([example.step for example in examples], dtype=np.int64).reshape(-1)
    known = np.array([example.anomalous is not None for example in examples], bool).reshape(-1)
    return Readings(tracks, numbers, steps, known)


# Windows


class Item(NamedTuple):
    """A window of a track, as a row of a batch."""

    window: Numbers  # (steps, columns)


class Windows(Selectable[Item]):
    """Windows of one length, held as the places where they begin.

    Args:
        tracks: What ``numbers`` refer to.
        numbers: (windows,), the track of each window.
        begins: (windows,), the step of the track at which it begins.
        length: Steps of a window.
    """

    def __init__(
        self, tracks: Sequence[Track], numbers: Indices, begins: Indices, length: int
    ) -> None:
        self.tracks, self.numbers, self.begins = tuple(tracks), numbers, begins
        self.length = length

    @cached_property
    def flat(self) -> tuple[Numbers, Indices]:
        """The values of all tracks, (steps, columns), and where each track begins."""
        lengths = [len(track) for track in self.tracks]
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
        return np.concatenate([track.values for track in self.tracks]), starts

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.begins)

    @overload
    def __getitem__(self, number: int) -> Item: ...
    @overload
    def __getitem__(self, number: slice) -> "Windows": ...
    def __getitem__(self, number: Any) -> "Item | Windows":
        """Return one window, or a slice of them."""
        if isinstance(number, slice):
            return self.take(np.arange(len(self))[number])
        return Item(self.take([number]).values[0])

    def __iter__(self) -> Iterator[Item]:
        """Return the windows in order."""
        return map(self.__getitem__, range(len(self)))

    def take(self, numbers: Sequence[int] | Indices) -> "Windows":
        """Return the windows of these numbers."""
        chosen = np.asarray(numbers, dtype=np.int64)
        taken = Windows(self.tracks, self.numbers[chosen], self.begins[chosen], self.length)
        taken.__dict__["flat"] = self.flat  # made once for all batches
        return taken

    @property
    def values(self) -> Numbers:
        """(windows, steps, columns), the values of all windows."""
        values, starts = self.flat
        first = starts[self.numbers] + self.begins
        found: Numbers = values[first[:, None] + np.arange(self.length)]
        return found


def windows_of(readings: Readings, length: int, stride: int, *, live: bool) -> Windows:
    """Return the windows that some readings are in.

    Where a window begins does not depend on which readings are asked about.

    Args:
        readings: Any number of them.
        length: Steps of a window.
        stride: Steps between two windows; the last possible one is always among them.
        live: Whether a reading is only in the window that ends with it.
    """
    numbers, begins = [], []
    for number, track in enumerate(readings.tracks):
        steps = readings.steps[readings.numbers == number] - track.begin
        last = len(track) - length
        if live:
            found = np.unique(steps[steps >= length - 1]) - (length - 1)
        else:
            found = np.unique(np.append(np.arange(0, last + 1, stride), max(last, 0)))
            asked = np.zeros(len(track) + 1, dtype=np.int64)
            asked[steps + 1] = 1
            before = asked.cumsum()
            inside = before[np.minimum(found + length, len(track))] - before[found]
            found = found[(inside > 0) & (found <= last)]
        numbers.append(np.full(len(found), number, dtype=np.int64))
        begins.append(found.astype(np.int64))
    empty = np.zeros(0, dtype=np.int64)
    places, first = (np.concatenate([*parts, empty]) for parts in (numbers, begins))
    return Windows(readings.tracks, places, first, length)


def spread(
    readings: Readings, windows: Windows, pieces: Sequence[Numbers], *, live: bool
) -> Numbers:
    """Return the mean of what windows say of each reading, (readings, ...); NaN where none does.

    Args:
        readings: What was asked about.
        windows: As :func:`windows_of` returned them for these readings.
        pieces: (steps, ...) of each window.
        live: Whether only the last step of a window counts.
    """
    shape = np.shape(pieces[0])[1:] if len(pieces) else ()
    found = np.full((len(readings), *shape), np.nan)
    for number, track in enumerate(readings.tracks):
        sums, counts = np.zeros((len(track), *shape)), np.zeros(len(track))
        for place in np.flatnonzero(windows.numbers == number).tolist():
            begin = int(windows.begins[place])
            at = slice(begin + (windows.length - 1) * live, begin + windows.length)
            sums[at] += pieces[place][-1:] if live else pieces[place]
            counts[at] += 1
        mine = np.flatnonzero(readings.numbers == number)
        steps = readings.steps[mine] - track.begin
        known = counts[steps] > 0
        divisor = counts[steps[known]].reshape(-1, *(1 for _ in shape))
        found[mine[known]] = sums[steps[known]] / divisor
    return found


# Parts


def stretches(series: Series, marks: Indices, begin: int, end: int, length: int) -> list[Track]:
    """Return the stretches of steps between two that hold no anomaly and fill a window.

    They look back at up to a window of steps before ``begin``, if these are no anomalies either.
    """
    back = max(0, begin - length + 1)
    normal = np.concatenate([[False], marks[back:end] != 1, [False]])
    edges = np.flatnonzero(normal[1:] != normal[:-1]).reshape(-1, 2) + back
    return [
        Track(series, first, last, max(first, begin), marks)
        for first, last in edges.tolist()
        if last > begin and last - first >= length
    ]


def whole(series: Series, marks: Indices, begin: int, end: int, length: int) -> list[Track]:
    """Return the steps between two as a track that looks back at up to a window before them."""
    back = max(0, begin - length + 1)
    return [Track(series, back, end, begin, marks)] if end - back >= length else []

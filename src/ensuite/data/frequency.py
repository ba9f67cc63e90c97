"""Frequencies: the distance of two steps, found from time stamps, and counted on its grid.

Times are in microseconds since 1970, or, where a file counts steps, in steps.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86400 * SECOND
WEEK = 7 * DAY


@dataclass(frozen=True)
class Frequency:
    """The distance of two steps: so many microseconds, months, weekdays or plain steps.

    Args:
        unit: What is counted.
        count: How many of them make a step.
        day: Day of the month of a monthly series; 31 for the last one.
    """

    unit: Literal["microseconds", "months", "weekdays", "steps"]
    count: int
    day: int = 1

    def positions(self, times: Times) -> NDArray[np.float64]:
        """Return (rows,) positions on the grid of the first time; fractions lie off the grid."""
        if self.unit == "months":
            months, inside = _months(times, self.day)
            off = np.where(inside == inside[0], 0.0, 0.5)
            return np.asarray((months - months[0]) / self.count + off)
        if self.unit == "weekdays":
            days = times.astype("datetime64[us]").astype("datetime64[D]")
            inside = (times - times[0]) % DAY
            off = np.where((inside == 0) & np.is_busday(days), 0.0, 0.5)
            return np.asarray(np.busday_count(days[0], days) + off)
        return np.asarray((times - times[0]) / self.count)

    def after(self, start: int, steps: NDArray[np.int64]) -> Times:
        """Return the times that lie so many steps after ``start``."""
        if self.unit == "months":
            stamp = np.array([start]).astype("datetime64[us]")
            month = stamp.astype("datetime64[M]") + steps * self.count
            length = (month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")
            days = np.minimum(self.day, length.astype(np.int64)) - 1
            clock = start % DAY
            whole = month.astype("datetime64[D]").astype(np.int64) + days
            return np.asarray(whole * DAY + clock)
        if self.unit == "weekdays":
            day = np.array([start]).astype("datetime64[us]").astype("datetime64[D]")
            moved = np.busday_offset(day, steps)
            return moved.astype("datetime64[us]").astype(np.int64) + start % DAY
        return start + steps * self.count

    @property
    def seasons(self) -> tuple[int, ...]:
        """Season lengths in steps, the likeliest first: a day, a week, a year."""
        if self.unit == "months":
            return (12 // self.count,) if self.count < 12 and 12 % self.count == 0 else ()
        if self.unit == "weekdays":
            return (5,)
        if self.unit == "steps":
            return ()
        spans = (DAY, WEEK) if self.count < DAY else (WEEK,)
        if self.count == WEEK:
            return (52,)
        return tuple(s // self.count for s in spans if s % self.count == 0 and s > self.count)

    def __str__(self) -> str:
        """Say it as a person does: hourly, every 15 minutes.

        >>> [str(Frequency("microseconds", HOUR)), str(Frequency("months", 3))]
        ['hourly', 'quarterly']
        """
        named = {
            ("microseconds", SECOND): "every second", ("microseconds", MINUTE): "every minute",
            ("microseconds", HOUR): "hourly", ("microseconds", DAY): "daily",
            ("microseconds", WEEK): "weekly", ("months", 1): "monthly", ("months", 3): "quarterly",
            ("months", 12): "yearly", ("weekdays", 1): "every weekday",
            ("steps", 1): "step by step",
        }  # fmt: skip
        if (self.unit, self.count) in named:
            return named[self.unit, self.count]
        if self.unit != "microseconds":
            return f"every {self.count} {self.unit}"
        units = (
            (WEEK, "weeks"),
            (DAY, "days"),
            (HOUR, "hours"),
            (MINUTE, "minutes"),
            (SECOND, "seconds"),
        )
        size, word = next(((s, w) for s, w in units if self.count % s == 0), (1, "microseconds"))
        return f"every {self.count // size:,} {word}"


def _months(times: Times, day: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the months since 1970, and what lies between a time and its month's ``day``."""
    stamps = times.astype("datetime64[us]")
    months = stamps.astype("datetime64[M]")
    length = (months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")
    due = (
        months.astype("datetime64[D]").astype(np.int64)
        + np.minimum(day, length.astype(np.int64))
        - 1
    )
    return months.astype(np.int64), times - due * DAY


def find_frequency(times: Times) -> Frequency | None:
    """Return the frequency of ascending, distinct times in microseconds; None if there is none.

    It is the most frequent distance between neighbours, if nine in ten of the times lie on its
    grid (steps may be missing there); else the largest distance that divides all others, if at
    least half of its steps are there.
    """
    if len(times) < 2:
        return None
    for candidate in (_monthly(times), _weekdays(times), _even(times)):
        if candidate is not None:
            positions = candidate.positions(times)
            if np.mean(positions == np.round(positions)) >= 0.9 and np.all(np.diff(positions) > 0):
                return candidate
    shared = Frequency("microseconds", math.gcd(*np.diff(times).tolist()))
    return shared if fits(shared, times) else None


def fits(frequency: Frequency, times: Times) -> bool:
    """Return whether ascending times lie on the grid of a frequency and fill at least half of it.

    Of two times nothing can be said about what is missing: they need only lie on the grid.
    """
    positions = frequency.positions(times)
    whole = bool((positions == np.round(positions)).all() and (np.diff(positions) > 0).all())
    return whole and (len(times) < 3 or 2 * len(times) >= positions[-1] + 1)


def _monthly(times: Times) -> Frequency | None:
    distances = np.diff(times)
    if np.median(distances) < 28 * DAY or len(times) < 3:
        return None
    days = times.astype("datetime64[us]").astype("datetime64[D]")
    numbers = (days - days.astype("datetime64[M]")).astype(np.int64) + 1
    ends = (days + 1).astype("datetime64[M]") != days.astype("datetime64[M]")
    day = 31 if ends.all() else int(np.bincount(numbers).argmax())
    months, _ = _months(times, day)
    steps, counts = np.unique(np.diff(months), return_counts=True)
    return Frequency("months", int(steps[counts.argmax()]), day) if steps[0] > 0 else None


def _weekdays(times: Times) -> Frequency | None:
    days = times.astype("datetime64[us]").astype("datetime64[D]")
    if np.median(np.diff(times)) != DAY or not np.is_busday(days).all():
        return None
    weekends = np.diff(times) == 3 * DAY
    return Frequency("weekdays", 1) if weekends.sum() >= 1 else None


def _even(times: Times) -> Frequency:
    steps, counts = np.unique(np.diff(times), return_counts=True)
    return Frequency("microseconds", int(steps[counts.argmax()]))

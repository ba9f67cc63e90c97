"""A time series on an even grid, and the clock that gives its steps time stamps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ensuite.data.frequency import Frequency
from ensuite.data.timestamps import write_stamps

Numbers = NDArray[np.float64]

TIMELESS = int(np.iinfo(np.int64).min)
"""Start of a series without time stamps in a panel that has them: numbers given without a file."""

ROUNDING = 1e-12
"""Deviation, relative to the mean, that is a rounding error: the numbers never change."""


@dataclass(frozen=True, eq=False)
class Series:
    """One series on an even grid of steps.

    Args:
        name: Its id; "" where the file holds a single one.
        start: Its first time stamp.
        values: (steps, columns), NaN where a value is missing.
        known: (steps, features), columns known in the future too; they may reach further than
            ``values``.
        seen: (steps, features), columns known in the past only.
        static: (features,), columns that do not change over time.
    """

    name: str
    start: int
    values: Numbers
    known: Numbers
    seen: Numbers
    static: Numbers

    def __len__(self) -> int:
        """Return the number of steps that have values."""
        return len(self.values)

    @classmethod
    def plain(cls, name: str, start: int, values: Numbers) -> "Series":
        """Return a series of values alone, (steps, columns)."""
        nothing = np.zeros((len(values), 0))
        return cls(name, start, values, nothing, nothing, np.zeros(0))


def is_rounding(deviation: Numbers, mean: Numbers) -> NDArray[np.bool_]:
    """Return which columns never change: their deviation, (columns,), is that of rounding errors.

    Numbers may be of any size, since a deviation is compared with the mean alone.

    >>> is_rounding(np.array([1e-17, 1e-13, 0.0]), np.array([0.1, 0.0, 0.0])).tolist()
    [True, False, True]
    """
    found: NDArray[np.bool_] = deviation <= ROUNDING * np.abs(mean)
    return found


def is_steady(values: Numbers) -> bool:
    """Return whether no column of (steps, columns) ever changes."""
    lowest, highest = (
        fill.reduce(np.where(np.isnan(values), other, values), axis=0)
        for fill, other in ((np.minimum, np.inf), (np.maximum, -np.inf))
    )
    return bool((lowest >= highest).all())


@dataclass(frozen=True)
class Clock:
    """How the steps of a panel become time stamps.

    Args:
        frequency: The distance of two steps; None if no series has two of them.
        dated: Whether steps are times; False: they are counted.
        zone: The offset from UTC in which times are written.
    """

    frequency: Frequency | None = None
    dated: bool = False
    zone: str = ""

    def write(self, start: int, steps: NDArray[np.int64]) -> list[str]:
        """Return the time stamps that lie so many steps after ``start``, as texts."""
        if start == TIMELESS:
            return [str(step + 1) for step in steps.tolist()]
        times = start + steps if self.frequency is None else self.frequency.after(start, steps)
        return write_stamps(times, dated=self.dated, zone=self.zone, frequency=self.frequency)

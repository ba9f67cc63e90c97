"""All series of a part in one array, so that a batch is gathered by one index operation."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ensuite.data.series import Series

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Flat:
    """All series in one array, each with its scale.

    Args:
        series: In the order of the array.
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
        """(series,), how many steps of values each has."""
        return np.array([len(each) for each in self.series], dtype=np.int64)

    @cached_property
    def known_lengths(self) -> Indices:
        """(series,), how many steps of known features each has."""
        return np.array([len(each.known) for each in self.series], dtype=np.int64)

    @cached_property
    def truths(self) -> Array:
        """(steps, columns), the values as they are in the file, NaN where one is missing."""
        return np.concatenate([each.values for each in self.series])

    @cached_property
    def values(self) -> Array:
        """(steps, columns), a missing value replaced by the last one before it, or the mean."""
        pairs = zip(self.series, self.mean, strict=True)
        return np.concatenate([fill(each.values, mean) for each, mean in pairs])

    @cached_property
    def known(self) -> Array:
        """(steps, features), what is known of the future too, static columns last."""
        return np.concatenate([known_features(each) for each in self.series])

    @cached_property
    def seen(self) -> Array:
        """(steps, features), what is known of the past only."""
        return np.concatenate([fill(s.seen, np.zeros(s.seen.shape[1])) for s in self.series])


def known_features(series: Series) -> Array:
    """Return what is known of every step, (steps, features): future columns, then static ones."""
    known = fill(series.known, np.zeros(series.known.shape[1]))
    return np.hstack([known, np.tile(series.static, (len(known), 1))])


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

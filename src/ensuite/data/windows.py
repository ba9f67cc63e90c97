"""Windows over series, held as pairs of numbers, so that overlapping ones share their values."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from ensuite.data.series import Series

Numbers = NDArray[np.int64]


class Window(NamedTuple):
    """A step of a series from which on the next ones are forecast."""

    series: Series
    origin: int  # the first step to forecast


class Windows(Sequence[Window]):
    """Windows over several series; two whole numbers for each.

    Args:
        series: The series that ``numbers`` refer to.
        numbers: (windows,), the series of each window.
        origins: (windows,), the first step that each window forecasts.
    """

    def __init__(self, series: Sequence[Series], numbers: Numbers, origins: Numbers) -> None:
        self.series, self.numbers, self.origins = tuple(series), numbers, origins

    @classmethod
    def between(
        cls,
        series: Sequence[Series],
        first: Sequence[int],
        last: Sequence[int],
        horizon: int,
        stride: int = 1,
    ) -> "Windows":
        """Return the windows that forecast ``horizon`` steps from ``first`` up to ``last``.

        Args:
            series: Any number of them.
            first: The first origin in each series; a window has at least one step before it.
            last: The step of each series before which a forecast must end.
            horizon: Steps to forecast.
            stride: Steps between two origins; the last possible origin is always among them.
        """
        numbers, origins = [], []
        for number, (start, end) in enumerate(zip(first, last, strict=True)):
            found = np.arange(end - horizon, max(1, start) - 1, -stride, dtype=np.int64)[::-1]
            numbers.append(np.full(len(found), number, dtype=np.int64))
            origins.append(found)
        empty = np.zeros(0, dtype=np.int64)
        return cls(series, np.concatenate([*numbers, empty]), np.concatenate([*origins, empty]))

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.origins)

    @overload
    def __getitem__(self, number: int) -> Window: ...
    @overload
    def __getitem__(self, number: slice) -> "Windows": ...
    def __getitem__(self, number: Any) -> "Window | Windows":
        """Return one window, or a slice of them."""
        if isinstance(number, slice):
            return Windows(self.series, self.numbers[number], self.origins[number])
        return Window(self.series[self.numbers[number]], int(self.origins[number]))

    def __iter__(self) -> Iterator[Window]:
        """Return the windows in order."""
        return map(self.__getitem__, range(len(self)))

    @property
    def firsts(self) -> Numbers:
        """(series,), the first origin in each series; its length where it has no window."""
        first = np.array([len(series) for series in self.series], dtype=np.int64)
        np.minimum.at(first, self.numbers, self.origins)
        return first

    def ends(self, horizon: int) -> list[int]:
        """Return the end of what the windows of each series forecast; 0 where it has none."""
        ends = np.zeros(len(self.series), dtype=np.int64)
        np.maximum.at(ends, self.numbers, self.origins + horizon)
        return [int(end) for end in ends]


def gather(examples: Sequence[Window]) -> Windows:
    """Return any sequence of windows as ``Windows``."""
    if isinstance(examples, Windows):
        return examples
    places: dict[int, int] = {}
    series: list[Series] = []
    numbers = np.zeros(len(examples), dtype=np.int64)
    for row, example in enumerate(examples):
        if id(example.series) not in places:
            places[id(example.series)] = len(series)
            series.append(example.series)
        numbers[row] = places[id(example.series)]
    origins = np.array([example.origin for example in examples], dtype=np.int64)
    return Windows(series, numbers, origins.reshape(-1))

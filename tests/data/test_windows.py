"""Windows are pairs of numbers: they share the values of their series."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ensuite.data.series import Series
from ensuite.data.windows import Window, Windows, gather

SERIES = [Series.plain("a", 0, np.arange(30.0)[:, None]), Series.plain("b", 0, np.ones((9, 1)))]


@given(st.integers(0, 12), st.integers(1, 30), st.integers(1, 9), st.integers(1, 5))
def test_windows_lie_between_their_borders(
    first: int, last: int, horizon: int, stride: int
) -> None:
    found = Windows.between(SERIES[:1], [first], [last], horizon, stride)
    expected = list(range(max(1, first), last - horizon + 1))[::-1][::stride][::-1]
    assert found.origins.tolist() == expected


def test_selections_and_lists_of_windows() -> None:
    windows = Windows.between(SERIES, [3, 2], [30, 9], 4)
    assert [each.origin for each in windows[2:5]] == [5, 6, 7]
    assert windows[len(windows) - 1] == Window(SERIES[1], 5)
    again = gather([*windows])
    assert (again.origins == windows.origins).all()
    assert (again.numbers == windows.numbers).all()
    assert again.firsts.tolist() == [3, 2]
    assert len(gather([])) == 0


def test_a_series_without_windows_has_its_length_for_the_first() -> None:
    assert Windows.between(SERIES, [3, 8], [30, 9], 4).firsts.tolist() == [3, 9]


def test_memory_does_not_grow_with_what_windows_share() -> None:
    long = Series.plain("", 0, np.zeros((100_000, 3)))
    windows = Windows.between([long], [1000], [100_000], 500)
    assert len(windows) == 98_501
    assert windows.origins.nbytes + windows.numbers.nbytes == 16 * len(windows)
    assert windows[7].series.values is long.values

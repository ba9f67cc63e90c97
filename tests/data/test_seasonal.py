"""The seasonal naive forecast, and the unit of MASE."""

import numpy as np
import pytest

from ensuite.data.seasonal import seasonal_error, seasonal_naive

VALUES = np.arange(12.0)[:, None]


@pytest.mark.parametrize(
    ("origin", "season", "expected"),
    [
        (8, 3, [5, 6, 7, 5, 6]),
        (8, 1, [7, 7, 7, 7, 7]),
        (2, 3, [1, 0, 1, 1, 0]),  # a step whose season lies before the beginning: the last value
    ],
)
def test_the_last_season_is_repeated(origin: int, season: int, expected: list[float]) -> None:
    found = seasonal_naive(VALUES, np.array([0]), np.array([origin]), season=season, horizon=5)
    assert found[0, :, 0].tolist() == expected


def test_series_begin_where_they_begin() -> None:
    found = seasonal_naive(VALUES, np.array([0, 6]), np.array([6, 6]), season=2, horizon=2)
    assert found[..., 0].tolist() == [[4, 5], [10, 11]]


@pytest.mark.parametrize(
    ("values", "season", "expected"),
    [
        ([1, 2, 4, np.nan], 1, 1.5),
        ([1, 2, 4, 8], 2, 4.5),
        ([1, 1, 1, 1], 1, 0),
        ([0, 1, 2], 4, 1),  # not longer than a season: the last value
        ([0, 2, 0, 2, 0], 2, 2),  # the season repeats itself: the last value
        ([5], 4, 0),
    ],
)
def test_the_error_of_a_season(values: list[float], season: int, expected: float) -> None:
    assert seasonal_error(np.array(values, dtype=float)[:, None], season).tolist() == [expected]

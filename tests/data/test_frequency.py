"""Frequencies are found from time stamps, and steps are counted on their grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensuite.core.table import Table
from ensuite.data.frequency import DAY, MINUTE, Frequency, find_frequency
from ensuite.data.timestamps import read_stamps, write_stamps


@pytest.mark.parametrize(
    ("cells", "name", "following"),
    [
        (
            ["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 03:00"],
            "hourly",
            "2024-01-01 04:00:00",
        ),
        (["2024-01-01 00:00", "2024-01-01 00:15"], "every 15 minutes", "2024-01-01 00:30:00"),
        (["2024-01-31", "2024-02-29", "2024-03-31"], "monthly", "2024-04-30"),
        (["2024-01-15", "2024-02-15", "2024-04-15"], "monthly", "2024-05-15"),
        (["2023-01-01", "2023-04-01", "2023-07-01"], "quarterly", "2023-10-01"),
        (["2022-01-01", "2023-01-01", "2024-01-01"], "yearly", "2025-01-01"),
        (["2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09"], "every weekday", "2024-01-10"),
        (["2024-01-01", "2024-01-08", "2024-01-15"], "weekly", "2024-01-22"),
    ],
)
def test_the_frequency_and_what_comes_next(cells: list[str], name: str, following: str) -> None:
    found = read_stamps(Table("f.csv", {"d": cells}, len(cells)), "d")
    frequency = find_frequency(found.times)
    assert frequency is not None
    assert str(frequency) == name
    after = frequency.after(int(found.times[-1]), np.array([1]))
    assert write_stamps(after, dated=found.dated, zone="", frequency=frequency) == [following]


def test_no_frequency_where_time_stamps_are_irregular() -> None:
    times = np.array([0, 7, 19, 44, 90, 91]) * MINUTE
    assert find_frequency(np.cumsum(np.array([1, 7, 11, 13, 17, 19])) * MINUTE) is None
    assert find_frequency(times[:1]) is None


@given(
    st.sampled_from(
        [Frequency("microseconds", 15 * MINUTE), Frequency("microseconds", DAY),
         Frequency("months", 1), Frequency("months", 1, 31), Frequency("months", 3, 15),
         Frequency("weekdays", 1), Frequency("steps", 2)]
    ),
    st.lists(st.integers(1, 3), min_size=4, max_size=40),
    st.integers(0, 400),
)  # fmt: skip
def test_positions_are_the_inverse_of_after(
    frequency: Frequency, distances: list[int], day: int
) -> None:
    start = int(np.datetime64("2019-01-01", "us").astype(np.int64)) + day * DAY
    if frequency.unit in ("months", "weekdays"):  # a start on the grid
        start = (
            int(frequency.after(start, np.array([1]))[0]) if frequency.unit == "months" else start
        )
        whole = np.datetime64(start, "us").astype("datetime64[D]")
        if frequency.unit == "weekdays" and not np.is_busday(whole):
            start += 2 * DAY
    steps = np.concatenate([[0], np.cumsum(distances)])
    assert frequency.positions(frequency.after(start, steps)).tolist() == steps.tolist()

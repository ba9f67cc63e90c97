"""Time stamps are read as written or refused with the row."""

import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensuite.core.errors import DataError
from ensuite.core.table import Table
from ensuite.data.frequency import DAY, HOUR, MINUTE, Frequency
from ensuite.data.timestamps import DateOrder, Stamps, read_stamps, write_stamps


def stamps(cells: Any, order: DateOrder = "auto") -> Stamps:
    return read_stamps(Table("f.csv", {"d": cells}, len(cells)), "d", order)


def told(cells: Any, order: DateOrder = "auto") -> list[str]:
    found = stamps(cells, order)
    return write_stamps(found.times, dated=found.dated, zone=found.zone, frequency=None)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["2024-01-31", "2024-02-29"], ["2024-01-31", "2024-02-29"]),
        (["2024-01-31 10:05", "2024-02-29 00:00"], ["2024-01-31 10:05:00", "2024-02-29 00:00:00"]),
        (
            ["2024-01-31 09:05", "2024-01-31 10:06:30"],
            ["2024-01-31 09:05:00", "2024-01-31 10:06:30"],
        ),
        (["2024-01-31T10:05:06.5"], ["2024-01-31 10:05:06.500000"]),
        (["20240131", "20240201"], ["2024-01-31", "2024-02-01"]),
        (["2024-01", "2024-03"], ["2024-01-01", "2024-03-01"]),
        (["2024Q1", "2024Q4"], ["2024-01-01", "2024-10-01"]),
        (["Q2 2023"], ["2023-04-01"]),
        (["1949", "1950"], ["1949-01-01", "1950-01-01"]),
        (["13/04/2024", "01/04/2024"], ["2024-04-13", "2024-04-01"]),
        (["01/31/2024 2:05 PM"], ["2024-01-31 14:05:00"]),
        (["31.12.2024"], ["2024-12-31"]),
        (["Jan 5, 2024"], ["2024-01-05"]),
        ([1_700_000_000, 1_700_003_600], ["2023-11-14 22:13:20", "2023-11-14 23:13:20"]),
        (["1700000000000"], ["2023-11-14 22:13:20"]),
        ([datetime.date(2024, 1, 2)], ["2024-01-02"]),
        (np.array(["2024-01-02T03"], "datetime64[ns]"), ["2024-01-02 03:00:00"]),
        (["2024-01-31 10:00+05:30"], ["2024-01-31 10:00:00+05:30"]),
        (["2024-01-31T10:00:00Z"], ["2024-01-31 10:00:00+00:00"]),
    ],
)
def test_what_a_file_may_hold(cells: Any, expected: list[str]) -> None:
    assert told(cells) == expected


def test_whole_numbers_count_steps() -> None:
    found = stamps(["1", "2", "10"])
    assert not found.dated
    assert found.times.tolist() == [1, 2, 10]


def test_dates_that_can_be_read_in_two_ways_are_refused_until_it_is_said() -> None:
    cells = ["04/03/2024", "05/03/2024"]
    with pytest.raises(
        DataError, match=r"row 1 of f.csv: .*4 March 2024 or 3 April 2024.*--set dates"
    ):
        stamps(cells)
    assert told(cells, "day-first") == ["2024-03-04", "2024-03-05"]
    assert told(cells, "month-first") == ["2024-04-03", "2024-05-03"]


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        (["2024-01-31", ""], "row 2 of f.csv has no time stamp in the column d"),
        (["2024-01-31", None], "row 2 of f.csv has no time stamp"),
        (["2024-01-31", "soon"], 'row 2 of f.csv: "soon" in the column d is no time stamp'),
        (["2024-01-31", "2024-02-30"], 'row 2 of f.csv: "2024-02-30"'),
        (["2024-01-31 00:00", "2024-01-31 01:00Z"], "row 2 of f.csv: time stamps with and without"),
        ([1.5], "row 1 of f.csv: 1.5 in the column d is no time stamp"),
        ([1.0, np.nan], "row 2 of f.csv has no time stamp"),
        (np.array(["2024-01-02", "NaT"], "datetime64[s]"), "row 2 of f.csv has no time stamp"),
    ],
)
def test_what_is_no_time_stamp(cells: Any, problem: str) -> None:
    with pytest.raises(DataError) as refusal:
        stamps(cells)
    assert problem in str(refusal.value)


def test_daylight_saving_is_counted_in_universal_time_and_said() -> None:
    found = stamps(["2024-03-31T01:00+01:00", "2024-03-31T03:00+02:00"])
    assert np.diff(found.times).tolist() == [HOUR]
    assert "the time zone changes (+01:00 and +02:00)" in found.notes[0]
    assert found.zone == "+01:00"


@given(
    st.lists(
        st.one_of(st.none(), st.text(max_size=12), st.integers(), st.floats()),
        min_size=1,
        max_size=5,
    )
)
def test_any_cells_are_read_or_refused_with_a_row(cells: list[Any]) -> None:
    try:
        assert len(stamps(cells).times) == len(cells)
    except DataError as refusal:
        assert "of f.csv" in str(refusal)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=6))
def test_dates_come_back_as_they_were_written(minutes: list[int]) -> None:
    times = np.array(minutes, dtype=np.int64) * MINUTE + 17_000 * DAY
    texts = write_stamps(times, dated=True, zone="", frequency=Frequency("microseconds", MINUTE))
    assert stamps(texts).times.tolist() == times.tolist()

"""Series out of tables: every layout, gaps and order said, faults refused with their row."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensuite.core.errors import DataError, EnsuiteError
from ensuite.core.table import Table
from ensuite.data.panel import Panel, read_panel

DAYS = ["2024-01-01", "2024-01-02", "2024-01-03"]
WEEKS = ["2024-01-01", "2024-01-08", "2024-01-15"]
CLOCKS = ("00:00", "01:00", "02:00", "02:37", "05:11")


def panel(cells: dict[str, Any], given: dict[str, str] | None = None, **options: Any) -> Panel:
    rows = len(next(iter(cells.values())))
    return read_panel(Table("f.csv", cells, rows), given or {}, **options)


def values(found: Panel) -> dict[str, list[Any]]:
    return {series.name: series.values.tolist() for series in found.series}


@pytest.mark.parametrize(
    ("time", "name", "value"),
    [("ds", "unique_id", "y"), ("timestamp", "item_id", "target"), ("date", "series", "value")],
)
def test_long_tables_under_the_names_of_other_packages(time: str, name: str, value: str) -> None:
    found = panel({name: list("aaabb"), time: [*DAYS, *DAYS[:2]], value: [1, 2, 3, 10, 20]})
    assert values(found) == {"a": [[1], [2], [3]], "b": [[10], [20]]}
    assert found.columns == (value,)
    assert found.clock.write(found.series[1].start, np.arange(2, 4)) == ["2024-01-03", "2024-01-04"]


def test_a_wide_table_is_one_series_of_several_columns() -> None:
    found = panel({"when": DAYS, "load": ["1", "2", "3"], "oil": ["4", "", "6"]})
    assert found.columns == ("load", "oil")
    np.testing.assert_array_equal(found.series[0].values, [[1, 4], [2, np.nan], [3, 6]])
    assert "1 step has a missing value; the last one before it is read" in found.notes


def test_one_series_a_row() -> None:
    numbers = {f"V{i}": [str(i), "" if i > 9 else str(10 * i)] for i in range(2, 12)}
    found = panel({"V1": ["H1", "H2"], **numbers})
    assert [len(series) for series in found.series] == [10, 8]
    assert found.series[1].values[-1] == 90
    with pytest.raises(DataError, match=r"row 2 of f.csv: the series H1 appears here and in row 1"):
        panel({"V1": ["H1", "H1"], **numbers})


def test_without_time_stamps_rows_are_steps() -> None:
    found = panel({"value": [5.0, 6.0, 7.0]})
    assert found.clock.write(found.series[0].start, np.arange(3, 4)) == ["4"]
    assert "rows are steps in the order of the file" in found.notes[0]
    several = panel({"id": list("abab"), "value": [1, 2, 3, 4]})
    assert values(several) == {"a": [[1], [3]], "b": [[2], [4]]}


def test_steps_that_are_counted_have_the_largest_common_distance() -> None:
    found = panel({"id": list("aaabb"), "time": [2, 4, 8, 2, 8], "y": [1, 2, 3, 4, 5]})
    assert str(found.clock.frequency) == "every 2 steps"
    assert found.clock.write(found.series[0].start, np.arange(3, 5)) == ["8", "10"]


def test_rows_out_of_order_are_sorted_and_steps_without_a_row_are_said() -> None:
    found = panel({"ds": ["2024-01-02", "2024-01-01", "2024-01-04"], "y": [1, 2, 3]})
    np.testing.assert_array_equal(found.series[0].values[:, 0], [2, 1, np.nan, 3])
    assert str(found.clock.frequency) == "daily"
    assert "rows were not in the order of time and were sorted" in found.notes
    assert any("1 step has no row, the first after row 1 of f.csv" in n for n in found.notes)


def test_columns_known_in_the_future_reach_beyond_the_values() -> None:
    cells = {
        "ds": [*DAYS, "2024-01-04"],
        "y": ["1", "2", "", ""],
        "price": [1, 2, 3, 4],
        "rain": [5, 6, 7, 8],
    }
    series = panel(cells, future=["price"], past=["rain"]).series[0]
    assert series.values.tolist() == [[1], [2]]
    assert series.known.tolist() == [[1], [2], [3], [4]]
    assert series.seen.tolist() == [[5], [6]]


def test_static_columns_and_truth_values() -> None:
    cells = {
        "id": list("aab"),
        "ds": [*DAYS[:2], DAYS[0]],
        "y": [1, 2, 3],
        "big": [True, True, False],
    }
    assert [s.static.tolist() for s in panel(cells, static=["big"]).series] == [[1.0], [0.0]]
    with pytest.raises(DataError, match=r"row 2 of f.csv: big changes within the series a"):
        panel({**cells, "big": [True, False, False]}, static=["big"])


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"ds": [DAYS[0], DAYS[0]], "y": [1, 2]}, "row 2 of f.csv: the time stamp 2024-01-01"),
        (
            {"ds": [f"2024-01-01 {clock}" for clock in CLOCKS], "y": [1] * 5},
            "row 4 of f.csv: the time stamps in ds are irregular: most lie 1 hour apart, this one "
            "37 minutes after",
        ),
        (
            {"id": list("aaabbb"), "ds": [*DAYS, *WEEKS], "y": [1] * 6},
            "f.csv has series of two frequencies: a is daily, b is weekly",
        ),
        ({"ds": DAYS, "y": ["1", "two", "3"]}, 'row 2 of f.csv: "two" in the column y is not'),
        ({"ds": DAYS, "name": ["x", "y", "z"]}, "f.csv has no column of numbers to forecast"),
        ({"id": ["a", "b"], "ds": DAYS[:1] * 2, "y": [1, None]}, "the series b has no value in y"),
    ],
)  # fmt: skip
def test_faults_are_refused_with_their_row(cells: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError) as refusal:
        panel(cells)
    assert problem in str(refusal.value)


def stamps(start: str, unit: str, count: int, step: int = 1) -> list[str]:
    times = np.datetime64(start, unit) + step * np.arange(count)
    return [str(each.astype("datetime64[s]")) for each in times]


@pytest.mark.parametrize(
    ("times", "problem"),
    [
        (
            stamps("2024-01-01", "h", 20) + stamps("2024-01-02", "D", 20),
            "daily from row 21 of f.csv to row 40 of f.csv, and hourly elsewhere",
        ),
        (
            stamps("2024-01-01", "h", 20) + stamps("2024-01-01T20:00", "m", 20, 30),
            "hourly from row 1 of f.csv to row 21 of f.csv, and every 30 minutes elsewhere",
        ),
    ],
)
def test_a_series_of_two_frequencies_is_refused(times: list[str], problem: str) -> None:
    with pytest.raises(DataError, match=f"The rows of f.csv have two distances: {problem}"):
        panel({"ds": times, "y": [1.0] * len(times)})


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 0.4))
def test_steps_that_are_missing_at_random_are_no_second_frequency(seed: int, share: float) -> None:
    kept = np.random.default_rng(seed).random(200) > share
    times = [time for time, keep in zip(stamps("2024-01-01", "h", 200), kept, strict=True) if keep]
    read = panel({"ds": times, "y": [1.0] * len(times)})
    assert str(read.clock.frequency) == "hourly"


def test_business_hours_are_one_frequency() -> None:
    days = [np.datetime64("2024-01-01T09", "h") + 24 * day for day in range(30)]
    times = [str((day + hour).astype("datetime64[s]")) for day in days for hour in range(9)]
    assert str(panel({"ds": times, "y": [1.0] * len(times)}).clock.frequency) == "hourly"


@pytest.mark.parametrize(
    ("day", "told"), [("2024-10-27", True), ("2024-11-03", True), ("2024-07-07", False)]
)
def test_an_hour_that_comes_twice_in_autumn_is_explained(day: str, told: bool) -> None:
    times = [f"{day} {hour:02d}:00" for hour in (0, 1, 2, 2, 3)]
    with pytest.raises(DataError, match=r"row 4 of f.csv: the time stamp") as refusal:
        panel({"ds": times, "y": [1.0] * 5})
    assert ("If the clock was turned back that night" in str(refusal.value)) == told


def test_columns_of_words_and_empty_cells_beside_the_values() -> None:
    cells = {"ds": DAYS, "y": [1, 2, 3], "sky": ["sun", "rain", "sun"], "rain": [0.0, None, 1.0]}
    for role in ("future", "past", "static"):
        with pytest.raises(DataError, match=r'The column sky of f.csv holds words \("sun", ...\)'):
            panel(cells, **{role: ["sky"]})
    with pytest.raises(DataError, match=r"The column sky of f.csv holds words"):
        panel(cells, given={"value": "sky"})
    with pytest.raises(DataError, match="has a decimal comma"):
        panel({"y": ["1,5", "2,5"]}, given={"value": "y"})
    truths = panel(cells | {"sky": ["True", "False", "true"]}, future=["sky"])
    assert truths.series[0].known.ravel().tolist() == [1, 0, 1]
    read = panel(cells, past=["rain"])
    assert "1 step has no rain; the last one before it is read" in read.notes


def test_a_named_column_that_is_not_there() -> None:
    with pytest.raises(DataError, match=r'has no column "prise".*did you mean price'):
        panel({"ds": DAYS, "y": [1, 2, 3], "price": [1, 2, 3]}, future=["prise"])


@given(st.permutations(range(6)), st.sets(st.integers(1, 4), max_size=3))
def test_the_order_of_rows_changes_nothing(order: list[int], missing: set[int]) -> None:
    rows = [row for row in order if row not in missing]
    cells = {"ds": [f"2024-01-0{row + 1}" for row in rows], "y": [float(row) for row in rows]}
    found = panel(cells).series[0].values[:, 0]
    expected = [np.nan if row in missing else row for row in range(6)]
    if missing != {1, 3} and len(missing) < 3:  # every second day is a frequency too
        np.testing.assert_array_equal(found, expected)


CELLS = st.one_of(
    st.none(),
    st.sampled_from(["", "a", "b", "2024-01-01", "2024-01-02 05:00", "03/04/2024", "7", "1e400"]),
    st.integers(-5, 3000),
    st.floats(),
    st.booleans(),
    st.text(max_size=3),
)
NAMES = ("time", "id", "y", "x", "V1", "V2", "holiday", "")


@given(st.data())
def test_any_table_becomes_series_or_a_sentence(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True))
    rows = data.draw(st.integers(1, 6))
    cells = {n: data.draw(st.lists(CELLS, min_size=rows, max_size=rows)) for n in names}
    options = {role: data.draw(st.sampled_from([(), ("holiday",), ("x",)]))
               for role in ("future", "past", "static")}  # fmt: skip
    try:
        found = panel(cells, **options, layout=data.draw(st.sampled_from(["auto", "rows"])))
    except EnsuiteError as refusal:
        assert "f.csv" in str(refusal)
        return
    assert len({series.name for series in found.series}) == len(found.series)
    for series in found.series:
        assert series.values.shape[1] == len(found.columns)
        assert not np.isnan(series.values[-1]).all()
        assert not np.isinf(series.values).any()
        assert len(found.clock.write(series.start, np.arange(len(series)))) == len(series)


@given(st.integers(1, 5), st.integers(2, 30), st.integers(0, 10**6))
def test_long_tables_hold_the_series_that_were_written(count: int, steps: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    written = {f"s{n}": random.normal(size=steps).round(3) for n in range(count)}
    start = np.datetime64("2023-05-17")
    rows = [(name, str(start + step), v) for name, each in written.items()
            for step, v in enumerate(each.tolist())]  # fmt: skip
    shuffled = [rows[place] for place in random.permutation(len(rows))]
    ids, days, cells = (list(column) for column in zip(*shuffled, strict=True))
    found = panel({"unique_id": ids, "ds": days, "y": cells})
    assert {series.name: series.values[:, 0].tolist() for series in found.series} == {
        name: each.tolist() for name, each in written.items()
    }
    assert found.clock.write(found.series[0].start, np.array([0])) == ["2023-05-17"]


def test_a_date_column_beside_numbered_ones_is_no_series_a_row() -> None:
    sensors = {f"s{n}": [1.0, 2.0, 3.0] for n in range(9)}
    found = panel({"day": DAYS, **sensors})
    assert found.columns == tuple(sensors)
    assert len(found.series) == 1


def test_a_column_that_numbers_the_rows_is_no_series_id() -> None:
    found = panel({"id": [1, 2, 3], "ds": DAYS, "load": [4.0, 5.0, 6.0]})
    assert [series.name for series in found.series] == [""]
    assert found.columns == ("load",)
    assert any(note.startswith("not read: id;") for note in found.notes)


def test_columns_that_are_not_read_are_said_and_a_word_among_numbers_is_refused() -> None:
    found = panel({"ds": DAYS, "y": [1, 2, 3], "rain": [1, 2, 3], "city": list("abc")})
    assert any(note.startswith("not read: rain, city;") for note in found.notes)
    with pytest.raises(DataError, match=r'row 3 of f.csv: "n/a" in the column oil is not a number'):
        panel({"ds": DAYS, "load": ["1", "2", "3"], "oil": ["4", "5", "n/a"]})


def test_one_wrong_time_stamp_does_not_fill_the_memory() -> None:
    seconds = [f"2024-01-01 00:00:{n:02d}" for n in range(50)]
    with pytest.raises(DataError, match=r"row 51 of f.csv comes .* steps \(every second\) after"):
        panel({"ds": [*seconds, "2042-01-01 00:00:00"], "y": list(range(51))})


def test_series_ids_may_not_be_empty() -> None:
    with pytest.raises(DataError, match=r"row 2 of f.csv has no series id in the column id"):
        panel({"id": ["a", None, "b"], "ds": [DAYS[0]] * 3, "y": [1, 2, 3]})


def test_gaps_of_some_series_do_not_change_the_frequency_of_all() -> None:
    every_other = ["2024-01-01", "2024-01-03", "2024-01-05"]
    for order in (("a", "b"), ("b", "a")):
        times = dict(zip("ab", (every_other, [*DAYS, "2024-01-04", "2024-01-05"]), strict=True))
        ids = [name for name in order for _ in times[name]]
        days = [day for name in order for day in times[name]]
        found = panel({"id": ids, "ds": days, "y": list(range(8))})
        assert str(found.clock.frequency) == "daily"
        assert {len(series) for series in found.series} == {5}


def test_static_columns_need_a_value() -> None:
    cells = {"id": list("aab"), "ds": [*DAYS[:2], DAYS[0]], "y": [1, 2, 3], "size": [2, None, None]}
    with pytest.raises(DataError, match="the series b has no size, which is named as static"):
        panel(cells, static=["size"])

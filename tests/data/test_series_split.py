"""Parts follow one another in time; given files continue the training file or are refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensuite.core.errors import DataError, EnsuiteError, UsageError
from ensuite.core.keys import Split
from ensuite.data.frequency import DAY, Frequency
from ensuite.data.series import Clock, Series
from ensuite.data.series_split import Cut, divide, folds

DAILY = Clock(Frequency("microseconds", DAY), dated=True)
COUNTED = Clock(Frequency("steps", 1))


def series(steps: int, day: int = 0, name: str = "") -> Series:
    return Series.plain(name, day * DAY, np.arange(float(steps))[:, None])


def parts(given: Any, how: str | None = None, clock: Clock = DAILY, horizon: int = 2) -> Any:
    cut = Cut(horizon=horizon, look_back=4, stride=1, clock=clock)
    return divide(given, Split.parse(how), cut)


def test_a_part_that_continues_with_missing_steps_between() -> None:
    windows, said = parts({"train": [series(20)], "test": [series(4, 23)]})
    joined = windows["test"].series[0].values[:, 0]
    assert np.isnan(joined[20:23]).all()
    assert joined[23:].tolist() == [0, 1, 2, 3]
    assert windows["test"].origins.tolist() == [23, 24, 25]
    assert "test at 1970-01-24" in said


def test_counted_steps_may_begin_anew() -> None:
    train = Series.plain("", 1, np.zeros((20, 1)))
    for start in (1, 21):
        more = Series.plain("", start, np.ones((4, 1)))
        windows, _ = parts({"train": [train], "test": [more]}, clock=COUNTED)
        assert windows["test"].origins.tolist() == [20, 21, 22]


def test_a_series_that_is_not_in_the_given_part_has_no_windows_there() -> None:
    train = [series(20, 0, "a"), series(20, 0, "b")]
    windows, _ = parts({"train": train, "test": [series(4, 20, "a")]})
    assert set(windows["test"].numbers.tolist()) == {0}
    assert set(windows["train"].numbers.tolist()) == {0, 1}


@pytest.mark.parametrize(
    ("given", "how", "kind", "problem"),
    [
        (
            {"train": [series(20)], "test": [series(4, 18)]}, None, DataError,
            "The test file begins at 1970-01-19, and the rows before it go to 1970-01-20",
        ),
        (
            {"train": [series(20, 0, "a")], "test": [series(4, 20, "c")]}, None, DataError,
            "has the series c, which the training file does not have",
        ),
        ({"train": [series(20)], "valid": [series(4, 20)]}, None, UsageError, "give --test FILE"),
        (
            {"train": [series(20)], "test": [series(4, 20)]}, "time:1970-01-05,1970-01-09",
            UsageError, "the given files say where the parts begin",
        ),
        ({"train": [series(20)]}, "random", UsageError, "would let a model see the future"),
        ({"train": [series(6)]}, None, DataError, "The series are too short: the longest has 6"),
        (
            {"train": [series(20)]}, "time:2024-01-01,2024-02-01", DataError,
            "leaves the valid part without 2 steps to forecast: the data go from 1970-01-01 to "
            "1970-01-20",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(given: Any, how: Any, kind: type[EnsuiteError], problem: str) -> None:
    with pytest.raises(kind) as refusal:
        parts(given, how)
    assert problem in str(refusal.value)


def test_dates_need_time_stamps() -> None:
    with pytest.raises(UsageError, match="needs time stamps, and the rows have none"):
        parts({"train": [series(20)]}, "time:1970-01-05,1970-01-09", clock=COUNTED)


def test_steps_off_the_grid_do_not_continue() -> None:
    more = Series.plain("", 20 * DAY + 1, np.ones((4, 1)))
    with pytest.raises(DataError, match=r"do not continue those of the training file.*daily"):
        parts({"train": [series(20)], "test": [more]})


# Folds


def backtest(given: Any, count: int, how: str | None = None, horizon: int = 2) -> Any:
    cut = Cut(horizon=horizon, look_back=4, stride=1, clock=DAILY)
    return folds(given, Split.parse(how), count, cut)


def span(windows: Any, number: int = 0, horizon: int = 2) -> tuple[int, int]:
    """Return the first step that the windows of a series forecast, and the end of the last."""
    origins = windows.origins[windows.numbers == number]
    return int(origins.min()), int(origins.max()) + horizon


def test_each_fold_is_tested_on_what_follows_and_the_last_one_at_the_end() -> None:
    *each, (whole, _) = backtest([series(100)], 3)
    spans = [{part: span(found) for part, found in windows.items()} for windows, _ in each]
    assert spans == [
        {"train": (4, 60), "valid": (60, 70), "test": (70, 80)},
        {"train": (4, 70), "valid": (70, 80), "test": (80, 90)},
        {"train": (4, 80), "valid": (80, 90), "test": (90, 100)},
    ]
    assert (span(whole["train"]), span(whole["valid"])) == ((4, 90), (90, 100))
    assert whole["test"] is each[-1][0]["test"]
    alone, _ = parts({"train": [series(100)]})
    assert span(alone["test"]) == spans[-1]["test"]
    assert "test at 1970-03-12" in each[0][1]
    assert each[0][1].endswith("the test parts begin at 1970-03-12, 1970-03-22, 1970-04-01")


@given(st.integers(5, 200), st.integers(5, 200), st.integers(2, 12), st.integers(1, 6))
def test_no_fold_sees_what_it_is_tested_on(one: int, two: int, count: int, horizon: int) -> None:
    both = [series(one, 0, "a"), series(two, 0, "b")]
    try:
        *found, _ = backtest(both, count, horizon=horizon)
    except DataError as error:
        assert max(one, two) <= (count + 2) * horizon
        assert "fewer --folds" in str(error)
        return
    tested = dict.fromkeys((0, 1), 0)
    for windows, _ in found:
        for number in tested:
            spans = {
                part: span(some, number, horizon)
                for part, some in windows.items()
                if number in some.numbers
            }
            begin, end = spans.pop("test", (tested[number],) * 2)
            assert tested[number] <= begin <= end
            assert all(last <= begin for _, last in spans.values() if end > begin)
            tested[number] = end
    assert len(both[int(two > one)]) == tested[int(two > one)]  # up to the end of the longest


@pytest.mark.parametrize(
    ("how", "kind", "problem"),
    [
        (None, DataError, "the longest has 9 steps, and training, validation and 3 test parts "
         "need 11 to forecast 2"),
        ("random", UsageError, "would let a model see the future"),
        ("group:shop", UsageError, "would let a model see the future"),
    ],
)  # fmt: skip
def test_folds_that_are_refused(how: Any, kind: type[EnsuiteError], problem: str) -> None:
    with pytest.raises(kind) as refusal:
        backtest([series(9)], 3, how)
    assert problem in str(refusal.value)

"""Forecasts never see the future, keep the units of the file and the promise of their intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ensuite.baselines.forecast import SeasonalNaive
from ensuite.comparison.folds import Folds, open_folds
from ensuite.core.errors import DataError, EnsuiteError, UsageError
from ensuite.core.model import Model
from ensuite.core.options import set_options
from ensuite.data import readers
from ensuite.data.seasonal import seasonal_error
from ensuite.data.windows import Window, Windows, gather
from ensuite.models.mlp import MLPOptions
from ensuite.models.recurrent import RecurrentOptions
from ensuite.problem import Problem, open_problem, open_source
from ensuite.tasks.forecast import Forecast
from ensuite.tasks.forecast_answers import Prediction
from ensuite.tasks.forecast_scores import naive_errors
from ensuite.training.evaluate import predict

HOURS = 24 * 20


def wave(steps: int = HOURS, seed: int = 0, **more: Any) -> dict[str, Any]:
    """Return an hourly series with a daily season and noise."""
    noise = np.random.default_rng(seed).normal(0, 0.3, steps)
    values = 10 + 3 * np.sin(2 * np.pi * np.arange(steps) / 24) + noise
    start = np.datetime64("2024-01-01T00", "h")
    times = [str(each).replace("T", " ") + ":00" for each in start + np.arange(steps)]
    return {"ds": times, "y": values.tolist(), **more}


def opened(cells: Mapping[str, Any], how: str | None = None, **settings: Any) -> Problem:
    given = {"horizon": "6", "look_back": "24", **{k: str(v) for k, v in settings.items()}}
    return open_problem("forecast", dict(cells), how=how, settings=given)


def network(problem: Problem, options: Any = None) -> tuple[Forecast, Model]:
    """Return the task and an untrained model."""
    task = problem.task
    assert isinstance(task, Forecast)
    torch.manual_seed(0)
    backbone = (options or RecurrentOptions(cell="gru").tiny()).build(task.history.inputs)
    return task, Model(backbone, task.head(backbone)).eval()


def close(one: Sequence[Prediction], other: Sequence[Prediction]) -> bool:
    return all(
        np.allclose(a.point, b.point, atol=1e-5) and np.allclose(a.upper, b.upper, atol=1e-5)
        for a, b in zip(one, other, strict=True)
    )


# Nothing sees the future


def test_parts_follow_one_another_and_no_target_crosses_a_border() -> None:
    problem = opened(wave())
    valid, test = HOURS - 2 * 48, HOURS - 48
    spans = {name: gather(part).origins for name, part in problem.parts.items()}
    assert (spans["train"].min(), spans["train"].max() + 6) == (24, valid)
    assert (spans["valid"].min(), spans["valid"].max() + 6) == (valid, test)
    assert (spans["test"].min(), spans["test"].max() + 6) == (test, HOURS)


def test_dates_divide_and_a_third_ends_the_test_part() -> None:
    problem = opened(wave(), "time:2024-01-10,2024-01-15,2024-01-18")
    spans = {name: gather(part).origins for name, part in problem.parts.items()}
    assert [spans[part].min() for part in ("valid", "test")] == [9 * 24, 14 * 24]
    assert spans["test"].max() + 6 == 17 * 24
    assert "validation begins at 2024-01-10" in problem.findings[-1].sentence


@pytest.mark.parametrize("options", [RecurrentOptions(cell="gru").tiny(), MLPOptions().tiny()])
@pytest.mark.parametrize("decode", ["direct", "positions", "recursive"])
def test_a_forecast_depends_on_nothing_from_its_origin_on(options: Any, decode: str) -> None:
    cells = wave()
    problem = opened(cells, decode=decode, segment=6)
    task, model = network(problem, options)
    window = problem.parts["test"][5]
    changed = window.series.values.copy()
    changed[window.origin :] = 1e6
    other = replace(window.series, values=changed)
    found = [predict(task, model, [Window(s, window.origin)]) for s in (window.series, other)]
    assert close(*found)
    earlier = window.series.values.copy()
    earlier[window.origin - 1] += 1
    moved = predict(task, model, [Window(replace(other, values=earlier), window.origin)])
    assert not close(found[0], moved)


def test_scales_are_learned_from_the_training_part_alone() -> None:
    cells = wave()
    later = dict(cells, y=[*cells["y"][: HOURS - 96], *np.full(96, 1e5)])
    one, other = (opened(each).task.history for each in (cells, later))
    assert (one.mean, one.deviation) == (other.mean, other.deviation)


@pytest.mark.parametrize("how", ["random", "group:shop"])
def test_a_split_that_is_not_by_time_is_refused(how: str) -> None:
    with pytest.raises(UsageError, match="would let a model see the future"):
        opened(wave(shop=["a", "b"] * (HOURS // 2)), how)


def backtest(cells: Mapping[str, Any], count: int, how: str | None = None) -> Folds:
    settings = {"horizon": "6", "look_back": "24"}
    return open_folds(open_source("forecast", dict(cells), how=how, settings=settings), count)


def test_scales_are_refit_in_every_fold() -> None:
    cells = wave()
    cells["y"] = (np.array(cells["y"]) * np.linspace(1, 5, HOURS)).tolist()
    found = backtest(cells, 3)
    deviations = [each.task.history.deviation[0][0] for each in (*found.each, found.whole)]
    assert deviations == sorted(set(deviations))
    for each in found.each:
        end = gather(each.parts["train"]).origins.max() + 6
        assert each.task.history.mean[0][0] == pytest.approx(np.mean(cells["y"][:end]))
        later = dict(cells, y=[*cells["y"][:end], *np.full(HOURS - end, 1e6)])
        number = found.each.index(each)
        other = backtest(later, 3).each[number]
        assert other.task.history == each.task.history
    assert len({each.fingerprint for each in (*found.each, found.whole)}) == 4


def test_a_backtest_says_where_its_folds_begin() -> None:
    sentences = [each.findings[-1].sentence for each in backtest(wave(), 2).each]
    assert sentences[0].startswith("fold 1 of 2: ")
    assert ["test at 2024-01-17" in sentences[0], "test at 2024-01-19" in sentences[1]] == [
        True
    ] * 2


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ("random", "would let a model see the future"),
        ("time:2024-01-10,2024-01-15", "names a single test part"),
    ],
)
def test_folds_are_by_time_alone(how: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        backtest(wave(), 3, how)


# What goes in and comes out


def test_alone_as_in_a_batch_whatever_the_length_of_the_history() -> None:
    task, model = network(opened(wave()))
    series = opened(wave()).parts["test"][0].series
    windows = [Window(series, origin) for origin in (1, 5, 24, 100)]
    together = predict(task, model, windows)
    assert close(together, [predict(task, model, [each])[0] for each in windows])


def test_forecasts_move_with_the_last_value_and_with_the_unit() -> None:
    task, model = network(opened(wave()))
    window = opened(wave()).parts["test"][0]
    higher = replace(window.series, values=window.series.values + 50)
    (one,), (other,) = (
        predict(task, model, [Window(s, window.origin)]) for s in (window.series, higher)
    )
    np.testing.assert_allclose(other.point, one.point + 50, atol=1e-3)


def test_columns_alone_or_together() -> None:
    cells = wave(z=(5 + np.arange(HOURS)).tolist())
    for per_column in (True, False):
        problem = open_problem(
            "forecast", cells, given={"value": "y,z"},
            settings={"horizon": "6", "look_back": "24", "per_column": str(per_column)},
        )  # fmt: skip
        task, model = network(problem)
        (found,) = predict(task, model, problem.parts["test"][:1])
        assert found.point.shape == (6, 2)
        assert found.lower.shape == (2, 6, 2)
        assert len(task.records(problem.parts["test"][0], found)) == 12


def test_quantiles_never_cross() -> None:
    problem = opened(wave())
    task, model = network(problem)
    for margin in (-1.0, 0.0, 1.0):
        widened = replace(task, margins=(((margin,),) * 6,) * 2)
        for each in predict(widened, model, problem.parts["test"][:9]):
            assert (each.lower <= each.point).all()
            assert (each.point <= each.upper).all()


def test_rows_of_the_future_have_time_stamps() -> None:
    problem = opened(wave())
    task, model = network(problem)
    _, asked = task.read(readers.read(wave()), {}, asking=True)
    rows = task.records(asked[0], predict(task, model, asked)[0])
    assert [row["time"] for row in rows[:2]] == ["2024-01-21 00:00:00", "2024-01-21 01:00:00"]
    assert list(rows[0]) == ["time", "forecast", "lower_80", "upper_80", "lower_95", "upper_95"]


def test_numbers_alone_can_be_asked() -> None:
    task, model = network(opened(wave()))
    asked = task.ask([1.0, 2.0, 3.0])
    assert predict(task, model, [asked])[0].point.shape == (6, 1)
    for wrong in (["a"], [[1, 2]], [], "word", [1.0, np.inf], [np.nan]):
        with pytest.raises(DataError):
            task.ask(wrong)


def test_columns_known_in_the_future_are_read_there() -> None:
    promotion = np.random.default_rng(1).integers(0, 2, HOURS).astype(float)
    problem = opened(wave(promotion=promotion.tolist()), future="promotion")
    task, model = network(problem)
    window = problem.parts["test"][0]
    changed = window.series.known.copy()
    changed[window.origin + 3] += 1
    other = Window(replace(window.series, known=changed), window.origin)
    one, two = (predict(task, model, [each])[0].point[:, 0] for each in (window, other))
    assert np.flatnonzero(~np.isclose(one, two)).tolist() == [3]
    with pytest.raises(DataError, match="gives promotion for 0 of the 6 steps"):
        predict(task, model, [Window(window.series, HOURS)])


def test_an_empty_cell_among_the_steps_to_forecast_is_named() -> None:
    cells = wave(promotion=[1.0] * HOURS)
    task, _ = network(opened(cells, future="promotion"))
    more = {
        "ds": wave(HOURS + 6)["ds"], "y": [*cells["y"], *[None] * 6],
        "promotion": [1.0] * HOURS + [1.0, None, 1.0, 1.0, 1.0, 1.0],
    }  # fmt: skip
    with pytest.raises(DataError, match="The file has no promotion at 2024-01-21 01:00:00, which"):
        task.read(readers.read(more), {}, asking=True)
    task.read(readers.read(dict(more, promotion=[1.0] * (HOURS + 6))), {}, asking=True)


def test_a_column_of_the_past_alone_cannot_be_forecast_recursively() -> None:
    rain = np.arange(HOURS, dtype=float).tolist()
    with pytest.raises(UsageError, match="rain is known in the past only"):
        opened(wave(rain=rain), past="rain", decode="recursive")
    task = opened(wave(rain=rain), past="rain").task
    assert task.history.inputs["values"].features == 2


def test_a_test_file_continues_its_series() -> None:
    cells = {"id": ["a"] * 60 + ["b"] * 50, "y": np.arange(110.0).tolist()}
    more = {"id": ["a"] * 6 + ["b"] * 6, "y": np.arange(12.0).tolist()}
    settings = {"horizon": "6", "look_back": "12", "season": "2"}
    problem = open_problem("forecast", cells, test=more, settings=settings)
    assert [each.origin for each in problem.parts["test"]] == [60, 50]
    task = problem.task
    assert task.truths(problem.parts["test"])[1, :, 0].tolist() == list(range(6, 12))
    with pytest.raises(DataError, match="has the series c, which the training file does not have"):
        open_problem("forecast", cells, test={**more, "id": ["c"] * 12}, settings=settings)


def test_too_short_series_and_other_columns_are_refused() -> None:
    with pytest.raises(DataError, match="The series are too short: the longest has 12 steps"):
        opened(wave(12))
    task = opened(wave()).task
    with pytest.raises(DataError, match=r"to forecast; training had y\. Give the same"):
        task.read(readers.read({"ds": wave()["ds"], "z": wave()["y"]}), {})


# Judgement


def test_intervals_hold_what_they_promise_on_new_data() -> None:
    problem = opened(wave(24 * 120), "time:2024-02-01,2024-03-15")
    task = problem.task
    baseline = SeasonalNaive.fit(task, problem.parts["train"], problem.parts["valid"], 0)
    calibrated = task.calibrate(
        baseline.predict(task, problem.parts["valid"]), problem.parts["valid"]
    )
    answers = baseline.predict(calibrated, problem.parts["test"])
    scores = calibrated.score(answers, problem.parts["test"])
    assert scores["coverage_80"].value == pytest.approx(0.80, abs=0.03)
    assert scores["coverage_95"].value == pytest.approx(0.95, abs=0.02)


def test_the_unit_of_mase_is_the_seasonal_naive_error_before_the_forecast() -> None:
    problem = opened(wave())
    first = problem.parts["test"][0]
    expected = seasonal_error(first.series.values[: first.origin], 24)
    assert (naive_errors(problem.parts["test"], 24) == expected).all()


def test_overlapping_windows_are_of_one_block() -> None:
    problem = opened(wave())
    blocks = np.array(problem.task.blocks(problem.parts["test"]))
    assert 3 <= len(set(blocks.tolist())) <= 6
    assert (np.diff(blocks) >= 0).all()


# What files may hold


def panel(**more: Any) -> dict[str, Any]:
    """Return two daily series of 40 steps in a long table, under names of its own."""
    days = (np.datetime64("2024-01-01") + np.arange(40)).astype(str).tolist()
    values = np.cumsum(np.random.default_rng(0).normal(size=80)).tolist()
    return {"shop": ["a"] * 40 + ["b"] * 40, "day": days * 2, "sold": values, **more}


def opened_panel(cells: Mapping[str, Any], **settings: Any) -> Problem:
    given = {"series": "shop", "value": "sold"}
    names = {"horizon": "4", "look_back": "8"} | {k: str(v) for k, v in settings.items()}
    return open_problem("forecast", dict(cells), given=given, settings=names)


def test_static_columns_reach_the_model() -> None:
    cells = panel(size=[1.0] * 40 + [3.0] * 40)
    problem = opened_panel(cells, static="size")
    task, model = network(problem)
    assert task.inputs["values"].features == 2
    window = problem.parts["test"][0]
    larger = replace(window.series, static=window.series.static + 1)
    one, other = (predict(task, model, [Window(s, window.origin)]) for s in (window.series, larger))
    assert not close(one, other)


def test_a_run_remembers_the_columns_that_were_named() -> None:
    problem = opened_panel(panel())
    task, model = network(problem)
    _, asked = task.read(readers.read({"extra": [1] * 80, **panel()}), {}, asking=True)
    rows = [task.records(e, p) for e, p in zip(asked, predict(task, model, asked), strict=True)]
    assert [(each[0]["series"], each[0]["time"]) for each in rows] == [
        ("a", "2024-02-10"), ("b", "2024-02-10"),
    ]  # fmt: skip


def test_series_that_training_did_not_have_and_one_of_one_step() -> None:
    task, model = network(opened_panel(panel()))
    cells = {"shop": ["new"] * 9 + ["one"], "day": [*panel()["day"][:9], "2024-01-01"]}
    cells["sold"] = [*np.arange(9.0).tolist(), 1e6]
    _, asked = task.read(readers.read(cells), {}, asking=True)
    new, one = predict(task, model, asked)
    assert np.abs(new.point - 8).max() < 50
    assert np.abs(one.point - 1e6).max() < 50


def test_series_shorter_than_look_back_and_horizon_take_part() -> None:
    cells = {"y": np.arange(20.0).tolist()}
    problem = open_problem("forecast", cells, settings={"horizon": "4", "look_back": "96"})
    assert len(problem.parts["train"]) > 0
    task, model = network(problem)
    found = predict(task, model, problem.parts["test"])
    assert all(np.isfinite(each.point).all() for each in found)


def test_missing_values_and_constant_series_are_said_and_scored() -> None:
    cells = panel()
    cells["sold"][40:] = [5.0] * 40
    for row in (3, 38, 39):
        cells["sold"][row] = None
    problem = opened_panel(cells)
    sentences = {finding.topic: finding.sentence for finding in problem.findings}
    assert sentences["reading"] == "1 step has a missing value; the last one before it is read"
    assert sentences["constant"] == "1 series never changes: b; MASE leaves it out"
    task, model = network(problem)
    answers = predict(task, model, problem.parts["test"])
    scores = task.score(answers, problem.parts["test"])
    assert all(np.isfinite(score.value) for score in scores.values())
    assert task.remarks("gru", answers, problem.parts["test"])


@pytest.mark.parametrize(
    ("cells", "settings", "problem"),
    [
        (wave(), {"horizon": 500}, "The series are too short: the longest has 480 steps"),
        (
            {"day": ["03/04/2024", "04/04/2024"], "y": [1, 2]}, {},
            "can be read in two ways (3 April 2024 or 4 March 2024); say which: --set dates",
        ),
        (wave(kind=["x"] * HOURS), {"past": "kind"}, "The column kind of the data holds words"),
        (
            {"y": [5.0] * 60 + np.arange(10.0).tolist()}, {},
            "y never changes in the training part, so that there is nothing to learn",
        ),
        (wave(), {"future": "y"}, "has no column of numbers to forecast"),
        (
            wave(holiday=[0.0] * HOURS), {"future": "holiday", "past": "holiday"},
            "The column holiday of the data is given two roles",
        ),
        ({"y": [5.0] * 60}, {}, "y never changes in the training part"),
        ({"y": [5.0]}, {}, "The series are too short: the longest has 1 steps"),
        ({"y": np.arange(60.0).tolist()}, {"calendar": True}, "calendar=true needs time stamps"),
    ],
)  # fmt: skip
def test_files_and_options_that_do_not_fit(cells: Any, settings: Any, problem: str) -> None:
    with pytest.raises(EnsuiteError) as refusal:
        opened(cells, **settings)
    assert problem in str(refusal.value)


def test_a_time_zone_that_changes_is_said() -> None:
    hours = [f"2024-03-31T{h:02d}:00+0{1 if h < 2 else 2}:00" for h in (0, 1, *range(3, 24))]
    cells = {"ds": hours, "y": np.arange(23.0).tolist()}
    found = open_problem("forecast", cells, settings={"horizon": "2", "look_back": "4"})
    notes = [f.sentence for f in found.findings if f.topic == "reading"]
    assert "the time zone changes (+01:00 and +02:00)" in notes[0]
    assert found.task.clock.write(found.parts["test"][0].series.start, np.array([23])) == [
        "2024-03-31 23:00:00+01:00"
    ]


def test_a_run_remembers_whether_the_day_comes_first() -> None:
    days = [f"{day:02d}/0{month}/2024" for month in (1, 2) for day in range(1, 29)]
    days = [*days[:28], "29/01/2024", "30/01/2024", "31/01/2024", *days[28:]]
    problem = opened({"date": days, "y": np.sin(np.arange(59.0)).tolist()})
    task, _ = network(problem)
    assert task.dates == "day-first"
    few = {"date": days[-28:-20], "y": np.arange(8.0).tolist()}
    _, asked = task.read(readers.read(few), {}, asking=True)
    assert task.clock.write(asked[0].series.start, np.array([8])) == ["2024-02-09"]


def test_files_of_another_frequency_are_refused_and_short_ones_are_not() -> None:
    weekdays = np.busday_offset("2024-01-01", np.arange(60)).astype(str).tolist()
    cells = {"ds": weekdays, "y": np.arange(60.0).tolist()}
    problem = open_problem("forecast", cells, settings={"horizon": "3", "look_back": "5"})
    task, _ = network(problem)
    assert str(task.clock.frequency) == "every weekday"
    four = {"ds": ["2024-04-01", "2024-04-02", "2024-04-03", "2024-04-04"], "y": [1, 2, 3, 4]}
    _, asked = task.read(readers.read(four), {}, asking=True)
    assert task.clock.write(asked[0].series.start, np.array([4, 5])) == ["2024-04-05", "2024-04-08"]
    weekly = dict(four, ds=["2024-04-01", "2024-04-08", "2024-04-15", "2024-04-22"])
    with pytest.raises(DataError, match="are weekly, those of the training file were every week"):
        task.read(readers.read(weekly), {}, asking=True)


@pytest.mark.parametrize("typed", ["horizon=48", "normalise=none", "look_back=12", "past=rain"])
def test_options_that_the_weights_depend_on_are_kept(typed: str) -> None:
    task, _ = network(opened(wave()))
    name, _, value = typed.partition("=")
    with pytest.raises(UsageError, match=f"{typed} cannot be set after training, which had {name}"):
        set_options(task, {name: value}, "the task forecast")
    assert set_options(task, {"stride": "3"}, "the task forecast").stride == 3


def test_nothing_to_score_is_said() -> None:
    task, _ = network(opened(wave()))
    with pytest.raises(DataError, match="there is nothing to score"):
        task.score([], [])


def test_a_recursive_forecast_reads_what_is_known_of_the_future() -> None:
    holiday = np.random.default_rng(1).integers(0, 2, HOURS).astype(float)
    cells = wave(holiday=holiday.tolist())
    task, model = network(opened(cells, decode="recursive", segment=4, future="holiday"))
    window = opened(cells, future="holiday").parts["test"][0]
    changed = window.series.known.copy()
    changed[window.origin] += 1
    other = Window(replace(window.series, known=changed), window.origin)
    one, two = (predict(task, model, [each])[0].point[:, 0] for each in (window, other))
    assert np.flatnonzero(~np.isclose(one, two)).tolist() == [4, 5]  # from the next segment on


def test_rows_of_a_part_are_numbers_alone() -> None:
    problem = opened(wave())
    windows = problem.parts["train"]
    rows = problem.task.items(windows)
    assert rows.places.nbytes + rows.columns.nbytes == 16 * len(rows)
    assert rows.flat.values.size == HOURS


def test_etth1_is_divided_as_published(data_folder: Path) -> None:
    problem = open_problem(
        "forecast", data_folder / "ett/ETTh1.csv.gz", how="time:2017-06-26,2017-10-24,2018-02-21",
        settings={"horizon": "96", "look_back": "96", "stride": "50"},
    )  # fmt: skip
    assert isinstance(problem.parts["train"], Windows)
    assert len(problem.parts["train"]) == 8449
    baseline = SeasonalNaive.fit(problem.task, problem.parts["train"], problem.parts["valid"], 0)
    scores = problem.task.score(
        baseline.predict(problem.task, problem.parts["test"]), problem.parts["test"]
    )
    assert scores["scaled_mse"].value == pytest.approx(0.512, abs=0.02)

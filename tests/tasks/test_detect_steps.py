"""The steps of long series are scored by the windows that they are in; streams answer likewise."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from ensuite.baselines.detect import IsolationForest, Position, Random, Residual
from ensuite.candidates import calibrated
from ensuite.core.baseline import Baseline
from ensuite.core.errors import DataError, UsageError
from ensuite.data.readings import Readings, Track, gather, spread, stretches, windows_of
from ensuite.data.series import Series
from ensuite.laws import same_answer_in_any_batch
from ensuite.predictor import Predictor
from ensuite.problem import Problem, open_problem
from ensuite.tasks.detect_steps import Detect, DetectSteps
from ensuite.tasks.detect_stream import DetectStream

random = np.random.default_rng(0)
STEPS = 400


def wave(steps: int = STEPS) -> np.ndarray:
    return np.sin(np.arange(steps) / 3) + random.normal(0, 0.05, steps)


def sensor(*odd: int, steps: int = STEPS) -> dict[str, Any]:
    """Return a wave with a spike at some steps, which are marked."""
    values, marks = wave(steps), np.zeros(steps, dtype=int)
    for step in odd:
        values[step : step + 3] += 4.0
        marks[step : step + 3] = 1
    stamps = np.datetime64("2024-01-01T00:00") + np.arange(steps) * np.timedelta64(5, "m")
    return {
        "time": [str(each) for each in stamps],
        "value": values.tolist(),
        "label": marks.tolist(),
    }


def opened(data: Any = None, **settings: Any) -> Problem:
    how = {"window": "12"} | {name: str(value) for name, value in settings.items()}
    return open_problem("detect", data or sensor(300, 350), settings=how)


def fitted(problem: Problem, method: type[Baseline] = Residual, **settings: Any) -> Predictor:
    model = method.fit(problem.task, problem.parts["train"], [], 0, **settings)
    return calibrated("PCA", problem, problem.task, model)


def track(steps: int, marks: Any = None, values: Any = None) -> Track:
    values = np.arange(float(steps))[:, None] if values is None else values
    marks = np.zeros(steps, dtype=np.int64) if marks is None else np.asarray(marks)
    return Track(Series.plain("", 0, values), 0, steps, 0, marks)


# Windows


@given(steps=some.integers(5, 40), stride=some.integers(1, 5))
def test_every_step_is_in_a_window_and_windows_average_back(steps: int, stride: int) -> None:
    readings = Readings.of([track(steps), track(5)])
    windows = windows_of(readings, 5, stride, live=False)
    found = spread(readings, windows, list(windows.values), live=False)
    assert found[:, 0].tolist() == [*range(steps), *range(5)]


@given(steps=some.integers(6, 30), step=some.integers(0, 29), live=some.booleans())
def test_the_windows_of_a_step_do_not_depend_on_what_else_is_asked(
    steps: int, step: int, live: bool
) -> None:
    step %= steps
    every = Readings.of([track(steps)])
    alone = every[step : step + 1]
    noise = np.random.default_rng(0).normal(size=(steps, 4))

    def answers(readings: Readings) -> np.ndarray:
        windows = windows_of(readings, 4, 2, live=live)
        pieces = [noise[begin, :, None] for begin in windows.begins.tolist()]
        return spread(readings, windows, pieces, live=live)

    if windows_of(alone, 4, 2, live=live):
        np.testing.assert_array_equal(answers(alone), answers(every)[step : step + 1])
    else:
        assert live and step < 3


def test_a_live_step_is_scored_by_the_window_that_ends_with_it() -> None:
    readings = Readings.of([track(8)])
    windows = windows_of(readings, 3, 2, live=True)
    assert windows.begins.tolist() == [0, 1, 2, 3, 4, 5]
    found = spread(readings, windows, list(windows.values), live=True)
    assert np.isnan(found[:2]).all()
    assert found[2:, 0].tolist() == [2, 3, 4, 5, 6, 7]


def test_what_is_learned_from_has_no_anomaly_and_stays_in_its_part() -> None:
    marks = [0] * 10 + [1] * 2 + [0] * 10
    found = stretches(track(22, marks).series, np.array(marks), 0, 20, 4)
    assert [(each.begin, each.end, each.first) for each in found] == [(0, 10, 0), (12, 20, 12)]
    later = stretches(track(22, marks).series, np.array(marks), 14, 22, 4)
    assert [(each.begin, each.end, each.first) for each in later] == [(12, 22, 14)]


def test_a_missing_value_is_the_one_before_and_is_not_scored() -> None:
    values = np.array([[np.nan], [1.0], [np.nan], [3.0]])
    gap = track(4, values=values)
    assert gap.values.ravel().tolist() == [1, 1, 1, 3]
    assert gap.steps.tolist() == [1, 3]


# The task


def test_parts_are_in_order_and_anomalies_are_in_the_test_part_alone() -> None:
    problem = opened(sensor(50, 300))
    assert isinstance(problem.task, DetectSteps)
    steps = {name: gather(part).steps for name, part in problem.parts.items()}
    order = ("train", "calibration", "valid", "test")
    borders = [(steps[name].min(), steps[name].max()) for name in order]
    assert all(one[1] < other[0] for one, other in pairwise(borders))
    assert not set(range(50, 53)) & set(steps["train"].tolist())
    assert (gather(problem.parts["test"]).marks == 1).sum() == 3


@pytest.mark.parametrize("live", [False, True])
def test_anomalous_steps_are_found(live: bool) -> None:
    problem = opened(live=live)
    test = problem.parts["test"]
    for method, least in ((Residual, 0.8), (IsolationForest, 0.7)):
        predictor = fitted(problem, method)
        found = predictor.task.score(predictor.predict_examples(test), test)
        assert found["auroc"].value > least
        assert "event_f1" in found
    assert found["event_f1"].value <= 1
    for method in (Position, Random):
        value = predictor.task.score(fitted(problem, method).predict_examples(test), test)
        assert 0 <= value["auroc"].value <= 1


@pytest.mark.parametrize("live", [False, True])
def test_an_answer_alone_is_that_in_a_batch(live: bool, tmp_path: Any) -> None:
    problem = opened(live=live)
    for method in (Residual, IsolationForest, Position):
        predictor = fitted(problem, method)
        assert same_answer_in_any_batch(predictor, problem.parts["test"][60:72]).holds
    again = Predictor.load(predictor.save(tmp_path / "run"))
    assert isinstance(again.task, DetectSteps)
    some = problem.parts["test"][:5]
    assert again.predict_examples(some) == predictor.predict_examples(some)


def test_a_series_that_never_changed_alerts_when_it_does() -> None:
    still = {"a": [3.0] * 200, "b": wave(200).tolist()}
    predictor = fitted(opened(still), size=3)
    values = np.column_stack([np.full(12, 3.0), wave(12)])
    values[-1, 0] = 4.0
    (prediction,) = predictor.predict([values])
    assert prediction.alarm
    assert np.isfinite(prediction.score)
    with pytest.raises(DataError, match="ever changes"):
        opened({"value": [3.0] * 200})


def test_a_file_is_answered_by_time_and_a_typed_series_by_its_last_step() -> None:
    problem = opened()
    predictor = fitted(problem)
    asked = predictor.read(
        {k: v for k, v in sensor(20, steps=40).items() if k != "label"}, asking=True
    )
    answers = predictor.predict_examples(asked)
    rows = [predictor.task.records(*pair)[0] for pair in zip(asked, answers, strict=True)]
    assert rows[20]["time"] == "2024-01-01 01:40:00"
    assert rows[20]["answer"] == "anomaly"
    assert predictor.task.show(asked[20]) == "2024-01-01 01:40:00"
    (last,) = predictor.predict([" ".join(f"{value:.3f}" for value in wave(15))])
    assert np.isfinite(last.score)


def test_what_cannot_be_read_is_told() -> None:
    predictor = fitted(opened())
    with pytest.raises(DataError, match="5 steps, fewer than a window of 12"):
        predictor.predict([[1.0] * 5])
    with pytest.raises(DataError, match="no column value, which the model reads"):
        predictor.read({"time": sensor()["time"], "other": sensor()["value"]}, asking=True)
    with pytest.raises(DataError, match="every 5 minutes"):
        days = [f"2024-01-{day:02d}" for day in range(1, 29)]
        predictor.read({"time": days, "value": wave(28).tolist()}, asking=True)
    with pytest.raises(DataError, match="fewer than a window"):
        opened(sensor(steps=10))
    with pytest.raises(DataError, match="as long as a window"):
        opened(sensor(steps=20))
    with pytest.raises(UsageError, match="steps of a series are in order"):
        open_problem("detect", sensor(300), how="random", settings={"window": "12"})
    with pytest.raises(UsageError, match="ask for false_alarms instead"):
        opened(cost="miss:500,alarm:5")
    with pytest.raises(DataError, match="held-out normal rows"):
        opened(false_alarms=0.001)


def test_dates_may_divide_and_a_test_file_is_a_part() -> None:
    data = sensor(300, 350)
    dated = open_problem(
        "detect", data, how="time:2024-01-01T16:00,2024-01-01T20:00", settings={"window": "12"}
    )
    assert gather(dated.parts["test"]).steps.min() == 240
    whole = open_problem("detect", sensor(), test=data, settings={"window": "12"})
    assert len(whole.parts["test"]) == STEPS


def test_point_adjusted_scores_stand_beside_those_of_chance() -> None:
    problem = opened()
    predictor, test = fitted(problem), problem.parts["test"]
    predictions = predictor.predict_examples(test)
    said = predictor.task.remarks("PCA", predictions, test)
    assert any("as many alarms at random are expected to have" in each for each in said)
    titles = [figure.title for figure in predictor.task.figures(predictions, test)]
    assert titles == ["Anomalies in value", "Scores"]


# Streams


def test_a_stream_answers_as_a_file_does() -> None:
    predictor = fitted(opened(live=True))
    stream = DetectStream(predictor)
    data = sensor(20, steps=40)
    asked = predictor.read({"time": data["time"], "value": data["value"]}, asking=True)
    expected = predictor.predict_examples(asked)
    found = [stream.read(value) for value in data["value"]]
    assert [each.alarm for each in found] == [each.alarm for each in expected]
    np.testing.assert_allclose([e.score for e in found], [e.score for e in expected], rtol=1e-4)
    assert len(stream.buffer) == 12
    assert any(each.alarm for each in found)
    assert np.isnan(stream.read(np.nan).score)
    with pytest.raises(DataError, match="A reading has 2 numbers; give 1"):
        stream.read([1.0, 2.0])


def test_a_stream_needs_a_run_that_is_live() -> None:
    for problem in (
        opened(),
        open_problem("detect", {"a": wave(50).tolist(), "b": wave(50).tolist()}),
    ):
        with pytest.raises(UsageError, match="live=true"):
            DetectStream(fitted(problem))


def test_options_are_checked() -> None:
    for wrong in ({"window": 1}, {"stride": -1}, {"window": 5, "stride": 6}):
        with pytest.raises(ValueError, match="window must be 2 or more"):
            Detect(**wrong)

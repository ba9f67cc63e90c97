"""Figures show what the numbers are, and say it in words."""

import json
from typing import Any

import numpy as np
import pytest

from ensuite.baselines.forecast import SeasonalNaive
from ensuite.problem import open_problem
from ensuite.tasks import forecast_figures as figures
from ensuite.tasks.forecast import Forecast
from ensuite.tasks.forecast_answers import Prediction

HOURS = 24 * 30


def answered(**settings: Any) -> tuple[Forecast, list[Prediction], Any]:
    """Return a task, the answers of the seasonal naive forecast, and the test windows."""
    random = np.random.default_rng(0)
    start = np.datetime64("2024-01-01T00", "h") + np.arange(HOURS)
    day = 3 * np.sin(2 * np.pi * np.arange(HOURS) / 24)
    cells = {"ds": [f"{str(t).replace('T', ' ')}:00" for t in start],
             "load": (day + random.normal(0, 0.3, HOURS)).tolist(),
             "<oil>": (day + random.normal(0, 0.3, HOURS)).tolist()}  # fmt: skip
    given = {"horizon": "6", "look_back": "24", **{k: str(v) for k, v in settings.items()}}
    problem = open_problem("forecast", cells, settings=given)
    parts, task = problem.parts, problem.task
    baseline = SeasonalNaive.fit(task, parts["train"], parts["valid"], 0)
    task = task.calibrate(baseline.predict(task, parts["valid"]), parts["valid"])
    return task, baseline.predict(task, parts["test"]), parts["test"]


def test_a_report_has_a_forecast_of_each_column_errors_and_coverage() -> None:
    task, predictions, windows = answered()
    found = task.figures(predictions, windows)
    assert [figure.title for figure in found] == [
        "Forecast of load", "Forecast of <oil>", "Error by horizon", "Coverage by horizon",
    ]  # fmt: skip
    json.dumps([(figure.data, figure.layout) for figure in found], allow_nan=False)
    assert all(figure.words and figure.caption for figure in found)
    assert found[1].layout["yaxis"]["title"]["text"] == "&lt;oil&gt;"
    median = next(trace for trace in found[0].data if trace.get("name") == "median")
    assert (median["x"][0], len(median["y"])) == ("2024-01-30 18:00:00", 6)


def test_errors_and_coverage_are_those_of_the_scores() -> None:
    task, predictions, windows = answered()
    scores = {name: score.value for name, score in task.score(predictions, windows).items()}
    errors = figures.errors(task, predictions, windows)
    np.testing.assert_allclose(errors[figures.MODEL].mean(), scores["scaled_mae"])
    np.testing.assert_allclose(errors["seasonal naive"], errors[figures.MODEL])
    covered = figures.coverage(task, predictions, windows)
    np.testing.assert_allclose(covered.mean(1), [scores["coverage_80"], scores["coverage_95"]])
    np.testing.assert_allclose(covered[1, [0, 2, 5]], [
        scores[f"coverage_95_h{step}"] for step in (1, 3, 6)
    ])  # fmt: skip


def test_what_is_said_of_errors_and_coverage() -> None:
    errors = {figures.MODEL: np.array([0.1, 0.2, 0.3]), "last value": np.array([0.4, 0.5, 0.6])}
    assert figures.say_errors("gru", errors) == (
        "On average gru is off by 0.10, 0.20 and 0.30 deviations of the series 1, 2 and 3 steps "
        "ahead; last value by 0.40, 0.50 and 0.60."
    )
    errors["seasonal naive"] = errors[figures.MODEL]  # the model is that baseline
    assert "seasonal naive" not in figures.say_errors("seasonal naive", errors).split(";", 1)[1]
    said = figures.say_coverage("gru", np.array([[0.7], [0.94]]), (0.8, 0.95))
    assert said == [
        "Of gru, the 95 % intervals hold 94 % and the 80 % intervals hold 70 % of the values 1 "
        "step ahead.",
        "They hold less than the promised 80 %: the validation part, by which they were "
        "calibrated, is small or differs from the test part.",
    ]
    wide = figures.say_coverage("gru", np.array([[0.9], [0.99]]), (0.8, 0.95))
    assert wide[1:] == [
        "They hold more than the promised 95 % and 80 %, and are wider than they need to be: the "
        "validation part, by which they were calibrated, was harder to forecast.",
    ]
    assert len(figures.say_coverage("gru", np.array([[0.82], [0.93]]), (0.8, 0.95))) == 1


@pytest.mark.parametrize("horizon", [1, 2])
def test_short_horizons_have_figures_too(horizon: int) -> None:
    task, predictions, windows = answered(horizon=horizon)
    assert len(task.figures(predictions, windows)) == 4
    assert task.figures([], windows[:0]) == []

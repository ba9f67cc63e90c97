"""Naive forecasts are what they say, and the linear layer learns what is linear."""

from typing import Any

import numpy as np

from ensuite.baselines.forecast import Drift, LastValue, LinearLayer, SeasonalNaive
from ensuite.problem import open_problem


def test_naive_baselines_by_hand() -> None:
    cells = {"y": np.arange(1.0, 61.0).tolist()}
    problem = open_problem(
        "forecast", cells, settings={"horizon": "3", "season": "4", "look_back": "8"}
    )
    task, window = problem.task, problem.parts["test"][0]
    last = window.series.values[window.origin - 1, 0]

    def forecast(baseline: Any) -> list[float]:
        fitted = baseline.fit(task, problem.parts["train"], problem.parts["valid"], 0)
        found: list[float] = fitted.predict(task, [window])[0].point[:, 0].round(6).tolist()
        return found

    assert forecast(LastValue) == [last] * 3
    assert forecast(SeasonalNaive) == [last - 3, last - 2, last - 1]
    assert forecast(Drift) == [last + 1, last + 2, last + 3]
    np.testing.assert_allclose(forecast(LinearLayer), [last + 1, last + 2, last + 3], atol=0.05)


def test_the_linear_layer_learns_a_season() -> None:
    random = np.random.default_rng(0)
    values = 3 * np.sin(2 * np.pi * np.arange(480) / 24) + random.normal(0, 0.3, 480)
    settings = {"horizon": "6", "look_back": "24"}
    problem = open_problem("forecast", {"y": values.tolist()}, settings=settings)
    scores = {}
    for baseline in (LastValue, LinearLayer):
        fitted = baseline.fit(problem.task, problem.parts["train"], problem.parts["valid"], 0)
        answers = fitted.predict(problem.task, problem.parts["test"])
        scores[baseline] = problem.task.score(answers, problem.parts["test"])["mae"].value
    assert scores[LinearLayer] < 0.5 * scores[LastValue]

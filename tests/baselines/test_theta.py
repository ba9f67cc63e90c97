"""The theta method by hand, whatever the unit, the length of a window or the batch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensuite.baselines.theta import Theta, fit_line, is_seasonal, seasonal_index, smooth, theta
from ensuite.data.windows import Window
from ensuite.problem import open_problem

SEASON = np.array([3.0, -1.0, -2.0, 0.0])


def every(values: np.ndarray) -> np.ndarray:
    return np.ones_like(values, dtype=bool)


def test_the_season_is_what_lies_off_the_trend() -> None:
    times = np.arange(40)
    values = (5 + 0.5 * times + SEASON[times % 4])[None]
    np.testing.assert_allclose(seasonal_index(values, every(values), 4), SEASON[None], atol=1e-9)
    shifted = values[:, 1:]  # the step to forecast first is of the same place
    np.testing.assert_allclose(seasonal_index(shifted, every(shifted), 4), SEASON[None], atol=1e-9)
    noise = np.random.default_rng(0).normal(size=(1, 40))
    assert not is_seasonal(noise, every(noise), 4)
    assert not seasonal_index(noise, every(noise), 4).any()


def test_a_season_without_a_trend_goes_on() -> None:
    values = (10 + SEASON[np.arange(48) % 4])[None]
    found = theta(values, every(values), 4, 6)
    np.testing.assert_allclose(found, [10 + SEASON[[0, 1, 2, 3, 0, 1]]], atol=1e-9)


def test_line_and_level_by_hand() -> None:
    values = np.array([[1.0, 3.0, 5.0]])
    np.testing.assert_allclose(fit_line(values, every(values), 2), [[1, 3, 5, 7, 9]])
    level = 1.0
    for now in (3.0, 5.0):
        level += 0.9 * (now - level)
    np.testing.assert_allclose(smooth(values, every(values)), [level])
    np.testing.assert_allclose(theta(values, every(values), 1, 1), [[(7 + level) / 2]])


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.floats(-1e3, 1e3), st.floats(0.1, 1e3))
def test_units_and_padding_change_nothing(seed: int, steps: int, level: float, unit: float) -> None:
    values = np.random.default_rng(seed).normal(size=(3, steps)).cumsum(1)
    found = theta(values, every(values), 4, 5)
    assert np.isfinite(found).all()
    other = theta(values * unit + level, every(values), 4, 5)
    np.testing.assert_allclose(other, found * unit + level, rtol=1e-6, atol=1e-6 * unit)
    longer = np.pad(values, ((0, 0), (7, 0)))
    mask = np.pad(every(values), ((0, 0), (7, 0)))
    np.testing.assert_allclose(theta(longer, mask, 4, 5), found, atol=1e-6)


def test_it_forecasts_windows_in_their_units_and_each_alone() -> None:
    random = np.random.default_rng(0)
    values = 100 + 20 * np.sin(2 * np.pi * np.arange(480) / 24) + random.normal(0, 1, 480)
    settings = {"horizon": "6", "look_back": "24", "season": "24"}
    problem = open_problem("forecast", {"y": values.tolist()}, settings=settings)
    fitted = Theta.fit(problem.task, problem.parts["train"], problem.parts["valid"], 0)
    answers = fitted.predict(problem.task, problem.parts["test"])
    scores = problem.task.score(answers, problem.parts["test"])
    assert scores["mae"].value < 2
    series = problem.parts["test"][0].series
    windows = [Window(series, origin) for origin in (1, 30, 300)]
    alone = [fitted.predict(problem.task, [window])[0] for window in windows]
    together = fitted.predict(problem.task, windows)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one.point, other.point)
    assert alone[0].point.ravel() == pytest.approx(values[0])

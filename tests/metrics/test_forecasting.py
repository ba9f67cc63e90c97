"""Metrics of forecasts are what their definitions say, and unknown truths count nowhere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensuite.metrics import forecasting as metrics

TRUTHS = np.array([[[1.0], [2.0]], [[3.0], [np.nan]]])
FORECASTS = np.array([[[2.0], [2.0]], [[1.0], [9.0]]])


def test_errors_by_hand() -> None:
    assert metrics.mean_absolute_error(FORECASTS, TRUTHS).value == pytest.approx(1.0)
    assert metrics.mean_squared_error(FORECASTS, TRUTHS).value == pytest.approx(5 / 3)
    assert metrics.root_mean_squared_error(FORECASTS, TRUTHS).value == pytest.approx((5 / 3) ** 0.5)
    expected = np.mean([200 / 3, 0, 400 / 4])
    assert metrics.symmetric_percentage_error(FORECASTS, TRUTHS).value == pytest.approx(expected)


def test_a_scale_of_zero_is_left_out() -> None:
    scaled = metrics.mean_absolute_error(FORECASTS, TRUTHS, np.array([[2.0], [0.0]]))
    assert scaled.value == pytest.approx(0.25)
    assert np.isnan(metrics.mean_absolute_error(FORECASTS, TRUTHS, np.zeros((2, 1))).value)


def test_zero_for_zero_is_no_error() -> None:
    zeros = np.zeros((1, 3, 1))
    assert metrics.symmetric_percentage_error(zeros, zeros).value == 0.0


def test_intervals() -> None:
    lower, upper = TRUTHS - 1, np.where(TRUTHS == 3, 2.5, TRUTHS)
    assert metrics.coverage(lower, upper, TRUTHS).value == pytest.approx(2 / 3)
    assert metrics.interval_width(lower, upper, TRUTHS).value == pytest.approx((1 + 1 + 0.5) / 3)


def test_the_median_alone_makes_the_quantile_loss_the_absolute_error_by_the_sum_of_truths() -> None:
    found = metrics.quantile_loss(FORECASTS[:, None], TRUTHS, [0.5])
    assert found.value == pytest.approx((1 + 0 + 2) / (1 + 2 + 3))


@given(st.integers(0, 10**6))
def test_the_true_quantile_has_the_least_loss(seed: int) -> None:
    truths = np.random.default_rng(seed).normal(size=(4000, 1, 1))
    losses = [
        metrics.quantile_loss(np.full((4000, 1, 1, 1), at), truths, [0.9]).value
        for at in (0.6, 1.2816, 2.2)
    ]
    assert losses[1] == min(losses)

"""Intervals hold what they promise on new data, and adaptive ones after the data change."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensuite.metrics import conformal

SHARES = (0.8, 0.95)


def test_quantiles_by_hand() -> None:
    errors = np.arange(1.0, 100.0)
    assert conformal.quantile(errors, 0.9) == 90
    assert conformal.quantile(np.array([3.0, np.nan]), 0.95) == 3
    assert conformal.quantile(np.array([np.nan]), 0.95) == 0
    each = conformal.quantile(np.stack([errors, 2 * errors], axis=1), 0.9)
    assert each.tolist() == [90, 180]


@given(st.integers(0, 10**6), st.integers(9, 60))
def test_the_quantile_is_the_least_margin_that_holds_the_share(seed: int, count: int) -> None:
    errors = np.random.default_rng(seed).normal(size=count)
    margin = float(conformal.quantile(errors, 0.8))
    wanted = np.ceil((count + 1) * 0.8)
    assert (errors <= margin).sum() == wanted
    assert (errors < margin).sum() == wanted - 1


def test_margins_are_those_of_each_step_and_column() -> None:
    truths = np.random.default_rng(0).normal(size=(999, 2, 2)) * [[1, 10], [2, 20]]
    nothing = np.zeros((999, 2, 2, 2))
    found = conformal.margins(nothing, nothing, truths, np.ones((999, 2)), SHARES)
    expected = np.array([1.28, 1.96])[:, None, None] * [[1, 10], [2, 20]]
    np.testing.assert_allclose(found, expected, rtol=0.1)
    few = conformal.margins(nothing[:9], nothing[:9], truths[:9], np.ones((9, 2)), SHARES)
    assert (few[..., 0] == few[..., 1]).all()


def test_margins_are_in_deviations_of_the_series() -> None:
    truths, nothing = np.full((200, 1, 1), 6.0), np.zeros((200, 2, 1, 1))
    found = conformal.margins(nothing, nothing, truths, np.full((200, 1), 3.0), SHARES)
    assert found.ravel().tolist() == [2, 2]


@pytest.mark.parametrize("added", [-9.0, -0.5, 0.0, 2.0])
def test_widened_intervals_hold_their_point(added: float) -> None:
    point, lower, upper = np.zeros((1, 1, 1)), np.full((1, 1, 1, 1), -1.0), np.ones((1, 1, 1, 1))
    low, high = conformal.widen(point, lower, upper, np.array(added))
    assert low <= 0 <= high
    assert float(high[0, 0, 0, 0]) == pytest.approx(max(0.0, 1 + added))


def test_a_wider_interval_holds_the_narrower_one() -> None:
    point, ends = np.zeros((1, 1, 1)), np.array([1.0, 2.0]).reshape(1, 2, 1, 1)
    low, high = conformal.widen(point, -ends, ends, np.array([3.0, 0.5]).reshape(2, 1, 1))
    assert (low.ravel().tolist(), high.ravel().tolist()) == ([-4, -4], [4, 4])


def test_adapted_intervals_hold_what_they_promise_after_a_change() -> None:
    random, margin, held = np.random.default_rng(0), np.ones(2), []
    for step in range(4000):
        truth = np.asarray(random.normal() * (1 if step < 1000 else 5))
        held.append(np.abs(truth) <= margin)
        margin = conformal.adapt(margin, -margin, margin, truth, SHARES, 0.2)
    np.testing.assert_allclose(np.mean(held[1500:], axis=0), SHARES, atol=0.02)
    unknown = conformal.adapt(margin, -margin, margin, np.asarray(np.nan), SHARES, 0.2)
    assert (unknown == margin).all()

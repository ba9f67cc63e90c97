"""Thresholds promise a rate of false alarms, and new normal examples keep it."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensuite.core.options import from_json, to_json
from ensuite.metrics.promise import Cost, HeldOut, far_off, fewest, lowest


@given(count=st.integers(1, 3000), share=st.floats(0.001, 0.5))
def test_a_promise_is_the_expected_share_above_the_threshold(count: int, share: float) -> None:
    held_out = HeldOut.of(np.arange(count))
    threshold = held_out.promise(share)
    assert threshold.low <= threshold.rate <= threshold.high
    if count >= fewest(share):
        assert threshold.rate <= share + 1e-9
        assert held_out.scores[0] <= threshold.value <= count - 1
    else:
        assert threshold.value == count - 1
        assert threshold.rate == pytest.approx(lowest(count))


def test_the_expectation_is_that_of_new_examples() -> None:
    random = np.random.default_rng(0)
    above = []
    for _ in range(2000):
        threshold = HeldOut.of(random.exponential(size=99)).promise(0.05)
        above.append(np.exp(-threshold.value))  # the true share above it
    assert np.mean(above) == pytest.approx(0.05, abs=0.002)
    threshold = HeldOut.of(np.arange(99)).promise(0.05)
    inside = np.mean((np.array(above) >= threshold.low) & (np.array(above) <= threshold.high))
    assert inside == pytest.approx(0.95, abs=0.02)


def test_of_many_scores_some_are_kept_and_the_promise_is_never_broken() -> None:
    scores = np.random.default_rng(0).normal(size=50_000)
    held_out = HeldOut.of(scores)
    assert len(held_out.scores) == 2000
    for share in (0.3, 0.1, 0.01, 0.001, 0.0001):
        threshold = held_out.promise(share)
        assert threshold.rate <= share
        assert threshold.rate == pytest.approx(np.mean(scores > threshold.value), abs=3e-5)
        assert threshold.rate == pytest.approx(share, abs=0.002)


def test_dependent_examples_widen_the_interval() -> None:
    scores = np.arange(400)
    narrow, wide = HeldOut.of(scores).promise(0.1), HeldOut.of(scores, independent=40).promise(0.1)
    assert narrow.value == wide.value
    assert wide.low < narrow.low < narrow.high < wide.high


def test_survives_json() -> None:
    held_out = HeldOut.of(np.random.default_rng(0).normal(size=50))
    assert from_json(HeldOut, json.loads(json.dumps(to_json(held_out)))) == held_out


def test_the_cheapest_threshold_follows_the_costs() -> None:
    held_out, anomalies = HeldOut.of(np.arange(100)), [50, 150, 160, 170]
    dear = held_out.cheapest(anomalies, Cost(1000, 1, 0.1))
    cheap = held_out.cheapest(anomalies, Cost(1, 1000, 0.1))
    assert dear.value < 50
    assert cheap.value == 99


def test_scores_far_above_the_rest_are_counted() -> None:
    random = np.random.default_rng(0)
    normal = random.chisquare(5, size=1000)
    assert far_off(normal) == 0
    assert far_off(np.concatenate([normal, random.uniform(1e6, 1e7, 30)])) == 30
    assert far_off([0.0, 0.0, 0.0, 0.0, 1.0]) == 1

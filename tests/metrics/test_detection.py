"""Metrics of detectors, on cases whose results are known."""

import numpy as np
import pytest

from ensuite.metrics import detection
from ensuite.metrics.promise import Cost

ALARMS = np.array([True, False, True, False, True])
TRUTHS = np.array([1, 1, 0, 0, -1])


def test_rates_count_what_is_known() -> None:
    assert detection.recall(ALARMS, TRUTHS).value == 0.5
    assert detection.false_alarm_rate(ALARMS, TRUTHS).value == 0.5
    assert detection.alarm_rate(ALARMS).value == 0.6


def test_cost_depends_on_how_frequent_anomalies_are_said_to_be() -> None:
    score = detection.expected_cost(ALARMS, TRUTHS, Cost(100, 10, 0.1))
    assert score.value == pytest.approx(0.1 * 100 * 0.5 + 0.9 * 10 * 0.5)


def test_an_event_is_found_by_any_of_its_steps() -> None:
    truths = np.array([0, 1, 1, 1, 0, 0, 1, 0])
    alarms = np.array([0, 0, 1, 0, 0, 1, 0, 0])
    score = detection.event_f1(alarms, truths, np.arange(8))
    assert score.value == pytest.approx(0.5)  # one of two events, one of two alarms


def test_events_end_where_a_series_ends() -> None:
    assert detection.stretches([1, 1, 1], [4, 5, 100]).tolist() == [0, 0, 1]
    assert detection.stretches([], []).tolist() == []


def test_to_flag_everything_or_nothing_does_not_pay() -> None:
    truths = np.zeros(1000, dtype=int)
    truths[100:130] = truths[500:520] = 1
    places = np.arange(1000)
    assert detection.event_f1(np.ones(1000), truths, places).value == pytest.approx(
        0.0952, abs=1e-3
    )
    assert detection.event_f1(np.zeros(1000), truths, places).value == 0
    assert detection.event_f1(truths, truths, places).value == 1


def test_statistics_of_events_add_up_over_series() -> None:
    truths = np.array([0, 1, 1, 0, 1, 0])
    alarms = np.array([1, 1, 0, 0, 1, 0])
    whole = detection.event_f1(alarms, truths, np.array([0, 1, 2, 50, 51, 52]))
    parts = [
        detection.event_f1(alarms[at], truths[at], np.arange(3)) for at in (slice(3), slice(3, 6))
    ]
    assert sum(p.statistics.sum(0) for p in parts).tolist() == whole.statistics.sum(0).tolist()


def test_alarms_at_random_have_the_expected_point_adjusted_score() -> None:
    random = np.random.default_rng(0)
    truths = np.zeros(5000, dtype=int)
    truths[1000:1200] = truths[3000:3100] = 1
    places = np.arange(5000)
    found, said = [], []
    for _ in range(300):
        alarms = random.random(5000) < 0.02
        found.append(detection.point_adjusted_f1(alarms, truths, places))
        said.append(detection.random_point_adjusted_f1(alarms, truths, places))
    assert np.mean(found) == pytest.approx(np.mean(said), abs=0.02)
    assert np.mean(found) > 0.7  # which is why it is never told alone


def test_shares_sum_to_one_and_no_error_is_shared_evenly() -> None:
    found = detection.shares([[4.0, 1.0], [0.0, 0.0]], [4.0, 1.0])
    assert found.tolist() == [[0.5, 0.5], [0.5, 0.5]]

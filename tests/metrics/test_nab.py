"""The NAB score on cases that have a closed form."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensuite.metrics import nab

WINDOWS = [(40, 49), (80, 99)]


def series(*alarms: int, steps: int = 100, windows=WINDOWS) -> nab.Series:
    scores = np.zeros(steps)
    scores[list(alarms)] = 1
    return nab.Series(scores, windows)


def sigmoid(position: float) -> float:
    return 2 / (1 + np.exp(5 * position)) - 1


def test_the_perfect_detector_scores_100_and_the_silent_one_0() -> None:
    assert nab.judge([series(40, 80)], 0.5) == pytest.approx(100)
    assert nab.judge([series()], 0.5) == pytest.approx(0)


def test_a_late_hit_earns_its_place_in_the_sigmoid() -> None:
    late = sigmoid(-(49 - 47 + 1) / 10) / sigmoid(-1)
    assert nab.judge([series(47, 80)], 0.5) == pytest.approx(100 * (late + 1 + 2) / 4)


def test_only_the_first_alarm_in_a_window_counts() -> None:
    assert nab.judge([series(40, 41, 45, 80)], 0.5) == nab.judge([series(40, 80)], 0.5)


def test_a_false_alarm_costs_more_the_further_it_is_behind_a_window() -> None:
    perfect = 100 * 4 / 4
    near, far, first = (nab.judge([series(40, 80, at)], 0.5) for at in (51, 77, 20))
    assert perfect - near == pytest.approx(100 * -0.11 * sigmoid(2 / 9) / 4)
    assert perfect - far == pytest.approx(100 * 0.11 / 4)  # more than three lengths behind
    assert perfect - first == pytest.approx(100 * 0.11 / 4)  # before any window


def test_alarms_in_the_probationary_period_do_not_count() -> None:
    assert nab.judge([series(3, 14, 40, 80)], 0.5) == pytest.approx(100)
    assert nab.judge([series(15, 40, 80)], 0.5) < 100


def test_profiles_weigh_what_they_are_called_by() -> None:
    false = [series(40, 80, 20)]
    standard = nab.judge(false, 0.5)
    assert nab.judge(false, 0.5, nab.FEW_FALSE_ALARMS) == pytest.approx(100 - 2 * (100 - standard))
    assert nab.judge(false, 0.5, nab.FEW_MISSES) == pytest.approx(100 * (6 - 0.11) / 6)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), values=st.integers(1, 12))
def test_the_best_threshold_is_the_best_of_all(seed: int, values: int) -> None:
    random = np.random.default_rng(seed)
    every = [
        nab.Series(random.integers(0, values, 100).astype(float), WINDOWS),
        nab.Series(random.integers(0, values, 60).astype(float), [(30, 34)]),
        nab.Series(random.integers(0, values, 30).astype(float), []),
    ]
    found = nab.best(every)
    scores = [nab.judge(every, threshold) for threshold in [*range(values), np.inf]]
    assert found.score == pytest.approx(max(scores))
    assert nab.judge(every, found.threshold) == pytest.approx(found.score)


def test_a_constant_detector_is_never_better_than_silence_where_windows_are_rare() -> None:
    assert nab.best([series(steps=1000, windows=[(500, 510)])]).score == 0


def test_without_a_window_nothing_can_be_judged() -> None:
    with pytest.raises(ValueError, match="no window"):
        nab.best([series(windows=[])])


def test_random_scores_are_worth_what_is_published(data_folder: Path) -> None:
    """The published score of a random detector is 11; of five seeds all lie around it."""
    from benchmarks.nab_tables import recordings

    every = recordings(data_folder / "nab")
    assert sum(len(each.windows) for each in every) == 116
    found = []
    for number in range(5):
        random = np.random.default_rng(number)
        made = [nab.Series(random.random(len(each.values)), each.windows) for each in every]
        found.append(nab.best(made).score)
    assert 3 < min(found) < 11 < max(found) < 20

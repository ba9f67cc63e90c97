"""One temperature makes stated probabilities hold."""

import numpy as np

from ensuite.metrics.calibration import best_temperature


def test_logits_three_times_too_sure_are_divided_by_three() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(20_000, 3))
    honest = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truths = (honest.cumsum(1) > random.uniform(size=(20_000, 1))).argmax(1)
    sure = np.exp(3 * logits) / np.exp(3 * logits).sum(1, keepdims=True)
    assert abs(best_temperature(sure, truths) - 3) < 0.1
    assert abs(best_temperature(honest, truths) - 1) < 0.05


def test_without_a_known_truth_nothing_changes() -> None:
    assert best_temperature(np.full((2, 2), 0.5), np.array([-100, -100])) == 1.0

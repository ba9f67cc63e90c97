import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from ensuite.metrics.codes import active_units, near_zero_share, neighbour_accuracy


def test_the_nearest_others_tell_the_label():
    random = np.random.default_rng(0)
    codes = random.normal(size=(60, 3))
    labels = (codes[:, 0] > 0).astype(int) + (codes[:, 1] > 0)
    expected = []
    for place in range(60):
        others = np.delete(np.arange(60), place)
        model = KNeighborsClassifier(5).fit(codes[others], labels[others])
        near = labels[others][model.kneighbors(codes[place : place + 1])[1][0]]
        counts = np.bincount(near)
        first = next(label for label in near if counts[label] == counts.max())
        expected.append(first == labels[place])
    score = neighbour_accuracy(codes, labels)
    assert score.statistics[:, 0].astype(bool).tolist() == expected
    assert score.value == pytest.approx(np.mean(expected))


def test_only_examples_with_a_label_count():
    codes = np.array([[0.0], [0.1], [5.0], [5.1], [0.05]])
    score = neighbour_accuracy(codes, np.array([0, 0, 1, 1, -1]))
    assert score.statistics[:, 1].tolist() == [1, 1, 1, 1, 0]
    assert np.isnan(neighbour_accuracy(codes, np.array([-1, 0, -1, -1, -1])).value)
    assert np.isnan(neighbour_accuracy(codes, np.full(5, -1)).value)


def test_a_unit_is_active_where_it_varies():
    random = np.random.default_rng(0)
    codes = random.normal(size=(500, 4)) * [1.0, 0.5, 0.05, 0.0] + [0, 3, 3, 3]
    score = active_units(codes)
    assert score.value == 2
    halves = np.array([score.statistics[:250].sum(0), score.statistics[250:].sum(0)])
    assert score.function(halves).tolist() == [2, 2]  # of several sums at once
    assert score.function(np.zeros_like(halves)).tolist() == [0, 0]


def test_numbers_near_zero():
    codes = np.array([[0.0, 0.001, 2.0, -1.0], [0.5, 0.5, 0.5, 0.5], [0.0, 0.0, 0.0, 0.0]])
    score = near_zero_share(codes)
    assert score.statistics[:, 0].tolist() == [0.5, 0, 1]

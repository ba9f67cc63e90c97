import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ensuite.core.score import Score, pool, ratio, ratio_of_two


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.booleans())))
def test_mean_is_over_what_counts(pairs):
    values, counted = [v for v, _ in pairs], [c for _, c in pairs]
    score = Score.mean(values, counted)
    kept = [v for v, c in pairs if c]
    assert score.statistics.shape == (len(pairs), 2)
    if kept:
        np.testing.assert_allclose(score.value, np.mean(kept), rtol=1e-12, atol=1e-9)
    else:
        assert np.isnan(score.value)


def test_a_bootstrap_is_one_matrix_product():
    score = Score.mean([1.0, 2.0, 4.0], [True, True, True])
    weights = np.array([[1, 1, 1], [3, 0, 0], [0, 1, 2], [0, 0, 0]])
    found = score.function(weights @ score.statistics)
    np.testing.assert_allclose(found, [7 / 3, 1.0, 10 / 3, np.nan])


def test_what_does_not_count_may_be_anything():
    assert Score.mean([1.0, np.nan, np.inf], [True, False, False]).value == 1.0


def test_direction_is_kept():
    assert Score.mean([1.0], [True]).higher_is_better
    assert not Score.mean([1.0], [True], higher_is_better=False).higher_is_better


def test_ratio_spreads_over_leading_dimensions():
    found = ratio(np.ones((2, 3)), [1.0, 2.0, 0.0])
    np.testing.assert_array_equal(found, [[1.0, 0.5, np.nan]] * 2)


def test_folds_are_pooled_by_their_sums():
    small = Score.mean([1.0], [True], higher_is_better=False)
    large = Score.mean([0.0, 0.0, 1.0], [True, True, True], higher_is_better=False)
    both = pool([small, large])
    assert both.value == 0.5  # of four examples, not the mean of 1 and 1/3
    assert both.statistics.shape == (4, 2)
    assert not both.higher_is_better


def test_folds_of_other_sums_are_averaged():
    def share(sums):  # as macro F1 where a fold has another number of labels
        return ratio(sums[..., 0], sums.sum(-1))

    two, three = Score(np.array([[1, 1]]), share), Score(np.array([[1, 1, 2], [0, 0, 0]]), share)
    both = pool([two, three])
    assert both.value == (1 / 2 + 1 / 4) / 2
    found = both.function(np.array([[2, 1, 5], [1, 0, 0]]) @ both.statistics)
    np.testing.assert_allclose(found, [3 / 8, np.nan])
    assert pool([two, Score(two.statistics, ratio_of_two)]).value == (1 / 2 + 1) / 2

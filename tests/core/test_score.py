import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ensuite.core.score import Score, ratio


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

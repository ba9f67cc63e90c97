"""How far off numbers are: scikit-learn's values, and statistics that a bootstrap can sum."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics as sklearn

from ensuite.metrics import regression as metrics

ALL = [metrics.mean_absolute_error, metrics.root_mean_squared_error, metrics.r2]

NUMBERS = st.floats(-1e6, 1e6, width=32)


@st.composite
def answered(draw):
    """Draw predictions and truths, (examples, targets), without constant targets."""
    shape = (draw(st.integers(2, 12)), draw(st.integers(1, 4)))
    drawn = (draw(arrays.arrays(np.float64, shape, elements=NUMBERS)) for _ in range(2))
    predictions, truths = drawn
    assume((truths.std(0) > 1e-2).all())
    return predictions, truths


@given(answered())
def test_as_scikit_learn(drawn):
    predictions, truths = drawn
    theirs = [
        sklearn.mean_absolute_error(truths, predictions),
        sklearn.root_mean_squared_error(truths, predictions),
        sklearn.r2_score(truths, predictions),
    ]
    assert [each(predictions, truths).value for each in ALL] == pytest.approx(theirs, rel=1e-6)


@given(answered())
def test_one_target_may_be_without_its_dimension(drawn):
    for each in ALL:
        one = each(drawn[0][:, 0], drawn[1][:, 0])
        assert one.value == each(drawn[0][:, :1], drawn[1][:, :1]).value


@given(answered(), st.floats(-1e6, 1e6))
def test_r2_does_not_hang_on_where_numbers_begin(drawn, far):
    predictions, truths = drawn
    here = metrics.r2(predictions, truths).value
    assert metrics.r2(predictions + far, truths + far).value == pytest.approx(here, rel=1e-3)


@pytest.mark.parametrize("metric", ALL)
def test_unknown_truths_count_nowhere(metric):
    predictions = np.array([[1.0, 2.0], [3.0, 5.0], [9.0, 9.0], [2.0, 7.0]])
    truths = np.array([[1.5, 2.0], [4.0, np.nan], [np.nan, np.nan], [2.5, 6.0]])
    score = metric(predictions, truths)
    assert not score.statistics[2].any()
    columns = [(predictions[[0, 1, 3], 0], truths[[0, 1, 3], 0]),
               (predictions[[0, 3], 1], truths[[0, 3], 1])]  # fmt: skip
    assert score.value == pytest.approx(np.mean([metric(*each).value for each in columns]))
    assert np.isnan(metric(predictions, np.full((4, 2), np.nan)).value)


@pytest.mark.parametrize("metric", ALL)
def test_a_draw_of_the_examples_is_a_matrix_product(metric):
    generator = np.random.default_rng(0)
    predictions, truths = generator.normal(size=(2, 30, 2))
    truths[3, 1] = np.nan
    score = metric(predictions, truths)
    draws = generator.integers(30, size=(5, 30))
    weights = np.stack([np.bincount(draw, minlength=30) for draw in draws])
    redone = [metric(predictions[draw], truths[draw]).value for draw in draws]
    np.testing.assert_allclose(score.function(weights @ score.statistics), redone, rtol=1e-9)


def test_r2_of_truths_that_are_all_one_is_unknown():
    assert np.isnan(metrics.r2([0.1, 0.3], [0.1, 0.1]).value)
    assert np.isnan(metrics.r2([1e9, 1e9 + 1], [1e9, 1e9]).value)


def test_which_way_is_better():
    assert [each([1.0], [2.0]).higher_is_better for each in ALL] == [False, False, True]
    assert metrics.r2([1.0, 2.0], [1.0, 2.0]).value == 1
    assert metrics.r2([1.5, 1.5], [1.0, 2.0]).value == 0

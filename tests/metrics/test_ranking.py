import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from ensuite.core.score import pool
from ensuite.metrics.ranking import average_precision, roc_auc

PAIRS = [
    (roc_auc, sklearn.roc_auc_score),
    (average_precision, sklearn.average_precision_score),
]


@st.composite
def ranked(draw):
    """Draw values with many ties, truths of both kinds and how often each example is drawn."""
    size = draw(st.integers(2, 20))
    few = st.sampled_from([-1.0, 0.0, 0.5, 1.0, 1e9, -1e-300])
    values = draw(st.lists(few | st.floats(-1e3, 1e3), min_size=size, max_size=size))
    truths = draw(st.lists(st.integers(0, 1), min_size=size, max_size=size))
    counts = draw(st.lists(st.integers(0, 4), min_size=size, max_size=size))
    assume(0 < sum(truths) < size)
    return np.array(values), np.array(truths), np.array(counts)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@given(ranked())
def test_as_scikit_learn(ours, theirs, drawn):
    values, truths, _ = drawn
    assert ours(values, truths).value == pytest.approx(theirs(truths, values), rel=1e-12)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@given(ranked())
def test_draws_are_sample_weights_and_repeated_rows(ours, theirs, drawn):
    values, truths, counts = drawn
    assume(counts[truths == 1].any() and counts[truths == 0].any())
    score = ours(values, truths)
    weights = np.stack([counts, np.ones_like(counts), 3 * counts])
    drawn_once, whole, thrice = score.function(weights @ score.statistics)
    assert drawn_once == pytest.approx(theirs(truths, values, sample_weight=counts), rel=1e-12)
    repeated = ours(np.repeat(values, counts), np.repeat(truths, counts))
    assert drawn_once == pytest.approx(repeated.value, rel=1e-12)
    assert whole == pytest.approx(score.value, rel=1e-12)
    assert thrice == pytest.approx(drawn_once, rel=1e-12)


@pytest.mark.parametrize("ours", [roc_auc, average_precision])
def test_unlabelled_examples_count_nowhere(ours):
    truths = np.array([0, -1, 1, 1, np.nan, 0])
    values = np.array([0.1, 0.2, 0.3, 0.1, np.nan, 0.0])
    labelled = truths >= 0
    assert ours(values, truths).value == ours(values[labelled], truths[labelled]).value
    assert not ours(values, truths).statistics[1].sum()


def test_by_hand():
    assert roc_auc([3, 2, 1], [1, 0, 1]).value == 0.5
    assert roc_auc([1, 1], [1, 0]).value == 0.5
    assert average_precision([3, 2, 1], [1, 0, 1]).value == pytest.approx((1 + 2 / 3) / 2)
    assert roc_auc([np.inf, -np.inf], [1, 0]).value == 1.0
    assert roc_auc([np.inf, np.inf], [1, 0]).value == 0.5


@pytest.mark.parametrize("ours", [roc_auc, average_precision])
@pytest.mark.parametrize("truths", [[], [0, 0], [1, 1], [1, -1], [-1, -1], [np.nan, np.nan]])
def test_nothing_to_rank_is_not_a_number(ours, truths):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score = ours(np.arange(len(truths)), np.array(truths))
        assert np.isnan(score.value)
        found = score.function(np.ones((2, len(truths))) @ score.statistics)
    assert found.shape == (2,)


def test_a_value_that_is_not_a_number_spoils_the_metric():
    score = roc_auc([0.1, np.nan], [0, 1])
    assert np.isnan(score.value)
    assert np.isnan(pool([score, score]).value)


def test_folds_are_averaged_since_their_ranks_cannot_be_compared():
    low, high = roc_auc([1, 2], [0, 1]), roc_auc([3, 4, 5], [1, 0, 1])
    both = pool([low, high])
    assert both.value == (1.0 + 0.5) / 2
    assert both.statistics.shape[0] == 5
    weights = np.array([[1, 1, 1, 1, 0], [1, 1, 0, 1, 1]])
    assert both.function(weights @ both.statistics) == pytest.approx([0.5, 1.0])

import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics as sklearn

from ensuite.metrics import classification as metrics


@st.composite
def one_label(draw):
    """Draw probabilities (examples, labels), some of them exactly 0 or 1, and their truths."""
    shape = (draw(st.integers(1, 12)), draw(st.integers(2, 5)))
    weights = draw(arrays.arrays(np.float64, shape, elements=st.floats(0, 1)))
    weights[weights.sum(1) < 1e-3] = 1
    truths = draw(arrays.arrays(np.int64, shape[0], elements=st.integers(0, shape[1] - 1)))
    return weights / weights.sum(1, keepdims=True), truths


@st.composite
def several_labels(draw):
    shape = (draw(st.integers(1, 12)), draw(st.integers(2, 5)))
    probabilities = draw(arrays.arrays(np.float64, shape, elements=st.floats(0, 1)))
    truths = draw(arrays.arrays(np.int64, shape, elements=st.integers(0, 1)))
    return (
        probabilities,
        truths,
        draw(arrays.arrays(np.float64, shape[1], elements=st.floats(0, 1))),
    )


def equal(ours, theirs):
    assert ours.value == pytest.approx(theirs, rel=1e-12, abs=1e-12, nan_ok=True)


@given(one_label())
def test_one_label_as_scikit_learn(drawn):
    probabilities, truths = drawn
    predicted, labels = probabilities.argmax(1), np.arange(probabilities.shape[1])
    equal(metrics.accuracy(*drawn), sklearn.accuracy_score(truths, predicted))
    equal(metrics.macro_f1(*drawn), sklearn.f1_score(truths, predicted, average="macro"))
    equal(metrics.log_loss(*drawn), sklearn.log_loss(truths, probabilities, labels=labels))
    with warnings.catch_warnings():  # it warns of predictions that no truth has
        warnings.simplefilter("ignore")
        equal(metrics.balanced_accuracy(*drawn), sklearn.balanced_accuracy_score(truths, predicted))


@given(several_labels())
def test_several_labels_as_scikit_learn(drawn):
    probabilities, truths, thresholds = drawn
    predicted = probabilities >= thresholds
    absent = {"zero_division": np.nan}  # as with one label: what occurs nowhere does not count
    macro, micro = (
        sklearn.f1_score(truths, predicted, average=a, **absent) for a in ("macro", "micro")
    )
    equal(metrics.multilabel_accuracy(*drawn), sklearn.accuracy_score(truths, predicted))
    equal(metrics.multilabel_macro_f1(*drawn), macro)
    equal(metrics.multilabel_micro_f1(*drawn), micro)
    each = [
        sklearn.log_loss(t, p, labels=[0, 1])
        for t, p in zip(truths.T, probabilities.T, strict=True)
    ]
    equal(metrics.multilabel_log_loss(probabilities, truths), np.mean(each))


@given(one_label())
def test_calibration_error_as_defined(drawn):
    probabilities, truths = drawn
    sure, right = probabilities.max(1), probabilities.argmax(1) == truths
    error, edges = 0.0, np.arange(16) / 15
    for low, high in pairwise(edges):
        within = (low < sure) & (sure <= high)
        if within.any():
            error += within.mean() * abs(sure[within].mean() - right[within].mean())
    on_an_edge = np.isclose(sure[:, None] * 15, np.arange(16), atol=1e-9).any()  # up to rounding
    if not on_an_edge:
        equal(metrics.calibration_error(*drawn), error)


def test_calibration_error_of_the_certain_and_wrong_is_one():
    assert metrics.calibration_error([[1.0, 0.0]] * 3, [1, 1, 1]).value == 1.0


ONE = [metrics.accuracy, metrics.balanced_accuracy, metrics.macro_f1, metrics.log_loss,
       metrics.calibration_error]  # fmt: skip
SEVERAL = [metrics.multilabel_accuracy, metrics.multilabel_macro_f1, metrics.multilabel_micro_f1]


@pytest.mark.parametrize("unlabelled", [-1, -100])
@pytest.mark.parametrize("metric", ONE)
def test_unlabelled_examples_count_nowhere(metric, unlabelled):
    probabilities = np.array([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3], [0.0, 0.1, 0.9], [0.5, 0.3, 0.2]])
    truths = np.array([0, unlabelled, 1, 2])
    score = metric(probabilities, truths)
    assert not score.statistics[1].any()
    assert score.value == pytest.approx(metric(probabilities[[0, 2, 3]], truths[[0, 2, 3]]).value)
    assert np.isnan(metric(probabilities, np.full(4, unlabelled)).value)


@pytest.mark.parametrize("unlabelled", [np.nan, -100.0])
def test_unlabelled_examples_count_nowhere_among_several_labels(unlabelled):
    probabilities = np.array([[0.7, 0.2], [0.8, 0.9], [0.4, 0.6]])
    truths = np.array([[1.0, 0.0], [unlabelled] * 2, [1.0, 1.0]])
    judges = [
        *(lambda p, t, each=each: each(p, t, 0.5) for each in SEVERAL),
        metrics.multilabel_log_loss,
    ]
    for judge in judges:
        assert not judge(probabilities, truths).statistics[1].any()
        assert judge(probabilities, truths).value == judge(probabilities[::2], truths[::2]).value
        assert np.isnan(judge(probabilities, np.full((3, 2), unlabelled)).value)


@pytest.mark.parametrize("metric", ONE)
def test_a_draw_of_the_examples_is_a_matrix_product(metric):
    generator = np.random.default_rng(0)
    probabilities, truths = generator.dirichlet(np.ones(4), 30), generator.integers(-1, 4, 30)
    score = metric(probabilities, truths)
    draws = generator.integers(30, size=(5, 30))
    weights = np.stack([np.bincount(draw, minlength=30) for draw in draws])
    redone = [metric(probabilities[draw], truths[draw]).value for draw in draws]
    np.testing.assert_allclose(score.function(weights @ score.statistics), redone, rtol=1e-12)


def test_counts_of_many_examples_do_not_overflow():
    assert metrics.macro_f1(np.tile([0.9, 0.1], (1000, 1)), np.zeros(1000, int)).value == 1.0


def test_which_way_is_better():
    drawn = np.full((2, 2), 0.5), np.array([0, 1])
    assert [each(*drawn).higher_is_better for each in ONE] == [True, True, True, False, False]


@given(one_label())
def test_confusion_as_scikit_learn(drawn):
    probabilities, truths = drawn
    predicted, labels = probabilities.argmax(1), probabilities.shape[1]
    found = metrics.confusion(truths, predicted, labels)
    theirs = sklearn.confusion_matrix(truths, predicted, labels=range(labels))
    np.testing.assert_array_equal(found, theirs)
    assert found.dtype == np.int64


@given(one_label())
def test_scores_of_each_class_are_those_of_scikit_learn(drawn):
    probabilities, truths = drawn
    labels, predictions = probabilities.shape[1], probabilities.argmax(1)
    found = metrics.per_class(metrics.confusion(truths, predictions, labels))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = sklearn.precision_recall_fscore_support(
            truths, predictions, labels=range(labels), zero_division=np.nan
        )
    for ours, other in zip((found.precision, found.recall), theirs[:2], strict=True):
        np.testing.assert_allclose(ours, other)
    occurs = (found.rows > 0) | ~np.isnan(found.precision)
    np.testing.assert_allclose(found.f1[occurs], np.nan_to_num(theirs[2][occurs]))
    assert found.rows.tolist() == theirs[3].tolist()


@given(one_label())
def test_a_reliability_diagram_counts_every_answer_once(drawn):
    probabilities, truths = drawn
    sure, right = probabilities.max(1), probabilities.argmax(1) == truths
    found = metrics.reliability(sure, right)
    assert sum(count for _, _, count in found) == len(truths)
    assert sum(share * count for _, share, count in found) == pytest.approx(right.sum())
    confidences = [confidence for confidence, _, _ in found]
    assert confidences == sorted(confidences)


def test_answers_without_a_probability_are_not_in_a_reliability_diagram():
    assert metrics.reliability([float("nan"), 0.9], [True, True]) == [(0.9, 1.0, 1)]

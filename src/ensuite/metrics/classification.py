"""Metrics of classification: accuracy, F1, log loss, calibration error.

Functions without a prefix are for one label for each example: ``probabilities`` (examples, labels),
whose rows sum to 1, and ``truths`` (examples,), label numbers. Those called ``multilabel`` are for
any number of labels: each probability is independent, and ``truths`` (examples, labels) are 0 or 1;
``thresholds`` (labels,), or one for all, are the probabilities from which on a label is predicted.
An example whose truth is negative or NaN is unlabelled and is left out.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ensuite.core.display import Display
from ensuite.core.score import Numbers, Score, ratio

SHARE, MACRO_F1, MICRO_F1 = (
    Display(points=100, name=name) for name in ("", "macro F1", "micro F1")
)

CALIBRATION_BINS = 15
"""Number of bins of the calibration error, as in Guo et al. (2017)."""

EPSILON = float(np.finfo(np.float64).eps)
"""Probabilities are clipped this far from 0 and 1, as scikit-learn does, to keep losses finite."""


def accuracy(probabilities: ArrayLike, truths: ArrayLike) -> Score:
    """Return the share of examples whose most probable label is the true one."""
    truths = np.asarray(truths)
    return Score.mean(_most_probable(probabilities) == truths, truths >= 0, display=SHARE)


def balanced_accuracy(probabilities: ArrayLike, truths: ArrayLike) -> Score:
    """Return the mean recall over the labels that occur in the truths.

    Sources:
        Brodersen, Ong, Stephan & Buhmann (2010), ICPR, https://doi.org/10.1109/ICPR.2010.764
    """
    true, predicted = _one_hot(probabilities, truths)
    return Score(np.hstack([true & predicted, true]), _mean_share, display=SHARE)


def macro_f1(probabilities: ArrayLike, truths: ArrayLike) -> Score:
    """Return the mean F1 of the labels that occur in the truths or in the predictions."""
    return _macro_f1(*_one_hot(probabilities, truths))


def log_loss(probabilities: ArrayLike, truths: ArrayLike) -> Score:
    """Return the mean negative log probability, in nats, of the true label."""
    truths = np.asarray(truths)
    rows = np.arange(len(truths))
    right = np.asarray(probabilities, float)[rows, truths.clip(0)]
    loss = -np.log(right.clip(EPSILON, 1 - EPSILON))
    return Score.mean(loss, truths >= 0, higher_is_better=False)


def calibration_error(probabilities: ArrayLike, truths: ArrayLike) -> Score:
    """Return the expected calibration error: the mean distance of confidence from accuracy.

    The examples are binned by the probability of the predicted label, in bins of equal width; the
    gap of a bin is its mean probability minus its accuracy, weighted by its number of examples.
    It depends on sums over the bins only, so it is a function of summed statistics.

    Sources:
        Guo, Pleiss, Sun & Weinberger (2017), ICML, PMLR 70:1321-1330, equation 3
    """
    truths, probabilities = np.asarray(truths), np.asarray(probabilities, float)
    counted, sure = truths >= 0, probabilities.max(1)
    gap = np.where(counted, sure - (_most_probable(probabilities) == truths), 0.0)
    statistics = np.zeros((len(truths), CALIBRATION_BINS + 1))
    bins = np.ceil(sure * CALIBRATION_BINS).astype(int) - 1  # bins include their upper edge
    statistics[np.arange(len(truths)), bins.clip(0, CALIBRATION_BINS - 1)] = gap
    statistics[:, -1] = counted
    return Score(statistics, _mean_gap, higher_is_better=False)


def multilabel_accuracy(
    probabilities: ArrayLike, truths: ArrayLike, thresholds: ArrayLike
) -> Score:
    """Return the share of examples whose predicted labels are exactly the true ones."""
    truths = np.asarray(truths)
    exact = ((np.asarray(probabilities) >= thresholds) == truths).all(1)
    return Score.mean(exact, (truths >= 0).all(1), display=SHARE)


def multilabel_macro_f1(
    probabilities: ArrayLike, truths: ArrayLike, thresholds: ArrayLike
) -> Score:
    """Return the mean F1 of the labels that occur in the truths or in the predictions."""
    return _macro_f1(*_several_hot(probabilities, truths, thresholds))


def multilabel_micro_f1(
    probabilities: ArrayLike, truths: ArrayLike, thresholds: ArrayLike
) -> Score:
    """Return the F1 over all pairs of an example and a label."""
    true, predicted = _several_hot(probabilities, truths, thresholds)
    sums = np.stack([(true & predicted).sum(1), (true.sum(1) + predicted.sum(1))], 1)
    return Score(sums, _f1, display=MICRO_F1)


def multilabel_log_loss(probabilities: ArrayLike, truths: ArrayLike) -> Score:
    """Return the mean binary cross-entropy, in nats, over examples and labels."""
    truths, probabilities = np.asarray(truths), np.asarray(probabilities, float)
    right = np.where(truths > 0, probabilities, 1 - probabilities)
    loss = -np.log(right.clip(EPSILON, 1 - EPSILON)).mean(1)
    return Score.mean(loss, (truths >= 0).all(1), higher_is_better=False)


def confusion(truths: ArrayLike, predictions: ArrayLike, labels: int) -> NDArray[np.int64]:
    """Return the confusion matrix: a row for each true label, a column for each predicted one.

    >>> confusion([0, 0, 1, -1], [0, 1, 1, 1], 2)
    array([[1, 1],
           [0, 1]])
    """
    truths, predictions = np.asarray(truths), np.asarray(predictions)
    pairs = (truths * labels + predictions)[truths >= 0]
    counts: NDArray[np.int64] = np.bincount(pairs, minlength=labels**2)
    return counts.reshape(labels, labels)


def _most_probable(probabilities: ArrayLike) -> Numbers:
    best: Numbers = np.asarray(probabilities).argmax(1)
    return best


def _one_hot(probabilities: ArrayLike, truths: ArrayLike) -> tuple[Numbers, Numbers]:
    """Return the true and the predicted labels as one-hot rows, both (examples, labels)."""
    truths, labels = np.asarray(truths)[:, None], np.arange(np.shape(probabilities)[1])
    predicted = _most_probable(probabilities)[:, None] == labels
    true: Numbers = truths == labels
    return true, predicted & (truths >= 0)


def _several_hot(
    probabilities: ArrayLike, truths: ArrayLike, thresholds: ArrayLike
) -> tuple[Numbers, Numbers]:
    counted = (np.asarray(truths) >= 0).all(1, keepdims=True)
    return (np.asarray(truths) > 0) & counted, (np.asarray(probabilities) >= thresholds) & counted


def _macro_f1(true: Numbers, predicted: Numbers) -> Score:
    # Small whole numbers: with hundreds of labels, float64 would take hundreds of megabytes.
    either = true.astype(np.int8) + predicted
    sums = np.hstack([(true & predicted) * np.int8(2), either])
    return Score(sums, _mean_share, display=MACRO_F1)


def _mean_share(sums: Numbers) -> Numbers:
    """Divide the first half of the sums by the second, and average where the second is not 0."""
    above, below = np.split(sums, 2, axis=-1)
    return ratio(np.nansum(ratio(above, below), axis=-1), (below > 0).sum(-1))


def _mean_gap(sums: Numbers) -> Numbers:
    return ratio(np.abs(sums[..., :-1]).sum(-1), sums[..., -1])


def _f1(sums: Numbers) -> Numbers:
    """Return F1 from true positives, and true plus predicted positives, (..., 2)."""
    return ratio(2 * sums[..., 0], sums[..., 1])

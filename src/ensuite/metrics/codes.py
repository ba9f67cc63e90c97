"""Metrics of codes: the labels of nearest neighbours, active units, numbers near zero."""

import numpy as np
from numpy.typing import NDArray

from ensuite.core.display import Display
from ensuite.core.score import Score

Numbers = NDArray[np.float64]

NEIGHBOURS = 5
"""Neighbours whose most frequent label is predicted."""

ACTIVE = 0.01
"""Variance of a unit over the examples above which it is active (Burda et al. 2016)."""

NEAR_ZERO = 0.05
"""Size, as a share of the largest number of a code, below which a number is near zero."""

AT_ONCE = 1024
"""Examples whose distances to all others are in memory together."""


def neighbour_accuracy(codes: Numbers, labels: NDArray[np.int64]) -> Score:
    """Predict the label of each example from the nearest codes of the other examples.

    Ties between labels are broken by the nearer neighbour.

    Args:
        codes: (examples, code).
        labels: (examples,), negative where there is none.

    Source:
        Cover & Hart (1967), https://doi.org/10.1109/TIT.1967.1053964
    """
    known = np.flatnonzero(labels >= 0)
    correct = np.zeros(len(labels))
    if len(known) > 1:
        near = labels[known][nearest(codes[known], min(NEIGHBOURS, len(known) - 1))]
        correct[known] = vote(near) == labels[known]
    counted = (labels >= 0) & (len(known) > 1)
    return Score.mean(correct, counted, display=Display(name="k-NN accuracy", points=100))


def nearest(codes: Numbers, count: int) -> NDArray[np.int64]:
    """Return the places of the nearest others of each code, (examples, count), nearest first."""
    found = np.zeros((len(codes), count), dtype=np.int64)
    lengths = np.square(codes).sum(1)
    for start in range(0, len(codes), AT_ONCE):
        block = codes[start : start + AT_ONCE]
        distances = lengths - 2 * block @ codes.T  # but for the length of each block's own code
        distances[np.arange(len(block)), np.arange(start, start + len(block))] = np.inf
        few = np.argpartition(distances, count - 1, axis=1)[:, :count]
        order = np.take_along_axis(distances, few, 1).argsort(1, kind="stable")
        found[start : start + len(block)] = np.take_along_axis(few, order, 1)
    return found


def vote(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the most frequent label of each row, (examples, neighbours), nearest first.

    >>> vote(np.array([[1, 0, 0], [2, 1, 0]])).tolist()
    [0, 2]
    """
    counts = (labels[:, :, None] == labels[:, None, :]).sum(2)
    winner: NDArray[np.int64] = np.take_along_axis(labels, counts.argmax(1)[:, None], 1)[:, 0]
    return winner


def active_units(codes: Numbers) -> Score:
    """Count the units whose code varies from one example to another, (examples, code).

    Source:
        Burda, Grosse & Salakhutdinov (2016), https://arxiv.org/abs/1509.00519, section 4.1
    """
    statistics = np.concatenate([codes, np.square(codes), np.ones((len(codes), 1))], axis=1)
    display = Display(name="active units", decimals=0)
    return Score(statistics, count_active, display=display)


def count_active(sums: Numbers) -> Numbers:
    """Count the variances above ``ACTIVE``, from sums of codes, of squares, and of examples."""
    size = (sums.shape[-1] - 1) // 2
    count = np.maximum(sums[..., -1:], 1)
    means, squares = sums[..., :size] / count, sums[..., size:-1] / count
    counted: Numbers = (squares - means**2 > ACTIVE).sum(-1).astype(float)
    return counted


def near_zero_share(codes: Numbers) -> Score:
    """Return the share of the numbers of codes, (examples, code), that are nearly zero.

    A number is if it is less than 5 % of the largest of its code.
    """
    sizes = np.abs(codes)
    share = (sizes <= NEAR_ZERO * sizes.max(1, keepdims=True)).mean(1)
    display = Display(name="near zero", points=100)
    return Score.mean(share, np.ones(len(codes), dtype=bool), display=display)

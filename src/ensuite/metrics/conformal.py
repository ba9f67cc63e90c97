"""Conformal prediction: widen intervals until they hold the share of truths that they promise."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FEWEST_PER_COLUMN = 100
"""Held-out windows from which each column has margins of its own."""


def margins(
    lower: Array, upper: Array, truths: Array, deviations: Array, shares: Sequence[float]
) -> Array:
    """Return by how much intervals must be widened, step by step (split conformal prediction).

    The margin of an interval may be negative: it was too wide.

    Args:
        lower: (windows, intervals, horizon, columns), where each interval begins.
        upper: Likewise, where it ends.
        truths: (windows, horizon, columns), NaN where one is not known.
        deviations: (windows, columns), of the series of each window; the unit of the margins.
        shares: The share of the truths that each interval promises to hold.

    Returns:
        (intervals, horizon, columns). With few windows all columns share a margin.

    Source:
        Romano, Patterson & Candes (2019), https://arxiv.org/abs/1905.03222, equations 6 and 8
    """
    beyond = np.maximum(lower - truths[:, None], truths[:, None] - upper)
    beyond = beyond / deviations[:, None, None]
    if len(truths) < FEWEST_PER_COLUMN:
        pooled = beyond.transpose(0, 3, 1, 2).reshape(-1, *beyond.shape[1:3])
        found = np.stack([quantile(pooled[:, n], share) for n, share in enumerate(shares)])
        return np.repeat(found[..., None], beyond.shape[3], axis=2)
    return np.stack([quantile(beyond[:, n], share) for n, share in enumerate(shares)])


def quantile(errors: Array, share: float) -> Array:
    """Return the least margin that holds ``share`` of new errors, judged by (count, ...) old ones.

    That is the ceil((n + 1) share)-th smallest of n errors, the largest if n is too small for
    that; 0 where no error is known (NaN).

    Source:
        Romano, Patterson & Candes (2019), https://arxiv.org/abs/1905.03222, equation 8
    """
    ordered = np.sort(errors, axis=0)  # NaN comes last
    counts = (~np.isnan(errors)).sum(0)
    places = np.ceil((counts + 1) * share).astype(int).clip(1) - 1
    places = np.minimum(places, (counts - 1).clip(0))
    found = np.take_along_axis(ordered, places[None], axis=0)[0]
    return np.where(counts > 0, found, 0.0)


def widen(point: Array, lower: Array, upper: Array, added: Array) -> tuple[Array, Array]:
    """Return intervals with margins added at both ends.

    They still do not cross: each holds the point, and those before it.

    Args:
        point: (windows, horizon, columns).
        lower: (windows, intervals, horizon, columns), the narrowest interval first.
        upper: Likewise.
        added: Likewise, or of a shape that broadcasts to it; may be negative.
    """
    lower, upper = lower - added, upper + added
    middle = (lower + upper) / 2
    lower = np.minimum(np.minimum(lower, middle), point[:, None])
    upper = np.maximum(np.maximum(upper, middle), point[:, None])
    return np.minimum.accumulate(lower, axis=1), np.maximum.accumulate(upper, axis=1)


def adapt(
    added: Array, lower: Array, upper: Array, truth: Array, shares: Sequence[float], rate: float
) -> Array:
    """Return margins moved by one truth: wider if it fell outside, else a little narrower.

    In the long run the intervals then hold what they promise, whatever the series does.

    Args:
        added: (intervals, ...), the margins so far, in deviations of the series.
        lower: (intervals, ...), where the intervals that were given began.
        upper: (intervals, ...), where they ended.
        truth: (...), what came; NaN if it is not known.
        shares: The share of the truths that each interval promises to hold.
        rate: How far a miss moves a margin, in deviations of the series.

    Sources:
        Gibbs & Candes (2021), https://arxiv.org/abs/2106.00170
        Moving the margin itself: Angelopoulos, Candes & Tibshirani (2023),
        https://arxiv.org/abs/2307.16895, equation 5
    """
    missed = (truth < lower) | (truth > upper)
    promised = np.asarray(shares).reshape(-1, *(1 for _ in truth.shape))
    return np.where(np.isnan(truth), added, added + rate * (missed - (1 - promised)))

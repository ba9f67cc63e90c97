"""How well numbers rank the positive examples above the negative ones: AUROC, average precision.

``values`` (examples,) are larger the more positive an example is thought to be; ``truths``
(examples,) are 1 for positive and 0 for negative. A negative truth, or NaN, means that the example
is unlabelled: it counts nowhere. Where a counted value is NaN, so is the metric.

Unlike the other metrics, these are no function of a few sums. Each example has a statistic of its
own instead, so that their sums say how often each example was drawn.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from ensuite.core.score import Numbers, Score, ratio


def roc_auc(values: ArrayLike, truths: ArrayLike) -> Score:
    """Return the area under the ROC curve (AUROC).

    It is the chance that a positive example has a larger value than a negative one; equal values
    count half. NaN where either kind is missing.

    Sources:
        Hanley & McNeil (1982), Radiology 143(1):29-36
    """
    return _score(values, truths, _area)


def average_precision(values: ArrayLike, truths: ArrayLike) -> Score:
    """Return the average precision: the mean, over the positive examples, of the precision there.

    The precision at an example is the share of positives among all whose value is as large or
    larger. This is the area under the precision-recall curve as a step function, without
    interpolation. NaN where there is no positive example.

    Sources:
        Davis & Goadrich (2006), ICML, https://doi.org/10.1145/1143844.1143874, on why the curve
        must not be interpolated linearly
    """
    return _score(values, truths, _precision)


@dataclass(frozen=True, eq=False)
class _Ranked:
    """A metric of examples in order of their values, the largest first.

    Attributes:
        order: (counted,) numbers of the counted examples.
        ends: (groups,) places in ``order`` where a group of equal values ends.
        positive: (counted,) whether each is positive, in this order.
        metric: From how many positives and how many negatives there are up to the end of each
            group, both (..., groups), to (...).
    """

    order: Numbers
    ends: Numbers
    positive: Numbers
    metric: Callable[[Numbers, Numbers], Numbers]

    def __call__(self, weights: Numbers) -> Numbers:
        """Return the metric, (...), with each example counted as often as ``weights`` says."""
        ordered = weights[..., self.order]
        positives = (ordered * self.positive).cumsum(-1)[..., self.ends]
        negatives = (ordered * ~self.positive).cumsum(-1)[..., self.ends]
        return self.metric(positives, negatives)


def _score(
    values: ArrayLike, truths: ArrayLike, metric: Callable[[Numbers, Numbers], Numbers]
) -> Score:
    values, truths = np.asarray(values, float), np.asarray(truths)
    counted = truths >= 0
    statistics = sparse.csr_array(sparse.diags_array(counted.astype(float)))
    chosen = np.flatnonzero(counted)
    order = chosen[np.argsort(-values[chosen], kind="stable")]
    ordered = values[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)[: len(order)])
    metric = _unknown if np.isnan(ordered).any() else metric
    return Score(statistics, _Ranked(order, ends, truths[order] > 0, metric))


def _unknown(positives: Numbers, negatives: Numbers) -> Numbers:
    return np.full(positives.shape[:-1], np.nan)


def _area(positives: Numbers, negatives: Numbers) -> Numbers:
    """Integrate the ROC curve, which joins (negatives, positives) and begins at (0, 0)."""
    first = (positives * negatives)[..., :1] / 2
    between = (positives[..., 1:] + positives[..., :-1]) * np.diff(negatives) / 2
    area = first.sum(-1) + between.sum(-1)
    return ratio(area, _last(positives) * _last(negatives))


def _precision(positives: Numbers, negatives: Numbers) -> Numbers:
    """Average the precision over the positives, which are as many as each group adds.

    It is not known without a negative: any order would have a precision of 1.
    """
    precision = np.nan_to_num(ratio(positives, positives + negatives))
    added = np.diff(positives, prepend=0)
    average = ratio((added * precision).sum(-1), _last(positives))
    return np.where(_last(negatives) > 0, average, np.nan)


def _last(counts: Numbers) -> Numbers:
    """Return the last count, (...), of (..., groups); 0 where there is no group."""
    last: Numbers = counts[..., -1:].sum(-1)
    return last

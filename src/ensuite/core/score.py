"""A metric, as statistics of each test example and a function of their sum.

So that a bootstrap is one matrix product: ``function(weights @ statistics)``, where ``weights``
(draws, examples) says how often each draw holds each example. A metric that needs every example
by itself, like AUROC, has one statistic for each example, 1 for that example alone, in a sparse
matrix: the sums are then the weights themselves (see :mod:`ensuite.metrics.ranking`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ensuite.core.display import PLAIN, Display

Numbers = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Score:
    """One metric on one test set.

    Args:
        statistics: (examples, k) numbers, in an array or a sparse one (``scipy.sparse.csr_array``);
            a row of zeros for an example that does not count.
        function: From sums of them, (..., k), to the metric, (...). NaN where nothing counts.
        higher_is_better: Whether more is better.
        display: How the metric is printed.
    """

    statistics: Numbers
    function: Callable[[Numbers], Numbers]
    higher_is_better: bool = True
    display: Display = PLAIN

    @classmethod
    def mean(
        cls,
        values: ArrayLike,
        counted: ArrayLike,
        *,
        higher_is_better: bool = True,
        display: Display = PLAIN,
    ) -> Self:
        """Average ``values`` (examples,) over the examples where ``counted`` (examples,) is True.

        >>> Score.mean([1, 0, 5], [True, True, False]).value
        0.5
        """
        statistics = np.stack([np.where(counted, values, 0), np.asarray(counted)], axis=1)
        return cls(statistics.astype(float), ratio_of_two, higher_is_better, display)

    @property
    def value(self) -> float:
        """The metric on the whole test set."""
        return float(self.function(self.statistics.sum(0)))


def pool(scores: Sequence[Score]) -> Score:
    """Return the score of several test sets together, such as the folds of a cross-validation.

    Where all have one function of equally many sums, the sums are added up. Otherwise the metric
    is averaged over the test sets: the values that AUROC ranks, for example, cannot be compared
    across models, and macro F1 cannot be added up where the folds have different labels.

    Args:
        scores: One for each test set, at least one; all of one metric.

    Sources:
        Airola et al. (2011), Computational Statistics & Data Analysis 55(4):1828-1844, on pooling
        and averaging AUROC
    """
    first, widths = scores[0], [score.statistics.shape[1] for score in scores]
    dense = all(isinstance(score.statistics, np.ndarray) for score in scores)
    alike = len(set(widths)) == 1 and all(score.function == first.function for score in scores)
    if dense and alike:
        statistics = np.concatenate([score.statistics for score in scores])
        return Score(statistics, first.function, first.higher_is_better, first.display)
    from scipy import sparse  # here, since few need it and it takes a while to import

    functions, ends = [score.function for score in scores], np.cumsum(widths)[:-1]

    def average(sums: Numbers) -> Numbers:
        parts = zip(functions, np.split(sums, ends, axis=-1), strict=True)
        values: Numbers = np.mean([function(part) for function, part in parts], axis=0)
        return values

    statistics = sparse.block_diag([score.statistics for score in scores], format="csr")
    return Score(sparse.csr_array(statistics), average, first.higher_is_better, first.display)


def ratio_of_two(sums: Numbers) -> Numbers:
    """Divide the first of two sums, (..., 2), by the second."""
    return ratio(sums[..., 0], sums[..., 1])


def ratio(above: ArrayLike, below: ArrayLike) -> Numbers:
    """Divide, and where there is nothing to divide by return NaN without a warning.

    >>> ratio([1.0, 0.0], [2.0, 0.0])
    array([0.5, nan])
    """
    above, below = np.broadcast_arrays(np.asarray(above, float), np.asarray(below, float))
    result = np.full(below.shape, np.nan)
    np.divide(above, below, out=result, where=below != 0)
    return result

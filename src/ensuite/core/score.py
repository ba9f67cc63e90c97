"""A metric, as statistics of each test example and a function of their sum.

So that a bootstrap is one matrix product: ``function(weights @ statistics)``, where ``weights``
(draws, examples) says how often each draw holds each example.
"""

from collections.abc import Callable
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
        statistics: (examples, k) numbers; a row of zeros for an example that does not count.
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

"""Thresholds that keep a promise: how often normal examples may raise an alarm.

A threshold is set on the scores of held-out normal examples that chose no weights. If new normal
examples are drawn like them, the share of those above the k-th smallest of n scores has a beta
distribution, whatever the distribution of the scores is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]

LARGEST_KEPT, OTHERS_KEPT = 1000, 1000
"""Held-out scores that are kept: so many of the largest, and so many spread over the others."""

CONFIDENCE = 0.95
"""Probability with which an interval holds the false-alarm rate."""

ROUNDING = 1e-9
"""Rounding that makes no difference to a rank: 20 times 0.95 is 19."""


def fewest(false_alarms: float) -> int:
    """Return how many held-out normal examples a promise needs.

    >>> fewest(0.05), fewest(0.005)
    (19, 199)
    """
    return math.ceil(1 / false_alarms - ROUNDING) - 1


def lowest(count: float) -> float:
    """Return the lowest false-alarm rate that so many held-out normal examples can promise."""
    return 1 / (count + 1)


class Threshold(NamedTuple):
    """A threshold, and the rate of false alarms that it promises.

    Attributes:
        value: An example whose score is larger raises an alarm.
        rate: The expected share of normal examples that do.
        low: Lower end of the interval of that share.
        high: Its upper end.
    """

    value: float
    rate: float
    low: float
    high: float


class Cost(NamedTuple):
    """What mistakes cost.

    Attributes:
        miss: Cost of an anomaly without an alarm.
        alarm: Cost of an alarm without an anomaly.
        rate: Share of anomalies among all examples.
    """

    miss: float
    alarm: float
    rate: float

    @classmethod
    def parse(cls, text: str, rate: float) -> Self:
        """Read costs as they are typed; ``rate`` holds where they do not name one.

        Raises:
            ValueError: If it is not of that form, or a number is out of range.

        >>> Cost.parse("miss:500,alarm:5", 0.01)
        Cost(miss=500.0, alarm=5.0, rate=0.01)
        """
        pairs = [part.partition(":")[::2] for part in text.split(",")]
        named = {name.strip(): value for name, value in pairs}
        try:
            values = {name: float(value) for name, value in named.items()}
            made = cls(**({"rate": rate} | values))
        except (TypeError, ValueError):
            raise ValueError(
                f'cost is given as miss:500,alarm:5 or miss:500,alarm:5,rate:0.001, not "{text}"'
            ) from None
        sound = all(map(math.isfinite, made)) and min(made.miss, made.alarm) > 0
        if not (sound and 0 <= made.rate < 1):
            raise ValueError("costs must be more than 0, the rate of anomalies from 0 to below 1")
        return made


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Scores of held-out examples, by their ranks; of many, the largest and some of the others.

    Args:
        count: Number of examples, 0 before anything was held out.
        ranks: Rank of each score that is kept, 1 for the smallest, ascending.
        scores: These scores.
        independent: Number of examples that carry as much information if they are independent:
            fewer than ``count`` where neighbours in time resemble each other.
    """

    count: int = 0
    ranks: tuple[int, ...] = ()
    scores: tuple[float, ...] = ()
    independent: float = 0.0

    @classmethod
    def of(cls, scores: ArrayLike, independent: float | None = None) -> Self:
        """Keep the scores of held-out examples, (examples,), all finite."""
        ordered = np.sort(np.asarray(scores, float))
        count = len(ordered)
        ranks = np.arange(1, count + 1)
        if count > LARGEST_KEPT + OTHERS_KEPT:
            others = np.linspace(1, count - LARGEST_KEPT, OTHERS_KEPT).round().astype(int)
            ranks = np.concatenate([others, ranks[-LARGEST_KEPT:]])
        return cls(
            count=count,
            ranks=tuple(ranks.tolist()),
            scores=tuple(ordered[ranks - 1].tolist()),
            independent=float(count if independent is None else min(independent, count)),
        )

    @cached_property
    def _arrays(self) -> tuple[NDArray[np.int64], Numbers]:
        return np.array(self.ranks, dtype=np.int64), np.array(self.scores)

    def promise(self, false_alarms: float) -> Threshold:
        """Return the least threshold above which at most this share of normal examples is expected.

        That is the ceil((n + 1) (1 - share))-th smallest of n scores; where that one is not kept,
        the next larger that is. Where n is too small for the promise it is the largest.

        Source:
            Vovk (2012), https://arxiv.org/abs/1209.2673, on the share of new examples above it
        """
        wanted = math.ceil((self.count + 1) * (1 - false_alarms) - ROUNDING)
        ranks, _ = self._arrays
        return self._at(min(int(np.searchsorted(ranks, wanted)), len(ranks) - 1))

    def cheapest(self, anomalies: Sequence[float], cost: Cost) -> Threshold:
        """Return the threshold with the lowest expected cost of an example.

        Args:
            anomalies: Scores of held-out anomalies, at least one.
            cost: Of a miss and of a false alarm, and how frequent anomalies are.
        """
        ranks, scores = self._arrays
        odd = np.sort(np.asarray(anomalies, float))
        missed = np.searchsorted(odd, scores, side="right") / len(odd)
        alarms = 1 - ranks / (self.count + 1)
        expected = cost.rate * cost.miss * missed + (1 - cost.rate) * cost.alarm * alarms
        return self._at(int(np.argmin(expected)))

    def _at(self, place: int) -> Threshold:
        """Return the threshold at a score that is kept, by its place."""
        from scipy.special import betaincinv  # here, since importing it takes a while

        ranks, scores = self._arrays
        rank = int(ranks[place])
        above = self.count + 1 - rank
        shrunk = self.independent / self.count
        tail = (1 - CONFIDENCE) / 2
        low, high = (
            float(betaincinv(above * shrunk, rank * shrunk, each)) for each in (tail, 1 - tail)
        )
        return Threshold(float(scores[place]), above / (self.count + 1), low, high)


def far_off(scores: ArrayLike, times: float = 10.0) -> int:
    """Count the scores that are far above the rest, which should not be there.

    The logarithms of reconstruction errors are spread about evenly around their median. Those that
    lie more than ``times`` the distance between the median and the upper quartile above the median
    are counted.

    >>> far_off([1, 2, 3, 4, 5, 6, 7, 8, 1e9]), far_off([1, 1, 1, 1])
    (1, 0)
    """
    logs = np.log(np.maximum(np.asarray(scores, float), np.finfo(float).tiny))
    if len(logs) < 4:
        return 0
    median, upper = np.quantile(logs, [0.5, 0.75])
    spread = max(upper - median, 0.1)  # scores that hardly differ have no tail to speak of
    return int((logs > median + times * spread).sum())

"""Metrics of detectors: false alarms, recall, cost, and events of a series.

``alarms`` (examples,) say which examples raised an alarm. ``truths`` (examples,) are 1 for an
anomaly and 0 for a normal example; a negative truth means that it is not known: the example counts
nowhere.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ensuite.core.display import Display
from ensuite.core.score import Numbers, Score, ratio
from ensuite.metrics.promise import Cost

SHARE = Display(points=100)


def false_alarm_rate(alarms: ArrayLike, truths: ArrayLike) -> Score:
    """Return the share of the normal examples that raise an alarm (false positive rate)."""
    truths = np.asarray(truths)
    return Score.mean(alarms, truths == 0, higher_is_better=False, display=SHARE)


def alarm_rate(alarms: ArrayLike) -> Score:
    """Return the share of all examples that raise an alarm, whatever they are."""
    alarms = np.asarray(alarms)
    return Score.mean(alarms, np.ones(len(alarms)), higher_is_better=False, display=SHARE)


def recall(alarms: ArrayLike, truths: ArrayLike) -> Score:
    """Return the share of the anomalies that raise an alarm (true positive rate)."""
    return Score.mean(alarms, np.asarray(truths) == 1, display=SHARE)


def expected_cost(alarms: ArrayLike, truths: ArrayLike, cost: Cost) -> Score:
    """Return the expected cost of an example, where anomalies are as frequent as ``cost`` says.

    The share of anomalies among the test examples makes no difference.
    """
    alarms, truths = np.asarray(alarms, bool), np.asarray(truths)
    normal, odd = truths == 0, truths == 1
    statistics = np.stack([odd & ~alarms, odd, normal & alarms, normal], axis=1).astype(float)

    def function(sums: Numbers) -> Numbers:
        missed, false = ratio(sums[..., 0], sums[..., 1]), ratio(sums[..., 2], sums[..., 3])
        total: Numbers = cost.rate * cost.miss * missed + (1 - cost.rate) * cost.alarm * false
        return total

    return Score(statistics, function, higher_is_better=False)


# Events: stretches of a series


def stretches(flags: ArrayLike, places: ArrayLike) -> NDArray[np.int64]:
    """Number the stretches of True, from 0, in the order of the steps; -1 elsewhere.

    Args:
        flags: (steps,)
        places: (steps,), ascending; a stretch ends where they are not consecutive, for example
            where another series begins.

    >>> stretches([1, 1, 0, 1, 1], [0, 1, 2, 3, 9]).tolist()
    [0, 0, -1, 1, 2]
    """
    flags, places = np.asarray(flags, bool), np.asarray(places)
    starts = flags.copy()
    starts[1:] &= ~(flags[:-1] & (np.diff(places) == 1))
    return np.where(flags, np.cumsum(starts) - 1, -1)


def event_f1(alarms: ArrayLike, truths: ArrayLike, places: ArrayLike) -> Score:
    """Return the harmonic mean of the recall of events and the precision of steps.

    An event, a stretch of anomalous steps, is found if one of its steps raises an alarm. Precision
    counts steps, so that to flag everything has the precision of a guess.

    Args:
        alarms: (steps,)
        truths: (steps,)
        places: (steps,), as :func:`stretches` takes them.

    Source:
        Garg et al. (2021), https://arxiv.org/abs/2109.11428, section IV (composite F-score)
    """
    alarms, truths = np.asarray(alarms, bool), np.asarray(truths)
    numbers = stretches(truths == 1, places)
    found, events = np.zeros(len(truths)), np.zeros(len(truths))
    for number in range(int(numbers.max(initial=-1)) + 1):
        steps = np.flatnonzero(numbers == number)
        events[steps[0]], found[steps[0]] = 1, alarms[steps].any()
    counted = alarms & (truths >= 0)
    statistics = np.stack([found, events, counted & (truths == 1), counted], axis=1)
    return Score(statistics.astype(float), _harmonic, display=Display(points=100, name="event F1"))


def _harmonic(sums: Numbers) -> Numbers:
    """Return the harmonic mean of two shares; 0 where no step raises an alarm."""
    recall, precision = ratio(sums[..., 0], sums[..., 1]), ratio(sums[..., 2], sums[..., 3])
    precision = np.where(sums[..., 3] == 0, 0.0, precision)
    return np.where(recall + precision == 0, 0.0, ratio(2 * recall * precision, recall + precision))


def point_adjusted_f1(alarms: ArrayLike, truths: ArrayLike, places: ArrayLike) -> float:
    """Return F1 over steps where each found event counts as if every step of it were found.

    It rewards alarms at random where events are long: read it beside
    :func:`random_point_adjusted_f1` only.

    Sources:
        Xu et al. (2018), https://arxiv.org/abs/1802.03903, section 4.2
        Its fault: Kim et al. (2022), https://arxiv.org/abs/2109.05257, section 3
    """
    alarms, truths = np.asarray(alarms, bool), np.asarray(truths)
    lengths, found = _events(alarms, truths, places)
    true = float((lengths * found).sum())
    return _f1(true, float((alarms & (truths == 0)).sum()), float(lengths.sum()) - true)


def random_point_adjusted_f1(alarms: ArrayLike, truths: ArrayLike, places: ArrayLike) -> float:
    """Return the point-adjusted F1 that as many alarms at random are expected to have.

    Source:
        Kim et al. (2022), https://arxiv.org/abs/2109.05257, equations 3 to 5
    """
    alarms, truths = np.asarray(alarms, bool), np.asarray(truths)
    known = truths >= 0
    rate = float(alarms[known].mean()) if known.any() else 0.0
    lengths, _ = _events(alarms, truths, places)
    true = float((lengths * (1 - (1 - rate) ** lengths)).sum())
    return _f1(true, rate * float((truths == 0).sum()), float(lengths.sum()) - true)


def _events(
    alarms: NDArray[np.bool_], truths: NDArray[np.int64], places: ArrayLike
) -> tuple[Numbers, Numbers]:
    """Return the length of each event, and 1 for each that has an alarm."""
    numbers = stretches(truths == 1, places)
    inside = numbers >= 0
    lengths = np.bincount(numbers[inside])
    found = np.bincount(numbers[inside], weights=alarms[inside], minlength=len(lengths)) > 0
    return lengths.astype(float), found.astype(float)


def _f1(true: float, false: float, missed: float) -> float:
    below = 2 * true + false + missed
    return 2 * true / below if below else 0.0


# Which columns made a score


def shares(errors: ArrayLike, usual: ArrayLike) -> Numbers:
    """Return the share of each column in an error that is scaled by what is usual, (..., columns).

    They sum to 1; where there is no error at all, each has the same.

    Args:
        errors: (..., columns), squared errors.
        usual: (columns,), their means over normal examples, all larger than 0.
    """
    scaled = np.asarray(errors, float) / np.asarray(usual, float)
    total = scaled.sum(-1, keepdims=True)
    even = np.full(scaled.shape, 1 / scaled.shape[-1])
    found: Numbers = np.divide(scaled, total, out=even, where=total > 0)
    return found

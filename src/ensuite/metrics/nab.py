"""The score of the Numenta Anomaly Benchmark (NAB): early alarms inside a window earn the most.

Each series has windows around its anomalies. The earliest alarm in a window earns almost the whole
weight at its left end and almost nothing at its right end; an alarm outside costs more the further
it is behind the last window. All series share one threshold, the best over all of them.

Source:
    Lavin & Ahmad (2015), https://arxiv.org/abs/1510.03336, sections III and IV; the positions of
    alarms and the length of the probationary period as in numenta/NAB, nab/sweeper.py
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]

PROBATION, LONGEST_PROBATION = 0.15, 750
"""Share of a series, and most steps, in which alarms count neither way."""

FAR = 3.0
"""Lengths of a window behind it from which on an alarm costs its whole weight."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What hits and mistakes weigh; the default is the standard profile.

    Args:
        true_positive: Weight of the first alarm in a window.
        false_positive: Weight of an alarm outside all windows.
        false_negative: Weight of a window without an alarm.
    """

    true_positive: float = 1.0
    false_positive: float = 0.11
    false_negative: float = 1.0


STANDARD = Profile()
FEW_FALSE_ALARMS = Profile(false_positive=0.22)
FEW_MISSES = Profile(false_negative=2.0)


class Series(NamedTuple):
    """The scores that a detector gave the steps of one series.

    Attributes:
        scores: (steps,), higher is more anomalous.
        windows: First and last step of each window, both inside it, in order.
    """

    scores: Numbers
    windows: Sequence[tuple[int, int]]


class Result(NamedTuple):
    """The best threshold, and its score: 0 as without any alarm, 100 for the perfect detector."""

    threshold: float
    score: float


def position_weight(position: ArrayLike) -> Numbers:
    """Return the weight, 1 to -1, of an alarm at a position relative to the end of a window.

    It is -1 at the left end of the window, 0 at its right end, and positive behind it.

    >>> position_weight([-1.0, 0.0, 4.0]).round(4).tolist()
    [0.9866, 0.0, -1.0]
    """
    position = np.asarray(position, float)
    return np.where(position > FAR, -1.0, 2 / (1 + np.exp(5 * np.minimum(position, FAR))) - 1)


def probation(steps: int) -> int:
    """Return how many steps at the beginning of a series count neither way.

    >>> probation(100), probation(100_000)
    (15, 750)
    """
    return min(int(PROBATION * steps), LONGEST_PROBATION)


def weigh(
    steps: int, windows: Sequence[tuple[int, int]], profile: Profile = STANDARD
) -> tuple[Numbers, NDArray[np.int64]]:
    """Return what an alarm at each step is worth, and the window that each step is in, -1 outside.

    Args:
        steps: Length of the series.
        windows: As in :class:`Series`.
        profile: Weights of hits and mistakes.
    """
    numbers = np.full(steps, -1, dtype=np.int64)
    weights = np.full(steps, -profile.false_positive)
    best = float(position_weight(-1.0))
    for number, (first, last) in enumerate(windows):
        length = last - first + 1
        inside, behind = np.arange(first, last + 1), np.arange(last + 1, steps)
        numbers[first : last + 1] = number
        early = position_weight(-(last - inside + 1) / length)
        weights[first : last + 1] = early * profile.true_positive / best
        away = (behind - last) / max(1, length - 1)
        weights[last + 1 :] = position_weight(away) * profile.false_positive
    return weights, numbers


def judge(series: Sequence[Series], threshold: float, profile: Profile = STANDARD) -> float:
    """Return the normalised score of a threshold: an alarm is a score as large, or larger."""
    raw = windows = 0.0
    for each in series:
        weights, numbers = weigh(len(each.scores), each.windows, profile)
        alarms = np.asarray(each.scores) >= threshold
        alarms[: probation(len(alarms))] = False
        raw += float(weights[alarms & (numbers < 0)].sum())
        for number in range(len(each.windows)):
            hits = weights[alarms & (numbers == number)]
            raw += max(float(hits.max(initial=-np.inf)), -profile.false_negative)
        windows += len(each.windows)
    return normalise(raw, windows, profile)


def normalise(raw: float, windows: float, profile: Profile = STANDARD) -> float:
    """Return 0 for the score of no alarm at all, and 100 for that of the perfect detector."""
    if not windows:
        raise ValueError("there is no window, so that no detector can be judged")
    null, perfect = -profile.false_negative * windows, profile.true_positive * windows
    return 100 * (raw - null) / (perfect - null)


def best(series: Sequence[Series], profile: Profile = STANDARD) -> Result:
    """Return the threshold with the highest score over all series, and that score.

    A threshold above all scores, which raises no alarm, is one of the choices.
    """
    scores, gains = [np.zeros(0)], [np.zeros(0)]
    for each in series:
        weights, numbers = weigh(len(each.scores), each.windows, profile)
        order = np.argsort(-np.asarray(each.scores), kind="stable")
        order = order[order >= probation(len(order))]
        scores.append(np.asarray(each.scores, float)[order])
        gains.append(_gains(weights[order], numbers[order], len(each.windows), profile))
    windows = sum(len(each.windows) for each in series)
    values, changes = np.concatenate(scores), np.concatenate(gains)
    order = np.argsort(-values, kind="stable")
    values, raw = values[order], changes[order].cumsum() - profile.false_negative * windows
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True)[: len(values)])
    thresholds = np.append(np.inf, values[ends])
    totals = np.append(-profile.false_negative * windows, raw[ends])
    place = int(totals.argmax())
    return Result(float(thresholds[place]), normalise(float(totals[place]), windows, profile))


def _gains(weights: Numbers, numbers: NDArray[np.int64], windows: int, profile: Profile) -> Numbers:
    """Return by how much each alarm changes the score, in the order of falling thresholds.

    Outside the windows it is its weight; of a window, the best alarm so far counts.
    """
    gains = weights.copy()
    for number in range(windows):
        inside = np.flatnonzero(numbers == number)
        reached = np.maximum.accumulate(np.append(-profile.false_negative, weights[inside]))
        gains[inside] = np.diff(reached)
    return gains

"""Which candidates a test set can tell apart: a paired bootstrap, in groups that tie.

The same resampled items judge every candidate, so that what makes an item hard for all of them
cancels. Training seeds are too few to be resampled as well: with three a side, that declares a
difference between equals in up to 19 % of simulated comparisons. They enter by Welch's t test:
each draw adds noise of the variance that the seeds show beyond the chance of the items, times a
Student t of as many degrees of freedom as they leave. Then it is 2 to 6 %.
"""

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ensuite.core.score import Numbers, Score

LEVEL = 0.05
"""Chance of a difference being declared somewhere in a group of equals."""

CELLS_AT_ONCE = 4_000_000
"""Numbers in the weights held in memory, (draws at once, items): 32 MB."""


class Resampled(NamedTuple):
    """One candidate under the bootstrap.

    Attributes:
        value: The metric, mean over its seeds.
        draws: (draws,), the same on each draw of the items.
        seed_variance: Variance of ``value`` that is due to the seeds alone; 0 for a single seed.
        spread_variance: Variance of ``value`` that its seeds show, items' chance included.
        seeds: How many runs.
    """

    value: float
    draws: Numbers
    seed_variance: float
    spread_variance: float
    seeds: int


def spread(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation over seeds; None for a single one.

    >>> spread([1.0, 3.0]), spread([1.0])
    (1.4142135623730951, None)
    """
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def tie_groups(
    candidates: Mapping[str, Sequence[Score]],
    *,
    blocks: ArrayLike | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, str]:
    """Return the group of each candidate: A, B and so on.

    Group A is the best candidate and all whose difference to it may be 0 (two-sided p-values,
    Holm's correction over those compared, at 5 %); the best of the rest starts the next group.
    One whose score is not finite is behind all others.

    Args:
        candidates: A score for each seed, by name; all on the same test examples, in one order.
        blocks: (examples,), number of the block of each; the items are then the blocks, as
            neighbouring windows of one text or series are not independent. None: the examples.
        draws: Bootstrap draws.
        seed: Of the draws.

    Sources:
        Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13
        Holm (1979), Scandinavian Journal of Statistics 6(2):65-70
        Welch (1947), Biometrika 34(1-2):28-35
    """
    left = _best_first(candidates, _resample(candidates, blocks, draws, seed))
    groups: dict[str, str] = {}
    for number in range(len(candidates)):
        if not left:
            break
        letter = ascii_uppercase[number % 26] * (1 + number // 26)  # ... Y Z AA BB
        best, *others = left.values()
        p_values = _holm([_p_value(best, other, seed) for other in others])
        ties = [name for name, p in zip(left, [1.0, *p_values], strict=True) if p > LEVEL]
        groups.update(dict.fromkeys(ties, letter))
        left = {name: each for name, each in left.items() if name not in groups}
    return {name: groups[name] for name in candidates}


def smallest_visible_difference(
    candidates: Mapping[str, Sequence[Score]],
    *,
    blocks: ArrayLike | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> float | None:
    """Return the least difference, in units of the metric, that this test set can show.

    That is half the width of the 95 % interval of the difference between the best candidate and
    another, the widest over the others; None where no two can be compared. Give it the candidates
    whose differences matter: a baseline that is far off errs elsewhere, and widens the interval.

    Args:
        candidates: As for :func:`tie_groups`, which draws the same.
        blocks: Likewise.
        draws: Likewise.
        seed: Likewise.
    """
    best, *others = _best_first(candidates, _resample(candidates, blocks, draws, seed)).values()
    halves = []
    for other in others:
        difference = _difference(best, other, seed)
        if len(difference):
            low, high = np.quantile(difference, [LEVEL / 2, 1 - LEVEL / 2])
            halves.append((high - low) / 2)
    return max(map(float, halves), default=None)


def _resample(
    candidates: Mapping[str, Sequence[Score]], blocks: ArrayLike | None, draws: int, seed: int
) -> dict[str, Resampled]:
    """Put every candidate through the same draws of the items."""
    tables = {name: _by_item(scores, blocks) for name, scores in candidates.items()}
    items = len(next(iter(tables.values())))
    values: dict[str, list[Numbers]] = {name: [] for name in candidates}
    generator = np.random.default_rng(seed)
    at_once = max(1, CELLS_AT_ONCE // max(1, items))
    for start in range(0, draws, at_once):
        weights = _weights(generator, min(at_once, draws - start), items)
        for name, table in tables.items():
            scores = candidates[name]
            sums = (weights @ table).reshape(len(weights), len(scores), -1)
            values[name].append(scores[0].function(sums))
    return {
        name: _summarise(np.array([score.value for score in scores]), np.concatenate(values[name]))
        for name, scores in candidates.items()
    }


def _by_item(scores: Sequence[Score], blocks: ArrayLike | None) -> Numbers:
    """Return the statistics of all seeds side by side, (items, seeds x k)."""
    table = np.hstack([score.statistics for score in scores]).astype(float)
    if blocks is None:
        return table
    _, numbers = np.unique(blocks, return_inverse=True)
    sums = np.zeros((numbers.max(initial=-1) + 1, table.shape[1]))
    np.add.at(sums, numbers, table)
    return sums


def _weights(generator: np.random.Generator, draws: int, items: int) -> Numbers:
    """Draw as many items as there are, with replacement; return how often each, (draws, items)."""
    chosen = generator.integers(items, size=(draws, items)) + np.arange(draws)[:, None] * items
    counts: Numbers = np.bincount(chosen.ravel(), minlength=draws * items).astype(float)
    return counts.reshape(draws, items)


def _summarise(values: Numbers, resampled: Numbers) -> Resampled:
    """Tell the variance of seeds, ``values`` (seeds,), from that of items, (draws, seeds)."""
    seeds, mean = len(values), float(values.mean())
    if seeds == 1 or not np.isfinite(values).all():
        return Resampled(mean, resampled.mean(1), 0.0, 0.0, 1)
    shown = values.var(ddof=1)
    # Seeds differ on items, and so by chance on any sample of them: that is in the draws already.
    apart = resampled - resampled.mean(1, keepdims=True)
    chance = np.nanvar(apart, axis=0).mean() * seeds / (seeds - 1)
    seed_variance = max(0.0, shown - chance) / seeds
    return Resampled(mean, resampled.mean(1), seed_variance, shown / seeds, seeds)


def _best_first(
    candidates: Mapping[str, Sequence[Score]], resampled: Mapping[str, Resampled]
) -> dict[str, Resampled]:
    def rank(name: str) -> float:
        value = resampled[name].value
        sign = -1 if candidates[name][0].higher_is_better else 1
        return sign * value if np.isfinite(value) else np.inf

    return {name: resampled[name] for name in sorted(candidates, key=rank)}


def _difference(one: Resampled, other: Resampled, seed: int) -> Numbers:
    """Return the draws of the difference of two candidates, those that are finite."""
    difference: Numbers = one.draws - other.draws
    if variance := one.seed_variance + other.seed_variance:
        # Welch and Satterthwaite: the degrees of freedom of a sum of two variances.
        squares = sum(each.spread_variance**2 / max(1, each.seeds - 1) for each in (one, other))
        freedom = (one.spread_variance + other.spread_variance) ** 2 / squares
        student = np.random.default_rng((seed, 1)).standard_t(freedom, len(difference))
        difference = difference + np.sqrt(variance) * student
    return difference[np.isfinite(difference)]


def _p_value(best: Resampled, other: Resampled, seed: int) -> float:
    """Return the two-sided bootstrap p-value of there being no difference."""
    if np.isfinite(best.value) != np.isfinite(other.value):
        return 0.0
    difference = _difference(best, other, seed)
    if not len(difference):
        return 1.0
    side = min((difference <= 0).sum(), (difference >= 0).sum())
    return min(1.0, 2 * float(side + 1) / (len(difference) + 1))


def _holm(p_values: Sequence[float]) -> Numbers:
    """Return p-values adjusted for being several.

    >>> _holm([0.04, 0.01, 0.03])
    array([0.06, 0.03, 0.06])
    """
    adjusted: Numbers = np.array(p_values, dtype=float)
    order = adjusted.argsort(kind="stable")
    adjusted[order] = np.maximum.accumulate(adjusted[order] * np.arange(len(order), 0, -1))
    return np.minimum(adjusted, 1)

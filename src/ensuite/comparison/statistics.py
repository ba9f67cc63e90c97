"""Which rows of a comparison can be told apart, in groups, and which of them to take.

Every pair of rows is tested for a difference. The test statistic is

    t = difference of the scores / sqrt(item variance + seed variance of both rows)

* **Item variance** is what another sample of test items would change. It is the variance of the
  difference over a paired bootstrap: both rows are scored on the same resampled items, so that what
  makes an item hard for both cancels.
* **Seed variance** is what training with other seeds would change: the variance over a row's seeds,
  less the part that chance in the items explains, divided by the number of seeds. Three seeds often
  agree by luck, so a row's seeds are taken to vary no less than those of all rows do on average.
* **Degrees of freedom** are those of Welch and Satterthwaite for a sum of estimated variances: one
  less than the seeds for a row's seed variance, one less than the items for the item variance. For
  two rows without seeds this is the paired t test.

Holm's correction over all pairs keeps the chance that any two equal rows are told apart at 5 %.
With folds instead of seeds, the test is the corrected t test of Nadeau and Bengio.

Sources:
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapters 6 and 13
    Welch (1947), Biometrika 34(1-2):28-35; Satterthwaite (1946), Biometrics Bulletin 2(6):110-114
    Holm (1979), Scandinavian Journal of Statistics 6(2):65-70
    Nadeau & Bengio (2003), Machine Learning 52(3):239-281
    One standard error: Breiman, Friedman, Olshen & Stone (1984), Classification and Regression
    Trees, section 3.4.3
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from string import ascii_uppercase
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from ensuite.comparison.bootstrap import count_items, resample
from ensuite.core.score import Numbers, Score, pool, ratio

LEVEL = 0.05
"""Chance that any two rows are told apart where all are equal."""

FEWEST_ITEMS = 30
"""Test items (examples or blocks) below which no rows are told apart."""

ROUNDING = 1e-12
"""Share of a number below which a difference is the rounding of sums in another order."""


@dataclass(frozen=True)
class Judgement:
    """What a comparison shows.

    Attributes:
        groups: The group of each row. A: the rows that no other row beats; B: the same of the rest,
            and so on. None for every row where there are too few test items to tell rows apart.
        take: The row to take: the cheapest row of group A whose score is within one standard error
            of the best. Without groups, the best score so far. None where no score is finite.
        items: How many test items (examples or blocks) count.
        one_seed: Whether no row was trained with a second seed: what another seed would change is
            then unknown, and left out of every test.
        beats: Pairs (better, worse) of rows that are told apart. A row whose score is not finite is
            beaten by each whose score is. Empty where there are too few test items.
        limits: The smallest difference that would have been shown, in units of the metric, by the
            set of the two rows' names. A pair that has none is missing: one score is not finite.
        scores: The score of each row, with the sign that makes more better.
    """

    groups: Mapping[str, str | None]
    take: str | None
    items: int
    one_seed: bool
    beats: frozenset[tuple[str, str]]
    limits: Mapping[frozenset[str], float]
    scores: Mapping[str, float]

    def smallest_difference(self, pairs: Iterable[tuple[str, str]]) -> float | None:
        """Return the smallest difference that would have been shown between any of these pairs.

        It is the largest of the pairs' limits, so that none of the pairs that cannot be told apart
        differs by as much. Name the pairs that a sentence speaks of: all of group A where they tie,
        or the best row and the second where the best beats every other.

        Returns:
            A difference in units of the metric. None where it is not known, or where one of the
            pairs is told apart by less: no one number is then true of all of them.
        """
        named = [frozenset(pair) for pair in pairs]
        if not named or not all(pair in self.limits for pair in named):
            return None
        smallest = max(self.limits[pair] for pair in named)
        shown = [pair for pair in self.beats if frozenset(pair) in named]
        gaps = [abs(self.scores[better] - self.scores[worse]) for better, worse in shown]
        return None if min(gaps, default=smallest) < smallest else smallest


def judge(
    rows: Mapping[str, Sequence[Score]],
    costs: Mapping[str, Any],
    *,
    blocks: ArrayLike | None = None,
    deterministic: Collection[str] = (),
    fewest: int = FEWEST_ITEMS,
    draws: int = 1000,
    seed: int = 0,
) -> Judgement:
    """Judge rows that were run once for each seed.

    Args:
        rows: The scores of a row, one for each seed, by name; all on the same test examples in one
            order. A row that is not deterministic and has one score only is taken to vary with its
            seed as much as the others do.
        costs: What each row costs: anything that can be sorted, the cheapest first.
        blocks: (examples,), the number of the block of each example, where examples are not
            independent: windows of one text or series. None: each example stands alone.
        deterministic: Names of rows that no seed changes, such as baselines.
        fewest: Items below which no rows are told apart.
        draws: Of the bootstrap.
        seed: Of the bootstrap.
    """
    resampled = resample(rows, blocks, draws=draws, seed=seed)
    seeded = np.array([name not in deterministic for name in rows])
    items = count_items(rows, blocks)
    with np.errstate(over="ignore", invalid="ignore"):  # a run may have diverged
        values = [np.array([score.value for score in scores]) for scores in rows.values()]
        means = [float(each.mean()) for each in values]
        by_items = _item_variances(resampled, items)
        variance, freedom = _combine(by_items, _seed_variances(values, resampled, seeded), items)
    return _judge(
        list(rows),
        _signed(means, rows),
        _Errors(np.sqrt(by_items), np.sqrt(variance), freedom),
        costs,
        items=items,
        fewest=fewest,
        one_seed=bool(seeded.any()) and max(len(each) for each in values) == 1,
    )


def judge_folds(
    rows: Mapping[str, Sequence[Score]],
    costs: Mapping[str, Any],
    *,
    blocks: Sequence[ArrayLike] | None = None,
    fewest: int = FEWEST_ITEMS,
    draws: int = 1000,
    seed: int = 0,
) -> Judgement:
    """Judge rows that were run once for each fold of a cross-validation.

    A row's score is that of its folds together (:func:`ensuite.core.score.pool`). The variance of a
    difference is (1/K + 1/(K-1)) s², where s² is the variance of the difference over the K folds
    and 1/(K-1) is the size of a test set over that of its training set: the training sets overlap,
    so that s²/K alone would be too small. It has K-1 degrees of freedom. Folds in which the metric
    is not defined for any row are left out: AUROC where all test examples are of one kind.

    Args:
        rows: The scores of a row, one for each fold, by name; the same folds for all rows.
        costs: As for :func:`judge`.
        blocks: Likewise, an array for each fold.
        fewest: As for :func:`judge`.
        draws: Of the bootstrap, which here only decides what is within one standard error.
        seed: Of the bootstrap.

    Sources:
        Nadeau & Bengio (2003), section 5, the corrected resampled t test
    """
    with np.errstate(over="ignore", invalid="ignore"):  # a run may have diverged
        values = np.array([[score.value for score in scores] for scores in rows.values()])
    used = np.flatnonzero(np.isfinite(values).any(0)).tolist() or list(range(values.shape[1]))
    pooled = {name: [pool([scores[fold] for fold in used])] for name, scores in rows.items()}
    together = _distinct([blocks[fold] for fold in used]) if blocks is not None else None
    resampled = resample(pooled, together, draws=draws, seed=seed)
    items = count_items(pooled, together)
    with np.errstate(over="ignore", invalid="ignore"):
        by_items = _item_variances(resampled, items)
        variance = _fold_variances(values[:, used])
    return _judge(
        list(rows),
        _signed([scores[0].value for scores in pooled.values()], rows),
        _Errors(np.sqrt(by_items), np.sqrt(variance), np.full(variance.shape, len(used) - 1.0)),
        costs,
        items=items,
        fewest=fewest,
        one_seed=False,
    )


def spread(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation over seeds; None for a single one.

    >>> spread([1.0, 3.0]), spread([1.0])
    (1.4142135623730951, None)
    """
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


@dataclass(frozen=True)
class _Errors:
    """How sure the differences between rows are; each (rows, rows).

    Attributes:
        items: Standard error over test items alone.
        all: Standard error over test items and seeds, or over folds.
        freedom: Degrees of freedom of ``all``.
    """

    items: Numbers
    all: Numbers
    freedom: Numbers


def _judge(
    names: Sequence[str],
    scores: Numbers,
    errors: _Errors,
    costs: Mapping[str, Any],
    *,
    items: int,
    fewest: int,
    one_seed: bool,
) -> Judgement:
    """Test all pairs, and group the rows by what is shown; in ``scores``, more is better."""
    few = items < fewest
    shown, limits = ({}, {}) if few else _test_pairs(scores, errors)
    beats = np.zeros((len(names), len(names)), bool)
    if not few:
        beats |= np.isfinite(scores)[:, None] & ~np.isfinite(scores)
    for (one, other), is_shown in shown.items():
        better, worse = (one, other) if scores[one] > scores[other] else (other, one)
        beats[better, worse] = is_shown
    groups = [None] * len(names) if few else _groups(beats)
    taken = _take(names, scores, errors.items, groups, costs)
    return Judgement(
        groups=dict(zip(names, groups, strict=True)),
        take=None if taken is None else names[taken],
        items=items,
        one_seed=one_seed,
        beats=frozenset((names[a], names[b]) for a, b in np.argwhere(beats)),
        limits={frozenset({names[a], names[b]}): limit for (a, b), limit in limits.items()},
        scores=dict(zip(names, scores.tolist(), strict=True)),
    )


def _test_pairs(
    scores: Numbers, errors: _Errors
) -> tuple[dict[tuple[int, int], bool], dict[tuple[int, int], float]]:
    """Return of each pair with finite scores whether it is told apart, and its limit if it has one.

    Both follow from the same standard error and the same level, so that a pair is told apart where
    its difference reaches its limit, and nowhere else. A pair whose runs answer every item alike
    shows no error, and so has no limit.
    """
    pairs = list(combinations(np.flatnonzero(np.isfinite(scores)).tolist(), 2))
    if not pairs:
        return {}, {}
    one, other = np.array(pairs).T
    rounding = ROUNDING * np.maximum(abs(scores[one]), abs(scores[other]))
    measured = errors.all[one, other]
    error = np.maximum(measured, rounding)
    freedom = errors.freedom[one, other]
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 / 0 is NaN, which shows nothing
        p_values = 2 * stdtr(freedom, -abs(scores[one] - scores[other]) / error)
        levels = _levels(p_values)
        limits = np.where(measured > rounding, stdtrit(freedom, 1 - levels / 2) * error, np.nan)
    known = zip(pairs, limits.tolist(), strict=True)
    return (
        dict(zip(pairs, (p_values <= levels).tolist(), strict=True)),
        {pair: limit for pair, limit in known if np.isfinite(limit)},
    )


def _levels(p_values: Numbers) -> Numbers:
    """Return the level of each test by Holm's correction: it rejects where p is no larger.

    Holm goes from the smallest p-value to the largest, at LEVEL over the number of tests that are
    left, and stops at the first that is larger. So a test is held to LEVEL over the number of tests
    left when all others that can be rejected without it have been.

    >>> _levels(np.array([0.04, 0.01, 0.03]))  # 0.01 is rejected first, 0.03 is not at 0.05 / 2
    array([0.025     , 0.01666667, 0.025     ])
    """
    count = len(p_values)
    levels = np.empty(count)
    for own in range(count):
        others = np.sort(np.delete(p_values, own))
        rejected = others <= LEVEL / (count - np.arange(count - 1))
        levels[own] = LEVEL / (count - np.logical_and.accumulate(rejected).sum())
    return levels


def _groups(beats: Numbers) -> list[str | None]:
    """Return the letter of each row: A for those that none beats, B the same of the rest, ..."""
    groups: list[str | None] = [None] * len(beats)
    left = np.arange(len(beats))
    for number in range(len(beats)):
        unbeaten = ~beats[np.ix_(left, left)].any(0)
        letter = ascii_uppercase[number % 26] * (1 + number // 26)  # ... Y Z AA BB
        for row in left[unbeaten]:
            groups[row] = letter
        left = left[~unbeaten]
    return groups


def _take(
    names: Sequence[str],
    scores: Numbers,
    item_errors: Numbers,
    groups: Sequence[str | None],
    costs: Mapping[str, Any],
) -> int | None:
    """Return the cheapest row of group A within one standard error of its best score.

    The standard error is of the items alone: with the seeds' part, a row that varies much would be
    near the best because it varies much. Without groups, only an equal score is near.
    """
    leaders = [
        row for row in np.flatnonzero(np.isfinite(scores)).tolist() if groups[row] in ("A", None)
    ]
    if not leaders:
        return None
    best = max(leaders, key=lambda row: float(scores[row]))
    margin = item_errors[best] if groups[best] else np.zeros(len(scores))
    near = [row for row in leaders if row == best or scores[best] - scores[row] <= margin[row]]
    return min(near, key=lambda row: (costs[names[row]], -scores[row]))


def _signed(values: Sequence[float], rows: Mapping[str, Sequence[Score]]) -> Numbers:
    """Return the scores of the rows so that more is better."""
    signs = [1 if scores[0].higher_is_better else -1 for scores in rows.values()]
    return np.array(values) * signs


def _item_variances(resampled: Sequence[Numbers], items: int) -> Numbers:
    """Return the variance of each difference over the draws of the items, (rows, rows).

    Draws from a sample vary around its own mean, and so too little by (items - 1) / items.
    """
    means = np.stack([draws.mean(1) for draws in resampled], axis=1)
    variances = [_variance(means - means[:, [row]]) for row in range(means.shape[1])]
    return np.stack(variances) * items / max(1, items - 1)


class SeedVariances(NamedTuple):
    """The variance of each row's mean over its runs, each field (rows,).

    Attributes:
        beyond: What the seeds cause; 0 for a row that no seed changes.
        shown: What the runs show: chance in the items is included.
        freedom: Degrees of freedom by which ``shown`` is known.
    """

    beyond: Numbers
    shown: Numbers
    freedom: Numbers


def _combine(by_items: Numbers, seeds: SeedVariances, items: int) -> tuple[Numbers, Numbers]:
    """Return the variance of each difference and its degrees of freedom, both (rows, rows).

    The freedom is that of Satterthwaite for a sum of estimated variances. ``beyond`` is what the
    runs show less the chance in the items; where little is left of it, the freedom of the sum
    falls below that of its parts, and t has no meaning. There the chance is not taken off: the
    variance is then too large rather than too small.
    """
    share = seeds.shown**2 / seeds.freedom
    shares = by_items**2 / max(1, items - 1) + share[:, None] + share

    def freedom(variance: Numbers) -> Numbers:
        return np.where(shares > 0, variance**2 / np.where(shares > 0, shares, 1), np.inf)

    known = np.where(seeds.shown > 0, seeds.freedom, np.inf)
    least = np.minimum(np.minimum(known[:, None], known), max(1, items - 1))
    variance = by_items + seeds.beyond[:, None] + seeds.beyond
    careful = by_items + seeds.shown[:, None] + seeds.shown
    chosen = np.where(freedom(variance) < least, careful, variance)
    return chosen, freedom(chosen)


def _seed_variances(
    values: Sequence[Numbers], resampled: Sequence[Numbers], seeded: Numbers
) -> SeedVariances:
    """Return the variance of each row's score that its seeds cause.

    Args:
        values: (runs,) of each row.
        resampled: (draws, runs) of each row.
        seeded: (rows,) whether a row varies with its seed.
    """
    runs = np.array([len(each) for each in values])
    repeated = seeded & (runs > 1) & [bool(np.isfinite(each).all()) for each in values]
    chance, beyond = np.zeros(len(runs)), np.zeros(len(runs))
    for row in np.flatnonzero(repeated).tolist():
        # Runs differ on items, and so by chance on any sample of them: that is in the draws.
        apart = resampled[row] - resampled[row].mean(1, keepdims=True)
        chance[row] = _variance(apart).mean() * runs[row] / (runs[row] - 1)
        beyond[row] = values[row].var(ddof=1) - chance[row]
    freedom = np.where(repeated, runs - 1, 0)
    average = max(0.0, (beyond * freedom).sum() / max(1, freedom.sum()))
    variance = np.where(seeded, np.maximum(beyond, average), 0.0)
    own = repeated & (beyond >= average * (1 - ROUNDING))
    known_by = np.where(own, freedom, max(1, freedom.sum()))
    return SeedVariances(variance / runs, (variance + chance) / runs, known_by)


def _fold_variances(values: Numbers) -> Numbers:
    """Return the corrected variance of each difference, (rows, rows), from (rows, folds)."""
    folds = values.shape[1]
    if folds < 2:
        return np.full((len(values), len(values)), np.inf)
    variances = (values[:, None] - values).var(2, ddof=1)
    corrected: Numbers = (1 / folds + 1 / (folds - 1)) * variances
    return corrected


def _distinct(blocks: Sequence[ArrayLike]) -> Numbers:
    """Return the blocks of all folds, one after the other, without a number in two folds."""
    folds = np.repeat(np.arange(len(blocks)), [len(np.asarray(each)) for each in blocks])
    pairs = np.stack([folds, np.concatenate(blocks)])
    numbers: Numbers = np.unique(pairs, axis=1, return_inverse=True)[1]
    return numbers.ravel()


def _variance(draws: Numbers) -> Numbers:
    """Return the variance of each column, (...), over its finite rows; inf for fewer than two."""
    finite = np.isfinite(draws)
    count = finite.sum(0)
    known = np.where(finite, draws, 0.0)
    squares = np.where(finite, (known - ratio(known.sum(0), count)) ** 2, 0.0).sum(0)
    return np.where(count > 1, ratio(squares, count - 1), np.inf)

"""The paired bootstrap: every row of a comparison scored on the same resampled test items."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from ensuite.core.score import Numbers, Score

CELLS_AT_ONCE = 1_000_000
"""Numbers in the weights held in memory, (draws at once, items): 8 MB."""


def resample(
    rows: Mapping[str, Sequence[Score]],
    blocks: ArrayLike | None = None,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> list[Numbers]:
    """Return the metric of each run of each row, on the same draws of the test items.

    Args:
        rows: The scores of a row's runs, by its name; all on the same test examples, in one order.
        blocks: (examples,), the number of the block of each example; the items that are drawn are
            then whole blocks, since neighbouring windows of one text or series are not independent.
            None: every example is an item.
        draws: How often as many items as there are get drawn, with replacement.
        seed: Of the random generator.

    Returns:
        (draws, runs) for each row, in the order of ``rows``.

    Sources:
        Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 6
    """
    tables = [_by_item(scores, blocks) for scores in rows.values()]
    items = tables[0].shape[0]
    found: list[list[Numbers]] = [[] for _ in rows]
    generator = np.random.default_rng(seed)
    at_once = max(1, CELLS_AT_ONCE // max(1, items))
    for start in range(0, draws, at_once):
        weights = _weights(generator, min(at_once, draws - start), items)
        with np.errstate(over="ignore", invalid="ignore"):  # a run may have diverged
            for each, table, scores in zip(found, tables, rows.values(), strict=True):
                each.append(_by_run(scores, weights @ table))
    return [np.concatenate(each) for each in found]


def count_items(rows: Mapping[str, Sequence[Score]], blocks: ArrayLike | None = None) -> int:
    """Return how many test items (examples or blocks) count in the score of at least one run."""
    counts = False
    for scores in rows.values():
        counts = counts | (abs(_by_item(scores, blocks)).sum(1) > 0)
    return int(np.sum(counts))


def _by_item(scores: Sequence[Score], blocks: ArrayLike | None) -> Any:
    """Return the statistics of all runs side by side, (items, runs x k); sparse if one is."""
    tables = [score.statistics for score in scores]
    dense = all(isinstance(table, np.ndarray) for table in tables)
    table = np.hstack(tables) if dense else sparse.hstack(tables, format="csr")
    if blocks is None:
        return table.astype(float)
    _, numbers = np.unique(blocks, return_inverse=True)
    members = (np.ones(len(numbers)), (numbers, np.arange(len(numbers))))
    return sparse.csr_array(members) @ table.astype(float)


def _by_run(scores: Sequence[Score], sums: Numbers) -> Numbers:
    """Return the metric of each run, (draws, runs), from the sums of all of them, side by side."""
    ends = np.cumsum([score.statistics.shape[1] for score in scores])[:-1]
    parts = zip(scores, np.split(sums, ends, axis=1), strict=True)
    return np.stack([score.function(part) for score, part in parts], axis=1)


def _weights(generator: np.random.Generator, draws: int, items: int) -> Numbers:
    """Draw as many items as there are, with replacement; return how often each, (draws, items)."""
    chosen = generator.integers(items, size=(draws, items)) + np.arange(draws)[:, None] * items
    counts: Numbers = np.bincount(chosen.ravel(), minlength=draws * items).astype(float)
    return counts.reshape(draws, items)

"""Divide rows into training, validation and test parts."""

from collections.abc import Collection, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ensuite.core.errors import DataError, UsageError

WAYS = ("random", "time", "group")

Indices = NDArray[np.intp]


class Split(NamedTuple):
    """Row numbers from 0 of each part, in the order of the file."""

    train: Indices
    valid: Indices
    test: Indices


def split(
    rows: int,
    *,
    how: str = "random",
    keys: Sequence[Hashable] | None = None,
    labels: Sequence[str | Collection[str] | None] | None = None,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
) -> Split:
    """Divide rows so that none of one key stand in two parts; the same seed, the same split.

    Args:
        rows: How many there are.
        how: ``random``; ``group``, the same with keys that a user chose; or ``time``: training
            comes first, validation later, test last.
        keys: One a row: equal inputs or groups; for ``time`` what sorts them, which need not be
            given where the rows are in order. None: every row is its own.
        labels: Class of each row, or classes, of which training must see at least one row, as far
            as ``how`` leaves a choice; None for a row without one.
        fractions: Of train, valid, test. A part of 0 stays empty, any other has a row at least.
        seed: What the division depends on.

    Raises:
        DataError: If there are too few rows or keys, or the keys of ``time`` cannot be sorted.
        UsageError: If ``how`` is none of the three.
    """
    if how not in WAYS:
        raise UsageError(f'There is no split "{how}"; choose one of {", ".join(WAYS)}.')
    units = np.arange(rows) if keys is None else number(keys)
    sizes = np.bincount(units)
    if how == "time":
        order = np.arange(len(sizes)) if keys is None else sort_units(keys)
        queue, kept = order[::-1], order[:0]
    else:
        order = np.random.default_rng(seed).permutation(len(sizes))
        kept = order[:0] if labels is None else bearers(order, units, labels)
        queue = order[~np.isin(order, kept)]
        large = sizes[queue] > rows * min(filter(None, fractions))  # would be a part of its own
        queue = np.concatenate([queue[~large], queue[large]])
    parts = deal(queue, sizes, rows, fractions, how)
    parts[kept] = 0
    train, valid, test = (np.flatnonzero(parts[units] == part) for part in range(3))
    return Split(train, valid, test)


def carve(
    rows: int,
    fraction: float,
    *,
    how: str = "random",
    keys: Sequence[Hashable] | None = None,
    labels: Sequence[str | Collection[str] | None] | None = None,
    seed: int = 0,
) -> tuple[Indices, Indices]:
    """Take one missing part from training rows where the test rows are a file of their own.

    Returns:
        The rows that stay, and those taken; by the rules of ``split``.
    """
    parts = split(
        rows,
        how=how,
        keys=keys,
        labels=labels,
        fractions=(1 - fraction, 0.0, fraction),
        seed=seed,
    )
    return parts.train, parts.test


def number(keys: Sequence[Hashable]) -> Indices:
    """Number keys in the order of their first row, whatever their hashes are on this machine.

    >>> number(["b", "a", "b"]).tolist()
    [0, 1, 0]
    """
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.intp)


def sort_units(keys: Sequence[Any]) -> Indices:
    """Return the numbers of the distinct keys from the earliest to the latest."""
    distinct = list(dict.fromkeys(keys))
    if any(key is None or key == "" or key != key for key in distinct):
        raise DataError("A row has no time; fill the column in, or leave such rows out.")
    try:
        return np.array(sorted(range(len(distinct)), key=distinct.__getitem__), dtype=np.intp)
    except TypeError:
        kinds = ", ".join(sorted({type(key).__name__ for key in distinct}))
        raise DataError(f"Times of several kinds ({kinds}) have no order; give one kind.") from None


def bearers(
    order: Indices, units: Indices, labels: Sequence[str | Collection[str] | None]
) -> Indices:
    """Return, for every label, the first key in the drawn order that has a row of it."""
    place = np.argsort(order)
    first: dict[str, int] = {}
    for unit, given in zip(units.tolist(), labels, strict=True):
        for label in (given,) if isinstance(given, str) else given or ():
            if label not in first or place[unit] < place[first[label]]:
                first[label] = unit
    return np.array(sorted(set(first.values())), dtype=np.intp)


def deal(
    queue: Indices, sizes: Indices, rows: int, fractions: tuple[float, float, float], how: str
) -> Indices:
    """Give each key a part (0 train, 1 valid, 2 test): the head of the queue to test, and so on.

    A key stands where the middle of its rows falls, so large groups miss the fractions least.
    """
    wanted = [part for part in (2, 1, 0) if fractions[part] > 0]
    if len(queue) < len(wanted):
        noun = {"random": "different rows", "time": "different times", "group": "groups"}[how]
        raise DataError(
            f"{rows} rows are too few to split: {len(wanted)} parts need at least as many {noun}, "
            "beside one of each class for training. Give more, or a file for each part."
        )
    middles = np.cumsum(sizes[queue]) - sizes[queue] / 2
    parts = np.full(len(sizes), wanted[-1], dtype=np.intp)
    start, bound = 0, 0.0
    for left, part in enumerate(wanted[:-1], 1 - len(wanted)):
        bound += rows * fractions[part]
        end = int(np.searchsorted(middles, round(bound), side="right"))
        end = min(max(end, start + 1), len(queue) + left)  # no part is left without a key
        parts[queue[start:end]] = part
        start = end
    return parts

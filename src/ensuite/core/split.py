"""Divide examples into training, validation and test parts."""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence, Set
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ensuite.core.errors import DataError, UsageError
from ensuite.core.keys import Keys, Split, as_date

PARTS = ("train", "valid", "test")

CALIBRATION = "calibration"
"""The part that thresholds are learned from, for a task that keeps one apart."""

Indices = NDArray[np.intp]
Example = TypeVar("Example")


def spread(examples: Sequence[Example], most: int) -> Sequence[Example]:
    """Return at most so many of the examples, evenly spaced, since a file may be sorted.

    >>> spread("abcdefgh", 3), spread("ab", 3)
    (['a', 'e', 'h'], 'ab')
    """
    if len(examples) <= most:
        return examples
    places = np.linspace(0, len(examples) - 1, most).round().astype(int)
    return [examples[place] for place in places.tolist()]


# Examples by their keys


def divide(
    parts: Mapping[str, Sequence[Example]],
    key: Callable[[Example], Keys],
    split: Split,
    calibration: float = 0.0,
) -> tuple[dict[str, list[Example]], str]:
    """Keep the parts that were given, and draw the missing ones from the training examples.

    Args:
        parts: Examples by part: ``train``, and those that have a file of their own.
        key: Returns the keys of an example.
        split: What the user asked for.
        calibration: Share of the training part that becomes the calibration part.

    Returns:
        All parts, and the sentence of the data check that says how they were made.

    Raises:
        DataError: If there are too few examples, or times that cannot be compared.
        UsageError: If the examples are to be divided by date and have no dates.
    """
    train, missing = parts["train"], [part for part in PARTS if part not in parts]
    keys = [key(example) for example in train]
    how, units = split_units(keys, split)
    labels = _assign(keys, how, units, split, missing)
    if calibration:
        _take_calibration(labels, keys, how, units, calibration)
    names = (*PARTS, CALIBRATION) if calibration else PARTS
    divided = {
        name: list(parts[name])
        if name in parts and name != "train"
        else [example for example, label in zip(train, labels, strict=True) if label == name]
        for name in names
    }
    divided["valid"] = [example for example in divided["valid"] if key(example).learn]
    left_out = sum(map(len, parts.values())) - sum(map(len, divided.values()))
    return divided, _describe(divided, missing, split, how, left_out)


def split_units(keys: Sequence[Keys], split: Split) -> tuple[str, list[Any]]:
    """Return how the examples are divided, and for each the unit that stays in one part.

    Units are times where examples are in order, else groups or equal inputs.
    """
    groups = [each.group for each in keys]
    if split.kind == "group" and split.values is not None:
        return "group", _connected(list(split.values), groups)
    times = [each.time for each in keys]
    if split.kind == "time" and split.values is not None:
        times = list(split.values)
    known = bool(times) and all(each is not None for each in times)
    if split.dates:
        times = _as_dates(times)
    elif split.kind == "time" and not known:
        raise DataError("A row has no time; fill the column in, or leave such rows out.")
    elif not known:
        pairs = zip(keys, groups, strict=True)
        return "random", [k.identity if group is None else ("group", group) for k, group in pairs]
    if any(group is not None for group in groups):
        times = _earliest(times, groups)
    return "time", times


def _as_dates(times: Sequence[Any]) -> list[datetime]:
    dates = [as_date(each) for each in times]
    known = [each for each in dates if each is not None]
    if known and len(known) == len(dates):
        return known
    wrong = next((str(t) for t, d in zip(times, dates, strict=True) if d is None and t), "")
    found = f'"{wrong}" is not a date like 2025-01-31' if wrong else "they have none"
    raise UsageError(
        f"--split time:DATE,DATE needs a date for each example, and {found}: name the column of "
        "the dates (--column time=NAME), or choose another split."
    )


def _earliest(times: Sequence[Any], groups: Sequence[Hashable | None]) -> list[Any]:
    """Return the earliest time of each example's group, so that no group is divided."""
    place = sort_units(times).argsort()[number(times)]  # compares times of any one kind
    first: dict[Hashable, int] = {}
    for row, group in enumerate(groups):
        if group is not None and place[row] < place[first.setdefault(group, row)]:
            first[group] = row
    pairs = zip(times, groups, strict=True)
    return [time if group is None else times[first[group]] for time, group in pairs]


def _connected(values: Sequence[Any], groups: Sequence[Hashable | None]) -> list[Any]:
    """Return a value for each row, equal for rows that a value or a group connects.

    Without groups these are the values themselves.
    """
    if all(group is None for group in groups):
        return list(values)
    parents: dict[Hashable, Hashable] = {}

    def root(name: Hashable) -> Hashable:
        while (above := parents.setdefault(name, name)) != name:
            parents[name] = name = parents.setdefault(above, above)  # halves the path
        return name

    for value, group in zip(values, groups, strict=True):
        if group is not None:
            parents[root(("group", group))] = root(("value", value))
    return [root(("value", value)) for value in values]


def _assign(
    keys: Sequence[Keys], how: str, units: Sequence[Any], split: Split, missing: Sequence[str]
) -> list[str]:
    """Return the part of each training example; empty for one that is in no part."""
    scored = {each.group for each in keys if not each.learn} - {None}
    learned = [row for row, k in enumerate(keys) if k.learn and k.group not in scored]
    labels = [""] * len(keys)
    for row in learned:
        labels[row] = "train"
    if split.dates and missing:
        _label_by_date(labels, learned, units, split.dates, missing)
    elif missing:
        fractions = (0.8, 0.1, 0.1) if len(missing) == 2 else (0.9, 0.0, 0.1)
        drawn = _draw(learned, keys, how, units, fractions)
        for name, rows in zip(("train", "valid", missing[-1]), drawn, strict=True):
            for row in rows:
                labels[row] = name
    if "test" in missing:
        _add_scored(labels, set(learned), how, units)
    return labels


def _draw(
    rows: Sequence[int],
    keys: Sequence[Keys],
    how: str,
    units: Sequence[Any],
    fractions: tuple[float, float, float],
) -> list[list[int]]:
    """Divide some of the rows; those without a class count as one more class."""
    grouped = how == "random" and any(keys[row].group is not None for row in rows)
    drawn = split_rows(
        len(rows),
        how="group" if grouped else how,
        keys=[units[row] for row in rows],
        labels=[keys[row].strata or ("",) for row in rows],
        fractions=fractions,
    )
    return [[rows[place] for place in part] for part in drawn]


def _label_by_date(
    labels: list[str],
    rows: Sequence[int],
    units: Sequence[Any],
    dates: tuple[datetime, ...],
    missing: Sequence[str],
) -> None:
    """Assign rows to the training, validation and test part by the two dates.

    Those from a third date on are left out, and those of a part with a file of its own.
    """
    for row in rows:
        part = (*PARTS, "")[sum(units[row] >= each for each in dates)]
        labels[row] = part if part in ("train", *missing) else ""
    if empty := [part for part in ("train", *missing) if part not in labels]:
        typed = ",".join(each.date().isoformat() for each in dates)
        raise DataError(
            f"--split time:{typed} leaves the {empty[0]} part empty: the data go from "
            f"{min(units).date()} to {max(units).date()}; give other dates."
        )


def _add_scored(labels: list[str], learned: Set[int], how: str, units: Sequence[Any]) -> None:
    """Add to the test part the rows that are scored only; in time, those that are late enough."""
    rows = [row for row, label in enumerate(labels) if row not in learned]
    if how == "time" and rows:
        place = sort_units(units).argsort()[number(units)]
        start = min(place[row] for row, label in enumerate(labels) if label == "test")
        rows = [row for row in rows if place[row] >= start]
    for row in rows:
        labels[row] = "test"


def _take_calibration(
    labels: list[str], keys: Sequence[Keys], how: str, units: Sequence[Any], share: float
) -> None:
    """Move a share of the training part to the calibration part."""
    rows = [row for row, label in enumerate(labels) if label == "train"]
    for row in _draw(rows, keys, how, units, (1 - share, 0.0, share))[2]:
        labels[row] = CALIBRATION


def _describe(
    parts: Mapping[str, Sequence[Any]],
    missing: Sequence[str],
    split: Split,
    how: str,
    left_out: int,
) -> str:
    """Say how large the parts are and how they were made."""
    sizes = ", ".join(f"{len(examples):,} {part}" for part, examples in parts.items())
    way = "by date" if split.dates else "in order" if how == "time" else f"{how}, seed 0"
    ways = (
        "all given",
        f"{''.join(missing[:1])} drawn from train: {way}",
        f"{way}; --test FILE to give your own",
    )
    rest = f"; {left_out:,} left out" if left_out else ""
    return f"{sizes} ({ways[len(missing)]}{rest})"


# Rows by their numbers


class Rows(NamedTuple):
    """Row numbers from 0 of each part, in the order of the file."""

    train: Indices
    valid: Indices
    test: Indices


def split_rows(
    rows: int,
    *,
    how: str = "random",
    keys: Sequence[Hashable] | None = None,
    labels: Sequence[str | Collection[str] | None] | None = None,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
) -> Rows:
    """Divide rows so that rows with equal keys are in one part; equal seeds give equal parts.

    Args:
        rows: Number of rows.
        how: ``random``; ``group``, the same with the user's keys; or ``time``: the training part
            has the lowest keys, the test part the highest.
        keys: Of each row: equal inputs or groups, or times. None: every row has its own, in order.
        labels: Class of each row, or several, of which training must have at least one row, except
            in time; None for a row without one.
        fractions: Of train, valid, test. A part of 0 stays empty, any other has at least one row.
        seed: Of the random order.

    Raises:
        DataError: If there are too few rows or keys, or the keys of ``time`` cannot be sorted.
    """
    units = np.arange(rows) if keys is None else number(keys)
    sizes = np.bincount(units)
    if how == "time":
        order = np.arange(len(sizes)) if keys is None else sort_units(keys)
        queue, kept = order[::-1], order[:0]
    else:
        order = np.random.default_rng(seed).permutation(len(sizes))
        kept = order[:0] if labels is None else first_of_each_label(order, units, labels)
        queue = order[~np.isin(order, kept)]
        large = sizes[queue] > rows * min(filter(None, fractions))  # larger than a whole part
        queue = np.concatenate([queue[~large], queue[large]])
    count = sum(fraction > 0 for fraction in fractions)
    if len(queue) < count:
        classes = any(any(each or ()) for each in labels or ())
        raise DataError(say_too_few(rows, len(sizes), len(kept), count, how, classes=classes))
    parts = assign_parts(queue, sizes, rows, fractions)
    parts[kept] = 0
    train, valid, test = (np.flatnonzero(parts[units] == part) for part in range(3))
    return Rows(train, valid, test)


def number(keys: Sequence[Hashable]) -> Indices:
    """Number keys in the order of their first row, which does not depend on their hashes.

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


def first_of_each_label(
    order: Indices, units: Indices, labels: Sequence[str | Collection[str] | None]
) -> Indices:
    """Return, for every label, the first key in the random order that has a row of it."""
    place = np.argsort(order)
    first: dict[str, int] = {}
    for unit, given in zip(units.tolist(), labels, strict=True):
        for label in (given,) if isinstance(given, str) else given or ():
            if label not in first or place[unit] < place[first[label]]:
                first[label] = unit
    return np.array(sorted(set(first.values())), dtype=np.intp)


def say_too_few(
    rows: int, units: int, kept: int, parts: int, how: str, *, classes: bool = True
) -> str:
    """Say why rows cannot be divided into so many parts, and what to give.

    Args:
        rows: Number of rows.
        units: Number of different rows, times or groups, each of which goes to one part.
        kept: How many of them training keeps, the first of each class.
        parts: Number of parts.
        how: As :func:`split_rows` has it.
        classes: Whether rows have classes; else all of them count as one.

    >>> say_too_few(1, 1, 0, 3, "random").partition(":")[0]
    '1 row is too few to split'
    """
    noun = {"random": "different rows", "time": "different times or positions", "group": "groups"}
    said = "1 row is" if rows == 1 else f"{rows:,} rows are"
    only = f", of which only {units:,} {'is' if units == 1 else 'are'} different"
    if how == "group":
        only = (
            f", since those of one group, such as the questions about one text, stay in one part "
            f"and there {'is' if units == 1 else 'are'} {units:,} "
            f"group{'' if units == 1 else 's'}"
        )
    said = f"{said} too few to split{only if how != 'time' and units < rows else ''}"
    beside = ""
    if kept and classes:
        beside = f" beside the {kept:,} that training needs to have one row of each class"
    needed = parts if classes else parts + kept
    return (
        f"{said}: the {parts} parts need at least {needed} {noun[how]}{beside}. Give more rows, or "
        "a file for each part (--valid FILE, --test FILE)."
    )


def assign_parts(
    queue: Indices, sizes: Indices, rows: int, fractions: tuple[float, float, float]
) -> Indices:
    """Return the part of each key (0 train, 1 valid, 2 test): the first of the queue are test.

    A key goes to the part in which the middle of its rows falls, so that parts with large groups
    come close to the fractions.
    """
    wanted = [part for part in (2, 1, 0) if fractions[part] > 0]
    middles = np.cumsum(sizes[queue]) - sizes[queue] / 2
    parts = np.full(len(sizes), wanted[-1], dtype=np.intp)
    start, bound = 0, 0.0
    for left, part in enumerate(wanted[:-1], 1 - len(wanted)):
        bound += rows * fractions[part]
        end = int(np.searchsorted(middles, round(bound), side="right"))
        end = min(max(end, start + 1), len(queue) + left)  # no part is empty
        parts[queue[start:end]] = part
        start = end
    return parts

"""Cross-validation: the problems of all folds, each prepared on its own training examples."""

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensuite.core.errors import DataError, UsageError
from ensuite.core.keys import Keys, Split
from ensuite.core.split import number, sort_units, split_units
from ensuite.core.task import Task
from ensuite.problem import Problem, Source

NEVER_TESTED = -1
"""The fold of an example that every fold trains on: the only one of its class."""

ALL = "all rows"
"""Name of the problem that the model to keep is trained on."""


@dataclass(frozen=True)
class Folds:
    """The problems of a cross-validation.

    Args:
        each: For each fold, its test examples and the others to train on.
        whole: All examples to train on, for the model that is kept. Its test part is that of the
            last fold, which it is trained on, so that it is never scored.
    """

    each: Sequence[Problem]
    whole: Problem


def open_folds(source: Source, count: int) -> Folds:
    """Divide the training file into folds, and make a problem of each.

    Groups and equal inputs stay in one fold, and each class is in as many folds as it can be. Where
    the examples are in order, every fold is tested on examples that are later than all it is
    trained on (rolling origin): the file is cut into one part more than there are folds. A task may
    make folds of its own (:meth:`ensuite.core.task.Task.folds`).

    Args:
        source: What was read.
        count: Number of folds.

    Raises:
        UsageError: If a test part is given, fewer than two folds are asked for, or the task divides
            its data in a way of its own and has no folds.
        DataError: If there are too few examples.

    Source:
        Rolling origin: Tashman (2000), International Journal of Forecasting 16(4):437-450
    """
    refuse(source, count)
    examples = source.examples["train"]
    own = source.reader.folds(examples, source.split, count)
    if own is not None:
        names = [f"fold {fold} of {count}" for fold in range(1, count + 1)]
        *each, whole = [
            _name(source.problem(parts, f"{name}: {said}"), name)
            for name, (parts, said) in zip([*names, ALL], own, strict=True)
        ]
        return Folds(each, whole)
    keys = [source.reader.keys(example) for example in examples]
    how, units = split_units(keys, source.split)
    if how == "time":
        parts = in_order(units, count + 1)
        tests = [parts == part + 1 for part in range(count)]
        trains = [parts <= part for part in range(count)]
    else:
        parts = assign(keys, units, count)
        tests = [parts == fold for fold in range(count)]
        trains = [~each for each in tests]
    way = "in order, each tested on what follows" if how == "time" else how
    problems = [
        _problem(source, train, test, f"fold {fold} of {count} ({way})")
        for fold, (train, test) in enumerate(zip(trains, tests, strict=True), 1)
    ]
    everything = np.ones(len(examples), bool)
    return Folds(problems, _problem(source, everything, tests[-1], ALL))


def refuse(source: Source, count: int) -> None:
    """Refuse what cannot be cross-validated; see :func:`open_folds`."""
    if count < 2:
        raise UsageError(f"--folds {count}: give 2 or more.")
    if "test" in source.tables:
        raise UsageError(
            f"--folds {count} draws every test part from the training rows, and there is a test "
            "part here already: leave out --folds, or --test."
        )
    kind = type(source.reader)
    if kind.divide is not Task.divide and kind.folds is Task.folds:
        raise UsageError(
            f"--folds {count}: {source.name} divides its data in a way of its own, and has no "
            "folds yet; leave out --folds."
        )
    if source.split.dates:
        raise UsageError(
            f"--folds {count}: --split time:DATE,DATE names a single test part; give --split time, "
            "or leave out --folds."
        )


def in_order(units: Sequence[Any], count: int) -> NDArray[np.intp]:
    """Return the part of each example, from the earliest to the latest, of about equal size.

    Args:
        units: Time of each example; examples of one time are in one part.
        count: Number of parts.

    Raises:
        DataError: If there are fewer times than parts.
    """
    sizes = np.bincount(number(units))
    order = sort_units(units)
    if len(order) < count:
        _too_few(len(order), count - 1, "different times")
    ends = np.cumsum(sizes[order]) - sizes[order] / 2
    parts = np.floor(ends * count / len(units)).astype(np.intp)
    for place in range(len(parts)):  # no part is empty, however large a single time is
        low = parts[place - 1] if place else 0
        parts[place] = min(max(parts[place], low), low + 1 if place else 0)
        parts[place] = max(parts[place], count - (len(parts) - place))
    found = np.empty(len(order), dtype=np.intp)
    found[order] = parts
    return found[number(units)]


def assign(keys: Sequence[Keys], units: Sequence[Hashable], count: int) -> NDArray[np.intp]:
    """Return the fold of each example, at random; equal units are in one fold.

    Each unit goes to the fold with the fewest examples of its class, so that the classes are spread
    evenly. A class that is in one fold only would not be known to the model that is tested on that
    fold: its first unit is then trained on in every fold and never tested.

    Args:
        keys: Of each example.
        units: What stays together, one for each example.
        count: Number of folds.

    Raises:
        DataError: If there are fewer units than folds.
    """
    numbers = number(units)
    sizes = np.bincount(numbers)
    if len(sizes) < count:
        _too_few(len(sizes), count, "different inputs or groups")
    classes = _classes(keys, numbers)
    filled, by_class = np.zeros(count), dict[str, NDArray[np.float64]]()
    fold = np.full(len(sizes), NEVER_TESTED)
    order = np.random.default_rng(0).permutation(len(sizes))
    for unit in order[np.argsort(-sizes[order], kind="stable")]:
        rarest = classes[unit][0]
        inside = by_class.setdefault(rarest, np.zeros(count))
        chosen = int(np.lexsort((filled, inside))[0])
        fold[unit] = chosen
        filled[chosen] += sizes[unit]
        inside[chosen] += sizes[unit]
    for members in _members(classes).values():
        if len({int(fold[unit]) for unit in members}) == 1:
            fold[members[0]] = NEVER_TESTED
    found: NDArray[np.intp] = fold[numbers]
    return found


def _classes(keys: Sequence[Keys], numbers: NDArray[np.intp]) -> list[list[str]]:
    """Return the classes of each unit, the rarest first; one that has none is of the class ''."""
    counts: dict[str, int] = {}
    found: list[set[str]] = [set() for _ in range(int(numbers.max()) + 1)]
    for each, unit in zip(keys, numbers, strict=True):
        for name in each.strata or ("",):
            counts[name] = counts.get(name, 0) + 1
            found[unit].add(name)
    return [sorted(names, key=lambda name: (counts[name], name)) for names in found]


def _members(classes: Sequence[Sequence[str]]) -> dict[str, list[int]]:
    """Return the numbers of the units of each class; what has no class need not be known."""
    members: dict[str, list[int]] = {}
    for unit, names in enumerate(classes):
        for name in filter(None, names):
            members.setdefault(name, []).append(unit)
    return members


def _too_few(there: int, count: int, noun: str) -> None:
    raise DataError(
        f"{there} {noun} are too few for {count} folds; give more rows, or fewer --folds."
    )


def _problem(
    source: Source, train: NDArray[np.bool_], test: NDArray[np.bool_], name: str
) -> Problem:
    """Return the problem of one fold."""
    examples = source.examples["train"]
    parts = {
        **source.examples,
        "train": [examples[place] for place in np.flatnonzero(train).tolist()],
        "test": [examples[place] for place in np.flatnonzero(test).tolist()],
    }
    divided, said = source.reader.divide(parts, _of_rows(source.split, train))
    return _name(source.problem(divided, f"{name}: {said}"), name)


def _name(problem: Problem, name: str) -> Problem:
    """Return the problem of one fold with a fingerprint of its own."""
    digest = hashlib.sha256(f"{problem.fingerprint} {name}".encode()).hexdigest()
    return replace(problem, fingerprint=digest)


def _of_rows(split: Split, rows: NDArray[np.bool_]) -> Split:
    """Return how some of the rows of a file are divided."""
    if split.values is None:
        return split
    return replace(split, values=[split.values[place] for place in np.flatnonzero(rows).tolist()])

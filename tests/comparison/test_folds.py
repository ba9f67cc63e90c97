"""Folds: every example is tested once, nothing that belongs together is parted, time goes on."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from ensuite.comparison.folds import NEVER_TESTED, Folds, assign, in_order, open_folds
from ensuite.core.errors import DataError, UsageError
from ensuite.core.keys import Keys
from ensuite.core.task import Task
from ensuite.problem import open_source
from ensuite.tasks.classify import Classify

ROWS = [
    {"x": n, "z": -n, "label": "abc"[n % 3], "who": n % 7, "date": f"2025-01-{1 + n % 28:02d}"}
    for n in range(84)
]


def folds(count: int, rows: Any = ROWS, **how: Any) -> Folds:
    given = {"ignore": "who,date", **how.pop("given", {})}
    return open_folds(open_source("classify", rows, given=given, **how), count)


def first(example: Any) -> int:
    return int(example.input[0])


def test_every_example_is_tested_once_and_never_trained_on_then() -> None:
    found = folds(4)
    tested = Counter(first(e) for each in found.each for e in each.parts["test"])
    assert tested == Counter(row["x"] for row in ROWS)
    for each in found.each:
        test = {first(e) for e in each.parts["test"]}
        assert not test & {first(e) for part in ("train", "valid") for e in each.parts[part]}
        assert Counter(e.label for e in each.parts["test"]) == {"a": 7, "b": 7, "c": 7}
    assert len({each.fingerprint for each in (*found.each, found.whole)}) == 5
    learned = [e for part in ("train", "valid") for e in found.whole.parts[part]]
    assert Counter(map(first, learned)) == tested


def test_each_fold_is_prepared_on_its_own_training_examples() -> None:
    for each in folds(3).each:
        inputs = np.array([e.input for e in each.parts["train"]], dtype=float)
        assert each.task.processor.mean == pytest.approx(inputs.mean(0).tolist())


def test_a_group_is_in_one_fold() -> None:
    found = folds(3, how="group:who", given={"ignore": "date"})
    groups = [{first(e) % 7 for e in each.parts["test"]} for each in found.each]
    assert sorted(who for each in groups for who in each) == list(range(7))


def test_what_is_tested_is_later_than_all_it_is_trained_on() -> None:
    found = folds(3, how="time:date", given={"ignore": "who"})
    days = {row["x"]: row["date"] for row in ROWS}
    sizes = []
    for each in found.each:
        known = [days[first(e)] for part in ("train", "valid") for e in each.parts[part]]
        tested = [days[first(e)] for e in each.parts["test"]]
        assert max(known) < min(tested)
        sizes.append((len(known), len(tested)))
    assert sizes == [(21, 21), (42, 21), (63, 21)]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"test": ROWS[:9]}, "a test part here already"),
        ({"how": "time:2025-01-05,2025-01-09"}, "names a single test part"),
    ],
)
def test_what_has_a_test_part_has_no_folds(how: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        folds(3, **how)


def test_a_task_with_a_split_of_its_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def divide(task: Any, parts: Any, how: Any) -> Any:
        return Task.divide(task, parts, how)

    monkeypatch.setattr(Classify, "divide", divide)
    with pytest.raises(UsageError, match="classify divides its data in a way of its own"):
        folds(3)


keyed = some.lists(
    some.tuples(some.integers(0, 9), some.sampled_from(["", "a", "b", "c"])), min_size=1
)


@given(keyed, some.integers(2, 5))
def test_units_stay_together_and_classes_are_known(rows: list[tuple[int, str]], count: int) -> None:
    units = [unit for unit, _ in rows]
    keys = [Keys(unit, strata=(name,) if name else ()) for unit, name in rows]
    if len(set(units)) < count:
        with pytest.raises(DataError, match="fewer --folds"):
            assign(keys, units, count)
        return
    found = assign(keys, units, count)
    assert all(len({int(f) for f, u in zip(found, units, strict=True) if u == unit}) == 1
               for unit in units)  # fmt: skip
    for fold in range(count):
        trained = {name for f, (_, name) in zip(found, rows, strict=True) if f != fold}
        tested = {name for f, (_, name) in zip(found, rows, strict=True) if f == fold}
        assert tested - {""} <= trained
    assert set(found.tolist()) <= {NEVER_TESTED, *range(count)}


@given(some.lists(some.integers(0, 30), min_size=1), some.integers(2, 6))
def test_parts_in_order_are_none_of_them_empty(times: list[int], count: int) -> None:
    if len(set(times)) < count:
        with pytest.raises(DataError, match="different times"):
            in_order(times, count)
        return
    parts = in_order(times, count)
    assert set(parts.tolist()) == set(range(count))
    for one, other in zip(parts[np.argsort(times)], parts[np.argsort(times)][1:], strict=False):
        assert one <= other
    assert len({(time, part) for time, part in zip(times, parts.tolist(), strict=True)}) == len(
        set(times)
    )

"""Splits: every row in one part, no key in two, and the same again from the same seed."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from itertools import chain, combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ensuite.core.errors import DataError, UsageError
from ensuite.core.keys import Keys, Split
from ensuite.core.split import Rows, divide, split_rows

keys_of_rows = st.lists(st.integers(0, 30), min_size=3, max_size=80).filter(
    lambda keys: len(set(keys)) >= 3
)


def check_parts(parts: Rows, rows: int) -> None:
    together = np.sort(np.concatenate(parts))
    np.testing.assert_array_equal(together, np.arange(rows))
    assert all(len(part) > 0 and (np.diff(part) > 0).all() for part in parts)


@given(keys=keys_of_rows, seed=st.integers(0, 99), how=st.sampled_from(["random", "group", "time"]))
def test_no_key_stands_in_two_parts(keys: list[int], seed: int, how: str) -> None:
    parts = split_rows(len(keys), how=how, keys=keys, seed=seed)
    check_parts(parts, len(keys))
    where = defaultdict(set)
    for name, part in parts._asdict().items():
        for row in part:
            where[keys[row]].add(name)
    assert all(len(names) == 1 for names in where.values())
    for part, again in zip(
        parts, split_rows(len(keys), how=how, keys=keys, seed=seed), strict=True
    ):
        np.testing.assert_array_equal(part, again)


@given(keys=keys_of_rows)
def test_later_parts_are_later(keys: list[int]) -> None:
    train, valid, test = (
        [keys[row] for row in part] for part in split_rows(len(keys), how="time", keys=keys)
    )
    assert max(train) < min(valid)
    assert max(valid) < min(test)


@given(
    labels=st.lists(st.sampled_from("aaaaaabc"), min_size=6, max_size=60), seed=st.integers(0, 9)
)
def test_training_sees_every_class(labels: list[str], seed: int) -> None:
    assume(len(labels) - len(set(labels)) >= 2)  # two rows are left for the other parts
    parts = split_rows(len(labels), labels=labels, seed=seed)
    check_parts(parts, len(labels))
    assert {labels[row] for row in parts.train} == set(labels)


def test_sizes_are_exact_where_keys_allow() -> None:
    assert [len(part) for part in split_rows(6920)] == [5536, 692, 692]
    assert [len(part) for part in split_rows(3)] == [1, 1, 1]
    ordered = split_rows(10, how="time", fractions=(0.5, 0.2, 0.3))
    assert [part.tolist() for part in ordered] == [[0, 1, 2, 3, 4], [5, 6], [7, 8, 9]]


def test_the_split_of_a_seed_stays_what_it_is() -> None:
    """Runs name their seed only: another division would make them irreproducible."""
    assert split_rows(20, seed=0).test.tolist() == [4, 19]
    assert split_rows(20, seed=0).valid.tolist() == [2, 6]
    assert split_rows(20, seed=1).test.tolist() != [4, 19]


def test_one_large_group_is_for_training() -> None:
    keys = ["big"] * 97 + ["a", "b", "c"]
    for seed in range(20):
        parts = split_rows(100, how="group", keys=keys, seed=seed)
        check_parts(parts, 100)
        assert 0 in parts.train


def test_rows_without_a_label_need_no_place() -> None:
    parts = split_rows(5, labels=[None, None, None, "a", None])
    check_parts(parts, 5)
    assert 3 in parts.train


def test_one_part_can_be_drawn_from_the_training_rows() -> None:
    parts = split_rows(100, fractions=(0.9, 0.0, 0.1), seed=3)
    assert [len(part) for part in parts] == [90, 0, 10]
    assert split_rows(10, how="time", fractions=(0.8, 0.0, 0.2)).test.tolist() == [8, 9]
    assert split_rows(2, fractions=(0.9, 0.0, 0.1)).test.size == 1


@pytest.mark.parametrize(
    ("rows", "options", "sentence"),
    [
        (2, {}, "2 rows are too few to split: the 3 parts need at least 3 different rows. Give"),
        (1, {}, "1 row is too few"),
        (9, {"keys": ["a"] * 9}, "9 rows are too few to split, of which only 1 is different"),
        (9, {"keys": ["a"] * 5 + ["b"] * 4, "how": "group"}, "there are 2 groups: the 3 parts"),
        (2, {"how": "time"}, "need at least 3 different times or positions. Give"),
        (4, {"labels": list("abcd")}, "beside the 4 that training needs to have one row of each"),
        (3, {"keys": [1, "b", 2], "how": "time"}, r"several kinds \(int, str\)"),
        (3, {"keys": ["1", "", "2"], "how": "time"}, "no time"),
        (3, {"keys": [1.0, float("nan"), 2.0], "how": "time"}, "no time"),
    ],
)
def test_what_cannot_be_split_is_told(rows: int, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        split_rows(rows, **options)


# Examples, by their keys


def test_what_cannot_be_split_since_it_belongs_together_is_told() -> None:
    questions = {"train": [Keys(number, group="one text") for number in range(12)]}
    with pytest.raises(DataError) as told:
        divide(questions, lambda keys: keys, Split())
    assert "12 rows are too few to split, since those of one group" in str(told.value)
    assert "there is 1 group: the 3 parts need at least 4 groups. Give" in str(told.value)


def spread(
    keys: Sequence[Keys], split: Split | None = None, calibration: float = 0.0, **given: list[Keys]
) -> dict[str, list[Keys]]:
    """Divide keys that stand for their own examples."""
    parts = {"train": list(keys), **given}
    return divide(parts, lambda example: example, split or Split(), calibration)[0]


EXAMPLES = st.lists(
    st.builds(
        Keys,
        identity=st.integers(0, 60),
        group=st.none() | st.integers(0, 8),
        time=st.none(),
        strata=st.just(()),
        learn=st.sampled_from([True, True, True, False]),
    ),
    min_size=20,
    max_size=60,
)


@given(examples=EXAMPLES, calibration=st.sampled_from([0.0, 0.2]))
def test_groups_stay_together_and_what_is_scored_only_is_never_learned(
    examples: list[Keys], calibration: float
) -> None:
    try:
        parts = spread(examples, calibration=calibration)
    except DataError as error:
        assert "too few" in str(error)
        return
    assert list(parts) == ["train", "valid", "test"] + ["calibration"] * bool(calibration)
    assert sorted(map(repr, chain(*parts.values()))) == sorted(map(repr, examples))
    assert all(each.learn for name in parts if name != "test" for each in parts[name])
    for name, other in combinations(parts, 2):
        assert not {e.group for e in parts[name]} & {e.group for e in parts[other]} - {None}


@given(times=st.lists(st.integers(0, 40), min_size=12, max_size=40, unique=True))
def test_times_in_the_keys_order_the_examples(times: list[int]) -> None:
    parts = spread([Keys(number, time=time) for number, time in enumerate(times)], calibration=0.1)
    order = ("train", "calibration", "valid", "test")
    ends = [each.time for name in order for each in sorted(parts[name], key=lambda e: e.time)]
    assert ends == sorted(times)


def test_a_panel_is_divided_by_its_times_whatever_the_order_of_its_rows() -> None:
    panel = [Keys((series, day), time=day) for series in "abc" for day in range(20)]
    parts = spread(panel)
    assert {each.time for each in parts["test"]} == {18, 19}
    assert len(parts["test"]) == 6


def test_in_time_what_is_scored_only_is_tested_on_if_it_is_late() -> None:
    early, late = Keys("early", time=3, learn=False), Keys("late", time=19, learn=False)
    examples = [*(Keys(n, time=n) for n in range(20)), early, late]
    parts, sentence = divide({"train": examples}, lambda each: each, Split())
    assert late in parts["test"]
    assert early not in chain(*parts.values())
    assert sentence.endswith("(in order; --test FILE to give your own; 1 left out)")


def test_given_parts_are_kept() -> None:
    given = [Keys("x"), Keys("y", learn=False)]
    parts = spread([Keys(n) for n in range(30)], test=given, valid=given)
    assert (len(parts["train"]), parts["valid"], parts["test"]) == (30, given[:1], given)


def test_dates_divide_months() -> None:
    days = [date(2025, month, 1) for month in range(1, 13)]
    split = Split.parse("time:2025-05-01,2025-09-01")
    parts = spread([Keys(day, time=day) for day in days], split)
    assert [len(part) for part in parts.values()] == [4, 4, 4]
    cells = replace(split, values=[f"{day}" for day in days])  # of a column of the file
    parts = spread([Keys(day) for day in days], cells)
    assert [len(part) for part in parts.values()] == [4, 4, 4]
    parts = spread([Keys(day, time=day) for day in days], split, test=[Keys("t")])
    assert [len(part) for part in parts.values()] == [4, 4, 1]


@pytest.mark.parametrize(
    ("typed", "error", "sentence"),
    [
        ("weekly", UsageError, "choose random, time, time:DATE,DATE or group:COLUMN"),
        ("random:5", UsageError, "choose random"),
        ("time:2025-05-01,2025-01-01", UsageError, "which is later"),
        ("time:2025-05-01", UsageError, "give the first date of the validation part"),
        ("time:may,june", UsageError, "give the first date of the validation part"),
        ("time:2025-01-01,2025-02-01,2025-03-01,2025-04-01", UsageError, "give the first date"),
        ("time:2024-01-01,2025-02-01", DataError, "leaves the train part empty"),
        ("time:2025-02-01,2026-02-01", DataError, "leaves the test part empty"),
    ],
)
def test_dates_that_divide_nothing_are_told(typed: str, error: type, sentence: str) -> None:
    days = [date(2025, month, 1) for month in range(1, 13)]
    with pytest.raises(error, match=sentence):
        spread([Keys(day, time=day) for day in days], Split.parse(typed))


def test_thousands_of_rows_that_one_group_links_stay_together() -> None:
    keys = [Keys(n, group=n // 3_000) for n in range(30_000)]
    parts = spread(keys, Split(kind="group", values=list(range(30_000))))
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 24_000, "valid": 3_000, "test": 3_000,
    }  # fmt: skip


@pytest.mark.parametrize("time", [None, 3, "soon"])
def test_dates_are_refused_by_examples_that_have_none(time: Any) -> None:
    with pytest.raises(UsageError, match="needs a date for each example"):
        spread([Keys(n, time=time) for n in range(9)], Split.parse("time:2025-01-01,2025-02-01"))


def test_groups_of_the_user_and_of_the_task_both_stay_together() -> None:
    keys = [Keys(n, group=n // 2) for n in range(60)]
    authors = [(n + 1) // 2 % 20 for n in range(60)]  # links group to group, in chains
    parts = spread(keys, Split(kind="group", values=[n // 4 for n in range(60)]))
    assert all(len(part) % 4 == 0 for part in parts.values())
    with pytest.raises(DataError, match="groups"):
        spread(keys, Split(kind="group", values=authors))

"""Splits: every row in one part, no key in two, and the same again from the same seed."""

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from ensuite.data.split import Split, carve, split
from hypothesis import assume, given
from hypothesis import strategies as st

from ensuite.core.errors import DataError, UsageError

keys_of_rows = st.lists(st.integers(0, 30), min_size=3, max_size=80).filter(
    lambda keys: len(set(keys)) >= 3
)


def check_parts(parts: Split, rows: int) -> None:
    together = np.sort(np.concatenate(parts))
    np.testing.assert_array_equal(together, np.arange(rows))
    assert all(len(part) > 0 and (np.diff(part) > 0).all() for part in parts)


@given(keys=keys_of_rows, seed=st.integers(0, 99), how=st.sampled_from(["random", "group", "time"]))
def test_no_key_stands_in_two_parts(keys: list[int], seed: int, how: str) -> None:
    parts = split(len(keys), how=how, keys=keys, seed=seed)
    check_parts(parts, len(keys))
    where = defaultdict(set)
    for name, part in parts._asdict().items():
        for row in part:
            where[keys[row]].add(name)
    assert all(len(names) == 1 for names in where.values())
    for part, again in zip(parts, split(len(keys), how=how, keys=keys, seed=seed), strict=True):
        np.testing.assert_array_equal(part, again)


@given(keys=keys_of_rows)
def test_later_parts_are_later(keys: list[int]) -> None:
    train, valid, test = (
        [keys[row] for row in part] for part in split(len(keys), how="time", keys=keys)
    )
    assert max(train) < min(valid)
    assert max(valid) < min(test)


@given(
    labels=st.lists(st.sampled_from("aaaaaabc"), min_size=6, max_size=60), seed=st.integers(0, 9)
)
def test_training_sees_every_class(labels: list[str], seed: int) -> None:
    assume(len(labels) - len(set(labels)) >= 2)  # two rows are left for the other parts
    parts = split(len(labels), labels=labels, seed=seed)
    check_parts(parts, len(labels))
    assert {labels[row] for row in parts.train} == set(labels)


def test_sizes_are_exact_where_keys_allow() -> None:
    assert [len(part) for part in split(6920)] == [5536, 692, 692]
    assert [len(part) for part in split(3)] == [1, 1, 1]
    ordered = split(10, how="time", fractions=(0.5, 0.2, 0.3))
    assert [part.tolist() for part in ordered] == [[0, 1, 2, 3, 4], [5, 6], [7, 8, 9]]


def test_the_split_of_a_seed_stays_what_it_is() -> None:
    """Runs name their seed only: another division would make them irreproducible."""
    assert split(20, seed=0).test.tolist() == [4, 19]
    assert split(20, seed=0).valid.tolist() == [2, 6]
    assert split(20, seed=1).test.tolist() != [4, 19]


def test_one_large_group_is_for_training() -> None:
    keys = ["big"] * 97 + ["a", "b", "c"]
    for seed in range(20):
        parts = split(100, how="group", keys=keys, seed=seed)
        check_parts(parts, 100)
        assert 0 in parts.train


def test_rows_without_a_label_need_no_place() -> None:
    parts = split(5, labels=[None, None, None, "a", None])
    check_parts(parts, 5)
    assert 3 in parts.train


def test_carve_takes_one_part() -> None:
    kept, taken = carve(100, 0.1, seed=3)
    assert (len(kept), len(taken)) == (90, 10)
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, taken])), np.arange(100))
    assert carve(10, 0.2, how="time")[1].tolist() == [8, 9]
    assert carve(2, 0.1)[1].size == 1


@pytest.mark.parametrize(
    ("rows", "options", "sentence"),
    [
        (2, {}, "2 rows are too few .* 3 parts need at least as many different rows"),
        (9, {"keys": ["a"] * 9}, "different rows"),
        (9, {"keys": ["a"] * 5 + ["b"] * 4, "how": "group"}, "groups"),
        (4, {"labels": list("abcd")}, "one of each class"),
        (3, {"keys": [1, "b", 2], "how": "time"}, r"several kinds \(int, str\)"),
        (3, {"keys": ["1", "", "2"], "how": "time"}, "no time"),
        (3, {"keys": [1.0, float("nan"), 2.0], "how": "time"}, "no time"),
    ],
)
def test_what_cannot_be_split_is_told(rows: int, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        split(rows, **options)


def test_an_unknown_way_is_told() -> None:
    with pytest.raises(UsageError, match="choose one of random, time, group"):
        split(9, how="stratified")

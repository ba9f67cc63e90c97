"""Labels keep their names, and their numbers keep one order."""

import re
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from ensuite.core.batch import IGNORE
from ensuite.core.errors import DataError, UnknownLabelError
from ensuite.core.table import Table
from ensuite.data.labels import Labels, look_alike, read


@given(some.lists(some.text()), some.randoms())
def test_order_of_rows_changes_nothing(names: list[str], random: object) -> None:
    labels = Labels.learn(names)
    random.shuffle(names)  # type: ignore[attr-defined]
    assert Labels.learn(names) == labels
    assert [labels.encode(name) for name in labels.names] == list(range(len(labels)))
    assert set(labels.names) == set(names)


def test_numbers_stand_in_their_own_order() -> None:
    assert Labels.learn(["10", "9", "-1"]).names == ("-1", "9", "10")
    assert Labels.learn(["10", "9", "x"]).names == ("10", "9", "x")


@given(some.lists(some.text(alphabet="-0123²٣", max_size=4), max_size=6))
def test_whatever_looks_like_a_number_is_learned(names: list[str]) -> None:
    assert set(Labels.learn(names).names) == set(names)


def test_a_label_that_comes_twice_has_the_first_of_its_numbers() -> None:
    labels = Labels(("a", "b", "a"))
    assert [labels.encode(name) for name in ("a", "b")] == [0, 1]
    assert labels.numbers is labels.numbers
    assert labels == Labels(labels.names)  # though its numbers are known by now


def test_what_no_training_row_had_is_told() -> None:
    labels = Labels(("negative", "positive"))
    assert labels.encode(None) == IGNORE
    with pytest.raises(UnknownLabelError, match=r'"positiv" .*did you mean positive.*Mend it'):
        labels.encode("positiv")
    with pytest.raises(UnknownLabelError, match=r"known: 0, 1, .*9, \.\.\.\)"):
        Labels.learn(map(str, range(12))).encode("x")


def cells(*values: Any) -> Table:
    return Table("a.csv", {"label": list(values)}, len(values))


@pytest.mark.parametrize(
    ("values", "expected", "several"),
    [
        (["a", 1, 2.0, True], ["a", "1", "2", "True"], False),
        ([["a", "b"], "a", []], [("a", "b"), ("a",), ()], True),
        ([["a", "a"], ["b"]], [("a",), ("b",)], True),
        ([[0, 1, 0], [1, 0, 1]], [("1",), ("0", "2")], True),
        ([[0, 1], [1, 0]], ["1", "0"], False),
        ([[0.0, 1.0], [1.0, 1.0]], [("1",), ("0", "1")], True),
        ([[0], [1]], [("0",), ("1",)], True),
        ([[3, 7], [7]], [("3", "7"), ("7",)], True),
    ],
)
def test_cells_are_read_as_labels(values: list[Any], expected: list[Any], several: bool) -> None:
    assert read(cells(*values), "label") == (expected, several)


def test_arrays_of_labels_are_read_by_their_shape() -> None:
    def labels(array: Any) -> Any:
        return read(Table("a.npz", {"y": np.array(array)}, len(array)), "y")

    assert labels([[1], [0]]) == (["1", "0"], False)
    assert labels([1.0, 0.0]) == (["1", "0"], False)
    assert labels([[0, 0, 1], [1, 0, 0]]) == (["2", "0"], False)
    assert labels([[0, 1, 1], [1, 0, 0]]) == ([("1", "2"), ("0",)], True)
    for wrong in ([[0.5, 2], [1, 0]], [[[1]], [[0]]]):
        with pytest.raises(DataError, match=r"labels y of a.npz have the shape"):
            labels(wrong)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (None, "has no label"),
        (float("nan"), "has no label"),
        (" ", "has no label"),
        ({"name": "neg"}, "has {'name': 'neg'} for a label, which is no name"),
        ("['a', 'b']", "has ['a', 'b'] for a label, which is no name"),
        ('["a"]', 'has ["a"] for a label, which is no name'),
    ],
)
def test_what_is_no_label_is_told_with_its_row(wrong: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=re.escape(f"row 2 of a.csv {sentence}")):
        read(cells("a", wrong), "label")


@pytest.mark.parametrize("wrong", [None, "", {"a": 1}, [1], float("nan")])
def test_what_is_no_label_among_several_is_told(wrong: Any) -> None:
    with pytest.raises(DataError, match=r"row 2 of a.csv has"):
        read(cells(["a"], ["b", wrong]), "label")


def test_a_name_in_brackets_is_a_name() -> None:
    assert read(cells("[UNK]", "[a"), "label") == (["[UNK]", "[a"], False)


@given(
    some.lists(
        some.none() | some.integers() | some.floats() | some.text() | some.booleans()
        | some.lists(some.none() | some.integers(0, 2) | some.text())
        | some.dictionaries(some.text(), some.text()),
        min_size=1,
    )
)  # fmt: skip
def test_any_cells_are_labels_or_refused(values: list[Any]) -> None:
    try:
        found, several = read(cells(*values), "label")
    except DataError as error:
        assert re.search(r"row \d+ of a.csv|shape", str(error))
        return
    assert len(found) == len(values)
    for label in found:
        names = label if several else (label,)
        assert isinstance(names, tuple)
        assert len(set(names)) == len(names)
        assert all(isinstance(name, str) and name for name in names)


def test_long_numbers_are_words() -> None:
    assert Labels.learn(["9" * 5000, "1"]).names == ("1", "9" * 5000)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["a", "a "], "blanks"),
        (["Pos", "pos"], "capitals"),
        (["\u00e9t\u00e9", "e\u0301te\u0301"], "Unicode composes"),
        (["Neg ", "neg"], "blanks, capitals"),
    ],
)
def test_labels_that_look_alike_are_told(names: list[str], why: str) -> None:
    assert why in look_alike([*names, "other"])
    assert not look_alike([names[0], "other"])


def test_an_object_is_no_name() -> None:
    with pytest.raises(DataError, match=r"row 2 of a.csv has <object .* which is no name"):
        read(cells("a", object()), "label")
    day = date(2024, 3, 1)
    assert read(cells(day, b"a", np.int64(3)), "label") == (["2024-03-01", "a", "3"], False)

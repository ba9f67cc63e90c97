"""Columns: found by name, and numbers that are numbers."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensuite.core.errors import DataError
from ensuite.core.table import Table
from ensuite.data.columns import find, is_numeric, numbers, require
from ensuite.data.sound import LARGEST


def table(**columns: Any) -> Table:
    return Table("temps.csv", columns, rows=len(next(iter(columns.values()))))


REVIEWS = Table("reviews.csv", {" Text": ["a"], "stars": ["1"], "0": ["x"]}, rows=1)


def test_find_by_usual_name_by_given_name_and_by_number() -> None:
    assert find(REVIEWS, "text", ["sentence", "text"], {}) == " Text"
    assert find(REVIEWS, "label", ["label"], {}) is None
    assert find(REVIEWS, "text", ["text"], {"text": "stars"}) == "stars"
    assert find(REVIEWS, "label", ["label"], {"label": "1"}) == "stars"
    assert find(REVIEWS, "label", ["label"], {"label": "0"}) == "0"  # a name goes before a number


def test_earlier_names_and_earlier_columns_win() -> None:
    both = table(sentence=["a"], text=["b"], TEXT=["c"])
    assert find(both, "text", ["text", "sentence"], {}) == "text"
    assert find(both, "text", ["sentence", "text"], {}) == "sentence"


def test_absent_columns_are_told_with_those_there() -> None:
    reviews = Table("reviews.csv", {"text": ["a"], "stars": ["1"], "date": ["x"]}, rows=1)
    with pytest.raises(DataError) as told:
        require(reviews, "label", ["label"], {})
    assert str(told.value) == (
        "reviews.csv has no column for the label; it has: text, stars, date. "
        "Name it: --column label=NAME"
    )
    with pytest.raises(DataError, match=r'no column "star" .*did you mean stars\? It has: text'):
        require(reviews, "label", ["label"], {"label": "star"})
    with pytest.raises(DataError, match='no column "7"'):
        find(reviews, "label", ["label"], {"label": "7"})


@given(st.lists(st.floats(-LARGEST, LARGEST), min_size=1))
def test_numbers_are_read_as_python_reads_them(values: list[float]) -> None:
    texts = [f" {value!r}" for value in values]
    np.testing.assert_array_equal(numbers(table(value=texts), "value"), values)
    np.testing.assert_array_equal(numbers(table(value=values), "value"), values)
    assert is_numeric(table(value=texts), "value")


# Four control characters are spaces to Python, and to nobody else.
TEXTS = st.text(st.characters(exclude_characters="\x1c\x1d\x1e\x1f"))


@given(st.lists(TEXTS | st.floats().map(repr) | st.none() | st.integers(), min_size=1))
def test_a_column_is_numeric_where_every_cell_is_a_number(values: list[Any]) -> None:
    cells = ["" if value is None else str(value).strip() for value in values]

    def is_number(cell: str) -> bool:
        try:
            float(cell)
        except ValueError:
            return False
        return cell.isascii() and "_" not in cell

    given_cells = [cell for cell in cells if cell]
    expected = bool(given_cells) and all(map(is_number, given_cells))
    assert is_numeric(table(value=values), "value") == expected


def test_empty_cells_are_allowed_only_where_said() -> None:
    for values in (["1", "", " ", "2.5"], [1, None, None, 2.5]):
        found = numbers(table(value=values), "value", empty=True)
        np.testing.assert_array_equal(found, [1, math.nan, math.nan, 2.5])
        with pytest.raises(DataError, match=r"row 2 of temps\.csv: the cell .* is empty"):
            numbers(table(value=values), "value")


@pytest.mark.parametrize("empty", [True, False])
@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (["1", "n/a"], 'row 2 of temps.csv: "n/a" in the column value is not a number'),
        (["1", "1_000"], '"1_000" in the column value is not a number'),
        (["1", "2,5"], "decimal comma"),
        (["1", "nan"], '"nan" in the column value is not finite'),
        (["1", "-inf"], '"-inf" in the column value is not finite'),
        ([1.0, math.inf], '"inf" in the column value is not finite'),
        (np.array([1.0, math.nan]), '"nan" in the column value is not finite'),
        (np.array([[1.0, 2.0], [1.0, math.nan]]), "row 2 .* holds NaN or infinity"),
        ([1, "x"], '"x" in the column value is not a number'),
        ([{"a": 1}], "is not a number"),
        ([[1, 2], [3]], "row 1 of temps.csv"),
    ],
)
def test_what_is_no_number_is_told(values: Any, sentence: str, empty: bool) -> None:
    with pytest.raises(DataError, match=sentence):
        numbers(table(value=values), "value", empty=empty)


def test_arrays_keep_their_shape() -> None:
    images = np.arange(8).reshape(2, 2, 2)
    found = numbers(table(X=images), "X")
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, images)

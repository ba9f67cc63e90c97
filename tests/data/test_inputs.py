"""Which columns are taken for the input, and what in them is refused."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from ensuite.core.errors import DataError, EnsuiteError
from ensuite.data import inputs, readers
from ensuite.data.processors import Columns, Series, Text


def read(
    columns: Mapping[str, Any], kind: str = "auto", given: Mapping[str, str] | None = None
) -> tuple[list[Any], Any]:
    return inputs.read(readers.read(columns), given or {}, kind, Text(), but="label")


def test_texts_are_found_by_name_or_by_being_the_only_words() -> None:
    assert read({"text": ["a", "b"], "who": ["x", "y"]}) == (["a", "b"], Text())
    assert read({"remark": ["a", "b"], "label": ["x", "y"]})[0] == ["a", "b"]
    assert read({"one": ["a"], "two": ["b"]}, given={"text": "two"})[0] == ["b"]
    with pytest.raises(DataError, match="has no column to read"):
        read({"one": ["a"], "two": ["b"]})


def test_two_columns_of_text_are_pairs() -> None:
    columns = {"sentence1": ["a"], "sentence2": ["b"]}
    assert read(columns)[0] == [("a", "b")]
    assert read({"x": ["a"], "y": ["b"]}, given={"text": "y", "text_pair": "x"})[0] == [("b", "a")]


def test_columns_of_numbers_are_rows_or_a_series() -> None:
    columns = {"x": [1, 2], "z": ["3", "4.5"], "label": ["a", "b"]}
    rows, processor = read(columns)
    assert processor == Columns()
    assert np.array_equal(rows, [[1, 3], [2, 4.5]])
    series, processor = read(columns, "series")
    assert processor == Series()
    assert np.shape(series) == (2, 2, 1)


def test_arrays_are_rows_or_series_by_their_dimensions() -> None:
    assert read({"X": np.zeros((3, 4))})[1] == Columns()
    assert read({"X": np.zeros((3, 4, 2))})[1] == Series()
    assert np.shape(read({"X": np.zeros((3, 4, 2))}, "row")[0]) == (3, 8)
    steps = read({"series": [[1, 2, 3], [4]]}, "series")[0]
    assert [each.shape for each in steps] == [(3, 1), (1, 1)]


def test_a_word_among_numbers_is_a_mistake_not_a_text() -> None:
    with pytest.raises(DataError, match='row 3 of the data: "five" in the column x is not'):
        read({"x": ["1", "2", "five"], "z": ["1", "2", "3"], "label": list("aba")})


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"text": ["a", 3.5]}, "row 2 of the data: 3.5 in the column text is not a text"),
        ({"text": ["a", None]}, "row 2 of the data: None"),
        ({"series": [[1], []]}, "row 2 of the data is not a series"),
        ({"series": [[[1, 2]], [[1]]]}, "row 2 of the data has steps of 1 numbers"),
        ({"series": [[[1, 2]], [[1, 2], [3]]]}, "row 2 .*different numbers of columns"),
        ({"series": [[[1, 2]], [[1, float("inf")]]]}, "row 2 .*NaN or infinite"),
        ({"series": [[[1, 2]], [["x", 2]]]}, "row 2 .*not a number"),
    ],
)
def test_what_is_no_input_is_told_with_its_row(columns: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read(columns, "series" if "series" in columns else "auto")


CELLS = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=3),
    lambda inner: some.lists(inner, max_size=3),
    max_leaves=6,
)


@given(
    some.lists(CELLS, min_size=1, max_size=4),
    some.sampled_from(["text", "series", "x"]),
    some.sampled_from(["auto", "text", "series", "row"]),
)
def test_any_column_is_read_or_refused(cells: list[Any], name: str, kind: str) -> None:
    try:
        raws, _ = read({name: cells}, kind)
    except EnsuiteError:
        return
    assert len(raws) == len(cells)

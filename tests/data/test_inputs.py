"""Which columns are taken for the input, and what in them is refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image as Pillow

from ensuite.core.errors import DataError, EnsuiteError
from ensuite.core.table import Table
from ensuite.data import inputs, readers
from ensuite.data.processors import Columns, Image, Series, Text


def read(
    columns: Mapping[str, Any], kind: str = "auto", given: Mapping[str, str] | None = None
) -> tuple[list[Any], Any]:
    return inputs.read(readers.read(columns), given or {}, kind, Text(), but=["label"])


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
    assert processor == Columns(names=("x", "z"))
    assert np.array_equal(rows, [[1, 3], [2, 4.5]])
    series, processor = read(columns, "series")
    assert processor == Series(names=("x", "z"))
    assert np.shape(series) == (2, 2, 1)


def test_arrays_are_rows_or_series_by_their_dimensions() -> None:
    assert read({"X": np.zeros((3, 4))})[1] == Columns()
    assert read({"X": np.zeros((3, 4, 2))})[1] == Series()
    assert np.shape(read({"X": np.zeros((3, 4, 2))}, "row")[0]) == (3, 8)
    steps = read({"series": [[1, 2, 3], [4]]}, "series")[0]
    assert [each.shape for each in steps] == [(3, 1), (1, 1)]


@pytest.mark.parametrize(
    ("columns", "kind", "expected"),
    [
        ({"X": np.zeros((3, 4, 2), np.uint8)}, "auto", Image()),
        ({"X": np.zeros((3, 4, 2, 3))}, "auto", Image()),
        ({"X": np.zeros((3, 4, 2), int)}, "auto", Series()),
        ({"X": np.zeros((3, 4, 2), int)}, "image", Image()),
        ({"X": np.zeros((3, 4, 2), np.uint8)}, "series", Series()),
        ({"X": np.zeros((3, 4), np.uint8)}, "auto", Columns()),
        ({"image": [[[1, 2], [3, 4]]]}, "auto", Image()),
        ({"values": [[[1, 2], [3, 4]]]}, "auto", Series()),
        ({"image": [[1, 2, 3]]}, "auto", Columns()),
    ],
)
def test_arrays_are_pictures_where_they_are_nothing_else(
    columns: dict[str, Any], kind: str, expected: Any
) -> None:
    raws, processor = read(columns, kind)
    assert processor == expected
    if expected == Image():
        assert np.array_equal(raws, next(iter(columns.values())))


def test_files_of_pictures_are_found_by_their_endings(tmp_path: Path) -> None:
    path = str(tmp_path / "1.png")
    Pillow.fromarray(np.zeros((2, 3), np.uint8)).save(path)
    assert read({"where": [path], "label": ["a"]}) == ([path], Image())
    assert read({"image": [path], "text": ["a"]})[1] == Text()
    assert read({"image": [path], "text": ["a"]}, "image") == ([path], Image())
    with pytest.raises(DataError, match=r"row 1 of the data: There is no picture nowhere.png"):
        read({"where": ["nowhere.png"]})
    with pytest.raises(DataError, match="has no column of pictures: name it"):
        read({"text": ["a"]}, "image")


def test_words_beside_numbers_that_name_a_row_or_a_group_are_no_texts() -> None:
    columns = {"x": [1, 2, 3, 4], "kind": ["a", "b", "a", "b"]}
    for names in (columns["kind"], ["an a", "a b"] * 2, ["a", "b", "c", "d"]):
        with pytest.raises(DataError, match=r"has words in the column kind.*--column ignore=kind"):
            read({**columns, "kind": names})
    assert read(columns, given={"text": "kind"})[0] == ["a", "b", "a", "b"]
    assert read({"x": [1, 2, 3], "remark": ["a b", "c d", "e"]})[0] == ["a b", "c d", "e"]
    assert read({"kind": ["a", "b", "a", "b"]})[0] == ["a", "b", "a", "b"]


def test_columns_are_known_again_by_their_names() -> None:
    processor = Columns(names=("x", "z"))
    table = readers.read({"z": [3], "id": ["no"], "x": [1]})
    assert inputs.read(table, {}, "row", processor, but=[])[0][0].tolist() == [1, 3]
    with pytest.raises(DataError, match="has no column x, which the model reads; it has: z"):
        inputs.read(readers.read({"z": [3]}), {}, "row", processor, but=[])
    bare = Table("rows.csv", {"0": [1], "1": [3]}, 1, has_header=False)
    assert inputs.read(bare, {}, "row", processor, but=[])[0][0].tolist() == [1, 3]


def test_whole_arrays_are_read_at_once_and_as_they_are() -> None:
    cells = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    series, _ = read({"X": cells})
    assert series[1].base is not None
    assert np.array_equal(series, cells)
    assert np.shape(read({"X": cells[:, :, 0]}, "series")[0]) == (2, 3, 1)
    assert np.shape(read({"X": cells}, "row")[0]) == (2, 6)
    cells[1, 2, 0] = np.nan
    with pytest.raises(DataError, match="row 2 of the data has a number that is NaN"):
        read({"X": cells})


RAWS = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=5),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=2), inner),
    max_leaves=6,
)


@given(RAWS, some.sampled_from([Text(), Columns(), Columns(names=("", "x")), Series()]))
def test_whatever_is_typed_is_an_input_or_refused(raw: Any, processor: Any) -> None:
    try:
        asked = inputs.ask(raw, processor)
    except EnsuiteError:
        return
    assert isinstance(asked, str | tuple if processor.kind == "text" else np.ndarray)


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
    some.sampled_from(["text", "series", "image", "x"]),
    some.sampled_from(["auto", "text", "series", "image", "row"]),
)
def test_any_column_is_read_or_refused(cells: list[Any], name: str, kind: str) -> None:
    try:
        raws, _ = read({name: cells}, kind)
    except EnsuiteError:
        return
    assert len(raws) == len(cells)

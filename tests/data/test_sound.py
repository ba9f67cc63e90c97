"""What no model can take is refused where it enters, with its row."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ensuite.core.errors import DataError
from ensuite.core.table import Table
from ensuite.data import columns, inputs, readers
from ensuite.data.memory import from_memory
from ensuite.data.processors import Columns, Series
from ensuite.data.sound import check_typed

HALF = "\ud83d"


@pytest.mark.parametrize("cell", [HALF, [HALF], {"a": HALF}, {HALF: 1}])
def test_half_a_character_is_told_with_its_row(cell: Any, tmp_path: Path) -> None:
    rows = [{"text": "a"}, {"text": cell}]
    with pytest.raises(DataError, match="row 2 of the data: the column text holds half"):
        from_memory(rows, "the data")
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with pytest.raises(DataError, match=r"row 2 of a.jsonl"):
        readers.read(tmp_path / "a.jsonl")
    with pytest.raises(DataError, match="half of a surrogate pair"):
        check_typed(cell)


def test_half_a_character_in_a_name_is_told() -> None:
    with pytest.raises(DataError, match="the name of a column holds half"):
        from_memory({HALF: ["a"]}, "the data")


@pytest.mark.parametrize("value", [1e200, -1e308, 1.7976931348623157e308])
def test_numbers_whose_square_overflows_are_told_with_row_and_column(value: float) -> None:
    table = Table("a.csv", {"b": ["1", repr(value)]}, 2)
    with pytest.raises(DataError, match=r"row 2 of a.csv: .*too large.*in the column b"):
        columns.numbers(table, "b")
    for cells in (np.array([[1.0, 2], [3, value]]), [[1.0], [value]], [[1.0, 2], [3, value, 4]]):
        table = Table("a.npz", {"X": cells}, 2)
        with pytest.raises(DataError, match=r"row 2 of a.npz: .*too large"):
            inputs.read(table, {}, "auto", Columns(), but=[])
    with pytest.raises(DataError, match="too large"):
        inputs.ask(str(value), Series(mean=(0.0,), deviation=(1.0,)))


def test_a_number_far_from_those_of_training_is_told() -> None:
    with pytest.raises(DataError, match="far larger than any"):
        Columns(mean=(0.0,), deviation=(1.0,)).normalise(np.array([1e100]))


@pytest.mark.parametrize("digits", [401, 5000])
@pytest.mark.parametrize("place", ['{"a": %s}', '{"a": [1, {"b": -%s}]}'])
def test_whole_numbers_of_thousands_of_digits_are_told(
    digits: int, place: str, tmp_path: Path
) -> None:
    row = place % ("1" * digits)
    for name, content in (("a.json", f'[{{"a": 1}}, {row}]'), ("a.jsonl", f'{{"a": 1}}\n{row}\n')):
        (tmp_path / name).write_text(content, encoding="utf-8")
        with pytest.raises(DataError, match=rf"(row|Line) 2 of {name} has a whole number of more"):
            readers.read(tmp_path / name)
    (tmp_path / "b.json").write_text(f'{{"a": [1, {"1" * digits}]}}', encoding="utf-8")
    with pytest.raises(DataError, match=r"row 2 of the column a of b.json"):
        readers.read(tmp_path / "b.json")


@pytest.mark.parametrize("depth", [50, 500, 900, 5000, 100_000])
def test_what_is_nested_deeply_is_read_or_told(depth: int, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"a": {"[" * depth}{"]" * depth}}}', encoding="utf-8")
    try:
        assert readers.read(tmp_path / "a.jsonl").rows == 1
    except DataError as error:
        assert "nested too deeply" in str(error)


@pytest.mark.parametrize(
    ("cell", "advice"),
    [
        ("1,740", "may mean 1740 or 1.740"),
        ("-12,345", "may mean -12345 or -12.345"),
        ("1,5", "decimal comma. Write 1.5"),
        ("0,740", "decimal comma. Write 0.740"),
        ("1,234,567", "between thousands. Write 1234567"),
        ("1,234.5", "between thousands. Write 1234.5"),
    ],
)
def test_both_readings_of_a_comma_are_named(cell: str, advice: str) -> None:
    with pytest.raises(DataError, match=advice):
        columns.numbers(Table("a.csv", {"b": [cell]}, 1), "b")


def test_typed_commas_are_no_guess() -> None:
    row = Columns(mean=(0.0, 0.0), deviation=(1.0, 1.0))
    for typed in ("1.5 2.5", "1.5,2.5", "1.5, 2.5", "1.5 , 2.5"):
        np.testing.assert_array_equal(inputs.ask(typed, row), [1.5, 2.5])
    with pytest.raises(DataError, match="commas and blanks"):
        inputs.ask("1,5 2,5", row)

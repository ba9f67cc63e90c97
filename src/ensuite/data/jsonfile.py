"""JSON and JSON lines to columns: rows are objects, and every value is one a task can hold."""

import json
from collections.abc import Mapping
from typing import Any

from ensuite.core.errors import DataError
from ensuite.data import squad
from ensuite.data.delimited import Parsed, lines
from ensuite.data.memory import from_memory

LONGEST_INTEGER = 400
"""Digits that a whole number may have; a float holds 308."""


class _Huge:
    """Stands for a whole number of too many digits."""


HUGE = _Huge()


def parse_json(text: str, name: str) -> Parsed:
    """Return the columns of an array of objects, of an object of equally long arrays, or SQuAD."""
    try:
        value = json.loads(text, parse_int=_integer)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip().startswith("{"):
            note = "it is one JSON object a line"
            return parse_json_lines(text, name)._replace(notes=(note,))
        raise DataError(f"{name} is not JSON: line {error.lineno}, {error.msg}.") from None
    if squad.is_squad(value):
        return to_columns(squad.flatten(value, name), name)
    if isinstance(value, dict) and all(isinstance(column, list) for column in value.values()):
        for key, column in value.items():
            for number, cell in enumerate(column, 1):
                check_integers(cell, f"row {number} of the column {key} of {name}")
        return to_columns(value, name)
    if isinstance(value, list):
        for number, row in enumerate(value, 1):
            check_object(row, f"row {number} of {name}")
        return to_columns(value, name)
    raise DataError(
        f'{name} is JSON of another shape; give an array of objects: [{{"text": ...}}, ...].'
    )


def parse_json_lines(text: str, name: str) -> Parsed:
    """Return the columns of a file with one object a line; empty lines do not count."""
    rows = []
    for number, line in enumerate(lines(text), 1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line, parse_int=_integer))
        except json.JSONDecodeError as error:
            raise DataError(f"Line {number} of {name} is not JSON: {error.msg}.") from None
        check_object(rows[-1], f"Line {number} of {name}")
    return to_columns(rows, name)


def check_object(value: Any, where: str) -> None:
    """Refuse a row that does not name its values, or has a number that is too long."""
    if not isinstance(value, Mapping):
        raise DataError(f'{where} is not an object; give {{"text": ..., "label": ...}}.')
    for cell in value.values():
        check_integers(cell, where)


def check_integers(value: Any, where: str) -> None:
    """Refuse a value that is, or holds, a whole number of too many digits."""
    if value is HUGE:
        raise DataError(
            f"{where} has a whole number of more than {LONGEST_INTEGER} digits; if it is a name, "
            "write it in quotation marks."
        )
    if isinstance(value, list):
        for each in value:
            check_integers(each, where)
    elif isinstance(value, dict):
        for each in value.values():
            check_integers(each, where)


def to_columns(source: Any, name: str) -> Parsed:
    """Return rows or columns from JSON by the rules of data in memory."""
    return Parsed(from_memory(source, name).columns)


def _integer(digits: str) -> Any:
    """Return a whole number; Python refuses those of thousands of digits with a ValueError."""
    return int(digits) if len(digits) <= LONGEST_INTEGER else HUGE

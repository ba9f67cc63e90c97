"""Which columns are the input, and which processor reads them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ensuite.core.errors import DataError
from ensuite.core.task import Table
from ensuite.data import columns
from ensuite.data.processors import BY_KIND, Processor

TEXT_NAMES = (
    "text", "sentence", "review", "content", "document", "question", "title", "comment",
    "message", "sentence1", "premise", "input",
)  # fmt: skip
PAIR_NAMES = ("text_pair", "sentence2", "hypothesis")
SERIES_NAMES = ("series", "values", "sequence")


ROLES = ("text", "text_pair", "series", "group", "time")
"""What a column of inputs can be; the last two only split."""


def read(
    table: Table, given: Mapping[str, str], kind: str, processor: Processor, *, but: str | None
) -> tuple[list[Any], Processor]:
    """Return the raw inputs of a table, and the processor that reads them.

    Args:
        table: A file's columns.
        given: Column by role, where the user names them: text, text_pair, series.
        kind: What an input is (text, series, row), or auto.
        processor: Kept where it already reads inputs of that kind.
        but: The column that is no input.

    Raises:
        DataError: If no column can be the input, or a cell is not what it should be.
    """
    arrays = _arrays(table, given, but)
    text = None if arrays is not None else _text_column(table, given, but)
    if kind == "auto":
        kind = _kind(table, arrays, text)
    if kind == "text":
        raws = _texts(table, given, text)
    elif kind == "series":
        raws = _series(table, arrays if arrays is not None else _numbers(table, given, but))
    else:
        raws = _rows(table, arrays if arrays is not None else _numbers(table, given, but))
    return raws, processor if processor.kind == kind else BY_KIND[kind]()


def _kind(table: Table, arrays: Any, text: str | None) -> str:
    if arrays is None:
        return "text" if text else "row"
    return "series" if _array(table, 0, arrays[0]).ndim == 2 else "row"


def _arrays(table: Table, given: Mapping[str, str], but: str | None) -> Any:
    """Return the column that holds whole arrays or lists, or None."""
    named = columns.find(table, "series", SERIES_NAMES, given)
    for name in [named] if named else table.columns:
        cells = table.columns[name]
        if name != but and len(cells) and isinstance(cells[0], list | tuple | np.ndarray):
            return cells
    return None


def _text_column(table: Table, given: Mapping[str, str], but: str | None) -> str | None:
    """Return the column of texts: named, of a usual name, or the only one that is not numbers."""
    named = columns.find(table, "text", TEXT_NAMES, given)
    if named:
        return named
    words = [n for n in table.columns if n != but and columns.is_words(table, n)]
    return words[0] if len(words) == 1 else None


def _texts(table: Table, given: Mapping[str, str], name: str | None) -> list[Any]:
    name = name or columns.require(table, "text", TEXT_NAMES, given)
    for row, cell in enumerate(table.columns[name]):
        if not isinstance(cell, str):
            raise DataError(f"{table.where(row)}: {cell!r} in the column {name} is not a text.")
    texts = list(table.columns[name])
    pair = columns.find(table, "text_pair", PAIR_NAMES, given)
    return list(zip(texts, map(str, table.columns[pair]), strict=True)) if pair else texts


def _numbers(table: Table, given: Mapping[str, str], but: str | None) -> Any:
    """Return all columns of numbers side by side, (rows, columns)."""
    used = {but} if but else set()
    words = [n for n in table.columns if n not in used and not columns.is_numeric(table, n)]
    names = [n for n in table.columns if n not in used]
    if not names or len(words) == len(names):
        raise DataError(
            f"{table.name} has no column to read: give one of texts (--column text=NAME), or "
            "columns of numbers beside the label."
        )
    return np.stack([columns.numbers(table, name) for name in names], axis=1)


def _series(table: Table, cells: Any) -> list[Any]:
    """Return (time, features) arrays; a row of plain numbers is one value a step."""
    series = []
    for row, cell in enumerate(cells):
        values = _array(table, row, cell)
        if values.ndim == 1:
            values = values[:, None]
        if values.ndim != 2 or not len(values):
            raise DataError(
                f"{table.where(row)} is not a series: give a list of steps, each a number or a "
                "list of numbers."
            )
        series.append(values)
    width = series[0].shape[1]
    for row, values in enumerate(series):
        if values.shape[1] != width:
            raise DataError(
                f"{table.where(row)} has steps of {values.shape[1]} numbers where the first row "
                f"has {width}; give every step the same columns."
            )
    return series


def _rows(table: Table, cells: Any) -> list[Any]:
    rows = [_array(table, row, cell).reshape(-1) for row, cell in enumerate(cells)]
    for row, values in enumerate(rows):
        if len(values) != len(rows[0]):
            raise DataError(
                f"{table.where(row)} has {len(values)} numbers where the first has {len(rows[0])}."
            )
    return rows


def _array(table: Table, row: int, cell: Any) -> Any:
    try:
        values = np.asarray(cell, dtype=float)
    except (ValueError, TypeError):
        raise DataError(
            f"{table.where(row)} has steps with different numbers of columns, or something that "
            "is not a number; give every step the same numbers."
        ) from None
    if not np.isfinite(values).all():
        raise DataError(f"{table.where(row)} has a number that is NaN or infinite; mend the row.")
    return values

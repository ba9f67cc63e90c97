"""Whether the first row of a file names its columns, or is a row like the others."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ensuite.core.table import Table

USUAL = frozenset(
    (
        "text", "text_pair", "sentence", "sentence1", "sentence2", "review", "content",
        "document", "question", "context", "title", "comment", "message", "body", "premise",
        "hypothesis", "input", "output", "caption", "description", "label", "labels", "class",
        "category", "sentiment", "language", "target", "targets", "value", "values", "score",
        "rating", "y", "x", "tokens", "words", "forms", "tags", "ner", "ner_tags", "pos_tags",
        "upos", "source", "src", "tgt", "translation", "summary", "answer", "word", "phonemes",
        "series", "sequence", "image", "file_name", "picture", "photo", "id", "index", "date",
        "timestamp", "clean", "clean_image", "original", "species",
    )
)  # fmt: skip
"""Names that columns often have; a first row with one of them is a header."""

NUMBERED = re.compile(r"_?\d+$")

TRUTHS = frozenset(("true", "false"))

SIGNS = re.compile(r"\W*\d[\d\WTZ]*")
"""Digits and signs; T and Z stand in time stamps."""

LOOKED_AT = 100
"""Rows that show what a column holds."""

SENTENCE = 4
"""Words from which on a cell is a sentence rather than the name of a column."""


def is_known(names: Sequence[str]) -> bool:
    """Say whether a first row holds a usual name of a column, numbered or not.

    >>> is_known(["id", "tweet"]), is_known(["target_1"]), is_known(["a good film", "pos"])
    (True, True, False)
    """
    words = [name.strip().casefold() for name in names]
    return any(word in USUAL or NUMBERED.sub("", word) in USUAL for word in words)


def settle(table: Table, given: Mapping[str, str], *, asking: bool = False) -> Table:
    """Return the table, its first row taken for a row where it does not name the columns.

    It is a row where the user names columns by number alone, where a file of one or two columns
    begins like its other rows, or where a single column is to be answered; never where it holds a
    usual name, or one that the user gives.

    Args:
        table: As read.
        given: Column by role, as the user names them.
        asking: Whether its rows are inputs to answer, so that one column is all they need.
    """
    if not table.guessed_header:
        return table
    names = list(table.columns)
    told = [
        name.strip()
        for each in given.values()
        for name in ([each] if each in names else each.split(","))
    ]
    if any(name in names for name in told):
        return table
    if told and all(name.isdecimal() for name in told):
        return without_header(table, "columns are named by number, so its first row is a row")
    if not told and looks_like_row(table, asking=asking):
        return without_header(
            table,
            "its first row has no usual name of a column, so it is read as a row, and columns are "
            "counted from 0 (if it does name them, say so: --column ROLE=NAME)",
        )
    return table


def without_header(table: Table, note: str) -> Table:
    """Return the table with its first row among the others, and columns called 0, 1, ..."""
    columns = {
        str(place): [name, *cells] for place, (name, cells) in enumerate(table.columns.items())
    }
    return replace(
        table,
        columns=columns,
        rows=table.rows + 1,
        has_header=False,
        guessed_header=False,
        notes=(*table.notes, note),
    )


def looks_like_row(table: Table, *, asking: bool) -> bool:
    """Say whether what stands first is like what stands below, in one or two columns of texts."""
    columns = {name: cells[:LOOKED_AT] for name, cells in table.columns.items()}
    if len(columns) > 2 or any(is_above_numbers(*column) for column in columns.items()):
        return False
    if len(columns) == 1:
        return asking
    if any(name in cells or counted(name) >= SENTENCE for name, cells in columns.items()):
        return True
    return not any(is_shorter(*column) for column in columns.items())


def is_above_numbers(name: str, cells: Sequence[Any]) -> bool:
    """Say whether a word stands above a column of numbers, dates or the like; some may be empty.

    >>> is_above_numbers("time", ["2024-01-31 12:00", ""]), is_above_numbers("share", ["5.2 %"])
    (True, True)
    >>> is_above_numbers("2023-12-31", ["2024-01-31"]), is_above_numbers("cat", ["chat 2", ""])
    (False, False)
    """
    filled = [cell for cell in cells if cell.strip()]
    return not is_value(name) and bool(filled or not cells) and all(map(is_value, filled))


def is_shorter(name: str, cells: Sequence[Any]) -> bool:
    """Say whether a cell is a name beside the sentences below it."""
    lengths = sorted(map(counted, cells))
    return lengths[len(lengths) // 2] >= max(SENTENCE - 1, 2 * counted(name))


def counted(cell: str) -> int:
    """Return the number of words."""
    return len(cell.split())


def is_value(cell: str) -> bool:
    """Say whether a cell is no word: a number, with or without a sign beside it, a date, true.

    >>> [is_value(cell) for cell in ("-1e3", "€12,50", "31/01/2024 12:00", "True", "V1", "")]
    [True, True, True, True, False, False]
    """
    whole = cell.strip()
    return is_number(whole) or whole.casefold() in TRUTHS or bool(SIGNS.fullmatch(whole))


def is_number(cell: str) -> bool:
    """Say whether a cell is a number.

    >>> is_number("-1e3"), is_number("V1"), is_number("")
    (True, False, False)
    """
    try:
        float(cell)
    except ValueError:
        return False
    return True

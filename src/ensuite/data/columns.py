"""Find the columns a task asks for, and turn them into numbers."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ensuite.core.errors import DataError, UsageError, nearest
from ensuite.core.table import Table
from ensuite.data.sound import say_too_large, too_large


def find(table: Table, role: str, names: Sequence[str], given: Mapping[str, str]) -> str | None:
    """Return the column that plays a role, or None where there is none.

    Args:
        table: Where to look.
        role: What a user calls it: text, label, ...
        names: The usual names, the likeliest first; capitals and outer spaces make no difference.
        given: Column by role, by name or by number from 0, as the user says; it wins.

    Raises:
        DataError: If the user named a column that is not there.
    """
    if role in given:
        return named(table, given[role], role)
    usual = {column.strip().casefold(): column for column in reversed(list(table.columns))}
    return next((usual[name.casefold()] for name in names if name.casefold() in usual), None)


def find_all(table: Table, role: str, names: Sequence[str], given: Mapping[str, str]) -> list[str]:
    """Return every column that plays a role, none where there is none.

    They are those the user names (with commas between them), or one of a usual name, or, of the
    usual names, those that are numbered: target_1, target_2.

    Raises:
        DataError: If the user named a column that is not there.
    """
    if role in given:
        return named_all(table, given[role], role)
    if found := find(table, role, names, given):
        return [found]
    usual = "|".join(map(re.escape, names))
    numbered = re.compile(rf"\s*({usual})_?\d+\s*", re.IGNORECASE)
    return [column for column in table.columns if numbered.fullmatch(column)]


def require(table: Table, role: str, names: Sequence[str], given: Mapping[str, str]) -> str:
    """Return the column that plays a role.

    Raises:
        DataError: If there is none; lists those there are and says what to type.
    """
    column = find(table, role, names, given)
    if column is None:
        raise DataError(
            f"{table.name} has no column for the {role}; it has: {listed(table)}. "
            f"Name it: --column {role}={'NAME' if table.has_header else 'NUMBER'}"
        )
    return column


def named(table: Table, column: str, role: str) -> str:
    """Return the column of a name, or else of a number from 0."""
    columns = list(table.columns)
    if column in columns:
        return column
    if column.isdecimal() and len(column) < 10 and int(column) < len(columns):
        return columns[int(column)]
    raise DataError(
        f'{table.name} has no column "{column[:80]}" for the '
        f"{role}{nearest(column, columns) or '.'} "
        f"It has: {listed(table)}."
    )


def named_all(table: Table, names: str, role: str) -> list[str]:
    """Return the columns of names, or numbers from 0, with commas between them.

    Raises:
        DataError: If one is not there, or is named twice.
    """
    each = [names] if names in table.columns else [name.strip() for name in names.split(",")]
    found = [named(table, name, role) for name in each]
    if len(set(found)) < len(found):
        raise DataError(f"--column {role}={names} names a column twice; name each once.")
    return found


def listed(table: Table) -> str:
    """Return the names of the columns as a list to read, the first dozen where they are many.

    Where a file names none, they are numbers, and their first cells tell which is which.
    """
    columns = [
        f'{name} ("{cells[0][:20]}")'
        if name.isdecimal() and not table.has_header and isinstance(cells[0], str)
        else name
        for name, cells in table.columns.items()
    ]
    more = f", ... ({len(columns)} in all)" if len(columns) > 12 else ""
    return ", ".join(columns[:12]) + more


class Cells(NamedTuple):
    """A column read as numbers, NaN where a cell is none, and why it is none."""

    numbers: NDArray[np.float64]
    empty: NDArray[np.bool_]
    words: NDArray[np.bool_]


def parse(values: Sequence[Any]) -> Cells:
    """Read cells as numbers: texts as they are written, anything else as NumPy does."""
    if any(isinstance(value, str) for value in values):
        return parse_texts(values)
    nothing = np.zeros(len(values), dtype=np.bool_)
    try:
        numbers = np.asarray(values, dtype=np.float64)  # None becomes NaN
    except (ValueError, TypeError, OverflowError):
        return Cells(np.full(len(values), np.nan), nothing, ~nothing)
    if isinstance(values, np.ndarray):
        return Cells(numbers, nothing, nothing)
    return Cells(numbers, np.array([value is None for value in values]), nothing)


def parse_texts(values: Sequence[Any]) -> Cells:
    """Read texts as numbers: 12, -0.5, 1e-3, nan; not 1_000, as Python would."""
    import polars

    try:
        texts = polars.Series(values, dtype=polars.String)
    except TypeError:  # texts among other values
        given = [None if value is None else str(value) for value in values]
        texts = polars.Series(given, dtype=polars.String)
    texts = texts.str.strip_chars()
    numbers = texts.cast(polars.Float64, strict=False)
    empty = (texts.is_null() | (texts == "")).fill_null(True)
    filled = numbers.fill_null(float("nan")).to_numpy()
    return Cells(filled, empty.to_numpy(), (numbers.is_null() & ~empty).to_numpy())


def numbers(table: Table, column: str, *, empty: bool = False) -> NDArray[np.float64]:
    """Return a column as finite numbers, (rows,) or (rows, ...) where its cells are arrays.

    Args:
        table: Where it stands.
        column: Its name.
        empty: Whether a cell may be empty; NaN then stands for it.

    Raises:
        DataError: Names the first row that is not a finite number.
    """
    cells = parse(table.columns[column])
    finite = (np.isfinite(cells.numbers) & ~too_large(cells.numbers)).reshape(table.rows, -1).all(1)
    wrong = ~(finite | cells.empty) if empty else ~finite
    if not wrong.any():
        return cells.numbers
    row = int(wrong.argmax())
    value = table.columns[column][row]
    shown = f'"{str(value)[:40]}"'
    allowed = ", or leave the cell empty" if empty else ""
    if cells.empty[row]:
        problem = f"the cell in the column {column} is empty. Give a number"
    elif cells.words[row] and isinstance(value, list | tuple):
        problem = f"the column {column} holds lists of no one length. Give as many numbers a row"
    elif too_large(cells.numbers[row]).any() and np.isfinite(cells.numbers[row]).all():
        largest = np.abs(cells.numbers[row]).max()
        problem = f"{say_too_large(largest)} in the column {column}"
    elif np.ndim(value) > 0:
        problem = f"the column {column} holds NaN or infinity. Give finite numbers"
    elif not cells.words[row]:
        problem = f"{shown} in the column {column} is not finite. Give finite numbers{allowed}"
    elif commas := say_commas(str(value).strip()):
        problem = f"{shown} in the column {column} {commas}"
    else:
        problem = f"{shown} in the column {column} is not a number. Give numbers{allowed}"
    raise DataError(f"{table.where(row)}: {problem}.")


def say_commas(cell: str) -> str:
    """Say what a number with commas may mean: both readings, where there are two.

    >>> say_commas("1,5"), say_commas("1,740")  # doctest: +NORMALIZE_WHITESPACE
    ('has a decimal comma. Write 1.5',
     'may mean 1740 or 1.740. Write all of the column without commas, as the one that it is')
    """
    if re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", cell):
        whole, point = cell.replace(",", ""), cell.replace(",", ".")
        return (
            f"may mean {whole} or {point}. Write all of the column without commas, as the one that "
            "it is"
        )
    if re.fullmatch(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?", cell):
        return f"has commas between thousands. Write {cell.replace(',', '')}"
    if re.fullmatch(r"[+-]?\d+,\d+", cell):
        return f"has a decimal comma. Write {cell.replace(',', '.')}"
    return ""


def is_numeric(table: Table, column: str) -> bool:
    """Say whether every cell that is not empty is a number, finite or not, and some cell is one."""
    values = table.columns[column]
    if parse(values[:100]).words.any():  # most texts show it at once
        return False
    cells = parse(values)
    return bool(not cells.words.any() and not cells.empty.all())


def is_words(table: Table, column: str) -> bool:
    """Say whether most cells are words: one among numbers is a mistake to be told, not a text."""
    cells = parse(table.columns[column][:100])
    return bool(2 * cells.words.sum() > (~cells.empty).sum())


def only(given: Mapping[str, str], roles: Sequence[str]) -> None:
    """Refuse a role that no column can play.

    Raises:
        UsageError: Names the nearest.
    """
    for role in given:
        if role not in roles:
            raise UsageError(
                f"--column {role}={given[role]}: nothing is called {role} here"
                f"{nearest(role, roles) or '.'} There is: {', '.join(roles)}."
            )

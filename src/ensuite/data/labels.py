"""The labels of a task: the cells of a file as names, and names as numbers in one fixed order."""

import ast
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from enum import Enum
from functools import cached_property
from numbers import Number
from typing import Any, Self

import numpy as np

from ensuite.core.batch import IGNORE
from ensuite.core.errors import DataError, UnknownLabelError, nearest
from ensuite.core.printable import printable
from ensuite.core.table import Table

Label = str | tuple[str, ...]

NAMES = (str, bytes, Number, np.generic, date, time, timedelta, Enum)
"""What a label may be: anything that has one way to be written."""

LONGEST_NUMBER = 18
"""Digits of a label up to which it is sorted as a number."""


@dataclass(frozen=True)
class Labels:
    """A fixed set of label names; a label's number is its place."""

    names: tuple[str, ...] = ()

    @classmethod
    def learn(cls, given: Iterable[str]) -> Self:
        """Take every distinct label, numbers in their order, words in theirs."""
        distinct = set(given)
        if all(re.fullmatch(rf"-?\d{{1,{LONGEST_NUMBER}}}", name) for name in distinct):
            return cls(tuple(sorted(distinct, key=lambda name: (int(name), name))))
        return cls(tuple(sorted(distinct)))

    def __len__(self) -> int:
        """Count the labels."""
        return len(self.names)

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """The number of each label; the first of a name that comes twice, as a checkpoint's may."""
        return {name: number for number, name in reversed([*enumerate(self.names)])}

    def encode(self, name: str | None) -> int:
        """Return the number of a label; ``IGNORE`` for one that is not given.

        Raises:
            UnknownLabelError: If it is none of them.
        """
        if name is None:
            return IGNORE
        try:
            return self.numbers[name]
        except KeyError:
            shown = ", ".join(self.names[:10]) + (", ..." if len(self) > 10 else "")
            raise UnknownLabelError(
                f'The label "{name}" is none that the model has learned'
                f"{nearest(name, self.names)} (known: {shown}). Mend it, leave its rows out, or "
                "train a model on rows with it."
            ) from None


def read(
    table: Table, column: str, separator: str = "", *, lists: bool = False
) -> tuple[list[Label], bool]:
    """Return the labels of a column, and whether an example may have several: then as tuples.

    A cell is a name or a number; several in a list, or with ``separator`` between them. Vectors of
    0 and 1, one for each class, name the classes 0, 1, ...: one class an example where each has a
    single 1 (one-hot), several otherwise. Of names that come twice in a cell one counts. ``lists``
    says that an example may have several, whatever these rows have.

    Raises:
        DataError: Names the first row without a label, or with something that is none.
    """
    cells = to_cells(table, column)
    if indicators := as_indicators(cells):
        if not lists and all(len(each) == 1 for each in indicators):
            return [each[0] for each in indicators], False
        return list(indicators), True
    if isinstance(table.columns[column], np.ndarray) and is_list(cells[0]):
        raise DataError(
            f"The labels {column} of {table.name} have the shape {np.shape(cells)} and other "
            "numbers than 0 and 1; give one label a row, or 0 and 1 for each class."
        )
    if not lists and not separator and not any(is_list(cell) for cell in cells):
        return [one(cell, table.where(row)) for row, cell in enumerate(cells)], False
    return [several(cell, separator, table.where(row)) for row, cell in enumerate(cells)], True


def to_cells(table: Table, column: str) -> Sequence[Any]:
    """Return the cells of a column, lists for arrays; (rows, 1) is a column as (rows,) is.

    Raises:
        DataError: If it has more dimensions than a list of labels.
    """
    cells = table.columns[column]
    if not isinstance(cells, np.ndarray):
        return [cell.tolist() if isinstance(cell, np.ndarray) else cell for cell in cells]
    if cells.ndim > 2:
        raise DataError(
            f"The labels {column} of {table.name} have the shape {cells.shape}; give (rows,), or "
            "(rows, classes) with 0 and 1."
        )
    whole: Sequence[Any] = (cells[:, 0] if cells.shape[1:] == (1,) else cells).tolist()
    return whole


def as_indicators(cells: Sequence[Any]) -> list[tuple[str, ...]] | None:
    """Return the classes that vectors of 0 and 1 hold; None where the cells are no such vectors.

    A list of labels has no two that are equal, so that [0, 1, 0] cannot be one; nor would every
    example have both of [0, 1].
    """
    width = len(cells[0]) if is_list(cells[0]) else 0
    if width < 2 or not all(is_list(cell) and len(cell) == width for cell in cells):
        return None
    numbers = (int, float, np.number)
    if not all(isinstance(each, numbers) and each in (0, 1) for cell in cells for each in cell):
        return None
    return [tuple(str(place) for place, each in enumerate(cell) if each) for cell in cells]


def is_list(cell: Any) -> bool:
    """Say whether a cell may hold several labels."""
    return isinstance(cell, list | tuple | set | frozenset)


def several(cell: Any, separator: str, where: str) -> tuple[str, ...]:
    """Return the labels of a cell, each once; a word is a list of one, where nothing splits it."""
    if cell is None:
        return ()
    if isinstance(cell, str):
        names = cell.split(separator) if separator else [one(cell, where)]
        return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
    each = sorted(cell, key=str) if isinstance(cell, set | frozenset) else cell
    if not is_list(cell):
        each = [cell]
    return tuple(dict.fromkeys(one(label, where, among=True).strip() for label in each))


def one(cell: Any, where: str, *, among: bool = False) -> str:
    """Return the name that a cell is.

    Args:
        cell: A name, or a number, as files and libraries have them.
        where: What messages call its row.
        among: Whether it is one of several.

    Raises:
        DataError: If it is empty, missing, or holds something else.
    """
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        cell = int(cell)  # JSON and NumPy write the class 1 as 1.0
    missing = cell is None or (isinstance(cell, float | np.floating) and cell != cell)
    if missing or not str(cell).strip():
        if among:
            raise DataError(f"{where} has an empty label among its labels; take that one out.")
        raise DataError(f"{where} has no label; give it one, or take the row out.")
    if not isinstance(cell, NAMES) or is_written_list(cell):
        shown = str(cell)[:60]
        raise DataError(
            f"{where} has {shown} for a label, which is no name; give one name or number, or "
            "several with a mark between them (red;blue) and --set separator=';'."
        )
    return cell.decode(errors="backslashreplace") if isinstance(cell, bytes) else str(cell)


def is_written_list(cell: Any) -> bool:
    """Say whether a text is how Python or JSON writes a list: "['red', 'blue']"."""
    if not isinstance(cell, str) or not re.fullmatch(r"\s*\[.*\]\s*", cell, re.DOTALL):
        return False
    try:
        return isinstance(ast.literal_eval(cell.strip()), list)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False


def look_alike(names: Iterable[str]) -> str:
    """Return what a person should know of labels that hardly differ; empty where none do.

    >>> look_alike(["neg", "neg ", "pos"])
    '"neg" and "neg " differ by nothing but blanks, and are different classes'
    """
    groups = defaultdict(list)
    for name in sorted(names):
        groups[key(name)].append(name)
    alike = [group for group in groups.values() if len(group) > 1]
    if not alike:
        return ""
    shown = [
        f"{' and '.join(map(quoted, group))} differ by {difference(group)}" for group in alike[:3]
    ]
    more = f", and {len(alike) - 3:,} more such" if len(alike) > 3 else ""
    return f"{'; '.join(shown)}{more}, and are different classes"


def key(name: str) -> str:
    """Return what is left of a name without case, blanks and ways to compose its letters."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def difference(group: Sequence[str]) -> str:
    """Say by what names of one key differ."""
    if len({" ".join(name.split()) for name in group}) == 1:
        return "nothing but blanks"
    if len({unicodedata.normalize("NFC", name) for name in group}) == 1:
        return "nothing but how Unicode composes their letters"
    if len({name.casefold() for name in group}) == 1:
        return "nothing but capitals"
    return "nothing but blanks, capitals or how Unicode writes their letters"


def quoted(name: str) -> str:
    """Return a name in quotation marks, spelled out where its letters are composed."""
    composed = unicodedata.normalize("NFC", name) == name
    return f'"{printable(name)}"' if composed else f'"{ascii(name)[1:-1]}"'

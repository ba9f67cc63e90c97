"""The columns of a file, and how to name one of its rows to a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns of equal length.

    Args:
        name: What it is called: the file's name, or the folder's.
        columns: By name: texts as they stand in the file, values from JSON or Parquet, or arrays
            whose first dimension is the rows.
        rows: How many rows every column has.
        fingerprint: SHA-256 of the file's content (unzipped), or of the values; in hexadecimal.
        has_header: Whether the file names its columns; otherwise they are "0", "1", ...
        numbers: Row numbers in the file, from 1; None where they are 1, 2, 3, ...
        notes: What was done to the file while reading, one sentence each.
        starts: The line of the file at which each row starts, where a row is a sentence of
            several lines.
        prose: Whether the rows are the lines of one text, in their order.
        file: What messages call the file the rows stand in, where ``name`` is not its name.
        guessed_header: Whether nothing but its place says that the first row names the columns.
        read_as: The columns that a task read, by role; see :meth:`note`.
    """

    name: str
    columns: Mapping[str, Sequence[Any]]
    rows: int
    fingerprint: str = ""
    has_header: bool = True
    numbers: Sequence[int] | None = None
    notes: tuple[str, ...] = ()
    starts: Sequence[int] | None = None
    prose: bool = False
    file: str = ""
    guessed_header: bool = False
    read_as: dict[str, list[str]] = field(default_factory=dict, repr=False)

    def note(self, role: str, *names: str) -> None:
        """Remember that columns are read in a role, for the data check.

        Tables that are made of this one by ``replace`` share what is remembered.
        """
        known = self.read_as.setdefault(role, [])
        known += [name for name in names if name not in known]

    def where(self, row: int) -> str:
        """Name a row as a person counts them: data rows from 1.

        >>> Table("temps.csv", {"value": ["20", "n/a"]}, rows=2).where(1)
        'row 2 of temps.csv'
        """
        number = row + 1 if self.numbers is None else self.numbers[row]
        file = self.file or self.name
        if self.starts is not None:
            return f"sentence {number} (line {self.starts[row]}) of {file}"
        return f"row {number} of {file}"

    def select(self, indices: Sequence[int]) -> Self:
        """Return some of the rows, in that order; they keep their numbers in the file."""
        columns: dict[str, Any] = {
            name: values[np.asarray(indices, dtype=np.intp)]
            if isinstance(values, np.ndarray)
            else [values[i] for i in indices]
            for name, values in self.columns.items()
        }
        numbers = [i + 1 if self.numbers is None else self.numbers[i] for i in map(int, indices)]
        starts = self.starts and [self.starts[i] for i in indices]
        return replace(self, columns=columns, rows=len(numbers), numbers=numbers, starts=starts)

"""Rows of one shape as one array a field: a batch of them is one selection, not many objects."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

Row = TypeVar("Row", bound=NamedTuple)

MOST_BYTES = 2**30
"""Of a field that is stacked; beyond, memory is worth more than the time a batch takes."""


class Stacked(Sequence[Row]):
    """Named tuples of arrays, or of numbers, each field of one shape throughout.

    Args:
        make: Their class.
        fields: (rows, ...), one for each of its fields, in order.
    """

    def __init__(self, make: type[Row], fields: Sequence[NDArray[Any]]) -> None:
        self.make, self.fields = make, tuple(fields)

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.fields[0])

    @overload
    def __getitem__(self, number: int) -> Row: ...
    @overload
    def __getitem__(self, number: slice) -> "Stacked[Row]": ...
    def __getitem__(self, number: int | slice) -> "Row | Stacked[Row]":
        """Return a row, or a stretch of them."""
        picked = [field[number] for field in self.fields]
        return Stacked(self.make, picked) if isinstance(number, slice) else self.make(*picked)


def stack(rows: Sequence[Row]) -> Sequence[Row]:
    """Return the rows as fields where each of those has one shape; as they are where not.

    >>> class Point(NamedTuple):
    ...     at: NDArray[Any]
    >>> [type(stack([Point(np.ones(3)), Point(np.ones(n))])).__name__ for n in (3, 4)]
    ['Stacked', 'list']
    """
    if not rows:
        return rows
    fields = []
    for column in zip(*rows, strict=True):
        first = np.asarray(column[0])
        alike = all(np.shape(each) == first.shape for each in column)
        if not alike or first.dtype == object or first.nbytes * len(rows) > MOST_BYTES:
            return rows
        fields.append(np.stack(column))
    return Stacked(type(rows[0]), fields)


def take(rows: Sequence[Row], numbers: Sequence[int]) -> Sequence[Row]:
    """Return the rows of these numbers."""
    if isinstance(rows, Stacked):
        return Stacked(rows.make, [field[numbers] for field in rows.fields])
    return [rows[number] for number in numbers]


def column(rows: Sequence[Row], name: str) -> Sequence[Any]:
    """Return one field of all rows: an array where they are stacked."""
    if isinstance(rows, Stacked):
        field: NDArray[Any] = rows.fields[rows.make._fields.index(name)]
        return field
    return [getattr(row, name) for row in rows]

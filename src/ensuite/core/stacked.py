"""Named tuples whose fields have one shape throughout, kept as one array for each field."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray

Row = TypeVar("Row")

MOST_BYTES, MOST_MAPPED = 2**30, 2**27
"""Largest field that is copied into one array; of rows of a file that is mapped into memory."""


class Selectable(Sequence[Row]):
    """Rows that are held together, so that some are selected at once."""

    @abstractmethod
    def take(self, numbers: Sequence[int]) -> Sequence[Row]:
        """Return the rows with these numbers."""


class Stacked(Selectable[Row]):
    """A sequence of named tuples, kept as one array for each field.

    A batch is then one selection of rows from each array, and no list of objects.

    Args:
        make: Class of the named tuples.
        fields: Arrays (rows, ...) by name, in the order of the class.
    """

    def __init__(self, make: Callable[..., Row], fields: Mapping[str, NDArray[Any]]) -> None:
        self.make, self.fields = make, fields

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self.fields.values())))

    @overload
    def __getitem__(self, number: int) -> Row: ...
    @overload
    def __getitem__(self, number: slice) -> "Stacked[Row]": ...
    def __getitem__(self, number: int | slice) -> "Row | Stacked[Row]":
        """Return one row, or a slice of them."""
        picked = {name: field[number] for name, field in self.fields.items()}
        return Stacked(self.make, picked) if isinstance(number, slice) else self.make(**picked)

    def take(self, numbers: Sequence[int]) -> "Stacked[Row]":
        """Return the rows with these numbers."""
        places = np.asarray(numbers, dtype=np.intp)
        return Stacked(self.make, {name: f.take(places, 0) for name, f in self.fields.items()})


def stack(rows: Sequence[Row]) -> Sequence[Row]:
    """Return named tuples as :class:`Stacked` where each field has one shape, else unchanged.

    >>> from typing import NamedTuple
    >>> Point = NamedTuple("Point", [("at", NDArray[Any])])
    >>> [type(stack([Point(np.ones(3)), Point(np.ones(n))])).__name__ for n in (3, 4)]
    ['Stacked', 'list']
    """
    if not rows:
        return rows
    make: Any = type(rows[0])
    columns = list(zip(*cast("Sequence[tuple[Any, ...]]", rows), strict=True))
    for each in columns:
        most = MOST_MAPPED if is_mapped(each[0]) else MOST_BYTES
        if np.asarray(each[0]).nbytes * len(rows) > most:
            return rows
    try:
        fields = dict(zip(make._fields, map(_one_array, columns), strict=True))
    except ValueError:  # fields of several shapes
        return rows
    if any(field.dtype == object for field in fields.values()):
        return rows
    return Stacked(make, fields)


def is_mapped(value: Any) -> bool:
    """Say whether an array shows a part of a file that is mapped into memory."""
    while isinstance(value, np.ndarray):
        if isinstance(value, np.memmap):
            return True
        value = value.base
    return False


def _one_array(values: Sequence[Any]) -> NDArray[Any]:
    """Return values of one shape as an array; arrays are copied at the speed of memory."""
    shape, arrays = np.shape(values[0]), all(isinstance(each, np.ndarray) for each in values)
    if arrays and shape and all(each.shape == shape for each in values):
        return np.concatenate(values).reshape(len(values), *shape)
    return np.array(values)


def take(rows: Sequence[Row], numbers: Sequence[int]) -> Sequence[Row]:
    """Return the rows with these numbers."""
    if isinstance(rows, Selectable):
        return rows.take(numbers)
    return [rows[number] for number in numbers]


def column(rows: Sequence[Any], name: str) -> Any:
    """Return one field of all rows: an array if the rows are stacked, else a list."""
    if isinstance(rows, Stacked):
        return rows.fields[name]
    return [getattr(row, name) for row in rows]

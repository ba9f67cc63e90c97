"""Texts and numbers are looked at where they enter: what no model can take is refused there."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensuite.core.errors import DataError
from ensuite.core.table import Table

LARGEST = 1e150
"""Size of a number up to which sums of squares stay within what a float holds."""


def check_texts(table: Table) -> Table:
    """Return the table.

    Raises:
        DataError: If a text has half of a surrogate pair, which is no character: names the row.
    """
    for name, cells in table.columns.items():
        if isinstance(cells, np.ndarray) or is_unicode(strings(cells)):
            continue
        row = next(row for row, cell in enumerate(cells) if not is_unicode(strings([cell])))
        raise DataError(f"{table.where(row)}: {broken(f'the column {name}')}.")
    if not is_unicode(table.columns):
        raise DataError(f"{table.name}: {broken('the name of a column')}.")
    return table


def check_typed(raw: Any) -> None:
    """Refuse an input, typed or handed over, that is or holds a text with half a character.

    Raises:
        DataError: Says so.
    """
    if not is_unicode(strings([raw])):
        raise DataError(f"{str(raw)[:60]} cannot be read: {broken('the input')}.")


def broken(place: str) -> str:
    """Say what is wrong with a text that is no Unicode."""
    return (
        f"{place} holds half of a surrogate pair, which is no character (a byte that is not UTF-8, "
        "or an emoji cut in two); mend the text"
    )


def is_unicode(texts: Iterable[str]) -> bool:
    """Say whether texts can be written as UTF-8."""
    try:
        for text in texts:
            text.encode()
    except UnicodeEncodeError:
        return False
    return True


def strings(cells: Iterable[Any]) -> Iterator[str]:
    """Return every text among cells, and within those that are lists or mappings."""
    for cell in cells:
        if isinstance(cell, str):
            yield cell
        elif isinstance(cell, Mapping):
            yield from strings([*cell.keys(), *cell.values()])
        elif isinstance(cell, Sequence) and not isinstance(cell, bytes | bytearray):
            yield from strings(cell)


def too_large(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Say of each number whether its square would overflow; no smaller type has such numbers."""
    if values.dtype.kind != "f" or values.dtype.itemsize < 8:
        return np.zeros(values.shape, dtype=np.bool_)
    found: NDArray[np.bool_] = (values > LARGEST) | (values < -LARGEST)
    return found


def say_too_large(value: Any) -> str:
    """Say what is wrong with a number that is too large."""
    return f"{value:.4g} is too large to be learned from; give numbers up to {LARGEST:g}"

"""Columns of truth values, as True and False in memory or as words in a file."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensuite.core.errors import DataError
from ensuite.core.table import Table

VALUES = {"true": 1.0, "false": 0.0, "": np.nan, "none": np.nan}
"""What cells mean, in small letters; NaN for an empty one."""


def mean(cell: Any) -> float | None:
    """Return 1 for true, 0 for false, NaN for an empty cell, None for any other.

    >>> mean("True"), mean(False), mean("yes")
    (1.0, 0.0, None)
    """
    return VALUES.get(str(cell).strip().casefold())


def is_truth(cells: Sequence[Any]) -> bool:
    """Return whether a column holds truth values, as its first cells do."""
    meant = [mean(cell) for cell in cells[:100]]
    return None not in meant and not np.isnan(np.array(meant, dtype=float)).all()


def read(table: Table, column: str) -> NDArray[np.float64]:
    """Return a column of truth values as 0 and 1, NaN where a cell is empty.

    Raises:
        DataError: Names the first row that is neither true nor false.
    """
    cells = table.columns[column]
    meant = [mean(cell) for cell in cells]
    if None in meant:
        row = meant.index(None)
        raise DataError(
            f'{table.where(row)}: "{str(cells[row])[:40]}" in the column {column} is neither true '
            "nor false, as the others are; give one of these, or leave the cell empty."
        )
    return np.array(meant, dtype=np.float64)

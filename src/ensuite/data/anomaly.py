"""The labels of a detector: which rows are normal, which are anomalies, and which are not known."""

from collections.abc import Mapping, Sequence
from typing import Any

from ensuite.core.errors import DataError
from ensuite.core.table import Table
from ensuite.data import columns
from ensuite.data.labels import is_list, to_cells

PLAIN_NAMES = ("anomaly", "is_anomaly", "anomalous", "outlier", "is_outlier", "label")
"""Usual names of the column that tells anomalies, beside the values of a series too."""

NAMES = (*PLAIN_NAMES, "class", "fraud", "y", "target")
"""Usual names of that column beside the numbers of a row."""

USUAL = ("0", "normal", "false", "no")
"""What a normal row is usually marked by."""

MOST_CLASSES = 50
"""Most different marks of a column that was not named by the user; more are measurements."""

SHOWN = 6
"""Marks that a message shows."""


def find(
    table: Table, given: Mapping[str, str], known: str = "", names: Sequence[str] = NAMES
) -> str | None:
    """Return the column that marks anomalies, or None where there is none.

    Args:
        table: A file's columns.
        given: Column by role, where the user names them.
        known: The column of the training file.
        names: Its usual names.
    """
    if "label" not in given and known in table.columns:
        return known
    column = columns.find(table, "label", names, given)
    if column is None or "label" in given:
        return column
    cells = to_cells(table, column)
    if any(is_list(cell) for cell in cells[:1]):
        return None
    return column if len({mark(cell) for cell in cells}) <= MOST_CLASSES else None


def read(table: Table, column: str, normal: str = "") -> list[bool | None]:
    """Return True for each anomaly, False for each normal row, None where the cell is empty.

    Args:
        table: A file's columns.
        column: The one that marks anomalies.
        normal: The mark of a normal row; empty for 0, normal, false or no. Any other mark is that
            of an anomaly.
    """
    wanted = {mark(normal)} if normal else set(USUAL)
    marks = [mark(cell) for cell in to_cells(table, column)]
    return [None if not each else each not in wanted for each in marks]


def require_normal(table: Table, column: str, anomalous: Sequence[bool | None]) -> None:
    """Refuse labels among which no row is normal.

    Raises:
        DataError: Names the marks that there are, and the option that says which one is normal.
    """
    if not anomalous or any(each is not True for each in anomalous):
        return
    marks = sorted({mark(cell) for cell in to_cells(table, column)})
    shown = ", ".join(marks[:SHOWN]) + (", ..." if len(marks) > SHOWN else "")
    raise DataError(
        f"{table.name}: no row is marked as normal in the column {column}, which has: {shown}. "
        "Say which mark is that of a normal row: --set task.normal=..."
    )


def mark(cell: Any) -> str:
    """Return a cell as it is compared with others; empty for one that is not known.

    >>> mark(1.0), mark("1.0000e+00"), mark(" Normal"), mark(False), mark(None), mark(float("nan"))
    ('1', '1', 'normal', 'false', '', '')
    """
    text = "" if cell is None else str(cell).strip().casefold()
    try:
        number = float(text)
    except ValueError:
        return text
    return "" if number != number else f"{number:.12g}"

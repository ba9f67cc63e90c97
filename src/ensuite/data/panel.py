"""One or many time series out of a table: long, wide, or one series a row."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ensuite.core.errors import DataError
from ensuite.core.table import Table
from ensuite.data import columns
from ensuite.data.frequency import DAY, Frequency, Times
from ensuite.data.grid import GridReader, Rows, common_frequency
from ensuite.data.roles import TIME_NAMES, Roles, find_roles, is_time, unread
from ensuite.data.series import Clock, Series
from ensuite.data.timestamps import DateOrder, Stamps, read_stamps

ROW_VALUES = 8
"""Numbered columns from which a row without a time stamp is taken for a whole series."""

Numbers = NDArray[np.float64]
Layout = Literal["auto", "columns", "rows"]


@dataclass(frozen=True, eq=False)
class Panel:
    """All series of a table.

    Args:
        series: In the order in which they first appear in the file.
        columns: Names of the columns to forecast.
        clock: How their steps become time stamps.
        roles: Where each column was read from.
        notes: What a user should know of how they were read, one sentence each.
        dates: Whether day or month comes first in the time stamps; auto: it is written.
    """

    series: tuple[Series, ...]
    columns: tuple[str, ...]
    clock: Clock
    roles: Roles = field(default_factory=Roles)
    notes: tuple[str, ...] = ()
    dates: DateOrder = "auto"


def read_panel(
    table: Table,
    given: Mapping[str, str],
    *,
    future: Sequence[str] = (),
    past: Sequence[str] = (),
    static: Sequence[str] = (),
    layout: Layout = "auto",
    dates: DateOrder = "auto",
    values: Sequence[str] = (),
    frequency: Frequency | None = None,
) -> Panel:
    """Read the series of a table.

    Args:
        table: A file's columns.
        given: Column by role (time, series, value), where the user names them.
        future: Columns known in the future too (prices, holidays).
        past: Columns known in the past only (weather).
        static: Columns that do not change within a series (size of a shop).
        layout: ``columns``: time runs down the rows; ``rows``: each row is a whole series;
            ``auto``: found by the names of the columns.
        dates: How dates such as 03/04/2024 are read if the file does not decide it.
        values: The columns to forecast, if they are known already.
        frequency: The frequency, if it is known already; another one is returned only if the time
            stamps do not fit it.

    Raises:
        DataError: Names the row and column at fault.
    """
    if layout == "rows" or (layout == "auto" and _is_rows(table, given)):
        if beside := [*future, *past, *static]:
            raise DataError(
                f"{table.name} has one series a row, so that {', '.join(beside)} cannot be "
                "columns beside it; give a file whose rows are steps, or --set layout=columns."
            )
        return _read_rows(table, given)
    if values and "value" not in given and set(values) <= set(table.columns):
        given = {**given, "value": ",".join(values)}
    roles = find_roles(table, given, future=future, past=past, static=static)
    stamps = _stamps(table, roles, dates)
    groups = _groups(table, roles)
    frequency = common_frequency(table, roles, stamps, groups, frequency)
    clock = Clock(frequency, stamps.dated, stamps.zone)
    local = stamps.dated and not stamps.zone
    read = GridReader(table, roles, stamps.times, frequency, local)
    series = tuple(read.series(name, rows) for name, rows in groups.items())
    said = (*stamps.notes, *read.notes(), *unread(table, roles))
    return Panel(series, roles.values, clock, roles, said, stamps.order)


# Known features that the file does not hold


def add_calendar(panel: Panel, horizon: int) -> Panel:
    """Add time of day, day of the week and month to what is known, as points on a circle.

    Args:
        panel: With time stamps.
        horizon: Steps after the end of each series for which they are needed too.

    Raises:
        DataError: If the steps of the panel have no dates.
    """
    frequency = panel.clock.frequency
    if not panel.clock.dated or frequency is None:
        raise DataError("calendar=true needs time stamps, and the rows have none; leave it out.")
    series = []
    for each in panel.series:
        columns_known = each.known.shape[1]
        steps = len(each.known) if columns_known else len(each) + horizon
        circle = calendar(frequency.after(each.start, np.arange(steps)))
        known = np.hstack([each.known, circle]) if columns_known else circle
        series.append(replace(each, known=known))
    return replace(panel, series=tuple(series))


def calendar(times: Times) -> Numbers:
    """Return sine and cosine of the time of day, the day of the week and the month, (times, 6)."""
    days = times / DAY
    months = times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64) % 12
    angles = 2 * np.pi * np.stack([days % 1, (days + 3) % 7 / 7, months / 12], axis=1)
    return np.hstack([np.sin(angles), np.cos(angles)])


# One series a row


def _is_rows(table: Table, given: Mapping[str, str]) -> bool:
    """Return whether a table has the layout of M4: an id, then V2, V3, ... of one series a row."""
    if given.keys() & {"time", "value"}:
        return False
    first, *names = table.columns
    shapes = {re.sub(r"\d+", "0", name) for name in names}
    numbered = len(shapes) == 1 and bool(re.search(r"\d", names[0]))
    return (
        len(names) >= ROW_VALUES
        and numbered
        and first.strip().casefold() not in TIME_NAMES
        and not columns.is_numeric(table, first)
        and not is_time(table, first)
    )


def _read_rows(table: Table, given: Mapping[str, str]) -> Panel:
    """Read one series a row; empty cells at its end are not part of it."""
    found = columns.find(table, "series", (next(iter(table.columns)),), given)
    names = [name for name in table.columns if name != found]
    if not names:
        raise DataError(f"{table.name} has no columns of values after that of the series ids.")
    numbers = np.stack([columns.numbers(table, name, empty=True) for name in names], axis=1)
    ids = [str(cell) for cell in table.columns[found]] if found else [""] * table.rows
    _refuse_repeated(table, ids)
    series = []
    for row, (name, line) in enumerate(zip(ids, numbers, strict=True)):
        real = np.flatnonzero(~np.isnan(line))
        if not len(real):
            raise DataError(f"{table.where(row)}: the series {name} has no value; take it out.")
        series.append(Series.plain(name, 1, line[: real[-1] + 1, None]))
    clock = Clock(Frequency("steps", 1))
    roles = Roles(series=found)
    note = "each row is a series, its columns are steps"
    return Panel(tuple(series), ("value",), clock, roles, (note,))


def _refuse_repeated(table: Table, ids: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for row, name in enumerate(ids):
        if name in seen:
            raise DataError(
                f"{table.where(row)}: the series {name} appears here and in "
                f"{table.where(seen[name])}; give each series one row."
            )
        seen[name] = row


# Time runs down the rows


def _stamps(table: Table, roles: Roles, dates: DateOrder) -> Stamps:
    """Read the time stamps, or number the rows of each series."""
    if roles.time is not None:
        return read_stamps(table, roles.time, dates)
    note = "no column of time stamps: rows are steps in the order of the file"
    if roles.series is None:
        return Stamps(np.arange(1, table.rows + 1), dated=False, notes=(note,))
    counts: dict[Any, int] = {}
    steps = np.zeros(table.rows, np.int64)
    for row, name in enumerate(table.columns[roles.series]):
        steps[row] = counts[name] = counts.get(name, 0) + 1
    return Stamps(steps, dated=False, notes=(note,))


def _groups(table: Table, roles: Roles) -> dict[str, Rows]:
    """Return the rows of each series, in the order of the file."""
    if roles.series is None:
        return {"": np.arange(table.rows)}
    cells = table.columns[roles.series]
    empty = [cell is None or str(cell).strip() == "" for cell in cells]
    if any(empty):
        raise DataError(
            f"{table.where(empty.index(True))} has no series id in the column {roles.series}; give "
            "one, or take the row out."
        )
    names = np.array([str(cell) for cell in cells])
    unique, first, inverse = np.unique(names, return_index=True, return_inverse=True)
    rows = np.split(np.argsort(inverse, kind="stable"), np.cumsum(np.bincount(inverse))[:-1])
    return {str(unique[each]): rows[each] for each in np.argsort(first)}

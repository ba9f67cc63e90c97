"""The columns of a table of time series, by what they hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ensuite.core.errors import DataError
from ensuite.core.table import Table
from ensuite.data import columns, truth
from ensuite.data.timestamps import read_stamps

TIME_NAMES = ("time", "timestamp", "ds", "date", "datetime", "date_time", "period", "month", "year")
SERIES_NAMES = ("series", "unique_id", "item_id", "series_id", "id", "store", "sensor", "symbol")
VALUE_NAMES = ("value", "y", "target", "values", "close")


@dataclass(frozen=True, kw_only=True)
class Roles:
    """The columns of a table by what they hold.

    Args:
        time: Time stamps; None: rows are in the order of time.
        series: The id of the series; None: there is one series.
        values: What is forecast.
        future: Known in the future too.
        past: Known in the past only.
        static: The same at every step of a series.
    """

    time: str | None = None
    series: str | None = None
    values: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    static: tuple[str, ...] = ()

    @property
    def named(self) -> tuple[tuple[str, str], ...]:
        """Role and column of the time stamps and the series ids, as far as there are any."""
        pairs = (("time", self.time), ("series", self.series))
        return tuple((role, column) for role, column in pairs if column is not None)

    def note(self, table: Table) -> None:
        """Remember which columns are read as what, where each value has a column of its own."""
        for role in ("value", "future", "past", "static") if self.values else ():
            names: tuple[str, ...] = self.values if role == "value" else getattr(self, role)
            if names:
                table.note(role, *names)
        for role, column in self.named if self.values else ():
            table.note(role, column)


def find_roles(
    table: Table,
    given: Mapping[str, str],
    *,
    future: Sequence[str] = (),
    past: Sequence[str] = (),
    static: Sequence[str] = (),
) -> Roles:
    """Find what each column holds: what is forecast are all numeric columns with no other role.

    Raises:
        DataError: If a named column is not there, has two roles, or none is left to forecast.
    """
    time = columns.find(table, "time", TIME_NAMES, given)
    if time is None:
        time = next((c for c in table.columns if is_time(table, c)), None)
    series = _find_series(table, given, time)
    beside = {
        role: tuple(columns.named(table, name, f"option task.{role}") for name in names)
        for role, names in (("future", future), ("past", past), ("static", static))
    }
    _refuse_words(table, [name for names in beside.values() for name in names])
    taken = [name for name in (time, series) if name is not None]
    taken += [name for names in beside.values() for name in names]
    _refuse_two_roles(table, taken)
    usual = columns.find_all(table, "value", VALUE_NAMES, given)
    if "value" in given:
        _refuse_two_roles(table, [*taken, *usual])
        _refuse_words(table, usual)
    ids = {name for name in table.columns if name.strip().casefold() in SERIES_NAMES}
    values = [name for name in usual if name not in taken] or _numbers(table, {*taken, *ids})
    if not values:
        raise DataError(
            f"{table.name} has no column of numbers to forecast; it has: {columns.listed(table)}. "
            "Name it: --column value=NAME."
        )
    return Roles(time=time, series=series, values=tuple(values), **beside)


def _find_series(table: Table, given: Mapping[str, str], time: str | None) -> str | None:
    """Return the column of series ids; not one that numbers the rows, as ``id`` often does."""
    column = columns.find(table, "series", SERIES_NAMES, given)
    if column is None or "series" in given or table.rows < 2:
        return column
    beside = range(table.rows) if time is None else map(str, table.columns[time])
    every_row = len(set(map(str, table.columns[column]))) == table.rows
    return None if every_row and len(set(beside)) == table.rows else column


def _numbers(table: Table, but: set[str]) -> list[str]:
    """Return the columns that hold numbers; a word among numbers is refused when it is read."""
    return [
        name
        for name in table.columns
        if name not in but
        and not columns.is_words(table, name)
        and not columns.parse(table.columns[name]).empty.all()
        and np.ndim(columns.parse(table.columns[name][:1]).numbers) == 1
    ]


def _refuse_two_roles(table: Table, names: Sequence[str]) -> None:
    for place, name in enumerate(names):
        if name in names[:place]:
            raise DataError(
                f"The column {name} of {table.name} is given two roles; name each column once "
                "among time, series, value, future, past and static."
            )


def _refuse_words(table: Table, names: Sequence[str]) -> None:
    """Refuse columns that hold words; a word among numbers is refused when it is read."""
    for name in names:
        cells = table.columns[name]
        word = str(cells[int(np.argmax(columns.parse(cells).words))])
        number = any(letter.isdigit() for letter in word)  # one that is written in another way
        if columns.is_words(table, name) and not number and not truth.is_truth(cells):
            raise DataError(
                f'The column {name} of {table.name} holds words ("{word[:40]}", ...), and a series '
                "is of numbers: give each word a column of its own that is 1 where it stands and 0 "
                "elsewhere, or leave the column out."
            )


def unread(table: Table, roles: Roles) -> tuple[str, ...]:
    """Say which columns are not read."""
    read = {roles.time, roles.series, *roles.values, *roles.future, *roles.past, *roles.static}
    names = [name for name in table.columns if name not in read]
    if not names:
        return ()
    shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return (
        f"not read: {shown}; name what helps with --set past=, --set future= or --set static=, and "
        "what is to be forecast with --column value=",
    )


def is_time(table: Table, column: str) -> bool:
    """Return whether a column whose name says nothing holds dates."""
    cells = table.columns[column]
    if isinstance(cells, np.ndarray):
        return bool(np.issubdtype(cells.dtype, np.datetime64))
    if not len(cells) or not isinstance(cells[0], str) or columns.parse(cells[:1]).words.sum() == 0:
        return hasattr(cells[0], "isoformat") if len(cells) else False
    few = replace(table, columns={column: cells[:20]}, rows=min(20, table.rows))
    try:
        return read_stamps(few, column, "day-first").dated
    except DataError:
        return False

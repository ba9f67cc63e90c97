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
from ensuite.data.timestamps import (
    DAY,
    DateOrder,
    Frequency,
    Stamps,
    Times,
    find_frequency,
    read_stamps,
    write_stamps,
)

TIME_NAMES = ("time", "timestamp", "ds", "date", "datetime", "date_time", "period", "month", "year")
SERIES_NAMES = ("series", "unique_id", "item_id", "series_id", "id", "store", "sensor", "symbol")
VALUE_NAMES = ("value", "y", "target", "values", "close")

ROW_VALUES = 8
"""Numbered columns from which a row without a time stamp is taken for a whole series."""

Numbers = NDArray[np.float64]
Layout = Literal["auto", "long", "wide", "rows"]


@dataclass(frozen=True, eq=False)
class Series:
    """One series on an even grid of steps.

    Args:
        name: Its id; "" where the file holds a single one.
        start: Its first time stamp.
        values: (steps, columns), NaN where a value is missing.
        known: (steps, features), columns known in the future too; they may reach further than
            ``values``.
        seen: (steps, features), columns known in the past only.
        static: (features,), what does not change over time.
    """

    name: str
    start: int
    values: Numbers
    known: Numbers
    seen: Numbers
    static: Numbers

    def __len__(self) -> int:
        """Count the steps that have values."""
        return len(self.values)


@dataclass(frozen=True)
class Clock:
    """What time stamps of a panel are made of.

    Args:
        frequency: The distance of two steps; None of a single step.
        dated: Whether steps are times; False: they are counted.
        zone: The offset from UTC in which times are written.
    """

    frequency: Frequency | None = None
    dated: bool = False
    zone: str = ""

    def write(self, start: int, steps: NDArray[np.int64]) -> list[str]:
        """Return the time stamps that lie so many steps after ``start``, as texts."""
        if self.frequency is None:
            times = start + steps
        else:
            times = self.frequency.after(start, steps)
        return write_stamps(times, dated=self.dated, zone=self.zone, frequency=self.frequency)


@dataclass(frozen=True, eq=False)
class Panel:
    """All series of a table.

    Args:
        series: In the order in which they first stand in the file.
        columns: Names of the columns to forecast.
        clock: How their steps become time stamps.
        notes: What a user should know of how they were read, a sentence each.
    """

    series: tuple[Series, ...]
    columns: tuple[str, ...]
    clock: Clock
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Which columns play which part.

    Args:
        time: Of the time stamps; None: rows are in the order of time.
        series: Of the series id; None: there is one series.
        values: To forecast.
        future: Known in the future too.
        past: Known in the past only.
        static: The same at every step of a series.
    """

    time: str | None
    series: str | None
    values: tuple[str, ...]
    future: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    static: tuple[str, ...] = ()


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
) -> Panel:
    """Read the series of a table.

    Args:
        table: A file's columns.
        given: Column by role (time, series, value), where the user names them.
        future: Columns known in the future too (prices, holidays).
        past: Columns known in the past only (weather).
        static: Columns that do not change within a series (region).
        layout: long has one value a row, wide a column for each series measured together, rows
            one whole series a row; auto tells them by the columns.
        dates: How dates such as 03/04/2024 are read, where the file does not tell.
        values: The columns to forecast, where they are known already.

    Raises:
        DataError: Names the row and column at fault.
    """
    if layout == "rows" or (layout == "auto" and _is_rows(table, given)):
        return _read_rows(table, given)
    if values and "value" not in given and set(values) <= set(table.columns):
        given = {**given, "value": ",".join(values)}
    roles = find_roles(table, given, future=future, past=past, static=static)
    stamps = _stamps(table, roles, dates)
    groups = _groups(table, roles)
    frequency, notes = _frequency(table, roles, stamps, groups)
    clock = Clock(frequency, stamps.dated, stamps.zone)
    read = _Reader(table, roles, stamps.times, frequency)
    series = tuple(read.series(name, rows) for name, rows in groups.items())
    return Panel(series, roles.values, clock, (*stamps.notes, *notes, *read.notes()))


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
        steps = max(len(each) + horizon, len(each.known))
        circle = calendar(frequency.after(each.start, np.arange(steps)))
        if not each.known.shape[1]:
            series.append(replace(each, known=circle))
            continue
        series.append(replace(each, known=np.hstack([each.known, circle[: len(each.known)]])))
    return replace(panel, series=tuple(series))


def calendar(times: Times) -> Numbers:
    """Return sine and cosine of the time of day, the day of the week and the month."""
    days = times / DAY
    months = times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64) % 12
    angles = 2 * np.pi * np.stack([days % 1, (days + 3) % 7 / 7, months / 12], axis=1)
    return np.hstack([np.sin(angles), np.cos(angles)])


def find_roles(
    table: Table,
    given: Mapping[str, str],
    *,
    future: Sequence[str],
    past: Sequence[str],
    static: Sequence[str],
) -> Roles:
    """Say which column is what: values are all numeric columns that are nothing else.

    Raises:
        DataError: If a named column is not there, or nothing is left to forecast.
    """
    time = columns.find(table, "time", TIME_NAMES, given)
    if time is None:
        time = next((c for c in table.columns if _is_time(table, c)), None)
    series = columns.find(table, "series", SERIES_NAMES, given)
    beside = {
        role: tuple(columns.named(table, name, f"option task.{role}") for name in names)
        for role, names in (("future", future), ("past", past), ("static", static))
    }
    taken = {time, series, *(name for names in beside.values() for name in names)}
    values = columns.find_all(table, "value", VALUE_NAMES, given)
    values = [name for name in values if name not in taken]
    if not values:
        values = columns.numeric_columns(table, {name for name in taken if name})
    if not values:
        raise DataError(
            f"{table.name} has no column of numbers to forecast; it has: {columns.listed(table)}. "
            "Name it: --column value=NAME."
        )
    return Roles(time=time, series=series, values=tuple(values), **beside)


def _is_time(table: Table, column: str) -> bool:
    """Tell a column of dates whose name says nothing."""
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


def _is_rows(table: Table, given: Mapping[str, str]) -> bool:
    """Tell the layout of M4: an id, then V2, V3, ... of one series a row."""
    if given.keys() & {"time", "value"}:
        return False
    names = list(table.columns)[1:]
    shapes = {re.sub(r"\d+", "0", name) for name in names}
    numbered = len(shapes) == 1 and bool(re.search(r"\d", names[0]))
    return (
        len(names) >= ROW_VALUES
        and numbered
        and not columns.is_numeric(table, next(iter(table.columns)))
    )


def _read_rows(table: Table, given: Mapping[str, str]) -> Panel:
    """Read one series a row; empty cells at its end are not part of it."""
    found = columns.find(table, "series", (next(iter(table.columns)),), given)
    names = [name for name in table.columns if name != found]
    numbers = np.stack([columns.numbers(table, name, empty=True) for name in names], axis=1)
    ids = [str(cell) for cell in table.columns[found]] if found else [""] * table.rows
    _refuse_repeated(table, ids)
    series = []
    for row, (name, line) in enumerate(zip(ids, numbers, strict=True)):
        real = np.flatnonzero(~np.isnan(line))
        if not len(real):
            raise DataError(f"{table.where(row)}: the series {name} has no value; take it out.")
        series.append(_plain(name, line[: real[-1] + 1, None]))
    clock = Clock(Frequency("steps", 1))
    return Panel(tuple(series), ("value",), clock, ("each row is a series, its columns are steps",))


def _refuse_repeated(table: Table, ids: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for row, name in enumerate(ids):
        if name in seen:
            raise DataError(
                f"{table.where(row)}: the series {name} stands here and in row {seen[name] + 1}; "
                "give each series one row."
            )
        seen[name] = row


def _plain(name: str, values: Numbers) -> Series:
    nothing = np.zeros((len(values), 0))
    return Series(name, 1, values, nothing, nothing, np.zeros(0))


def _stamps(table: Table, roles: Roles, dates: DateOrder) -> Stamps:
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


def _groups(table: Table, roles: Roles) -> dict[str, NDArray[np.intp]]:
    """Return the rows of each series, in the order of the file."""
    if roles.series is None:
        return {"": np.arange(table.rows)}
    names = np.array([str(cell) for cell in table.columns[roles.series]])
    unique, first, inverse = np.unique(names, return_index=True, return_inverse=True)
    rows = np.split(np.argsort(inverse, kind="stable"), np.cumsum(np.bincount(inverse))[:-1])
    return {str(unique[each]): rows[each] for each in np.argsort(first)}


def _frequency(
    table: Table, roles: Roles, stamps: Stamps, groups: Mapping[str, NDArray[np.intp]]
) -> tuple[Frequency | None, tuple[str, ...]]:
    """Find the one frequency of all series.

    Raises:
        DataError: If a series has none, or two series have different ones.
    """
    found: Frequency | None = None
    owner = ""
    for name, rows in groups.items():
        times = np.unique(stamps.times[rows])
        if len(times) < 3 and len(groups) > 1 and found is not None:
            continue  # too short to say otherwise
        frequency = find_frequency(times, dated=stamps.dated)
        if frequency is None and len(times) > 1:
            raise DataError(_uneven(table, roles, stamps.times, rows, name))
        if frequency is None:
            continue
        if found is not None and frequency != found and len(times) >= 3:
            raise DataError(
                f"{table.name} has series of two frequencies: {owner} is {found}, {name} is "
                f"{frequency}. Forecast them apart, or bring them to one."
            )
        found, owner = found or frequency, owner or name
    notes = (f"frequency: {found}",) if found is not None and stamps.dated else ()
    return found, notes


def _uneven(table: Table, roles: Roles, times: Times, rows: NDArray[np.intp], name: str) -> str:
    """Say where time stamps leave the distance that most of them have."""
    order = rows[np.argsort(times[rows], kind="stable")]
    steps = np.diff(times[order])
    usual, counts = np.unique(steps, return_counts=True)
    odd = int(np.argmax(steps % max(1, int(usual[counts.argmax()])) != 0))
    shown = Frequency("microseconds", int(usual[counts.argmax()]))
    other = Frequency("microseconds", max(1, int(steps[odd])))
    whose = f" of the series {name}" if name else ""
    return (
        f"{table.where(int(order[odd + 1]))}: the time stamps{whose} in {roles.time} are "
        f"irregular: most lie {_apart(shown)} apart, this one {_apart(other)} after the one before "
        "it. Bring them to one distance, for example by averages of an hour or a day."
    )


def _apart(frequency: Frequency) -> str:
    words = {"every second": "1 second", "every minute": "1 minute", "hourly": "1 hour",
             "daily": "1 day", "weekly": "1 week"}  # fmt: skip
    return words.get(str(frequency), str(frequency).removeprefix("every "))


@dataclass
class _Reader:
    """Puts the rows of each series on its grid, and counts what that took."""

    table: Table
    roles: Roles
    times: Times
    frequency: Frequency | None
    unsorted: int = 0
    gaps: list[tuple[int, str]] = field(default_factory=list)
    holes: int = 0
    numbers: dict[str, Numbers] = field(default_factory=dict)

    def column(self, name: str) -> Numbers:
        """Return a column as numbers, NaN where a cell is empty."""
        if name not in self.numbers:
            cells = self.table.columns[name]
            if all(isinstance(cell, bool | np.bool_) for cell in cells[:100]):
                self.numbers[name] = np.array([float(bool(cell)) for cell in cells])
            else:
                self.numbers[name] = columns.numbers(self.table, name, empty=True)
        return self.numbers[name]

    def series(self, name: str, rows: NDArray[np.intp]) -> Series:
        """Return the series of these rows, a step for every time between its first and its last."""
        times = self.times[rows]
        order = np.argsort(times, kind="stable")
        self.unsorted += int((np.diff(times) < 0).sum())
        rows, times = rows[order], times[order]
        self._refuse_repeated(name, rows, times)
        places = self._places(name, rows, times)
        length = int(places[-1]) + 1
        if missing := length - len(places):
            first = int(np.flatnonzero(np.diff(places) > 1)[0])
            self.gaps.append((missing, self.table.where(int(rows[first]))))
        values = self._grid(self.roles.values, rows, places, length)
        known = self._grid(self.roles.future, rows, places, length)
        steps = self._last_value(name, values)
        self.holes += int(np.isnan(values[:steps]).any(1).sum()) - missing
        seen = self._grid(self.roles.past, rows, places, length)[:steps]
        return Series(name, int(times[0]), values[:steps], known, seen, self._static(name, rows))

    def _refuse_repeated(self, name: str, rows: NDArray[np.intp], times: Times) -> None:
        twice = np.flatnonzero(np.diff(times) == 0)
        if len(twice):
            row, before = int(rows[twice[0] + 1]), int(rows[twice[0]])
            cell = self.table.columns[self.roles.time or ""][row]
            whose = f" of the series {name}" if name else ""
            hint = "" if name else " If the rows are of several series: --column series=NAME."
            raise DataError(
                f"{self.table.where(row)}: the time stamp {cell}{whose} stands in "
                f"{self.table.where(before)} too; keep one of them, or their mean.{hint}"
            )

    def _places(self, name: str, rows: NDArray[np.intp], times: Times) -> NDArray[np.int64]:
        if self.frequency is None:
            return np.zeros(len(times), np.int64)
        positions = self.frequency.positions(times)
        whole = np.round(positions)
        if (positions != whole).any():
            raise DataError(_uneven(self.table, self.roles, self.times, rows, name))
        return whole.astype(np.int64)

    def _grid(
        self, names: Sequence[str], rows: NDArray[np.intp], places: NDArray[np.int64], length: int
    ) -> Numbers:
        grid = np.full((length, len(names)), np.nan)
        for number, column in enumerate(names):
            grid[places, number] = self.column(column)[rows]
        return grid

    def _last_value(self, name: str, values: Numbers) -> int:
        """Return how many steps have values: rows after the last are there for what is known."""
        real = np.flatnonzero(~np.isnan(values).all(1))
        if not len(real):
            raise DataError(
                f"{self.table.name}: the series {name or self.roles.values[0]} has no value in "
                f"{', '.join(self.roles.values)}; take it out."
            )
        return int(real[-1]) + 1 if self.roles.future else len(values)

    def _static(self, name: str, rows: NDArray[np.intp]) -> Numbers:
        found = np.zeros(len(self.roles.static))
        for number, column in enumerate(self.roles.static):
            numbers = self.column(column)[rows]
            other = np.flatnonzero(numbers != numbers[0])
            if len(other):
                raise DataError(
                    f"{self.table.where(int(rows[other[0]]))}: {column} changes within the series "
                    f"{name or self.table.name}, so that it is not static; name it with --set "
                    "past= or --set future=."
                )
            found[number] = numbers[0]
        return found

    def notes(self) -> tuple[str, ...]:
        """Return what was done to the rows, a sentence each."""
        said = []
        if self.unsorted:
            said.append("rows were not in the order of time and were sorted")
        if self.gaps:
            missing = sum(count for count, _ in self.gaps)
            first = self.gaps[0][1]
            said.append(
                f"{missing:,} steps have no row, the first after {first}; values are missing"
            )
        if self.holes:
            said.append(f"{self.holes:,} steps have a missing value")
        return tuple(said)

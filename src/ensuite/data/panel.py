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
    fits,
    read_stamps,
    write_stamps,
)

TIME_NAMES = ("time", "timestamp", "ds", "date", "datetime", "date_time", "period", "month", "year")
SERIES_NAMES = ("series", "unique_id", "item_id", "series_id", "id", "store", "sensor", "symbol")
VALUE_NAMES = ("value", "y", "target", "values", "close")

ROW_VALUES = 8
"""Numbered columns from which a row without a time stamp is taken for a whole series."""

MOST_GAPS, FREE_GAPS = 20, 10_000
"""Steps of a series for each of its rows, beyond the free ones, from which a time stamp must be
wrong: the steps between would fill the memory."""

TIMELESS = int(np.iinfo(np.int64).min)
"""Start of a series without time stamps in a panel that has them: numbers given without a file."""

Numbers = NDArray[np.float64]
Rows = NDArray[np.intp]
Layout = Literal["auto", "columns", "rows"]


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
        static: (features,), columns that do not change over time.
    """

    name: str
    start: int
    values: Numbers
    known: Numbers
    seen: Numbers
    static: Numbers

    def __len__(self) -> int:
        """Return the number of steps that have values."""
        return len(self.values)

    @classmethod
    def plain(cls, name: str, start: int, values: Numbers) -> "Series":
        """Return a series of values alone, (steps, columns)."""
        nothing = np.zeros((len(values), 0))
        return cls(name, start, values, nothing, nothing, np.zeros(0))


@dataclass(frozen=True)
class Clock:
    """How the steps of a panel become time stamps.

    Args:
        frequency: The distance of two steps; None if no series has two of them.
        dated: Whether steps are times; False: they are counted.
        zone: The offset from UTC in which times are written.
    """

    frequency: Frequency | None = None
    dated: bool = False
    zone: str = ""

    def write(self, start: int, steps: NDArray[np.int64]) -> list[str]:
        """Return the time stamps that lie so many steps after ``start``, as texts."""
        if start == TIMELESS:
            return [str(step + 1) for step in steps.tolist()]
        times = start + steps if self.frequency is None else self.frequency.after(start, steps)
        return write_stamps(times, dated=self.dated, zone=self.zone, frequency=self.frequency)


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


@dataclass(frozen=True, eq=False)
class Panel:
    """All series of a table.

    Args:
        series: In the order in which they first appear in the file.
        columns: Names of the columns to forecast.
        clock: How their steps become time stamps.
        roles: Where each column was read from.
        notes: What a user should know of how they were read, one sentence each.
    """

    series: tuple[Series, ...]
    columns: tuple[str, ...]
    clock: Clock
    roles: Roles = field(default_factory=Roles)
    notes: tuple[str, ...] = ()


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
    frequency = _frequency(table, roles, stamps, groups, frequency)
    clock = Clock(frequency, stamps.dated, stamps.zone)
    read = _Reader(table, roles, stamps.times, frequency)
    series = tuple(read.series(name, rows) for name, rows in groups.items())
    said = (*stamps.notes, *read.notes(), *_unread(table, roles))
    return Panel(series, roles.values, clock, roles, said)


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


# The columns of a table


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
        time = next((c for c in table.columns if _is_time(table, c)), None)
    series = _find_series(table, given, time)
    beside = {
        role: tuple(columns.named(table, name, f"option task.{role}") for name in names)
        for role, names in (("future", future), ("past", past), ("static", static))
    }
    taken = [name for name in (time, series) if name is not None]
    taken += [name for names in beside.values() for name in names]
    _refuse_two_roles(table, taken)
    usual = columns.find_all(table, "value", VALUE_NAMES, given)
    if "value" in given:
        _refuse_two_roles(table, [*taken, *usual])
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


def _unread(table: Table, roles: Roles) -> tuple[str, ...]:
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


def _is_time(table: Table, column: str) -> bool:
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
        and not _is_time(table, first)
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


def _frequency(
    table: Table,
    roles: Roles,
    stamps: Stamps,
    groups: Mapping[str, Rows],
    known: Frequency | None,
) -> Frequency | None:
    """Find the one frequency of all series.

    Raises:
        DataError: If a series has none, or two series have different ones.
    """
    times = {name: np.unique(stamps.times[rows]) for name, rows in groups.items()}
    if not stamps.dated:
        steps = np.concatenate([np.diff(each) for each in times.values()])
        return Frequency("steps", int(np.gcd.reduce(steps))) if len(steps) else known
    found = {} if known is None else {known: ""}
    for name, each in times.items():
        if len(each) < 2 or any(fits(one, each) for one in found):
            continue
        own = find_frequency(each)
        if own is None:
            raise DataError(_uneven(table, roles, stamps.times, groups[name], name))
        found.setdefault(own, name)
    return _choose(table, found, times, known)


def _choose(
    table: Table,
    found: Mapping[Frequency, str],
    times: Mapping[str, Times],
    known: Frequency | None,
) -> Frequency | None:
    """Return the frequency that fits every series; some of them may have gaps in it."""
    if len(found) < 2:
        return next(iter(found), None)
    for each in found:
        if all(fits(each, stamps) for stamps in times.values()):
            return each
    if known is not None:
        return next(each for each in found if each != known)
    (one, owner), (other, its) = list(found.items())[:2]
    raise DataError(
        f"{table.name} has series of two frequencies: {owner} is {one}, {its} is {other}. Forecast "
        "them apart, or bring them to one."
    )


def _uneven(table: Table, roles: Roles, times: Times, rows: Rows, name: str) -> str:
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
    """Puts the rows of each series on its grid, and counts what was changed by that."""

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

    def series(self, name: str, rows: Rows) -> Series:
        """Return the series of these rows, a step for every time between its first and its last.

        Rows without any value at its end belong to the future.
        """
        times = self.times[rows]
        order = np.argsort(times, kind="stable")
        self.unsorted += int((np.diff(times) < 0).any())
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
        present = places[places < steps]
        self.holes += int(np.isnan(values[present]).any(1).sum())
        seen = self._grid(self.roles.past, rows, places, length)[:steps]
        known = known if self.roles.future else known[:steps]
        return Series(name, int(times[0]), values[:steps], known, seen, self._static(name, rows))

    def _refuse_repeated(self, name: str, rows: Rows, times: Times) -> None:
        twice = np.flatnonzero(np.diff(times) == 0)
        if len(twice):
            row, before = int(rows[twice[0] + 1]), int(rows[twice[0]])
            cell = self.table.columns[self.roles.time or ""][row]
            whose = f" of the series {name}" if name else ""
            hint = "" if name else " If the rows are of several series: --column series=NAME."
            raise DataError(
                f"{self.table.where(row)}: the time stamp {cell}{whose} is that of "
                f"{self.table.where(before)} too; keep one of them, or their mean.{hint}"
            )

    def _places(self, name: str, rows: Rows, times: Times) -> NDArray[np.int64]:
        """Return the step of each row."""
        if self.frequency is None:
            return np.zeros(len(times), np.int64)
        positions = self.frequency.positions(times)
        whole = np.round(positions)
        if (positions != whole).any():
            raise DataError(_uneven(self.table, self.roles, self.times, rows, name))
        if whole[-1] > MOST_GAPS * len(rows) + FREE_GAPS:
            gap = int(np.diff(whole).argmax())
            raise DataError(
                f"{self.table.where(int(rows[gap + 1]))} comes {int(np.diff(whole)[gap]):,} steps "
                f"({self.frequency}) after {self.table.where(int(rows[gap]))}; correct its time "
                "stamp, or take out what lies before or after the gap."
            )
        return whole.astype(np.int64)

    def _grid(
        self, names: Sequence[str], rows: Rows, places: NDArray[np.int64], length: int
    ) -> Numbers:
        grid = np.full((length, len(names)), np.nan)
        for number, column in enumerate(names):
            grid[places, number] = self.column(column)[rows]
        return grid

    def _last_value(self, name: str, values: Numbers) -> int:
        """Return the number of steps up to the last one with a value."""
        real = np.flatnonzero(~np.isnan(values).all(1))
        if not len(real):
            raise DataError(
                f"{self.table.name}: the series {name or self.roles.values[0]} has no value in "
                f"{', '.join(self.roles.values)}; take it out."
            )
        return int(real[-1]) + 1

    def _static(self, name: str, rows: Rows) -> Numbers:
        found = np.zeros(len(self.roles.static))
        for number, column in enumerate(self.roles.static):
            numbers = self.column(column)[rows]
            known = np.flatnonzero(~np.isnan(numbers))
            if not len(known):
                raise DataError(
                    f"{self.table.where(int(rows[0]))}: the series {name or self.table.name} has "
                    f"no {column}, which is named as static; give it one."
                )
            other = known[numbers[known] != numbers[known[0]]]
            if len(other):
                raise DataError(
                    f"{self.table.where(int(rows[other[0]]))}: {column} changes within the series "
                    f"{name or self.table.name}, so that it is not static; name it with --set "
                    "past= or --set future=."
                )
            found[number] = numbers[known[0]]
        return found

    def notes(self) -> tuple[str, ...]:
        """Return what a user should know of the rows, one sentence each."""
        said = []
        if self.unsorted:
            said.append("rows were not in the order of time and were sorted")
        if self.gaps:
            missing, first = sum(count for count, _ in self.gaps), self.gaps[0][1]
            said.append(
                f"{_steps(missing)} no row, the first after {first}; the last value before is read"
            )
        if self.holes:
            said.append(f"{_steps(self.holes)} a missing value; the last one before it is read")
        return tuple(said)


def _steps(count: int) -> str:
    return "1 step has" if count == 1 else f"{count:,} steps have"

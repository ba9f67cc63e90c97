"""Put the rows of a table on the even grids of their series: one frequency, gaps and repeats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from ensuite.core.errors import DataError
from ensuite.core.table import Table
from ensuite.data import columns, truth
from ensuite.data.frequency import Frequency, Times, find_frequency, fits
from ensuite.data.roles import Roles
from ensuite.data.series import Series
from ensuite.data.timestamps import Stamps

Numbers = NDArray[np.float64]
Rows = NDArray[np.intp]
"""Row numbers of a table."""

MOST_GAPS, FREE_GAPS = 20, 10_000
"""Steps of a series for each of its rows, beyond the free ones, from which a time stamp must be
wrong: the steps between would fill the memory."""

FEWEST_OF_A_KIND, SHARE_OF_A_KIND = 10, 0.1
"""Rows of another distance, one after another, from which a series has two frequencies."""


def common_frequency(
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
class GridReader:
    """Puts the rows of each series on its grid, and counts what was changed by that."""

    table: Table
    roles: Roles
    times: Times
    frequency: Frequency | None
    local: bool = True  # time stamps without a zone
    unsorted: int = 0
    gaps: list[tuple[int, str]] = field(default_factory=list)
    holes: int = 0
    empty: dict[str, int] = field(default_factory=dict)
    numbers: dict[str, Numbers] = field(default_factory=dict)

    def column(self, name: str) -> Numbers:
        """Return a column as numbers, NaN where a cell is empty."""
        if name not in self.numbers:
            cells = self.table.columns[name]
            if truth.is_truth(cells):
                self.numbers[name] = truth.read(self.table, name)
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
        for column, cells in zip(
            (*self.roles.future, *self.roles.past), (*known.T, *seen.T), strict=True
        ):
            self.empty[column] = self.empty.get(column, 0) + int(np.isnan(cells[present]).sum())
        known = known if self.roles.future else known[:steps]
        return Series(name, int(times[0]), values[:steps], known, seen, self._static(name, rows))

    def _refuse_repeated(self, name: str, rows: Rows, times: Times) -> None:
        twice = np.flatnonzero(np.diff(times) == 0)
        if len(twice):
            row, before = int(rows[twice[0] + 1]), int(rows[twice[0]])
            cell = self.table.columns[self.roles.time or ""][row]
            whose = f" of the series {name}" if name else ""
            hint = "" if name else " If the rows are of several series: --column series=NAME."
            if self.local and turns_back(int(times[twice[0]])):
                hint = " If the clock was turned back that night: write times with their zone."
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
        self._refuse_other_distance(name, rows, whole)
        if whole[-1] > MOST_GAPS * len(rows) + FREE_GAPS:
            gap = int(np.diff(whole).argmax())
            raise DataError(
                f"{self.table.where(int(rows[gap + 1]))} comes {int(np.diff(whole)[gap]):,} steps "
                f"({self.frequency}) after {self.table.where(int(rows[gap]))}; correct its time "
                "stamp, or take out what lies before or after the gap."
            )
        return whole.astype(np.int64)

    def _refuse_other_distance(self, name: str, rows: Rows, places: Numbers) -> None:
        """Refuse a series that has another distance between its rows for a good part of them."""
        distances = np.diff(places)
        start, count = longest_run(distances)
        if self.frequency is None or distances[start : start + 1].sum() <= 1:
            return
        if count < FEWEST_OF_A_KIND or count < SHARE_OF_A_KIND * len(rows):
            return
        slow = replace(self.frequency, count=int(self.frequency.count * distances[start]))
        first, last = (self.table.where(int(rows[place])) for place in (start, start + count))
        raise DataError(
            f"The rows of {name or self.table.name} have two distances: {slow} from {first} to "
            f"{last}, and {self.frequency} elsewhere. Bring them to one, for example by averages "
            "of an hour or a day, or take some of them out."
        )

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
        said += [
            f"{_steps(count)} no {column}; the last one before it is read"
            for column, count in self.empty.items()
            if count
        ]
        return tuple(said)


def turns_back(time: int) -> bool:
    """Return whether daylight saving ends at such a local time in many countries.

    That is in the early morning of the last Sunday of October (Europe), or of the first of November
    (North America) or April (Australia).
    """
    moment = np.datetime64(time, "us").astype(datetime)
    weeks = {10: range(25, 32), 11: range(1, 8), 4: range(1, 8)}
    night = moment.weekday() == 6 and 1 <= moment.hour < 4
    return night and moment.day in weeks.get(moment.month, ())


def longest_run(distances: Numbers) -> tuple[int, int]:
    """Return where the longest run of one distance of more than 1 begins, and its length.

    >>> longest_run(np.array([1, 1, 1, 2, 2, 1]))
    (3, 2)
    """
    borders = np.flatnonzero(np.diff(distances)) + 1
    starts = np.concatenate([[0], borders]).astype(int)
    lengths = np.diff(np.concatenate([starts, [len(distances)]]))
    lengths = np.where(distances[starts] > 1, lengths, 0) if len(distances) else lengths
    longest = int(lengths.argmax())
    return int(starts[longest]), int(lengths[longest])


def _steps(count: int) -> str:
    return "1 step has" if count == 1 else f"{count:,} steps have"

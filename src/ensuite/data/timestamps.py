"""Time stamps: read them from texts or numbers, find their frequency, count steps between them.

Times are counted in whole microseconds since 1970 (UTC where a zone is known), or, where a file
counts steps instead of naming times, in whole steps.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from ensuite.core.errors import DataError
from ensuite.core.table import Table

Times = NDArray[np.int64]
DateOrder = Literal["auto", "day-first", "month-first"]

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86400 * SECOND
WEEK = 7 * DAY

FORMATS = (
    "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M",
    "%Y-%m-%d", "%Y/%m/%d %H:%M:%S%.f", "%Y/%m/%d %H:%M", "%Y/%m/%d", "%Y%m%d",
    "%d %B %Y", "%d %b %Y", "%B %d, %Y", "%b %d, %Y", "%d-%b-%Y",
)  # fmt: skip
"""Unambiguous formats, tried in this order; a whole column must have one of them."""

LATEST = 253_402_300_799_999_999
"""Microseconds since 1970 at the end of the year 9999, the last that a date can have."""

EARLIEST = -62_135_596_800_000_000
"""Likewise at the beginning of the year 1."""

MOST_STEPS = 2**53
"""Numbers beyond are not exact in a file that is read as real numbers."""

CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S%.f", " %I:%M %p", " %I:%M:%S %p")
SEPARATORS = ("/", "-", ".")

EPOCHS = ((1e17, 1e-3), (1e14, 1.0), (1e11, 1e3), (1e8, 1e6))
"""Numbers above the first are times since 1970 in units of so many microseconds (ns to s)."""

MINUTES, SECONDS = re.compile(r"[T ]\d{1,2}:\d{2}$"), re.compile(r"[T ]\d{1,2}:\d{2}:\d{2}")
ZONE = re.compile(r"(?:Z|UTC|GMT| ?[+-]\d{2}:?\d{2})$")


@dataclass(frozen=True, eq=False)
class Stamps:
    """A column of time stamps.

    Args:
        times: (rows,), microseconds since 1970, or steps.
        dated: Whether they are times; False: a count of steps.
        zone: Offset from UTC in which they were written, "" where none was.
        notes: What a user should know of how they were read, a sentence each.
        order: Whether day or month comes first; auto: the way they are written says it.
    """

    times: Times
    dated: bool = True
    zone: str = ""
    notes: tuple[str, ...] = ()
    order: DateOrder = "auto"


def read_stamps(table: Table, column: str, order: DateOrder = "auto") -> Stamps:
    """Read a column of time stamps.

    Args:
        table: Where the column stands.
        column: Its name.
        order: How dates such as 03/04/2024 are read, where the column itself does not tell.

    Raises:
        DataError: Names the first row that is no time stamp, or says that dates can be read in
            two ways.
    """
    cells = table.columns[column]
    array = np.asarray(cells) if not isinstance(cells, np.ndarray) else cells
    if np.issubdtype(array.dtype, np.datetime64):
        missing = np.isnat(array)
        _refuse_first(table, column, missing)
        return Stamps(array.astype("datetime64[us]").astype(np.int64))
    if any(hasattr(cell, "tzinfo") or hasattr(cell, "isoformat") for cell in cells[:1]):
        cells = [cell if cell is None else cell.isoformat() for cell in cells]
    if np.issubdtype(array.dtype, np.number) and array.ndim == 1:
        return _from_numbers(table, column, array.astype(np.float64))
    texts = ["" if cell is None else str(cell).strip() for cell in cells]
    _refuse_first(table, column, np.array([not text for text in texts]))
    first: dict[str, int] = {}
    for row, text in enumerate(texts):
        first.setdefault(text, row)
    if 2 * len(first) > len(texts):
        return _from_cells(table, column, texts, order)
    place = {text: number for number, text in enumerate(first)}  # many series share their times
    found = _from_cells(table.select(list(first.values())), column, list(first), order)
    return replace(found, times=found.times[[place[text] for text in texts]])


def _from_cells(table: Table, column: str, texts: Sequence[str], order: DateOrder) -> Stamps:
    try:
        return _from_numbers(table, column, np.array(texts, dtype=np.float64), texts)
    except ValueError:
        return _from_texts(table, column, texts, order)


def _refuse_first(table: Table, column: str, wrong: NDArray[np.bool_]) -> None:
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"{table.where(row)} has no time stamp in the column {column}; give one, or take the "
            "row out."
        )


def _from_numbers(
    table: Table, column: str, numbers: NDArray[np.float64], texts: Sequence[str] = ()
) -> Stamps:
    """Read times since 1970, days such as 20240131, years, or a count of steps."""
    _refuse_first(table, column, ~np.isfinite(numbers))
    unit = next((unit for least, unit in EPOCHS if (np.abs(numbers) >= least).all()), 0.0)
    wrong = np.abs(numbers) > (LATEST / unit if unit else MOST_STEPS)
    wrong |= (numbers < EARLIEST / unit) if unit else (numbers != np.round(numbers))
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"{table.where(row)}: {numbers[row]:g} in the column {column} is no time stamp; give "
            "dates (2024-01-31 or 2024-01-31 12:00), or whole numbers that count steps."
        )
    if unit:
        return Stamps(np.round(numbers * unit).astype(np.int64), notes=("times since 1970",))
    if texts and all(
        re.fullmatch(r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])", t) for t in texts
    ):
        return _from_texts(table, column, texts, "auto")
    if (numbers >= 1000).all() and (numbers <= 2999).all() and len(set(numbers.tolist())) <= 2000:
        years = (numbers.astype(np.int64) - 1970).astype("datetime64[Y]")
        return Stamps(years.astype("datetime64[us]").astype(np.int64), notes=("years",))
    return Stamps(numbers.astype(np.int64), dated=False)


def _from_texts(table: Table, column: str, texts: Sequence[str], order: DateOrder) -> Stamps:
    bare, zone, notes = _without_zone(table, column, texts)
    if (quarters := _quarters(bare)) is not None:
        return Stamps(quarters, notes=("quarters",))
    offsets, plain = bare
    if any(SECONDS.search(text) for text in plain):  # may be left out where they are 0
        plain = [f"{text}:00" if MINUTES.search(text) else text for text in plain]
    for form in ("%Y-%m", *FORMATS):
        times = _parse(plain, form)
        if times is not None:
            return Stamps(times - offsets, zone=zone, notes=notes)
    read = _slashed(table, column, plain, order)
    if read is not None:
        times, order = read
        return Stamps(times - offsets, zone=zone, notes=notes, order=order)
    row = next((r for r, text in enumerate(plain) if not _readable(text)), _odd_one(plain))
    raise DataError(
        f'{table.where(row)}: "{texts[row][:40]}" in the column {column} is no time stamp written '
        "as the others are; write all as 2024-01-31 or 2024-01-31 12:00."
    )


def _without_zone(
    table: Table, column: str, texts: Sequence[str]
) -> tuple[tuple[Times, list[str]], str, tuple[str, ...]]:
    """Split zones off: return offsets in microseconds, texts without zones, a zone, and notes."""
    found = [ZONE.search(text) if ":" in text else None for text in texts]
    named = [match is not None for match in found]
    if not any(named):
        return (np.zeros(len(texts), np.int64), list(texts)), "", ()
    if not all(named):
        row = named.index(False) if named[0] else named.index(True)
        raise DataError(
            f"{table.where(row)}: time stamps with and without a time zone stand in the column "
            f"{column}; give all of them one, or none."
        )
    zones = [match[0].strip() if match else "" for match in found]
    plain = [
        text[: match.start()] if match else text for text, match in zip(texts, found, strict=True)
    ]
    offsets = np.array([_offset(zone) for zone in zones], dtype=np.int64)
    kinds = list(dict.fromkeys(offsets.tolist()))
    notes: tuple[str, ...] = ()
    if len(kinds) > 1:
        shown = " and ".join(_zone_name(each) for each in kinds[:2])
        notes = (
            f"the time zone changes ({shown}{', ...' if len(kinds) > 2 else ''}), as it does with "
            "daylight saving; steps are counted in UTC, and forecasts are given in "
            f"{_zone_name(kinds[0])}",
        )
    return (offsets, plain), _zone_name(kinds[0]), notes


def _offset(zone: str) -> int:
    if zone in ("Z", "UTC", "GMT"):
        return 0
    digits = zone.replace(":", "")
    sign = -1 if digits[0] == "-" else 1
    return sign * (int(digits[1:3]) * HOUR + int(digits[3:5]) * MINUTE)


def _zone_name(offset: int) -> str:
    minutes = abs(offset) // MINUTE
    return f"{'-' if offset < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"


def _quarters(bare: tuple[Times, list[str]]) -> Times | None:
    """Read 2024Q1, 2024-Q1 or Q1 2024."""
    texts = bare[1]
    forms = (r"(?P<year>\d{4})[ -]?Q(?P<quarter>[1-4])", r"Q(?P<quarter>[1-4])[ -]?(?P<year>\d{4})")
    for form in forms:
        if not re.fullmatch(form, texts[0], re.IGNORECASE):
            continue
        found = [re.fullmatch(form, text, re.IGNORECASE) for text in texts]
        if all(found):
            months = [
                (int(each["year"]) - 1970) * 12 + 3 * (int(each["quarter"]) - 1)
                for each in found
                if each
            ]
            return (
                np.array(months).astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)
            )
    return None


def _parse(texts: Sequence[str], form: str) -> Times | None:
    """Return the times of texts that all have one format, or None."""
    day = form if "%d" in form else f"{form}-%d"  # a month is its first day
    given = texts if "%d" in form else [f"{text}-01" for text in texts]
    if _read(given[:1], day) is None:  # most formats are ruled out by the first text
        return None
    return _read(given, day)


def _read(texts: Sequence[str], form: str) -> Times | None:
    """Return the times of texts of one format; None if one is of another, or no date."""
    import polars

    series = polars.Series(texts, dtype=polars.String)
    try:
        if "%H" in form or "%I" in form:
            parsed = series.str.to_datetime(form, strict=False, time_unit="us")
        else:
            parsed = series.str.to_date(form, strict=False).cast(polars.Datetime("us"))
    except polars.exceptions.PolarsError:
        return None
    if parsed.null_count():
        return None
    times: Times = parsed.to_numpy().astype("datetime64[us]").astype(np.int64)
    return times if ((times >= EARLIEST) & (times <= LATEST)).all() else None


def _slashed(
    table: Table, column: str, texts: Sequence[str], order: DateOrder
) -> tuple[Times, DateOrder] | None:
    """Read dates such as 31/01/2024 or 01/31/2024, where one of the two readings holds throughout.

    Returns:
        The times, and which reading holds; None if there are no such dates.

    Raises:
        DataError: If both do.
    """
    for separator in SEPARATORS:
        if separator not in texts[0]:
            continue
        for clock in CLOCKS:
            for year in ("%Y", "%y"):
                first = _parse(texts, f"%d{separator}%m{separator}{year}{clock}")
                second = _parse(texts, f"%m{separator}%d{separator}{year}{clock}")
                if first is None and second is None:
                    continue
                if second is None:
                    return cast(Times, first), "day-first"
                if first is None:
                    return second, "month-first"
                if (first == second).all():
                    return first, "auto"
                if order == "auto":
                    row = int((first != second).argmax())
                    raise DataError(
                        f'{table.where(row)}: "{texts[row]}" in the column {column} can be read in '
                        f"two ways ({_day(first[row])} or {_day(second[row])}); say which: --set "
                        "dates=day-first or --set dates=month-first."
                    )
                return (first if order == "day-first" else second), order
    return None


def _day(time: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(time))).strftime(
        "%-d %B %Y"
    )


def _readable(text: str) -> bool:
    return any(_read([text], form) is not None for form in FORMATS)


def _odd_one(texts: Sequence[str]) -> int:
    """Return the row whose digits are grouped as those of no other early row are."""
    shapes = [re.sub(r"\d+", "9", text) for text in texts]
    common = max(set(shapes), key=shapes.count)
    return next((row for row, shape in enumerate(shapes) if shape != common), 0)


@dataclass(frozen=True)
class Frequency:
    """The distance of two steps: so many microseconds, months, weekdays or plain steps.

    Args:
        unit: What is counted.
        count: How many of them make a step.
        day: Day of the month of a monthly series; 31 for the last one.
    """

    unit: Literal["microseconds", "months", "weekdays", "steps"]
    count: int
    day: int = 1

    def positions(self, times: Times) -> NDArray[np.float64]:
        """Return (rows,) positions on the grid of the first time; fractions lie off the grid."""
        if self.unit == "months":
            months, inside = _months(times, self.day)
            off = np.where(inside == inside[0], 0.0, 0.5)
            return np.asarray((months - months[0]) / self.count + off)
        if self.unit == "weekdays":
            days = times.astype("datetime64[us]").astype("datetime64[D]")
            inside = (times - times[0]) % DAY
            off = np.where((inside == 0) & np.is_busday(days), 0.0, 0.5)
            return np.asarray(np.busday_count(days[0], days) + off)
        return np.asarray((times - times[0]) / self.count)

    def after(self, start: int, steps: NDArray[np.int64]) -> Times:
        """Return the times that lie so many steps after ``start``."""
        if self.unit == "months":
            stamp = np.array([start]).astype("datetime64[us]")
            month = stamp.astype("datetime64[M]") + steps * self.count
            length = (month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")
            days = np.minimum(self.day, length.astype(np.int64)) - 1
            clock = start % DAY
            whole = month.astype("datetime64[D]").astype(np.int64) + days
            return np.asarray(whole * DAY + clock)
        if self.unit == "weekdays":
            day = np.array([start]).astype("datetime64[us]").astype("datetime64[D]")
            moved = np.busday_offset(day, steps)
            return moved.astype("datetime64[us]").astype(np.int64) + start % DAY
        return start + steps * self.count

    @property
    def seasons(self) -> tuple[int, ...]:
        """Season lengths in steps, the likeliest first: a day, a week, a year."""
        if self.unit == "months":
            return (12 // self.count,) if self.count < 12 and 12 % self.count == 0 else ()
        if self.unit == "weekdays":
            return (5,)
        if self.unit == "steps":
            return ()
        spans = (DAY, WEEK) if self.count < DAY else (WEEK,)
        if self.count == WEEK:
            return (52,)
        return tuple(s // self.count for s in spans if s % self.count == 0 and s > self.count)

    def __str__(self) -> str:
        """Say it as a person does: hourly, every 15 minutes.

        >>> [str(Frequency("microseconds", HOUR)), str(Frequency("months", 3))]
        ['hourly', 'quarterly']
        """
        named = {
            ("microseconds", SECOND): "every second", ("microseconds", MINUTE): "every minute",
            ("microseconds", HOUR): "hourly", ("microseconds", DAY): "daily",
            ("microseconds", WEEK): "weekly", ("months", 1): "monthly", ("months", 3): "quarterly",
            ("months", 12): "yearly", ("weekdays", 1): "every weekday",
            ("steps", 1): "step by step",
        }  # fmt: skip
        if (self.unit, self.count) in named:
            return named[self.unit, self.count]
        if self.unit != "microseconds":
            return f"every {self.count} {self.unit}"
        units = (
            (WEEK, "weeks"),
            (DAY, "days"),
            (HOUR, "hours"),
            (MINUTE, "minutes"),
            (SECOND, "seconds"),
        )
        size, word = next(((s, w) for s, w in units if self.count % s == 0), (1, "microseconds"))
        return f"every {self.count // size:,} {word}"


def _months(times: Times, day: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the months since 1970, and what lies between a time and its month's ``day``."""
    stamps = times.astype("datetime64[us]")
    months = stamps.astype("datetime64[M]")
    length = (months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")
    due = (
        months.astype("datetime64[D]").astype(np.int64)
        + np.minimum(day, length.astype(np.int64))
        - 1
    )
    return months.astype(np.int64), times - due * DAY


def find_frequency(times: Times) -> Frequency | None:
    """Return the frequency of ascending, distinct times in microseconds; None if there is none.

    It is the most frequent distance between neighbours, if nine in ten of the times lie on its
    grid (steps may be missing there); else the largest distance that divides all others, if at
    least half of its steps are there.
    """
    if len(times) < 2:
        return None
    for candidate in (_monthly(times), _weekdays(times), _even(times)):
        if candidate is not None:
            positions = candidate.positions(times)
            if np.mean(positions == np.round(positions)) >= 0.9 and np.all(np.diff(positions) > 0):
                return candidate
    shared = Frequency("microseconds", math.gcd(*np.diff(times).tolist()))
    return shared if fits(shared, times) else None


def fits(frequency: Frequency, times: Times) -> bool:
    """Return whether ascending times lie on the grid of a frequency and fill at least half of it.

    Of two times nothing can be said about what is missing: they need only lie on the grid.
    """
    positions = frequency.positions(times)
    whole = bool((positions == np.round(positions)).all() and (np.diff(positions) > 0).all())
    return whole and (len(times) < 3 or 2 * len(times) >= positions[-1] + 1)


def _monthly(times: Times) -> Frequency | None:
    distances = np.diff(times)
    if np.median(distances) < 28 * DAY or len(times) < 3:
        return None
    days = times.astype("datetime64[us]").astype("datetime64[D]")
    numbers = (days - days.astype("datetime64[M]")).astype(np.int64) + 1
    ends = (days + 1).astype("datetime64[M]") != days.astype("datetime64[M]")
    day = 31 if ends.all() else int(np.bincount(numbers).argmax())
    months, _ = _months(times, day)
    steps, counts = np.unique(np.diff(months), return_counts=True)
    return Frequency("months", int(steps[counts.argmax()]), day) if steps[0] > 0 else None


def _weekdays(times: Times) -> Frequency | None:
    days = times.astype("datetime64[us]").astype("datetime64[D]")
    if np.median(np.diff(times)) != DAY or not np.is_busday(days).all():
        return None
    weekends = np.diff(times) == 3 * DAY
    return Frequency("weekdays", 1) if weekends.sum() >= 1 else None


def _even(times: Times) -> Frequency:
    steps, counts = np.unique(np.diff(times), return_counts=True)
    return Frequency("microseconds", int(steps[counts.argmax()]))


def write_stamps(times: Times, *, dated: bool, zone: str, frequency: Frequency | None) -> list[str]:
    """Return times as texts: dates where all are at midnight, else with time of day and zone."""
    if not dated:
        return [str(each) for each in times.tolist()]
    offset = _offset(zone) if zone else 0
    tz = timezone(timedelta(microseconds=offset)) if zone else None
    local = times + offset
    start = datetime(1970, 1, 1)
    moments = [start + timedelta(microseconds=int(each)) for each in local.tolist()]
    if (
        not zone
        and (local % DAY == 0).all()
        and (frequency is None or frequency.unit != "microseconds" or frequency.count % DAY == 0)
    ):
        return [each.strftime("%Y-%m-%d") for each in moments]
    return [each.replace(tzinfo=tz).isoformat(sep=" ") for each in moments]

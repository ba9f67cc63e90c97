"""Time stamps: read them from texts or numbers, and write them.

Times are counted in whole microseconds since 1970 (UTC where a zone is known), or, where a file
counts steps instead of naming times, in whole steps.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from ensuite.core.errors import DataError
from ensuite.core.table import Table
from ensuite.data.frequency import DAY, HOUR, MINUTE, Frequency, Times

DateOrder = Literal["auto", "day-first", "month-first"]

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

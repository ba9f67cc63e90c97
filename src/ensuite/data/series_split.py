"""Split series by time: targets stay in their part, the look-back may reach over its border."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from ensuite.core.errors import DataError, UsageError
from ensuite.core.keys import Split
from ensuite.data.series import Clock, Series
from ensuite.data.windows import Windows

SHARE = 0.1
"""Share of a series that is its validation part, and its test part, if no part is given."""


def divide(
    parts: Mapping[str, Sequence[Series]],
    how: Split,
    *,
    horizon: int,
    look_back: int,
    stride: int,
    clock: Clock,
) -> tuple[Mapping[str, Windows], str]:
    """Return the windows of each part, and a sentence on how they were made.

    Args:
        parts: Series of the training file, and of the files that continue it.
        how: By time, or by the dates at which validation and test begin.
        horizon: Steps that a window forecasts.
        look_back: Steps that it reads.
        stride: Steps between two windows that are scored.
        clock: Of the series, to find dates and to write them.

    Raises:
        UsageError: For a split that is not by time, or one that contradicts the given files.
        DataError: If no series is long enough, or a part does not continue the training file.
    """
    _refuse_other_splits(parts, how)
    series, borders = _join(parts, clock)
    chosen = [
        _borders(each, given, how, horizon, clock)
        for each, given in zip(series, borders, strict=True)
    ]
    windows = _windows(series, chosen, horizon, look_back, stride)
    for part, found in windows.items():
        if not len(found):
            raise DataError(_why_empty(part, series, how, clock, horizon))
    return windows, _describe(series, chosen, windows, clock, horizon)


def _why_empty(part: str, series: Sequence[Series], how: Split, clock: Clock, horizon: int) -> str:
    """Say why a part has no window, and what to do."""
    longest = max(series, key=len)
    if how.dates:
        typed = ",".join(each.date().isoformat() for each in how.dates)
        first, last = clock.write(longest.start, np.array([0, len(longest) - 1]))
        return (
            f"--split time:{typed} leaves the {part} part without {horizon:,} steps to forecast: "
            f"the data go from {first} to {last}; give other dates, or a smaller horizon."
        )
    return (
        f"The series are too short: the longest has {len(longest):,} steps, and training, "
        f"validation and test need {3 * horizon + 1:,} to forecast {horizon:,} of them each. "
        "Give a smaller horizon (--set horizon=...), or longer series."
    )


def _refuse_other_splits(parts: Mapping[str, Sequence[Series]], how: Split) -> None:
    """Refuse what would let a model see the future, or would contradict the given files."""
    if how.kind != "time" and how.chosen:
        raise UsageError(
            f"--split {how.kind}: rows of a time series are in order, and a split that is not by "
            "time would let a model see the future; choose --split time or time:DATE,DATE."
        )
    if "valid" in parts and "test" not in parts:
        raise UsageError(
            "--valid: the test part comes after the validation part in time; give --test FILE too, "
            "or leave --valid out."
        )
    if how.dates and "test" in parts:
        raise UsageError(
            "--split time:DATE,DATE: the given files say where the parts begin; leave the dates "
            "out, or the files."
        )


def _join(
    parts: Mapping[str, Sequence[Series]], clock: Clock
) -> tuple[list[Series], list[dict[str, int]]]:
    """Append to each series what the given parts continue it with.

    Returns:
        The series, and for each the step at which a given part begins, by the part's name.

    Raises:
        DataError: If a part has a series of its own, or does not come after what it continues.
    """
    series, borders = list(parts["train"]), [dict[str, int]() for _ in parts["train"]]
    places = {each.name: place for place, each in enumerate(series)}
    for part in ("valid", "test"):
        for more in parts.get(part, ()):
            if more.name not in places:
                raise DataError(
                    f"The {part} file has the series {more.name or '(without an id)'}, which the "
                    "training file does not have; each part continues its series."
                )
            place = places[more.name]
            series[place], borders[place][part] = _append(series[place], more, part, clock)
        for each, ends in zip(series, borders, strict=True):
            if part in parts:
                ends.setdefault(part, len(each))  # this series has no such part
    return series, borders


def _append(one: Series, more: Series, part: str, clock: Clock) -> tuple[Series, int]:
    """Return a series with its continuation, and the step at which that begins.

    Steps between the two are missing values. Where steps are only counted, a part may begin to
    count anew.
    """
    gap = _gap(one, more, clock)
    if gap < 0:
        (begin,), (end,) = (
            clock.write(one.start, np.array([step])) for step in (len(one) + gap, len(one) - 1)
        )
        whose = f" of the series {one.name}" if one.name else ""
        raise DataError(
            f"The {part} file begins at {begin}{whose}, and the rows before it go to {end}: "
            "give only the rows that come after them."
        )
    known = _pad(one.known[: len(one)], gap)
    joined = replace(
        one,
        values=np.concatenate([_pad(one.values, gap), more.values]),
        known=np.concatenate([known, more.known]),
        seen=np.concatenate([_pad(one.seen, gap), more.seen]),
    )
    return joined, len(one) + gap


def _gap(one: Series, more: Series, clock: Clock) -> int:
    """Return the number of steps between the end of a series and its continuation."""
    if clock.frequency is None or (not clock.dated and more.start <= one.start):
        return 0
    times = np.array([one.start, more.start], dtype=np.int64)
    position = float(clock.frequency.positions(times)[1])
    if position != round(position):
        raise DataError(
            f"The steps of the series {more.name or more.start} in a given file do not continue "
            f"those of the training file, which are {clock.frequency}; give time stamps on the "
            "same grid."
        )
    return round(position) - len(one)


def _pad(values: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """Append missing steps."""
    return np.concatenate([values, np.full((steps, values.shape[1]), np.nan)])


Borders = tuple[int, int, int]
"""Where validation begins, where test begins, and where test ends, in steps of a series."""


def _borders(
    series: Series, given: Mapping[str, int], how: Split, horizon: int, clock: Clock
) -> Borders:
    """Return where the parts of one series begin."""
    length = len(series)
    if how.dates:
        return _at_dates(series, how.dates, clock)
    test = given.get("test", length - max(horizon, round(SHARE * length)))
    valid = given.get("valid", test - max(horizon, round(SHARE * length)))
    return max(0, valid), max(0, test), length


def _at_dates(series: Series, dates: Sequence[datetime], clock: Clock) -> Borders:
    if not clock.dated or clock.frequency is None:
        raise UsageError(
            "--split time:DATE,DATE needs time stamps, and the rows have none; name their column "
            "(--column time=NAME), or choose --split time."
        )
    times = clock.frequency.after(series.start, np.arange(len(series)))
    wanted = [int(date.timestamp() * 1_000_000) for date in dates]
    places = [int(np.searchsorted(times, each)) for each in wanted]
    return places[0], places[1], places[2] if len(places) > 2 else len(series)


def _windows(
    series: Sequence[Series], borders: Sequence[Borders], horizon: int, look_back: int, stride: int
) -> dict[str, Windows]:
    valid, test, end = (list(each) for each in zip(*borders, strict=True))
    first = [_first(border, horizon, look_back) for border in valid]
    between = Windows.between
    return {
        "train": between(series, first, valid, horizon),
        "valid": between(series, valid, test, horizon, stride),
        "test": between(series, test, end, horizon, stride),
    }


def _first(border: int, horizon: int, look_back: int) -> int:
    """Return the first step that training forecasts: after a whole look-back if there is room."""
    if border >= look_back + horizon:
        return look_back
    return max(1, (border - horizon) // 2)


def _describe(
    series: Sequence[Series],
    borders: Sequence[Borders],
    windows: Mapping[str, Windows],
    clock: Clock,
    horizon: int,
) -> str:
    counts = ", ".join(f"{len(windows[part]):,} {part}" for part in windows)
    (valid, test, _), one = borders[0], series[0]
    begin = clock.write(one.start, np.array([valid, test]))
    first = f"of {one.name} " if len(series) > 1 else ""
    short = sum(border < horizon + 1 for border, _, _ in borders)
    left = f"; {short:,} series are too short to learn from" if short else ""
    return (
        f"{counts} windows of {horizon:,} steps, by time within each series: validation {first}"
        f"begins at {begin[0]}, test at {begin[1]}; the look-back may reach over these borders"
        f"{left}"
    )

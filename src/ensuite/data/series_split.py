"""Divide series by time: what is forecast stays in its part, what is read may lie before it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from ensuite.core.errors import DataError, UsageError
from ensuite.core.split import Split
from ensuite.data.panel import Clock, Series
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
        UsageError: For a random split, or one by group.
        DataError: If no series is long enough, or a part does not continue the training file.
    """
    if how.kind != "time" and how.chosen:
        raise UsageError(
            f"--split {how.kind}: rows of a time series are in order, and a split that is not by "
            "time would let a model see the future; choose --split time or time:DATE,DATE."
        )
    series, borders = _join(parts)
    chosen = [
        _borders(each, given, how, horizon, clock)
        for each, given in zip(series, borders, strict=True)
    ]
    windows = _windows(series, chosen, horizon, look_back, stride)
    if not len(windows["train"]) or not len(windows["test"]):
        longest = max(len(each) for each in series)
        raise DataError(
            f"The series are too short: the longest has {longest:,} steps, and training, "
            f"validation and test need {3 * horizon + 1:,} to forecast {horizon:,} of them each. "
            "Give a smaller horizon (--set horizon=...), or longer series."
        )
    return windows, _describe(series, chosen, windows, how, clock, horizon)


def _join(
    parts: Mapping[str, Sequence[Series]],
) -> tuple[list[Series], list[dict[str, int]]]:
    """Append to each series what the given parts continue it with, and say where each begins."""
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
            borders[place][part] = len(series[place])
            series[place] = _append(series[place], more)
    return series, borders


def _append(one: Series, more: Series) -> Series:
    known = one.known[: len(one)]
    return replace(
        one,
        values=np.concatenate([one.values, more.values]),
        known=np.concatenate([known, more.known]),
        seen=np.concatenate([one.seen, more.seen]),
    )


Borders = tuple[int, int, int]
"""Where validation begins, where test begins, and where test ends, in steps of a series."""


def _borders(
    series: Series, given: Mapping[str, int], how: Split, horizon: int, clock: Clock
) -> Borders:
    """Return where the parts of one series begin."""
    length = len(series)
    if how.dates and not given:
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
    how: Split,
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
        f"begins at {begin[0]}, test at {begin[1]}; windows look back over these borders{left}"
    )

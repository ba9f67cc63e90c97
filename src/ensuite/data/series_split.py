"""Split series by time: targets stay in their part, the look-back may reach over its border."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from ensuite.core.errors import DataError, UsageError
from ensuite.core.keys import Split
from ensuite.data.series import Clock, Series
from ensuite.data.windows import Windows

SHARE = 0.1
"""Share of a series that is its validation part, and its test part, if no part is given."""

Parts = Mapping[str, Windows]

Borders = tuple[int, int, int]
"""Where validation begins, where test begins, and where test ends, in steps of a series."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How windows are cut out of series.

    Args:
        horizon: Steps that a window forecasts.
        look_back: Steps that it reads.
        stride: Steps between two windows that are scored.
        clock: Of the series, to find dates and to write them.
    """

    horizon: int
    look_back: int
    stride: int
    clock: Clock

    def windows(self, series: Sequence[Series], borders: Sequence[Borders]) -> dict[str, Windows]:
        """Return the training, validation and test windows."""
        valid, test, end = (list(each) for each in zip(*borders, strict=True))
        between, horizon = Windows.between, self.horizon
        return {
            "train": between(series, [self._first(each) for each in valid], valid, horizon),
            "valid": between(series, valid, test, horizon, self.stride),
            "test": between(series, test, end, horizon, self.stride),
        }

    def _first(self, border: int) -> int:
        """Return the first step that training forecasts: after a whole look-back if it fits."""
        if border >= self.look_back + self.horizon:
            return self.look_back
        return max(1, (border - self.horizon) // 2)


def divide(parts: Mapping[str, Sequence[Series]], how: Split, cut: Cut) -> tuple[Parts, str]:
    """Return the windows of each part, and a sentence on how they were made.

    Args:
        parts: Series of the training file, and of the files that continue it.
        how: By time, or by the dates at which validation and test begin.
        cut: How windows are cut.

    Raises:
        UsageError: For a split that is not by time, or one that contradicts the given files.
        DataError: If no series is long enough, or a part does not continue the training file.
    """
    _refuse_other_splits(parts, how)
    series, begins = _join(parts, cut.clock)
    borders = [_borders(each, given, how, cut) for each, given in zip(series, begins, strict=True)]
    windows = cut.windows(series, borders)
    for part, found in windows.items():
        if not len(found):
            raise DataError(_why_empty(part, series, how, cut))
    return windows, _describe(series, borders, windows, cut)


def folds(series: Sequence[Series], how: Split, count: int, cut: Cut) -> list[tuple[Parts, str]]:
    """Return the windows of each fold of a backtest, and a sentence on each (rolling origin).

    The test parts lie one after another at the end of each series; that of the last fold is the
    test part of :func:`divide`, unless so many folds need shorter ones. Each fold is trained on all
    that comes before its validation part, which lies directly before its test part.

    Args:
        series: Those of the training file.
        how: By time.
        count: Number of folds.
        cut: How windows are cut.

    Returns:
        Parts and sentence of each fold; last those for a model that is trained on all steps: its
        validation part is at the end, and its test part that of the last fold.

    Raises:
        UsageError: For a split that is not by time.
        DataError: If no series is long enough for the first fold.

    Source:
        Tashman (2000), International Journal of Forecasting 16(4):437-450
    """
    _refuse_other_splits({"train": series}, how)
    sizes = [
        max(cut.horizon, min(round(SHARE * len(each)), len(each) // (count + 2))) for each in series
    ]
    whole = list(zip(series, sizes, strict=True))
    borders = [
        [_backwards(len(each) - left * size, size) for each, size in whole]
        for left in reversed(range(count))
    ]
    found = [(cut.windows(series, each), each) for each in borders]
    if not all(map(len, found[0][0].values())):  # the first fold has the fewest
        raise DataError(_why_too_many(count, series, cut.horizon))
    tests = np.array([each[0][1] for each in borders], dtype=np.int64)
    began = f"; the test parts begin at {', '.join(cut.clock.write(series[0].start, tests))}"
    last = cut.windows(series, [(max(0, len(s) - size), len(s), len(s)) for s, size in whole])
    said = f"{len(last['train']):,} train, {len(last['valid']):,} valid windows, up to the end"
    return [
        *((windows, _describe(series, each, windows, cut) + began) for windows, each in found),
        ({**last, "test": found[-1][0]["test"]}, said),
    ]


def _backwards(end: int, size: int) -> Borders:
    """Return the borders of parts of one size that lie before a step."""
    return max(0, end - 2 * size), max(0, end - size), max(0, end)


def _why_too_many(count: int, series: Sequence[Series], horizon: int) -> str:
    longest = max(map(len, series))
    return (
        f"The series are too short for {count} folds: the longest has {longest:,} steps, and "
        f"training, validation and {count} test parts need {(count + 2) * horizon + 1:,} to "
        f"forecast {horizon:,} of them each. Give fewer --folds, a smaller horizon (--set "
        "horizon=...), or longer series."
    )


def _why_empty(part: str, series: Sequence[Series], how: Split, cut: Cut) -> str:
    """Say why a part has no window, and what to do."""
    longest, horizon = max(series, key=len), cut.horizon
    if how.dates:
        typed = ",".join(each.date().isoformat() for each in how.dates)
        first, last = cut.clock.write(longest.start, np.array([0, len(longest) - 1]))
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


def _borders(series: Series, given: Mapping[str, int], how: Split, cut: Cut) -> Borders:
    """Return where the parts of one series begin."""
    length = len(series)
    if how.dates:
        return _at_dates(series, how.dates, cut.clock)
    size = max(cut.horizon, round(SHARE * length))
    test = given.get("test", length - size)
    valid = given.get("valid", test - size)
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


def _describe(
    series: Sequence[Series], borders: Sequence[Borders], windows: Parts, cut: Cut
) -> str:
    counts = ", ".join(f"{len(windows[part]):,} {part}" for part in windows)
    (valid, test, _), one = borders[0], series[0]
    begin = cut.clock.write(one.start, np.array([valid, test]))
    first = f"of {one.name} " if len(series) > 1 else ""
    short = sum(border < cut.horizon + 1 for border, _, _ in borders)
    left = f"; {short:,} series are too short to learn from" if short else ""
    return (
        f"{counts} windows of {cut.horizon:,} steps, by time within each series: validation "
        f"{first}begins at {begin[0]}, test at {begin[1]}; the look-back may reach over these "
        f"borders{left}"
    )

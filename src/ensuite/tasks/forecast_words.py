"""What is said of series and forecasts: the data check, a line for each, rows of a table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensuite.core.presentation import Finding
from ensuite.data.series import Clock, Series, is_steady
from ensuite.data.windows import Window
from ensuite.tasks.forecast_answers import Prediction

Numbers = NDArray[np.float64]

MOST_COLUMNS = 3
"""Columns, or names of series, that are shown in a line."""


def in_a_line(values: Numbers, columns: Sequence[str]) -> str:
    """Write the first and the last step of each column of (horizon, columns)."""
    if np.isnan(values).all():
        return ""
    lines = [
        f"{name} {series[0]:.4g} ... {series[-1]:.4g}"
        for name, series in zip(columns, values.T, strict=True)
    ]
    return _few(lines)


def in_rows(
    example: Window, prediction: Prediction, columns: Sequence[str], clock: Clock
) -> list[dict[str, Any]]:
    """Return one row for each step and column: time stamp, forecast, and the intervals."""
    series, origin = example
    steps = np.arange(origin, origin + len(prediction.point))
    stamps = clock.write(series.start, steps)
    whose: dict[str, Any] = {"series": series.name} if series.name else {}
    return [
        whose
        | {"time": stamp}
        | ({"column": name} if len(columns) > 1 else {})
        | {"forecast": float(prediction.point[step, column])}
        | dict(prediction.ends(step, column))
        for column, name in enumerate(columns)
        for step, stamp in enumerate(stamps)
    ]


def find_steady(series: Sequence[Series], columns: Sequence[str]) -> list[Finding]:
    """Say which series never change, since MASE leaves them out."""
    steady = [each.name or columns[0] for each in series if is_steady(each.values)]
    if not steady:
        return []
    many = "1 series never changes" if len(steady) == 1 else f"{len(steady):,} never change"
    return [Finding("constant", f"{many}: {_few(steady)}; MASE leaves it out")]


def say_size(
    series: Sequence[Series],
    columns: Sequence[str],
    clock: Clock,
    beside: Mapping[str, Sequence[str]],
) -> str:
    """Say how many series of how many steps there are, and what is forecast.

    Args:
        series: All of them.
        columns: What is forecast.
        clock: Of the series.
        beside: Other columns that are read, by what is known of them.
    """
    lengths = [len(each) for each in series]
    size = f"{lengths[0]:,} steps"
    if len(lengths) > 1:
        longer = f" to {max(lengths):,}" if max(lengths) > min(lengths) else ""
        size = f"{len(lengths):,} series of {min(lengths):,}{longer} steps"
    frequency = f", {clock.frequency}" if clock.dated else ""
    others = [f"{role}: {', '.join(names)}" for role, names in beside.items() if names]
    return "; ".join([f"{size}{frequency}: {', '.join(columns)}", *others])


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_COLUMNS]) + (", ..." if len(names) > MOST_COLUMNS else "")

"""Columns known in the future must be given for all steps to forecast."""

from collections.abc import Sequence

import numpy as np

from ensuite.core.errors import DataError
from ensuite.data.series import Clock, Series
from ensuite.data.windows import Windows


def refuse_short_future(windows: Windows, horizon: int, names: Sequence[str]) -> None:
    """Refuse windows whose columns known in the future do not reach over the horizon.

    Raises:
        DataError: Names the series, the columns and the number of steps that are missing.
    """
    if not names or not len(windows):
        return
    lengths = np.array([known_until(series, len(names)) for series in windows.series])
    missing = windows.origins + horizon - lengths[windows.numbers]
    if (missing <= 0).all():
        return
    place = int(np.argmax(missing > 0))
    short = int(min(horizon, missing[place]))
    raise DataError(
        f"{_whose(windows[place].series)} gives {', '.join(names)} for {horizon - short} of the "
        f"{horizon} steps to forecast: add {short} rows with these columns and an empty value."
    )


def refuse_holes(windows: Windows, horizon: int, names: Sequence[str], clock: Clock) -> None:
    """Refuse windows that are asked with an empty cell among the steps to forecast.

    Raises:
        DataError: Names the series, the column and the time stamp.
    """
    for series, origin in windows:
        known = series.known[origin : origin + horizon, : len(names)]
        steps, columns = np.nonzero(np.isnan(known))
        if len(steps):
            (stamp,) = clock.write(series.start, origin + steps[:1])
            raise DataError(
                f"{_whose(series)} has no {names[columns[0]]} at {stamp}, which is a step to "
                "forecast: fill it in."
            )


def _whose(series: Series) -> str:
    return f"The series {series.name}" if series.name else "The file"


def known_until(series: Series, columns: int) -> int:
    """Return the number of steps up to the last at which the first ``columns`` are all known."""
    whole = np.flatnonzero(~np.isnan(series.known[:, :columns]).any(1))
    return int(whole[-1]) + 1 if len(whole) else 0

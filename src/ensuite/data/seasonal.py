"""The seasonal naive forecast, and its error as the unit of MASE."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Indices = NDArray[np.int64]


def seasonal_naive(
    values: Numbers, starts: Indices, origins: Indices, *, season: int, horizon: int
) -> Numbers:
    """Repeat the last season; the last value where there is not a whole season yet.

    Args:
        values: (steps, columns), series one after another, without missing values.
        starts: (windows,), where the series of each window begins in ``values``.
        origins: (windows,), the first step to forecast, counted from there.
        season: Steps of a season.
        horizon: Steps to forecast.

    Returns:
        (windows, horizon, columns).
    """
    back = season - np.arange(horizon) % season
    back = np.where(back[None] <= origins[:, None], back[None], 1)
    found: Numbers = values[(starts + origins)[:, None] - back]
    return found


def seasonal_error(values: Numbers, season: int) -> Numbers:
    """Return the mean absolute error of the seasonal naive forecast one step ahead, (columns,).

    Where that error is 0, or the series is not longer than a season, it is the error of the last
    value (a season of one step); 0 for a column that never changes.

    Args:
        values: (steps, columns), NaN where one is missing.
        season: Steps of a season.

    Source:
        Hyndman & Koehler (2006), International Journal of Forecasting 22(4):679-688, section 3
    """
    if len(values) <= season:
        return seasonal_error(values, 1) if season > 1 else np.zeros(values.shape[1])
    errors = np.abs(values[season:] - values[:-season])
    known = ~np.isnan(errors)
    mean = np.asarray(np.where(known, errors, 0).sum(0) / known.sum(0).clip(1))
    return mean if season == 1 else np.where(mean > 0, mean, seasonal_error(values, 1))

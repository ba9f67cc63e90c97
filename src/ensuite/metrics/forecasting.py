"""How far forecasts are from what came, by horizon or over all of it.

Arrays are (examples, horizon, columns); a truth of NaN is not known and counts nowhere. ``scale``,
where there is one, is (examples, columns) and divides the errors of each example. All metrics are
means over every known value, so that they are functions of sums over the examples.

Sources:
    Hyndman & Koehler (2006), International Journal of Forecasting 22(4):679-688 (MASE)
    Makridakis, Spiliotis & Assimakopoulos (2020), International Journal of Forecasting
    36(1):54-74, section 2 (sMAPE and OWA of the M4 competition)
    Koenker & Bassett (1978), Econometrica 46(1):33-50 (the quantile loss)
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ensuite.core.score import Numbers, Score, ratio_of_two

Array = NDArray[np.float64]


def mean_absolute_error(forecasts: Array, truths: Array, scale: Array | None = None) -> Score:
    """Return the mean distance (MAE); in units of ``scale`` where it is given.

    With the mean absolute error of the seasonal naive forecast over the training steps as the
    scale it is the MASE. A column whose scale is 0 is left out.
    """
    return _mean(np.abs(forecasts - truths), truths, scale)


def mean_squared_error(forecasts: Array, truths: Array, scale: Array | None = None) -> Score:
    """Return the mean squared distance (MSE), in units of the square of ``scale``."""
    return _mean((forecasts - truths) ** 2, truths, None if scale is None else scale**2)


def root_mean_squared_error(forecasts: Array, truths: Array) -> Score:
    """Return the root of the mean squared distance (RMSE)."""
    squared = mean_squared_error(forecasts, truths)
    return Score(squared.statistics, _root_of_ratio, higher_is_better=False)


def symmetric_percentage_error(forecasts: Array, truths: Array) -> Score:
    """Return the mean of 200 |error| / (|forecast| + |truth|), the sMAPE; 0 where both are 0."""
    size = np.abs(forecasts) + np.abs(truths)
    errors = 200 * np.abs(forecasts - truths)
    return _mean(np.divide(errors, size, out=np.zeros_like(errors), where=size > 0), truths)


def quantile_loss(quantiles: Array, truths: Array, levels: Sequence[float]) -> Score:
    """Return the weighted quantile loss (WQL): twice the pinball loss by the sum of |truth|.

    Args:
        quantiles: (examples, levels, horizon, columns).
        truths: (examples, horizon, columns).
        levels: The level of each quantile, from 0 to 1.
    """
    errors = truths[:, None] - quantiles
    levels_ = np.asarray(levels, dtype=float)[:, None, None]
    pinball = 2 * np.maximum(levels_ * errors, (levels_ - 1) * errors).mean(1)
    sums = [np.nansum(part, axis=(1, 2)) for part in (pinball, np.abs(truths))]
    return Score(np.stack(sums, axis=1), ratio_of_two, higher_is_better=False)


def coverage(lower: Array, upper: Array, truths: Array) -> Score:
    """Return the share of the truths that lie within their interval, its ends included."""
    inside = (lower <= truths) & (truths <= upper)
    return _mean(inside.astype(float), truths, higher_is_better=True)


def interval_width(lower: Array, upper: Array, truths: Array) -> Score:
    """Return the mean width of the intervals of the known truths."""
    return _mean(upper - lower, truths)


def _mean(
    values: Array, truths: Array, scale: Array | None = None, *, higher_is_better: bool = False
) -> Score:
    """Average over the known truths of each example, (examples, horizon, columns)."""
    known = ~np.isnan(truths)
    if scale is not None:
        whole = np.broadcast_to(scale[:, None], values.shape)
        known = known & (whole > 0)
        values = np.divide(values, whole, out=np.zeros_like(values), where=known)
    sums = np.where(known, values, 0).sum((1, 2)), known.sum((1, 2)).astype(float)
    return Score(np.stack(sums, axis=1), ratio_of_two, higher_is_better=higher_is_better)


def _root_of_ratio(sums: Numbers) -> Numbers:
    root: Numbers = np.sqrt(ratio_of_two(sums))
    return root

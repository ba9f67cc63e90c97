"""How forecasts are judged: their metrics, and which windows are independent of each other."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ensuite.core.display import Display
from ensuite.core.score import Score
from ensuite.data.seasonal import seasonal_error
from ensuite.data.windows import Windows
from ensuite.metrics import forecasting as metrics
from ensuite.tasks.forecast_answers import INTERVALS, Prediction

Numbers = NDArray[np.float64]

FEWEST_BLOCKS = 30
"""Blocks of windows from which all series of one time make a block together."""

SCORED_AT_ONCE = 256
"""Windows whose errors are computed together; more need more memory, not less time."""

DISPLAYS = {
    "mase": Display(name="MASE"), "smape": Display(name="sMAPE"), "mae": Display(name="MAE"),
    "rmse": Display(name="RMSE"), "wql": Display(name="WQL"),
    "scaled_mse": Display(name="scaled MSE"), "scaled_mae": Display(name="scaled MAE"),
}  # fmt: skip
"""How metrics are printed, if not by their keys."""


def score(
    predictions: Sequence[Prediction],
    windows: Windows,
    truths: Callable[[Windows], Numbers],
    *,
    units: Numbers,
    deviations: Numbers,
) -> dict[str, Score]:
    """Judge predictions by the truth, some windows at a time.

    Args:
        predictions: One for each window.
        windows: One at least.
        truths: Returns the true values, (windows, horizon, columns), NaN where one is not known.
        units: (windows, columns), the unit of MASE.
        deviations: (windows, columns), of each series in training.
    """
    parts = []
    for start in range(0, len(windows), SCORED_AT_ONCE):
        at = slice(start, start + SCORED_AT_ONCE)
        found = _score(predictions[at], truths(windows[at]), units[at], deviations[at])
        parts.append(found)
    return {
        name: replace(
            one,
            statistics=np.concatenate([part[name].statistics for part in parts]),
            display=DISPLAYS.get(name, one.display),
        )
        for name, one in parts[0].items()
    }


def _score(
    predictions: Sequence[Prediction], truths: Numbers, units: Numbers, deviations: Numbers
) -> dict[str, Score]:
    """Judge some predictions by their truths, (examples, horizon, columns)."""
    point = np.stack([each.point for each in predictions])
    lower = np.stack([each.lower for each in predictions])
    upper = np.stack([each.upper for each in predictions])
    quantiles = np.concatenate([lower, point[:, None], upper], axis=1)
    shares = np.array(INTERVALS)
    levels = [*(1 - shares) / 2, 0.5, *(1 + shares) / 2]
    scores = {
        "mase": metrics.mean_absolute_error(point, truths, units),
        "smape": metrics.symmetric_percentage_error(point, truths),
        "coverage_95": metrics.coverage(lower[:, 1], upper[:, 1], truths),
        "mae": metrics.mean_absolute_error(point, truths),
        "rmse": metrics.root_mean_squared_error(point, truths),
        "wql": metrics.quantile_loss(quantiles, truths, levels),
        "coverage_80": metrics.coverage(lower[:, 0], upper[:, 0], truths),
        "width_95": metrics.interval_width(lower[:, 1], upper[:, 1], truths),
        "scaled_mse": metrics.mean_squared_error(point, truths, deviations),
        "scaled_mae": metrics.mean_absolute_error(point, truths, deviations),
    }
    horizon = point.shape[1]
    for step in sorted({1, (horizon + 1) // 2, horizon}):
        at = slice(step - 1, step)
        scores[f"mae_h{step}"] = metrics.mean_absolute_error(point[:, at], truths[:, at])
        scores[f"coverage_95_h{step}"] = metrics.coverage(
            lower[:, 1, at], upper[:, 1, at], truths[:, at]
        )
    return scores


def naive_errors(windows: Windows, season: int) -> Numbers:
    """Return the unit of MASE of each window, (windows, columns).

    That is the mean absolute error of the seasonal naive forecast over the steps before the first
    window of its series.
    """
    pairs = zip(windows.series, windows.firsts.tolist(), strict=True)
    errors = [seasonal_error(series.values[:end], season) for series, end in pairs]
    return np.array(errors)[windows.numbers]


def blocks(windows: Windows, horizon: int) -> list[int]:
    """Number the blocks of windows that overlap.

    Series that begin at one time move together, so that a block holds all of them; unless that
    leaves fewer than 30 blocks: then each series has its own.
    """
    starts = np.array([series.start for series in windows.series])[windows.numbers]
    block = windows.origins // (2 * horizon)
    if len(np.unique(starts)) == 1 and len(np.unique(block)) >= FEWEST_BLOCKS:
        return list(block.tolist())
    pairs = np.stack([windows.numbers, block], axis=1)
    numbers: list[int] = np.unique(pairs, axis=0, return_inverse=True)[1].ravel().tolist()
    return numbers

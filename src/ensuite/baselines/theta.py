"""The theta method: half a line, half a smoothed level, on what is left without the season."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

from ensuite.core.baseline import Baseline
from ensuite.data.windows import Window, gather
from ensuite.tasks.forecast import Forecast
from ensuite.tasks.forecast_answers import Prediction

Numbers = NDArray[np.float64]
Mask = NDArray[np.bool_]

SEASONS = 6
"""Seasons that are read, at least: fewer say too little about what belongs to the season."""

NUMBERS_AT_ONCE = 2**20
"""Numbers of windows that are forecast together; more need more memory, not less time."""

RATES = np.array([0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9])
"""Smoothing rates tried; each window takes the one that forecasts its own steps best."""

SEASONAL = 1.645
"""Quantile of the normal distribution that the autocorrelation of a season must be above (10 %)."""

TINY = 1e-12
"""Sum of squares at and below which there is nothing to divide."""


@dataclass(frozen=True, eq=False)
class Theta(Baseline):
    """Forecast each column of each window by the theta method with an additive season.

    It won the M3 competition and is a benchmark of M4. Nothing is learned from other windows.

    Sources:
        Assimakopoulos & Nikolopoulos (2000), International Journal of Forecasting 16(4):521-530
        As half a line and half exponential smoothing: Hyndman & Billah (2003), International
        Journal of Forecasting 19(2):287-290
        Test for a season: Fiorucci et al. (2016), International Journal of Forecasting
        32(4):1151-1161, section 3.3
    """

    name: ClassVar[str] = "theta"

    @classmethod
    def fits(cls, task: Forecast) -> bool:
        return True

    @classmethod
    def fit(
        cls, task: Forecast, train: Sequence[Window], valid: Sequence[Window], seed: int
    ) -> Self:
        return cls()

    def predict(self, task: Forecast, examples: Sequence[Window]) -> list[Prediction]:
        steps = self.reads(task)
        plain = replace(task.history, look_back=steps, per_column=True, normalise="last", segment=1)
        rows, values = plain.rows(gather(examples)), []
        size = max(1, NUMBERS_AT_ONCE // steps)
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            read, mask = plain.collate(part)
            offset, divisor = plain.normal(part)
            scaled = read.numpy()[:, :, 0].astype(np.float64)
            values.append(theta(scaled, mask.numpy(), task.season, task.horizon) * divisor + offset)
        shape = (len(examples), len(task.columns), task.horizon)
        whole = np.concatenate(values).reshape(shape).transpose(0, 2, 1)
        return task.predictions(examples, whole[..., None])

    def reads(self, task: Forecast) -> int:
        """Return how many steps it reads: as many as a network, and some seasons at least."""
        return max(task.history.look_back, SEASONS * task.season)

    @property
    def parameters(self) -> int:
        return 0


def theta(values: Numbers, mask: Mask, season: int, horizon: int) -> Numbers:
    """Forecast (rows, horizon) from (rows, steps).

    Args:
        values: Rows that are shorter than others have padding on the left.
        mask: (rows, steps), which steps are real.
        season: Steps of a season; 1: there is none.
        horizon: Steps to forecast.
    """
    steps = values.shape[1]
    index = seasonal_index(values, mask, season)
    places = np.arange(-steps, horizon) % season
    rest = values - index[:, places[:steps]]
    line = fit_line(rest, mask, horizon)
    level = smooth(2 * rest - line[:, :steps], mask)
    return (line[:, steps:] + level[:, None]) / 2 + index[:, places[steps:]]


def seasonal_index(values: Numbers, mask: Mask, season: int) -> Numbers:
    """Return what each place of a season adds, (rows, season): the mean of what lies off the trend.

    The first place is that of the step to forecast first. The trend is a centred moving average of
    a whole season. Rows without a season, or with less than three, have zeros.
    """
    rows, steps = values.shape
    if season < 2 or steps < 3 * season:
        return np.zeros((rows, season))
    half = season // 2
    weights = np.ones(2 * half + 1)
    weights[[0, -1]] = 0.5 if season % 2 == 0 else 1
    trend = convolve1d(values, weights / weights.sum(), axis=1, mode="nearest")
    inside = np.zeros_like(mask)
    inside[:, half : steps - half] = mask[:, : steps - 2 * half]
    sums = by_place(np.where(inside, values - trend, 0), season)
    counts = by_place(inside, season)
    index = sums / counts.clip(1)
    index -= index.mean(1, keepdims=True)
    found = is_seasonal(values, mask, season) & (counts > 0).all(1)
    return np.where(found[:, None], index, 0)


def by_place(values: Numbers | Mask, season: int) -> Numbers:
    """Return the sum over each place of a season, (rows, season); the last step is in the last."""
    rows, steps = values.shape
    padded = np.pad(values.astype(np.float64), ((0, 0), (-steps % season, 0)))
    return np.asarray(padded.reshape(rows, -1, season).sum(1))


def is_seasonal(values: Numbers, mask: Mask, season: int) -> Mask:
    """Test whether the autocorrelation at one season is above chance, (rows,)."""
    counts = mask.sum(1)
    mean = np.where(mask, values, 0).sum(1) / counts.clip(1)
    apart = np.where(mask, values - mean[:, None], 0)
    power = np.abs(np.fft.rfft(apart, 2 * values.shape[1])) ** 2
    lags = np.fft.irfft(power)[:, : season + 1]
    lags = lags / np.maximum(lags[:, :1], TINY)
    limit = SEASONAL * np.sqrt((1 + 2 * (lags[:, 1:-1] ** 2).sum(1)) / counts.clip(1))
    return np.asarray((lags[:, -1] > limit) & (counts >= 3 * season))


def fit_line(values: Numbers, mask: Mask, horizon: int) -> Numbers:
    """Return the line of least squares through each row and on, (rows, steps + horizon)."""
    steps = values.shape[1]
    times = np.arange(-steps, horizon, dtype=np.float64)
    counts = mask.sum(1).clip(1)[:, None]
    now = np.where(mask, times[:steps], 0)
    middle, mean = (
        now.sum(1, keepdims=True) / counts,
        (values * mask).sum(1, keepdims=True) / counts,
    )
    apart = np.where(mask, now - middle, 0)
    slope = (apart * values).sum(1, keepdims=True) / (apart**2).sum(1, keepdims=True).clip(TINY)
    return np.asarray(mean + slope * (times - middle))


def smooth(values: Numbers, mask: Mask) -> Numbers:
    """Return the last level of simple exponential smoothing, (rows,).

    Each row takes the rate with the smallest squared error one step ahead.
    """
    first = mask.argmax(1)
    level = np.repeat(np.take_along_axis(values, first[:, None], axis=1), len(RATES), axis=1)
    squares = np.zeros_like(level)
    for now, real in zip(values.T, mask.T, strict=True):
        error = np.where(real[:, None], now[:, None] - level, 0)
        squares += error**2
        level = level + RATES * error
    best = squares.argmin(1)
    return np.take_along_axis(level, best[:, None], axis=1)[:, 0]

"""Naive2, the seasonally adjusted last value, by which the M4 competition scaled its results."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ensuite.data import readers
from ensuite.data.panel import read_panel
from ensuite.data.series import Series

Numbers = NDArray[np.float64]


def score_naive2(train_file: Path, test_file: Path) -> tuple[float, float]:
    """Return sMAPE and MASE of Naive2, averaged over the series of two files of M4 hourly."""
    both = (read_panel(readers.read(str(path)), {}).series for path in (train_file, test_file))
    train, test = both
    errors = [_naive2_errors(*pair) for pair in zip(train, test, strict=True)]
    smape, mase = np.mean(errors, axis=0)
    return float(smape), float(mase)


def _naive2_errors(train: Series, test: Series, season: int = 24) -> tuple[float, float]:
    past, truth = train.values[:, 0], test.values[:, 0]
    found = naive2(past, season, len(truth))
    smape = np.mean(200 * np.abs(found - truth) / (np.abs(found) + np.abs(truth)))
    unit = np.mean(np.abs(past[season:] - past[:-season]))
    return float(smape), float(np.mean(np.abs(found - truth)) / unit)


def naive2(values: Numbers, season: int, horizon: int) -> Numbers:
    """Repeat the last value of the seasonally adjusted series, if a season can be shown.

    Source:
        The competition's R code, https://github.com/Mcompetitions/M4-methods, Benchmarks and
        Evaluation.R
    """
    if not is_seasonal(values, season):
        return np.full(horizon, values[-1])
    index = seasonal_index(values, season)
    places = np.arange(len(values), len(values) + horizon) % season
    last: float = values[-1] / index[(len(values) - 1) % season]
    found: Numbers = last * index[places]
    return found


def is_seasonal(values: Numbers, season: int) -> bool:
    """Test the autocorrelation at one season at 90 %."""
    if len(values) < 3 * season:
        return False
    centred = values - values.mean()
    total = (centred**2).sum()
    lags = [(centred[lag:] * centred[:-lag]).sum() / total for lag in range(1, season + 1)]
    limit = 1.645 * np.sqrt((1 + 2 * np.sum(np.square(lags[:-1]))) / len(values))
    return bool(abs(lags[-1]) > limit)


def seasonal_index(values: Numbers, season: int) -> Numbers:
    """Return the multiplicative seasonal index of each place in a season (classical)."""
    weights = np.ones(season + 1 if season % 2 == 0 else season)
    if season % 2 == 0:
        weights[[0, -1]] = 0.5
    trend = np.convolve(values, weights / season, mode="valid")
    first = len(weights) // 2
    ratio = values[first : first + len(trend)] / trend
    places = np.arange(first, first + len(trend)) % season
    index = np.array([ratio[places == place].mean() for place in range(season)])
    scaled: Numbers = index / index.mean()
    return scaled

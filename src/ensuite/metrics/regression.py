"""Metrics of regression: MAE, RMSE, R².

``predictions`` and ``truths`` are (examples,), or (examples, targets) where an example has several
numbers. Each target is scored in its own unit, and the mean over the targets is returned. A truth
of NaN is not known and is left out.
"""

import numpy as np
from numpy.typing import ArrayLike

from ensuite.core.display import Display
from ensuite.core.score import Numbers, Score, ratio

MAE, RMSE, R2 = (Display(name=name) for name in ("MAE", "RMSE", "R²"))

FLAT = 1e-12
"""Share of a sum of squares below which the variance is rounding error, of constant truths."""


def mean_absolute_error(predictions: ArrayLike, truths: ArrayLike) -> Score:
    """Return the mean absolute error (MAE), in the unit of the target."""
    errors, _, known = _errors(predictions, truths)
    return Score(np.hstack([np.abs(errors), known]), _mean_of_means, False, MAE)


def root_mean_squared_error(predictions: ArrayLike, truths: ArrayLike) -> Score:
    """Return the root of the mean squared error (RMSE), in the unit of the target."""
    errors, _, known = _errors(predictions, truths)
    return Score(np.hstack([errors**2, known]), _mean_of_roots, False, RMSE)


def r2(predictions: ArrayLike, truths: ArrayLike) -> Score:
    """Return the coefficient of determination (R²), the share of the variance explained.

    It is 1 if every prediction is exact, 0 if all are the mean of the truths, and negative if they
    are worse than that.
    """
    errors, truths, known = _errors(predictions, truths)
    return Score(np.hstack([errors**2, truths, truths**2, known]), _explained, display=R2)


def _errors(predictions: ArrayLike, truths: ArrayLike) -> tuple[Numbers, Numbers, Numbers]:
    """Return errors, centred truths, and whether they are known, all (examples, targets)."""
    truths = np.asarray(truths, dtype=float)
    truths = truths.reshape(len(truths), -1)
    known = ~np.isnan(truths)
    errors = np.asarray(predictions, dtype=float).reshape(truths.shape) - truths
    # Centred, since the variance is computed from sums of squares, which loses digits otherwise.
    middle = ratio(np.where(known, truths, 0).sum(0), known.sum(0))
    return np.where(known, errors, 0), np.where(known, truths - middle, 0), known.astype(float)


def _mean_of_means(sums: Numbers) -> Numbers:
    above, known = np.split(sums, 2, axis=-1)
    return _mean(ratio(above, known))


def _mean_of_roots(sums: Numbers) -> Numbers:
    above, known = np.split(sums, 2, axis=-1)
    return _mean(np.sqrt(ratio(above, known)))


def _explained(sums: Numbers) -> Numbers:
    errors, truths, squares, known = np.split(sums, 4, axis=-1)
    variance = squares - ratio(truths**2, known)
    return _mean(1 - ratio(errors, np.where(variance > FLAT * squares, variance, 0)))


def _mean(values: Numbers) -> Numbers:
    """Average over the targets that have a value; NaN if none has."""
    counted = ~np.isnan(values)
    return ratio(np.where(counted, values, 0).sum(-1), counted.sum(-1))

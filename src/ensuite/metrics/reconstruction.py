"""Metrics of reconstructions: squared errors, and how probable the data is, in nats."""

import numpy as np
from numpy.typing import ArrayLike

from ensuite.core.display import Display
from ensuite.core.score import Score

MSE = Display(name="MSE")
ELBO = Display(name="ELBO", unit="nats")
RECONSTRUCTION = Display(name="log p(x|z)", unit="nats")
KL = Display(name="KL", unit="nats")
LIKELIHOOD = Display(name="log p(x)", unit="nats")


def mean_squared_error(errors: ArrayLike) -> Score:
    """Average the mean squared errors of examples, (examples,)."""
    return average(errors, MSE, higher_is_better=False)


def average(values: ArrayLike, display: Display, *, higher_is_better: bool = True) -> Score:
    """Average numbers of examples, (examples,); NaN does not count."""
    values = np.asarray(values, dtype=float)
    known = ~np.isnan(values)
    return Score.mean(values, known, higher_is_better=higher_is_better, display=display)


def evidence(
    reconstruction: ArrayLike, divergence: ArrayLike, importance: ArrayLike
) -> dict[str, Score]:
    """Return the scores of a model whose codes have a distribution, in nats for each example.

    Args:
        reconstruction: (examples,) the mean of log p(x | z).
        divergence: (examples,) of the code from the prior.
        importance: (examples,) importance-weighted estimates of log p(x).
    """
    bound = np.subtract(reconstruction, divergence)
    return {
        "elbo": average(bound, ELBO),
        "log_likelihood": average(importance, LIKELIHOOD),
        "reconstruction": average(reconstruction, RECONSTRUCTION),
        "kl": average(divergence, KL, higher_is_better=False),
    }

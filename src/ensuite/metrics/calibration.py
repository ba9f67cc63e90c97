"""Make stated probabilities hold: one temperature, learned on held-out examples."""

import numpy as np
from numpy.typing import NDArray

COARSE = np.geomspace(0.25, 8.0, 41)
"""Temperatures tried first; their neighbourhood is searched more finely."""


def best_temperature(probabilities: NDArray[np.float64], truths: NDArray[np.int64]) -> float:
    """Return the temperature that makes the truths most likely; it changes no decision.

    Args:
        probabilities: (examples, label).
        truths: (examples,) label numbers; negative for none.

    Sources:
        Guo, Pleiss, Sun & Weinberger (2017), ICML, section 4.2, "temperature scaling".
    """
    known = truths >= 0
    if not known.any():
        return 1.0
    logits = np.log(probabilities[known].clip(1e-12))
    truths = truths[known]

    def loss(temperature: float) -> float:
        scaled = logits / temperature
        norm = np.logaddexp.reduce(scaled, axis=1)
        return float((norm - scaled[np.arange(len(truths)), truths]).mean())

    best = min(COARSE, key=loss)
    ratio = COARSE[1] / COARSE[0]
    return float(min(best * np.geomspace(1 / ratio, ratio, 41), key=loss))

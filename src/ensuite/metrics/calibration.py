"""Temperature scaling: calibrate predicted probabilities on held-out examples."""

import numpy as np
from numpy.typing import NDArray

COARSE = np.geomspace(0.25, 8.0, 41)
"""Temperatures of the first grid search; a finer one follows around the best of them."""


def best_temperature(probabilities: NDArray[np.float64], truths: NDArray[np.int64]) -> float:
    """Return the temperature that minimises the log loss of the labels.

    Dividing the logits by it changes probabilities, but never which label is the most probable.

    Args:
        probabilities: (examples, labels).
        truths: (examples,) indices of the true labels; negative if unknown.

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

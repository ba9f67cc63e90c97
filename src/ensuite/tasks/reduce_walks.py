"""Walks through codes: one unit at a time, or from one code to another."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Walk = Literal["traversal", "interpolation"]

Numbers = NDArray[Any]

REACH = 2.0
"""How far a unit is moved from 0 either way, in deviations of the prior."""

STEPS = 9
"""Codes on each way."""

MOST_UNITS = 16
"""Units that are moved, each by itself."""


def traversal(size: int, steps: int = STEPS) -> Numbers:
    """Return codes that are zero but for one unit, (units, steps, code).

    >>> traversal(2, 3).tolist()
    [[[-2.0, 0.0], [0.0, 0.0], [2.0, 0.0]], [[0.0, -2.0], [0.0, 0.0], [0.0, 2.0]]]
    """
    units = min(size, MOST_UNITS)
    codes = np.zeros((units, steps, size))
    for unit in range(units):
        codes[unit, :, unit] = np.linspace(-REACH, REACH, steps)
    return codes


def interpolation(ends: Numbers, steps: int = STEPS) -> Numbers:
    """Interpolate between pairs of codes on the sphere (slerp); return (paths, steps, code).

    On a straight line between two samples of a Gaussian in many dimensions, the norm is smaller
    than that of nearly all samples.

    Args:
        ends: (2 paths, code); the first two are the ends of the first path, and so on.
        steps: Codes on each path, its ends included.

    Source:
        Shoemake (1985), https://doi.org/10.1145/325334.325242; White (2016),
        https://arxiv.org/abs/1609.04468
    """
    starts, stops = ends[::2, None], ends[1::2, None]
    share = np.linspace(0, 1, steps)[:, None]
    lengths = np.linalg.norm(starts, axis=-1) * np.linalg.norm(stops, axis=-1)
    cosine = (starts * stops).sum(-1) / np.maximum(lengths, np.finfo(float).tiny)
    angle = np.arccos(cosine.clip(-1, 1))[..., None]
    # The ends lie in one direction, or opposite to each other, or one of them is 0.
    straight = (np.sin(angle) < 1e-6) | (lengths[..., None] == 0)
    safe = np.where(straight, 1.0, np.sin(angle))
    first = np.where(straight, 1 - share, np.sin((1 - share) * angle) / safe)
    last = np.where(straight, share, np.sin(share * angle) / safe)
    return np.asarray(first * starts + last * stops)

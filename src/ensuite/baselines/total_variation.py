"""Baseline of denoise for images and series: total-variation denoising."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ensuite.baselines.denoise import AT_ONCE, MOST, Filter
from ensuite.baselines.principal import arrays_of
from ensuite.tasks.denoise import Denoise, Example, Prediction

Numbers = NDArray[Any]

ITERATIONS = 40
"""Steps of the accelerated gradient method; more change a result by less than noise does."""


@dataclass(frozen=True, eq=False)
class TotalVariation(Filter):
    """The input with the least total variation near the noisy one, which keeps sharp edges.

    It minimises ``½ ‖u - noisy‖² + strength · Σ |∇u|``. Channels of images and columns of series
    are cleaned each alone.

    Sources:
        Rudin, Osher & Fatemi (1992), https://doi.org/10.1016/0167-2789(92)90242-F
        The algorithm: Beck & Teboulle (2009), https://doi.org/10.1109/TIP.2009.2028250, section IV
    """

    name: ClassVar[str] = "total variation"
    choices: ClassVar[Sequence[float]] = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8)

    def predict(self, task: Denoise, examples: Sequence[Example]) -> list[Prediction]:
        items, found = task.items(examples, asking=True), list[Prediction]()
        for start in range(0, len(items), AT_ONCE):
            arrays = arrays_of(task, items[start : start + AT_ONCE])
            for _, alike in groupby(arrays, key=np.shape):
                found += map(Prediction, map(task.restore, self.clean(np.stack(list(alike)))))
        return found

    def clean(self, arrays: Numbers) -> Numbers:
        """Clean arrays of one shape, some at a time, so that few are in memory together.

        Args:
            arrays: (arrays, channels, height, width) or (arrays, steps, columns).
        """
        pictures = arrays.ndim == 4
        last = np.moveaxis(arrays, 1, -1) if pictures else arrays
        many = max(1, MOST // max(1, arrays[0].size))
        parts = [last[start : start + many] for start in range(0, len(last), many)]
        cleaned = np.concatenate([smooth(part.astype(np.float32), self.strength) for part in parts])
        return np.moveaxis(cleaned, -1, 1) if pictures else cleaned


def smooth(noisy: Numbers, weight: float, iterations: int = ITERATIONS) -> Numbers:
    """Return the arrays of least variation near others, (arrays, ..., channels).

    Args:
        noisy: (arrays, height, width, channels) or (arrays, steps, columns).
        weight: Of the variation.
        iterations: Steps of the method.
    """
    axes = range(1, noisy.ndim - 1)
    pull = 1 / (4 * len(axes) * weight)
    dual = ahead = np.zeros((len(axes), *noisy.shape), noisy.dtype)
    momentum = 1.0
    for _ in range(iterations):
        slopes = np.stack([slope(noisy + weight * divergence(ahead), axis) for axis in axes])
        moved = ahead + pull * slopes
        moved /= np.maximum(1, np.sqrt(np.square(moved).sum(0)))
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = moved + (momentum - 1) / following * (moved - dual)
        dual, momentum = moved, following
    found: Numbers = (noisy + weight * divergence(dual)).astype(noisy.dtype)
    return found


def slope(values: Numbers, axis: int) -> Numbers:
    """Return the difference to the next number along an axis; 0 for the last one."""
    last = np.take(values, [-1], axis)
    return np.diff(values, axis=axis, append=last)


def divergence(fields: Numbers) -> Numbers:
    """Return minus the adjoint of the slopes along all axes, summed over them.

    Args:
        fields: (axes, arrays, ..., channels), 0 where :func:`slope` is always 0.
    """
    total: Numbers = np.zeros_like(fields[0])
    for axis, field in enumerate(fields, start=1):
        inner = np.delete(field, -1, axis)
        none = np.zeros_like(np.take(field, [0], axis))
        total += np.diff(np.concatenate([none, inner, none], axis), axis=axis)
    return total

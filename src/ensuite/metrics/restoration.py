"""Metrics of denoising: mean squared error, peak signal-to-noise ratio, structural similarity.

``cleaned`` and ``truths`` are lists of arrays of one shape each; ``peak`` is the range that their
numbers can have, 1 or 255 for images.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ensuite.core.display import Display
from ensuite.core.score import Score, ratio_of_two

Numbers = NDArray[np.float64]

MOST_DECIBELS = 100.0
"""Ratio of an answer without any error; without a limit a single one would make the mean infinite.
"""

WINDOW = 7
"""Side of the square in which images are compared, smaller where an image is."""

MEAN_SHARE, DEVIATION_SHARE = 0.01, 0.03
"""Constants K1 and K2 of Wang et al. (2004)."""


def mean_squared_error(cleaned: Sequence[Numbers], truths: Sequence[Numbers]) -> Score:
    """Return the mean squared error; each example counts by the number of its numbers."""
    pairs = list(zip(cleaned, truths, strict=True))
    sums = [[np.square(one - true).sum(), np.size(true)] for one, true in pairs]
    statistics = np.array(sums, dtype=float).reshape(len(pairs), 2)
    return Score(statistics, ratio_of_two, higher_is_better=False, display=Display(name="MSE"))


def peak_signal_to_noise(
    cleaned: Sequence[Numbers], truths: Sequence[Numbers], peak: float
) -> Score:
    """Return the mean peak signal-to-noise ratio (PSNR) of the examples, in decibels."""
    ratios = [decibels(*pair, peak) for pair in zip(cleaned, truths, strict=True)]
    display = Display(name="PSNR", unit="dB", decimals=2)
    return Score.mean(ratios, np.ones(len(ratios)), display=display)


def decibels(cleaned: Numbers, truth: Numbers, peak: float) -> float:
    """Return the peak signal-to-noise ratio of one example, at most 100 dB.

    >>> decibels(np.full(4, 0.1), np.zeros(4), 1.0)
    20.0
    """
    error = float(np.square(cleaned - truth).mean())
    if error <= peak**2 * 10 ** (-MOST_DECIBELS / 10):
        return MOST_DECIBELS
    return float(10 * np.log10(peak**2 / error))


def structural_similarity(
    cleaned: Sequence[Numbers], truths: Sequence[Numbers], peak: float
) -> Score:
    """Return the mean structural similarity (SSIM) of images, (height, width, channels) each."""
    found = [similarity(*pair, peak) for pair in zip(cleaned, truths, strict=True)]
    return Score.mean(found, np.ones(len(found)), display=Display(name="SSIM"))


def similarity(one: Numbers, other: Numbers, peak: float) -> float:
    """Return the structural similarity of two images, 1 where they are equal.

    Means and covariances are taken in squares of 7 by 7 pixels with equal weights, as scikit-image
    does by default, and squares that reach over the border are left out.

    Source:
        Wang et al. (2004), https://doi.org/10.1109/TIP.2003.819861, equation 13
    """
    from scipy.ndimage import uniform_filter  # here, since importing it takes a while

    height, width = one.shape[:2]
    side = min(WINDOW, height - (height + 1) % 2, width - (width + 1) % 2)
    size = (side, side, 1)

    def average(values: Numbers) -> Numbers:
        averaged: Numbers = uniform_filter(values, size)
        return averaged

    one, other = one.astype(float), other.astype(float)
    pixels = side**2
    unbiased = pixels / max(1, pixels - 1)
    mean, other_mean = average(one), average(other)
    variance = unbiased * (average(one**2) - mean**2)
    other_variance = unbiased * (average(other**2) - other_mean**2)
    covariance = unbiased * (average(one * other) - mean * other_mean)
    c1, c2 = (MEAN_SHARE * peak) ** 2, (DEVIATION_SHARE * peak) ** 2
    above = (2 * mean * other_mean + c1) * (2 * covariance + c2)
    below = (mean**2 + other_mean**2 + c1) * (variance + other_variance + c2)
    edge = side // 2
    inside = (above / below)[edge : height - edge, edge : width - edge]
    return float(inside.mean())

"""Noise that a denoising autoencoder learns to take away."""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Noise = Literal["gaussian", "salt-and-pepper", "masking", "sensors"]

EXTREME = 3.0
"""Salt and pepper, in deviations from the mean, of numbers that have no smallest and largest."""


def corrupt(
    values: Float[Tensor, "batch ..."],
    noise: Noise,
    strength: float,
    generator: torch.Generator,
    *,
    bounds: tuple[float, float] | None = None,
) -> Float[Tensor, "batch ..."]:
    """Return values with noise.

    Args:
        values: Rows (batch, features), series (batch, time, features), or images (batch, channels,
            height, width), scaled as a backbone reads them.
        noise: ``gaussian`` adds normal noise with the deviation ``strength``;
            ``salt-and-pepper`` replaces a share of the numbers by the smallest or the largest one;
            ``masking`` replaces a share of them by 0; ``sensors`` replaces whole columns by 0,
            those of a series at all of its steps.
        strength: The deviation, or the share, 0 to 1.
        generator: What is drawn from.
        bounds: Smallest and largest number, between which noise stays; None: there are none.

    Sources:
        Vincent et al. (2010), JMLR 11:3371-3408, section 4.1
    """
    noisy = KINDS[noise](values, strength, generator, bounds)
    return noisy if bounds is None else noisy.clamp(*bounds)


Bounds = tuple[float, float] | None


def _gaussian(
    values: Tensor, strength: float, generator: torch.Generator, bounds: Bounds
) -> Tensor:
    return values + strength * torch.randn(values.shape, generator=generator)


def _salt_and_pepper(
    values: Tensor, strength: float, generator: torch.Generator, bounds: Bounds
) -> Tensor:
    low, high = bounds or (-EXTREME, EXTREME)
    drawn = torch.rand(values.shape, generator=generator)
    pepper, salt = drawn < strength / 2, drawn > 1 - strength / 2
    return values.masked_fill(pepper, low).masked_fill(salt, high)


def _masking(values: Tensor, strength: float, generator: torch.Generator, bounds: Bounds) -> Tensor:
    return values.masked_fill(torch.rand(values.shape, generator=generator) < strength, 0.0)


def _sensors(values: Tensor, strength: float, generator: torch.Generator, bounds: Bounds) -> Tensor:
    shape = (len(values), *[1] * (values.dim() - 2), values.shape[-1])
    return values.masked_fill(torch.rand(shape, generator=generator) < strength, 0.0)


KINDS: dict[Noise, Callable[[Tensor, float, torch.Generator, Bounds], Tensor]] = {
    "gaussian": _gaussian,
    "salt-and-pepper": _salt_and_pepper,
    "masking": _masking,
    "sensors": _sensors,
}

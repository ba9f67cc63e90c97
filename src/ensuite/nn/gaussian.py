"""Gaussian codes with independent units: divergence from the prior, samples, and densities."""

from math import log, pi

import torch
from jaxtyping import Float
from torch import Tensor


def divergence_from_prior(
    mean: Float[Tensor, "batch code"], log_variance: Float[Tensor, "batch code"]
) -> Float[Tensor, "batch code"]:
    """Return the Kullback-Leibler divergence of N(mean, variance) from N(0, 1), in nats.

    Source:
        Kingma & Welling (2014), https://arxiv.org/abs/1312.6114, appendix B
    """
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1)


def sample(
    mean: Float[Tensor, "... code"],
    log_variance: Float[Tensor, "... code"],
    noise: Float[Tensor, "... code"] | None = None,
) -> Float[Tensor, "... code"]:
    """Return a sample of N(mean, variance) as a function of noise (the reparametrisation).

    Args:
        mean: Of each unit.
        log_variance: Likewise.
        noise: Drawn from N(0, 1); None: it is drawn here.
    """
    noise = torch.randn_like(mean) if noise is None else noise
    return mean + noise * (0.5 * log_variance).exp()


def log_density(
    code: Float[Tensor, "... code"],
    mean: Float[Tensor, "... code"],
    log_variance: Float[Tensor, "... code"],
) -> Float[Tensor, "..."]:
    """Return the logarithm of the density of N(mean, variance) at codes, in nats."""
    squares = (code - mean).square() * (-log_variance).exp()
    return -0.5 * (squares + log_variance + log(2 * pi)).sum(-1)


def log_prior(code: Float[Tensor, "... code"]) -> Float[Tensor, "..."]:
    """Return the logarithm of the density of N(0, I) at codes, in nats."""
    return -0.5 * (code.square() + log(2 * pi)).sum(-1)

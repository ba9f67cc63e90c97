"""Sparse codes: penalties on a code, and codes of which only the largest numbers are kept."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

KEPT = 0.9
"""Share of the running mean that an update of it keeps."""

EDGE = 1e-6
"""Distance of a rate from 0 and 1 at least, so that its logarithm is finite."""


def keep_largest(code: Float[Tensor, "batch code"], count: int) -> Float[Tensor, "batch code"]:
    """Return the code with all but its ``count`` largest numbers set to zero.

    Numbers are compared by their absolute values.

    Source:
        Makhzani & Frey (2014), https://arxiv.org/abs/1312.5663
    """
    places = code.abs().topk(count, dim=-1).indices
    return torch.zeros_like(code).scatter(-1, places, code.gather(-1, places))


def bernoulli_divergence(
    target: Float[Tensor, "..."], rate: Float[Tensor, "..."]
) -> Float[Tensor, "..."]:
    """Return the Kullback-Leibler divergence of two coins, in nats.

    Args:
        target: Probability of heads of the first.
        rate: Of the second.
    """
    heads = target * (target / rate).log()
    return heads + (1 - target) * ((1 - target) / (1 - rate)).log()


class TargetRate(nn.Module):
    """Penalise units of a code whose mean activation over the data is not a target rate.

    The penalty is the divergence of coins with the target rate and with the mean activation,
    summed over the units. The mean is a running one, over the batches so far, and each row adds
    the part of it that is linear in its own activations: summed over a batch the gradient is that
    of the divergence, and yet no row depends on those beside it.

    Args:
        size: Number of units, whose activations lie between 0 and 1.
        target: The rate that each should have.

    Source:
        Ng (2011), CS294A lecture notes, "Sparse autoencoder", section 3
    """

    mean: Tensor

    def __init__(self, size: int, target: float) -> None:
        super().__init__()
        self.target = target
        self.register_buffer("mean", torch.full((size,), target))

    def forward(self, code: Float[Tensor, "batch code"]) -> Float[Tensor, " batch"]:
        """Return the penalty of each row; while training, the running mean is updated first."""
        if self.training:
            with torch.no_grad():
                self.mean.lerp_(code.detach().float().mean(0), 1 - KEPT)
        mean = self.mean.clamp(EDGE, 1 - EDGE)
        target = torch.full_like(mean, self.target)
        slope = (1 - target) / (1 - mean) - target / mean
        value = bernoulli_divergence(target, mean)
        return (value + slope * (code - mean)).sum(-1)

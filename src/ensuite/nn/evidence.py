"""Bounds of the log-likelihood of data under an autoencoder whose codes have a distribution."""

from dataclasses import replace
from math import log
from typing import NamedTuple

import torch
from torch import Tensor

from ensuite.core.backbone import Samples
from ensuite.core.batch import Batch
from ensuite.nn.gaussian import divergence_from_prior, log_density, log_prior, sample
from ensuite.nn.reconstruction import Criterion, log_likelihood

MOST_ROWS = 1024
"""Most rows that are decoded together."""


class Evidence(NamedTuple):
    """Estimates for each row, (batch,), in nats.

    Attributes:
        reconstruction: E log p(x | z) over codes of the row.
        divergence: Of its code from the prior.
        importance: The importance-weighted estimate of log p(x), at least the difference of the
            other two in expectation, and closer to log p(x) the more samples there are.
    """

    reconstruction: Tensor
    divergence: Tensor
    importance: Tensor


def evidence(
    backbone: Samples,
    batch: Batch,
    noise: Tensor,
    *,
    criterion: Criterion = "squared",
    log_variance: Tensor | None = None,
) -> Evidence:
    """Estimate how probable each row is.

    Args:
        backbone: Encodes and decodes.
        batch: With the rows as targets of the field that is encoded.
        noise: (samples, code) from N(0, 1), the same for all rows, so that no row depends on those
            beside it.
        criterion: How errors are measured; it says what distribution is meant.
        log_variance: Of the Gaussian around what is decoded.

    Sources:
        Evidence lower bound: Kingma & Welling (2014), https://arxiv.org/abs/1312.6114, equation 3
        Importance weights: Burda, Grosse & Salakhutdinov (2016), https://arxiv.org/abs/1509.00519,
        equation 8
    """
    mean, spread = (each.float() for each in backbone.posterior(batch))
    together = max(1, MOST_ROWS // len(mean))
    parts = [
        weigh(backbone, batch, mean, spread, drawn, criterion, log_variance)
        for drawn in torch.split(noise.to(mean), together)
    ]
    likelihoods, weights = (torch.cat(each) for each in zip(*parts, strict=True))
    return Evidence(
        likelihoods.mean(0),
        divergence_from_prior(mean, spread).sum(-1),
        weights.logsumexp(0) - log(len(noise)),
    )


def weigh(
    backbone: Samples,
    batch: Batch,
    mean: Tensor,
    spread: Tensor,
    noise: Tensor,
    criterion: Criterion,
    log_variance: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Return log p(x | z) and log p(x, z) / q(z | x) of samples, (samples, batch) each."""
    code = sample(mean, spread, noise[:, None].expand(-1, *mean.shape))
    rows = repeat(batch, len(noise))
    found = log_likelihood(
        backbone.decode(code.flatten(0, 1), rows),
        rows.targets[backbone.field],
        rows.mask,
        criterion=criterion,
        log_variance=log_variance,
    ).reshape(code.shape[:2])
    return found, found + log_prior(code) - log_density(code, mean, spread)


def repeat(batch: Batch, times: int) -> Batch:
    """Return a batch with all of its rows so many times over."""

    def several(tensor: Tensor) -> Tensor:
        return tensor.repeat(times, *[1] * (tensor.dim() - 1))

    return replace(
        batch,
        inputs={name: several(tensor) for name, tensor in batch.inputs.items()},
        targets={name: several(tensor) for name, tensor in batch.targets.items()},
        mask=None if batch.mask is None else several(batch.mask),
    )

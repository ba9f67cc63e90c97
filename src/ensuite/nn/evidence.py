"""Bounds of the log-likelihood of data under an autoencoder whose codes have a distribution."""

from math import log
from typing import NamedTuple

import torch
from torch import Tensor

from ensuite.core.backbone import Samples
from ensuite.core.batch import Batch
from ensuite.nn.gaussian import divergence_from_prior, log_density, log_prior, sample
from ensuite.nn.reconstruction import Criterion, log_likelihood


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
    targets = batch.targets[backbone.field]
    likelihoods, weights = [], []
    for each in noise.to(mean):
        code = sample(mean, spread, each.expand_as(mean))
        values = backbone.decode(code, batch)
        found = log_likelihood(
            values, targets, batch.mask, criterion=criterion, log_variance=log_variance
        )
        likelihoods.append(found)
        weights.append(found + log_prior(code) - log_density(code, mean, spread))
    return Evidence(
        torch.stack(likelihoods).mean(0),
        divergence_from_prior(mean, spread).sum(-1),
        torch.stack(weights).logsumexp(0) - log(len(noise)),
    )

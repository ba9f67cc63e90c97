"""Reconstruction: the head that decodes a code, and the error of what it decodes."""

from math import log, pi
from typing import Literal, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ensuite.core.backbone import Backbone, Codes
from ensuite.core.batch import Batch, States
from ensuite.core.errors import UsageError

Criterion = Literal["squared", "binary"]
"""How errors are measured: squared, or by the cross-entropy of numbers from 0 to 1."""


class DecodingHead(nn.Module):
    """Decode the code in the states of an autoencoder. All parameters are the backbone's.

    Args:
        backbone: One with the trait codes.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        # In a tuple, so that it is not registered as a submodule a second time.
        self.backbone = (backbone,)

    def forward(self, states: States, batch: Batch) -> Float[Tensor, "batch ..."]:
        """Return the reconstruction of each row, in the shape of the field that was encoded."""
        if states.decoded is not None:
            return states.decoded
        if states.code is None:
            raise UsageError(
                "This backbone has no code to decode: choose one with the trait codes."
            )
        (backbone,) = self.backbone
        return cast(Codes, backbone).decode(states.code, batch)


def reconstruction_errors(
    values: Float[Tensor, "batch ..."],
    targets: Float[Tensor, "batch ..."],
    mask: Bool[Tensor, "batch time"] | None = None,
    *,
    criterion: Criterion = "squared",
    log_variance: Float[Tensor, ""] | None = None,
) -> Float[Tensor, " batch"]:
    """Return the error of each row, summed over all of its numbers that are known.

    Squared errors without a log variance are the sum of squares ||x - x̂||². With one they are the
    negative log-likelihood, in nats, under a Gaussian of that variance, but for the constant
    log(2π)/2 of each number; with a variance of 1/2 that is the sum of squares and -log(2)/2 of
    each number.

    Args:
        values: What was decoded: numbers, or with ``criterion="binary"`` log-odds.
        targets: What should have been; NaN where that is not known.
        mask: True at real positions of series, (batch, time, features); others do not count.
        criterion: Squared errors, or the cross-entropy, in nats, of targets from 0 to 1.
        log_variance: Of the Gaussian around ``values``; for squared errors alone.
    """
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    known = _known(targets, mask)
    targets = targets if known is None else targets.nan_to_num()
    if criterion == "binary":
        errors = F.binary_cross_entropy_with_logits(values, targets.to(values), reduction="none")
    else:
        errors = (values - targets).square()
        if log_variance is not None:
            errors = 0.5 * (errors * (-log_variance).exp() + log_variance)
    if known is not None:
        errors = errors.masked_fill(~known, 0.0)
    return errors.flatten(1).sum(1)


def _known(
    targets: Float[Tensor, "batch ..."], mask: Bool[Tensor, "batch time"] | None
) -> Bool[Tensor, "batch ..."] | None:
    """Return which numbers count; None where all do, which a sum tells in less time."""
    if mask is None and targets.device.type == "cpu" and not targets.sum().isnan():
        return None
    known = ~targets.isnan()
    if mask is not None:
        known = known & mask.reshape(*mask.shape, *[1] * (targets.dim() - mask.dim()))
    return known


def log_likelihood(
    values: Float[Tensor, "batch ..."],
    targets: Float[Tensor, "batch ..."],
    mask: Bool[Tensor, "batch time"] | None = None,
    *,
    criterion: Criterion = "squared",
    log_variance: Float[Tensor, ""] | None = None,
) -> Float[Tensor, " batch"]:
    """Return log p(targets | values) of each row, in nats, all constants included.

    The arguments are those of :func:`reconstruction_errors`. Without a log variance, squared errors
    are those of a Gaussian with a variance of 1/2.
    """
    if criterion == "binary":
        return -reconstruction_errors(values, targets, mask, criterion=criterion)
    if log_variance is None:
        log_variance = torch.tensor(log(0.5), device=values.device)
    known = _known(targets, mask)
    count = targets[0].numel() if known is None else known.flatten(1).sum(1)
    errors = reconstruction_errors(values, targets, mask, log_variance=log_variance)
    return -errors - 0.5 * log(2 * pi) * count


def decoded_numbers(
    values: Float[Tensor, "batch ..."], criterion: Criterion
) -> Float[Tensor, "batch ..."]:
    """Return what was decoded as numbers of the field: of log-odds the probabilities."""
    return values.sigmoid() if criterion == "binary" else values

"""Losses as sums over what is known, so that each can be divided by its own count."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from ensuite.core.batch import IGNORE


def cross_entropy(
    logits: Float[Tensor, "... labels"],
    targets: Int[Tensor, "..."],
    weights: Float[Tensor, " labels"] | None = None,
) -> Float[Tensor, ""]:
    """Sum the negative log probability of each target, in nats; targets of -100 count nothing."""
    flat = logits.float().flatten(0, -2)
    return functional.cross_entropy(
        flat, targets.flatten(), weights, ignore_index=IGNORE, reduction="sum"
    )


def binary_cross_entropy(
    logits: Float[Tensor, "... labels"],
    targets: Float[Tensor, "... labels"],
    weights: Float[Tensor, " labels"] | None = None,
) -> Float[Tensor, ""]:
    """Sum over examples the mean over labels; targets of NaN count nothing."""
    known = ~targets.isnan()
    each = functional.binary_cross_entropy_with_logits(
        logits.float(), targets.nan_to_num(0.0), weights, reduction="none"
    )
    return torch.where(known, each, 0.0).mean(-1).sum()


def squared_error(values: Float[Tensor, "..."], targets: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """Sum the squared differences; targets of NaN count nothing, not even in the gradient."""
    known = ~targets.isnan()
    return torch.where(known, values.float() - targets.nan_to_num(0.0), 0.0).square().sum()


def absolute_error(
    values: Float[Tensor, "..."], targets: Float[Tensor, "..."]
) -> Float[Tensor, ""]:
    """Sum the absolute differences; targets of NaN count nothing, not even in the gradient."""
    known = ~targets.isnan()
    return torch.where(known, values.float() - targets.nan_to_num(0.0), 0.0).abs().sum()

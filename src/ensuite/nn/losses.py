"""Losses: sums, not means, over what is known; counts are divided out by the training loop."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ensuite.core.batch import IGNORE


def cross_entropy(
    logits: Float[Tensor, "*places labels"],
    targets: Int[Tensor, "*places"],
    weight: Float[Tensor, " labels"] | None = None,
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Sum -log p(target), in nats, over all targets but ``IGNORE``.

    Args:
        logits: Unnormalised log-probabilities of each label.
        targets: Number of the right label.
        weight: What a target of each label counts.
        label_smoothing: Target probability spread over all labels (Szegedy et al. 2016, section 7).
    """
    return F.cross_entropy(
        _wide(logits).reshape(-1, logits.shape[-1]),
        targets.reshape(-1),
        weight,
        ignore_index=IGNORE,
        reduction="sum",
        label_smoothing=label_smoothing,
    )


def binary_cross_entropy(
    logits: Float[Tensor, "*places"], targets: Float[Tensor, "*places"]
) -> Float[Tensor, ""]:
    """Sum the cross-entropy of yes-no questions, in nats, over all targets but NaN.

    Args:
        logits: Log-odds of yes.
        targets: Probability of yes, 0 to 1.
    """
    logits = _wide(logits)
    known = (~targets.isnan()).to(logits)
    answers = targets.nan_to_num().to(logits)
    return F.binary_cross_entropy_with_logits(logits, answers, known, reduction="sum")


def squared_error(
    values: Float[Tensor, "*places"], targets: Float[Tensor, "*places"]
) -> Float[Tensor, ""]:
    """Sum (value - target)² over all targets but NaN."""
    return _differences(values, targets).square().sum()


def absolute_error(
    values: Float[Tensor, "*places"], targets: Float[Tensor, "*places"]
) -> Float[Tensor, ""]:
    """Sum |value - target| over all targets but NaN."""
    return _differences(values, targets).abs().sum()


def _differences(values: Tensor, targets: Tensor) -> Tensor:
    """Return value - target, and a constant 0 where the target is NaN."""
    return (_wide(values) - targets).masked_fill(targets.isnan(), 0.0)


def _wide(values: Tensor) -> Tensor:
    """Return at least float32: a sum of many halves loses its last terms, or overflows."""
    return values.to(torch.promote_types(values.dtype, torch.float32))

"""Losses: sums over the known targets; the training loop divides them by their counts."""

from collections.abc import Callable

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
        weight: How much a target of each label counts.
        label_smoothing: Target probability spread over all labels (Szegedy et al. 2016, section 7).
    """
    logits = _wide(logits)
    return F.cross_entropy(
        logits.reshape(-1, logits.shape[-1]),
        targets.reshape(-1),
        None if weight is None else weight.to(logits.dtype),
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
    total = _without_mask(F.binary_cross_entropy_with_logits, logits, targets)
    if total is not None:
        return total
    known = (~targets.isnan()).to(logits)
    answers = targets.nan_to_num().to(logits)
    return F.binary_cross_entropy_with_logits(logits, answers, known, reduction="sum")


def squared_error(
    values: Float[Tensor, "*places"], targets: Float[Tensor, "*places"]
) -> Float[Tensor, ""]:
    """Sum (value - target)² over all targets but NaN."""
    values = _wide(values)
    total = _without_mask(F.mse_loss, values, targets)
    if total is not None:
        return total
    return _differences(values, targets).square().sum()


def absolute_error(
    values: Float[Tensor, "*places"], targets: Float[Tensor, "*places"]
) -> Float[Tensor, ""]:
    """Sum |value - target| over all targets but NaN."""
    values = _wide(values)
    total = _without_mask(F.l1_loss, values, targets)
    if total is not None:
        return total
    return _differences(values, targets).abs().sum()


def _without_mask(loss: Callable[..., Tensor], values: Tensor, targets: Tensor) -> Tensor | None:
    """Return the sum of a loss over all targets; None where some are NaN.

    Where none is, it has the same bits as with a mask, in half the time. The sum is looked at on
    the CPU only: another device would have to finish its work first, and a mask costs little there.
    """
    if targets.device.type != "cpu" or targets.dtype != values.dtype:
        return None
    total = loss(values, targets, reduction="sum")
    return None if total.isnan() else total


def _differences(values: Tensor, targets: Tensor) -> Tensor:
    """Return value - target, and a constant 0 where the target is NaN."""
    return (values - targets).masked_fill(targets.isnan(), 0.0)


def _wide(values: Tensor) -> Tensor:
    """Return the values in float32 at least.

    A sum of many bfloat16 or float16 numbers loses its last terms, or overflows.
    """
    return values.to(torch.promote_types(values.dtype, torch.float32))

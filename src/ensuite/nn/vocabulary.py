"""Cross-entropy over a large vocabulary, without storing the logits of all positions."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from ensuite.nn.kernels import hoisted
from ensuite.nn.losses import cross_entropy

CHUNK = 384
"""Positions whose logits are computed together; few enough to stay in the CPU's cache."""


class Projected(NamedTuple):
    """The factors of logits: hidden states and output projection.

    Attributes:
        hidden: One state per position.
        weight: Output projection.
        bias: Of the output projection; None: it has none.
    """

    hidden: Float[Tensor, "*positions width"]
    weight: Float[Tensor, "vocabulary width"]
    bias: Float[Tensor, " vocabulary"] | None = None

    def scores(self) -> Float[Tensor, "*positions vocabulary"]:
        """Return the logits of all tokens at each position."""
        return F.linear(*self)


def projected_cross_entropy(
    projected: Projected, targets: Int[Tensor, " position"], label_smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Sum the cross-entropy of the logits over all positions, in nats.

    This equals ``cross_entropy(projected.scores(), targets)``. The gradients are computed already
    in the forward pass, for a few positions at a time, so that the logits of all positions, which
    take most of the memory of a small model with a large vocabulary, are never stored.

    Args:
        projected: The factors of the logits.
        targets: Correct token of each position, every one of them known (no ``IGNORE``).
        label_smoothing: Probability that is spread evenly over all tokens (Szegedy et al. 2016,
            section 7).
    """
    hidden, weight, bias = projected
    bias = weight.new_zeros(len(weight)) if bias is None else bias
    if not torch.is_grad_enabled() or not hoisted.suits(hidden, weight, bias):
        return cross_entropy(projected.scores(), targets, label_smoothing=label_smoothing)
    total: Tensor = _CrossEntropy.apply(hidden, weight, bias, targets, label_smoothing)  # type: ignore[no-untyped-call]
    return total


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        label_smoothing: float,
    ) -> Tensor:
        grad_hidden, grad_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        grad_bias, total = torch.zeros_like(bias), hidden.new_zeros(())
        buffer = hidden.new_empty(min(CHUNK, len(hidden)), len(weight))
        parts = (torch.split(each, CHUNK) for each in (hidden, targets, grad_hidden))
        for read, right, grad_read in zip(*parts, strict=True):
            scores = torch.addmm(bias, read, weight.t(), out=buffer[: len(read)])
            total += _to_gradient(scores, right[:, None], label_smoothing)
            torch.mm(scores, weight, out=grad_read)
            grad_weight.addmm_(scores.t(), read)
            grad_bias += scores.sum(0)
        ctx.save_for_backward(grad_hidden, grad_weight, grad_bias)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return *(gradient * each for each in ctx.saved_tensors), None, None


def _to_gradient(scores: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
    """Replace logits by the gradient of their cross-entropy; return the sum of the latter."""
    alike = label_smoothing / scores.shape[1]
    known = (1 - label_smoothing) * scores.gather(1, targets).sum()
    if label_smoothing:
        known += alike * scores.sum()
    highest = scores.amax(1, keepdim=True)
    powers = scores.sub_(highest).exp_()
    sums = powers.sum(1, keepdim=True)
    powers.div_(sums)
    if label_smoothing:
        powers.sub_(alike)
    powers.scatter_add_(1, targets, powers.new_full(targets.shape, label_smoothing - 1))
    return (sums.log_() + highest).sum() - known

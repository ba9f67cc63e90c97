"""Scores of a whole vocabulary, and their cross-entropy without ever holding all of them."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from ensuite.nn.kernels import hoisted
from ensuite.nn.losses import cross_entropy

AT_ONCE = 384
"""Positions whose scores are held together: few enough to stay in the cache of a processor."""


class Projected(NamedTuple):
    """What scores are the product of, where they are not needed themselves."""

    hidden: Float[Tensor, "*positions width"]
    weight: Float[Tensor, "vocabulary width"]
    bias: Float[Tensor, " vocabulary"]

    def scores(self) -> Float[Tensor, "*positions vocabulary"]:
        """Return the logit of every token at each position."""
        return F.linear(*self)


def projected_cross_entropy(
    projected: Projected, targets: Int[Tensor, " position"], label_smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Sum -log p(target), in nats, over positions: ``cross_entropy`` of the scores, all known.

    The scores of a few positions at a time become their own gradient at once, and those of the
    hidden states and of the matrix with it: what takes the most memory of a small model with a
    large vocabulary is never written out.

    Args:
        projected: Hidden states, one a position, and the matrix that turns them into scores.
        targets: The right token of each position.
        label_smoothing: Target probability spread over all tokens (Szegedy et al. 2016, section 7).
    """
    if not torch.is_grad_enabled() or not hoisted.suits(*projected):
        return cross_entropy(projected.scores(), targets, label_smoothing=label_smoothing)
    total: Tensor = _CrossEntropy.apply(*projected, targets, label_smoothing)  # type: ignore[no-untyped-call]
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
        of_hidden, of_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        of_bias, total = torch.zeros_like(bias), hidden.new_zeros(())
        room = hidden.new_empty(min(AT_ONCE, len(hidden)), len(weight))
        parts = (torch.split(each, AT_ONCE) for each in (hidden, targets, of_hidden))
        for read, right, of_read in zip(*parts, strict=True):
            scores = torch.addmm(bias, read, weight.t(), out=room[: len(read)])
            total += _to_gradient(scores, right[:, None], label_smoothing)
            torch.mm(scores, weight, out=of_read)
            of_weight.addmm_(scores.t(), read)
            of_bias += scores.sum(0)
        ctx.save_for_backward(of_hidden, of_weight, of_bias)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, ...]:
        return *(given * each for each in ctx.saved_tensors), None, None


def _to_gradient(scores: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
    """Turn scores into the gradient of their cross-entropy, in place, and return its sum."""
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

"""Root mean square norm: layer norm without the mean."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ensuite.nn.kernels import hoisted


class RMSNorm(nn.RMSNorm):
    """Divide each vector by the root of its mean square, and multiply it by a learned gain.

        y = g ⊙ x / √(mean(x²) + ε)

    It is computed in the precision of the gain, and returned in that of the input.

    Args:
        width: Size of a vector.
        eps: ε.

    Source:
        Zhang & Sennrich (2019), https://arxiv.org/abs/1910.07467, equation 4
    """

    def __init__(self, width: int, *, eps: float = 1e-5) -> None:
        super().__init__(width, eps=eps)

    def forward(self, inputs: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Return the normalised vectors."""
        if torch.is_grad_enabled() and hoisted.suits(inputs, self.weight):
            normed: Tensor = _Norm.apply(inputs, self.weight, self.eps)  # type: ignore[no-untyped-call]
            return normed
        wide = inputs.to(self.weight.dtype)
        return F.rms_norm(wide, self.weight.shape, self.weight, self.eps).to(inputs.dtype)


class _Norm(torch.autograd.Function):
    """The same with a backward pass in a third of the operations that autograd records."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, gain: Tensor, eps: float) -> Tensor:
        size = torch.linalg.vector_norm(inputs, dim=-1, keepdim=True)
        inverse = size.square_().div_(inputs.shape[-1]).add_(eps).rsqrt_()
        normed = inputs * inverse
        ctx.save_for_backward(normed, inverse, gain)
        scaled: Tensor = normed * gain
        return scaled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        normed, inverse, gain = ctx.saved_tensors
        each = gradient * normed
        along = (each @ gain).div_(-gain.shape[0])[..., None]
        to_inputs = (gradient * gain).addcmul_(normed, along).mul_(inverse)
        return to_inputs, each.reshape(-1, gain.shape[0]).sum(0), None

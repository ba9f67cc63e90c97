"""Root mean square norm: layer norm without the mean."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


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
        wide = inputs.to(self.weight.dtype)
        return F.rms_norm(wide, self.weight.shape, self.weight, self.eps).to(inputs.dtype)

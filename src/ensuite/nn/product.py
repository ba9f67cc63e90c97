"""A linear layer whose output can be layer-normalised in parts, for recurrent gates."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class Product(nn.Linear):
    """A linear layer, optionally with layer norm of each part of the product before the bias.

        y = W x + b                    y = g ⊙ (W x - mean(W x)) / std(W x) + b

    The bias is added after the norm, so a forget bias of 1 has the same effect with and without it.

    Args:
        features: Size of one input vector.
        sizes: Sizes of the parts of the output, in order.
        normalize: Whether each part is normalised over its own features, with a gain g that starts
            at 1.
        bias: Whether a bias is added.

    Source:
        Ba, Kiros & Hinton (2016), https://arxiv.org/abs/1607.06450, section 3.1 and supplement.
    """

    def __init__(
        self, features: int, sizes: tuple[int, ...], *, normalize: bool = False, bias: bool = True
    ) -> None:
        super().__init__(features, sum(sizes), bias=bias)
        self.sizes = list(sizes)
        self.gain = nn.Parameter(torch.ones(sum(sizes))) if normalize else None

    def forward(self, inputs: Float[Tensor, "*batch features"]) -> Float[Tensor, "*batch size"]:
        if self.gain is None:
            return super().forward(inputs)
        parts = [self.part(number, inputs) for number in range(len(self.sizes))]
        whole = torch.cat(parts, dim=-1)
        return whole if self.bias is None else whole + self.bias

    def part(
        self, number: int, inputs: Float[Tensor, "*batch features"]
    ) -> Float[Tensor, "*batch part"]:
        """Return one part of the output, without the bias."""
        product = F.linear(inputs, torch.split(self.weight, self.sizes)[number])
        if self.gain is None:
            return product
        gain = torch.split(self.gain, self.sizes)[number]
        return F.layer_norm(product, gain.shape, gain)

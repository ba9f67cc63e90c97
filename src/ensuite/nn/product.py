"""A matrix product, in parts that may each be normalised."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class Product(nn.Linear):
    """Multiply by a matrix, normalise each part of the product where asked, and add a bias.

        y = W x + b                    y = g ⊙ (W x - mean(W x)) / deviation(W x) + b

    The bias stays outside the norm, so it means the same in both: a forget bias of 1 is 1.

    Args:
        features: Size of one input vector.
        sizes: Of the parts of the product, side by side.
        normalize: Whether each part is normalised, over its own numbers; the gain g starts at 1.
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
        """Return one part of the product alone, without the bias."""
        product = F.linear(inputs, torch.split(self.weight, self.sizes)[number])
        if self.gain is None:
            return product
        gain = torch.split(self.gain, self.sizes)[number]
        return F.layer_norm(product, gain.shape, gain)

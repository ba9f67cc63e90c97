"""Where a token stands: attention alone does not know the order of what it reads."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ensuite.core.errors import DataError


def sinusoids(places: Int[Tensor, "*batch time"], width: int) -> Float[Tensor, "*batch time width"]:
    """Return the sine and cosine of each place at wavelengths from 2π to 20,000π.

    The vector of a place k further on is a fixed rotation of that of this place, for every place.

    Args:
        places: Numbers from 0.
        width: Size of a vector; the first half are sines, the second cosines.

    Source:
        Vaswani et al. (2017), https://arxiv.org/abs/1706.03762, section 3.5 (there interleaved).
    """
    half = (width + 1) // 2
    rates = torch.exp(
        torch.arange(half, device=places.device) * (-math.log(10_000.0) / max(1, half - 1))
    )
    angles = places[..., None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[..., :width]


class LearnedPositions(nn.Module):
    """A vector for each place, learned.

    Args:
        longest: How many places there are.
        width: Size of a vector.

    Raises:
        DataError: In ``forward``, for a place beyond.
    """

    def __init__(self, longest: int, width: int) -> None:
        super().__init__()
        self.vectors = nn.Embedding(longest, width)
        nn.init.normal_(self.vectors.weight, std=0.02)

    def forward(self, places: Int[Tensor, "*batch time"]) -> Float[Tensor, "*batch time width"]:
        """Return the vector of each place."""
        last, longest = int(places.max()), self.vectors.num_embeddings
        if last >= longest:
            raise DataError(
                f"A sequence has {last + 1} positions, but the model has learned {longest}; "
                "shorten it, or train with a larger model.longest or other positions."
            )
        vectors: Tensor = self.vectors(places)
        return vectors


class RelativePositions(nn.Module):
    """What is added to the score of a key for its distance from the query, learned for each head.

    Args:
        heads: Of the attention.
        reach: Distance from which on all are alike.

    Source:
        Raffel et al. (2020), https://arxiv.org/abs/1910.10683, section 2.1, without its buckets;
        clipped as in Shaw, Uszkoreit & Vaswani (2018), https://arxiv.org/abs/1803.02155.
    """

    def __init__(self, heads: int, reach: int = 16) -> None:
        super().__init__()
        self.reach = reach
        self.bias = nn.Embedding(2 * reach + 1, heads)
        nn.init.normal_(self.bias.weight, std=0.02)

    def forward(
        self, queries: Int[Tensor, "batch query"], keys: Int[Tensor, "batch key"]
    ) -> Float[Tensor, "batch head query key"]:
        """Return the biases between places of queries and of keys."""
        distance = (keys[:, None] - queries[..., None]).clamp(-self.reach, self.reach)
        bias: Tensor = self.bias(distance + self.reach)
        return bias.permute(0, 3, 1, 2)

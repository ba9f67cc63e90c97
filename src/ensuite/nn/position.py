"""Positional encodings: sinusoidal, learned, learned relative to the query, and rotary."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ensuite.core.errors import DataError


def sinusoids(places: Int[Tensor, "*batch time"], width: int) -> Float[Tensor, "*batch time width"]:
    """Return the sines and cosines of each place, at wavelengths from 2π to 20,000π.

    For every distance k there is one rotation that maps the vector of any place p to that of p + k.

    Args:
        places: Indices of positions, from 0.
        width: Size of a vector. The first half of the features are sines, the second half cosines.

    Source:
        Vaswani et al. (2017), https://arxiv.org/abs/1706.03762, section 3.5, where sines and
        cosines alternate.
    """
    half = (width + 1) // 2
    rates = torch.exp(
        torch.arange(half, device=places.device) * (-math.log(10_000.0) / max(1, half - 1))
    )
    angles = places[..., None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[..., :width]


class LearnedPositions(nn.Module):
    """A learned vector for each place.

    Args:
        longest: Number of places.
        width: Size of a vector.

    Raises:
        DataError: In ``forward``, for a place of ``longest`` or more.
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
    """A learned bias of attention scores for each head and distance between key and query.

    Args:
        heads: Number of attention heads.
        reach: Largest distance with a bias of its own; larger distances share that bias.

    Sources:
        Raffel et al. (2020), https://arxiv.org/abs/1910.10683, section 2.1, without buckets of
        distances; clipped as in Shaw, Uszkoreit & Vaswani (2018), https://arxiv.org/abs/1803.02155.
    """

    def __init__(self, heads: int, reach: int = 16) -> None:
        super().__init__()
        self.reach = reach
        self.bias = nn.Embedding(2 * reach + 1, heads)
        nn.init.normal_(self.bias.weight, std=0.02)

    def forward(
        self, queries: Int[Tensor, "batch query"], keys: Int[Tensor, "batch key"]
    ) -> Float[Tensor, "batch head query key"]:
        """Return the biases for the places of queries and keys."""
        distance = (keys[:, None] - queries[..., None]).clamp(-self.reach, self.reach)
        bias: Tensor = self.bias(distance + self.reach)
        return bias.permute(0, 3, 1, 2)


def rotations(
    places: Int[Tensor, "*batch time"],
    width: int,
    base: float = 10_000.0,
    scaling: Sequence[float] = (),
) -> tuple[Float[Tensor, "*batch time half"], Float[Tensor, "*batch time half"]]:
    """Return the cosines and sines of the angles by which rotary positions turn each place.

    Args:
        places: Indices of positions, from 0.
        width: Size of a query or key.
        base: Wavelengths go from 2π to almost 2π times this.
        scaling: How they are stretched for longer texts than training had, see :func:`stretched`;
            empty: they are not.

    Source:
        Su et al. (2021), https://arxiv.org/abs/2104.09864, section 3.2
    """
    powers = torch.arange(0, width - 1, 2, device=places.device, dtype=torch.float32) / width
    frequencies = base**-powers
    if scaling:
        frequencies = stretched(frequencies, *scaling)
    angles = places[..., None] * frequencies
    return angles.cos(), angles.sin()


def stretched(
    frequencies: Float[Tensor, " half"],
    factor: float,
    low: float = math.inf,
    high: float = math.inf,
    context: float = 1.0,
) -> Float[Tensor, " half"]:
    """Return rotary frequencies of wavelengths that are stretched by a factor.

    Wavelengths of which ``context`` has ``low`` or fewer are stretched, those of which it has
    ``high`` or more stay, and between them the share grows. By default all are stretched.

    Args:
        frequencies: Angles from one position to the next.
        factor: By which wavelengths become longer.
        low: Turns within the context up to which they do.
        high: Turns within the context from which on they do not.
        context: Positions that the model was trained with first.

    Sources:
        All: Chen et al. (2023), https://arxiv.org/abs/2306.15595, section 2.3
        Some: Grattafiori et al. (2024), https://arxiv.org/abs/2407.21783, as published with Llama
        3.1
    """
    if low == math.inf:
        return frequencies / factor
    turns = context * frequencies / (2 * math.pi)
    kept = ((turns - low) / (high - low)).clamp(0, 1)
    return frequencies * (kept + (1 - kept) / factor)


def rotate(
    vectors: Float[Tensor, "*place size"],
    cosines: Float[Tensor, "*#place half"],
    sines: Float[Tensor, "*#place half"],
) -> Float[Tensor, "*place size"]:
    """Turn each pair of features (i, i + half) of queries or keys by its angle.

    The product of a query and a key then depends on the distance of their places alone. The last
    feature of an odd size is not turned.

    Source:
        Su et al. (2021), https://arxiv.org/abs/2104.09864, section 3.4.2; pairs as in Llama's
        published weights, where they are neighbours in the paper.
    """
    half = cosines.shape[-1]
    first, second, rest = torch.split(vectors, [half, half, vectors.shape[-1] - 2 * half], dim=-1)
    turned = [first * cosines - second * sines, second * cosines + first * sines]
    return torch.cat([*turned, rest] if rest.shape[-1] else turned, dim=-1).to(vectors.dtype)

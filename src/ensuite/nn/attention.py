"""Attention: the mean of values, weighted by how well their keys match a query."""

import math
from typing import Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ensuite.core.errors import UsageError


def attend(
    scores: Float[Tensor, "*batch query key"],
    values: Float[Tensor, "*batch key width"],
    mask: Bool[Tensor, "*#batch #query key"] | None = None,
) -> tuple[Float[Tensor, "*batch query width"], Float[Tensor, "*batch query key"]]:
    """Return the mean of the values weighted by the softmax of the scores, and these weights.

    Args:
        scores: Score of each key for each query.
        values: One vector per key.
        mask: True where a query may attend to a key. A query without any such key gets zeros.
    """
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    weights = scores.softmax(-1)
    if mask is not None:
        weights = weights.masked_fill(~mask.any(-1, keepdim=True), 0.0)
    return weights @ values, weights


def scaled_dot_product(
    queries: Float[Tensor, "*batch query width"],
    keys: Float[Tensor, "*batch key width"],
    *,
    scale: bool = True,
) -> Float[Tensor, "*batch query key"]:
    """Return the dot products of queries and keys, divided by the square root of their width.

    The dot product of two vectors of ``width`` independent numbers of variance 1 has the variance
    ``width``. Without the division (``scale=False``) the softmax of wide vectors saturates.

    Source:
        Vaswani et al. (2017), https://arxiv.org/abs/1706.03762, equation 1 and its footnote 4.
    """
    return queries @ keys.transpose(-2, -1) / (math.sqrt(queries.shape[-1]) if scale else 1.0)


class Memory(NamedTuple):
    """The encoder's states, and their keys, projected once for all queries.

    Attributes:
        keys: Compared with the queries.
        values: Averaged.
        mask: True at real positions.
    """

    keys: Float[Tensor, "batch key size"]
    values: Float[Tensor, "batch key width"]
    mask: Bool[Tensor, "batch key"]


class Attention(nn.Module):
    """Attention of a recurrent decoder to the states of an encoder.

    The score of a key k for a query q is

        additive   v · tanh(W q + U k)             Bahdanau et al.
        dot        q · k                           Luong et al.
        general    q · W k                         Luong et al.

    Args:
        query: Size of the decoder's states.
        memory: Size of the encoder's states.
        kind: Score function.
        size: Size of the hidden layer of the additive score. None: ``query``.

    Raises:
        UsageError: For an unknown kind, or for "dot" if the two sizes differ.

    Sources:
        Bahdanau, Cho & Bengio (2015), https://arxiv.org/abs/1409.0473, appendix A.1.2.
        Luong, Pham & Manning (2015), https://arxiv.org/abs/1508.04025, section 3.1.
    """

    def __init__(
        self,
        query: int,
        memory: int,
        *,
        kind: Literal["additive", "dot", "general"] = "additive",
        size: int | None = None,
    ) -> None:
        super().__init__()
        if kind not in ("additive", "dot", "general"):
            raise UsageError(f'Attention is "additive", "dot" or "general", not "{kind}".')
        if kind == "dot" and query != memory:
            raise UsageError(
                f"Dot attention needs states of one size, not {query} and {memory}; "
                'choose "general" or "additive".'
            )
        size = size or query
        self.kind = kind
        self.from_query = nn.Linear(query, size, bias=False) if kind == "additive" else None
        self.from_key: nn.Module = nn.Identity()
        if kind != "dot":
            key = size if kind == "additive" else query
            self.from_key = nn.Linear(memory, key, bias=kind == "additive")
        self.to_score = nn.Parameter(torch.empty(size)) if kind == "additive" else None
        if self.to_score is not None:
            nn.init.uniform_(self.to_score, -1 / math.sqrt(size), 1 / math.sqrt(size))

    def remember(
        self,
        values: Float[Tensor, "batch key width"],
        mask: Bool[Tensor, "batch key"] | None = None,
    ) -> Memory:
        """Return the memory for the encoder's states ``values``, with their keys.

        Args:
            values: States of the encoder.
            mask: True at real positions; None: all positions are real.
        """
        if mask is None:
            mask = torch.ones(values.shape[:2], dtype=torch.bool, device=values.device)
        return Memory(self.from_key(values), values, mask)

    def forward(
        self, queries: Float[Tensor, "batch query size"], memory: Memory
    ) -> tuple[Float[Tensor, "batch query width"], Float[Tensor, "batch query key"]]:
        """Return the context vector of each query, and its attention weights."""
        return attend(self.scores(queries, memory.keys), memory.values, memory.mask[:, None])

    def scores(self, queries: Tensor, keys: Tensor) -> Float[Tensor, "batch query key"]:
        """Return the score of each key for each query."""
        if self.from_query is None:
            return queries @ keys.transpose(1, 2)
        # In place, as neither addition nor tanh needs the numbers before the tanh for its gradient.
        hidden: Tensor = (self.from_query(queries)[:, :, None] + keys[:, None]).tanh_()
        scores: Tensor = hidden @ cast(Tensor, self.to_score)
        return scores


class MultiHeadAttention(nn.Module):
    """Multi-head scaled dot-product attention.

    Args:
        width: Size of the inputs and outputs; each head has width / heads of it.
        heads: Number of heads.
        dropout: Dropout rate of the attention weights.

    Raises:
        UsageError: If ``width`` is not a multiple of ``heads``.

    Source:
        Vaswani et al. (2017), https://arxiv.org/abs/1706.03762, section 3.2.2.
    """

    def __init__(self, width: int, heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        if width % heads:
            raise UsageError(f"width ({width}) must be a multiple of heads ({heads}).")
        self.heads, self.dropout = heads, dropout
        self.to_query, self.to_key = nn.Linear(width, width), nn.Linear(width, width)
        self.to_value, self.output = nn.Linear(width, width), nn.Linear(width, width)

    def project(
        self, memory: Float[Tensor, "batch key width"]
    ) -> tuple[Float[Tensor, "batch head key size"], Float[Tensor, "batch head key size"]]:
        """Return the keys and values of all heads."""
        return self.split(self.to_key(memory)), self.split(self.to_value(memory))

    def forward(
        self,
        queries: Float[Tensor, "batch query width"],
        keys: Float[Tensor, "batch head key size"],
        values: Float[Tensor, "batch head key size"],
        mask: Bool[Tensor, "#batch #head #query key"] | None = None,
        bias: Float[Tensor, "#batch head query key"] | None = None,
    ) -> Float[Tensor, "batch query width"]:
        """Return the output of the attention for each query.

        Args:
            queries: One vector per position, not yet projected.
            keys: As ``project`` returns them.
            values: As ``project`` returns them.
            mask: True where a query may attend to a key. A query without any such key gets the
                output for a weighted mean of zero.
            bias: Added to the scores, for relative positions.
        """
        dropout = self.dropout if self.training else 0.0
        allowed = mask
        if bias is not None:
            allowed = bias if mask is None else bias.masked_fill(~mask, -torch.inf)
        seen = F.scaled_dot_product_attention(
            self.split(self.to_query(queries)), keys, values, allowed, dropout
        )
        if mask is not None:
            seen = seen.masked_fill(~mask.any(-1, keepdim=True), 0.0)
        return cast(Tensor, self.output(seen.transpose(1, 2).flatten(2)))

    def weights(
        self,
        queries: Float[Tensor, "batch query width"],
        keys: Float[Tensor, "batch head key size"],
        mask: Bool[Tensor, "#batch #head #query key"] | None = None,
        bias: Float[Tensor, "#batch head query key"] | None = None,
    ) -> Float[Tensor, "batch head query key"]:
        """Return the attention weights of each head, with the arguments of ``forward``."""
        scores = scaled_dot_product(self.split(self.to_query(queries)), keys)
        scores = scores if bias is None else scores + bias
        return attend(scores, torch.zeros_like(keys), mask)[1]

    def split(self, vectors: Tensor) -> Float[Tensor, "batch head position size"]:
        """Split each vector into one part per head."""
        return vectors.view(*vectors.shape[:2], self.heads, -1).transpose(1, 2)

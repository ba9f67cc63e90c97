"""Attention: for each query, a weighted mean of values, the weights from queries and keys."""

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
    """Return the weighted means of the values, and the weights: the softmax of the scores.

    Args:
        scores: How well each key answers each query.
        values: What is averaged.
        mask: True where a query may look. A query that may look nowhere gets zeros.
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
    """Return the products of queries and keys over the root of their width.

    The products of vectors of ``width`` numbers of variance 1 have the variance ``width``: without
    the root, wide heads saturate the softmax.

    Source:
        Vaswani et al. (2017), https://arxiv.org/abs/1706.03762, equation 1 and its footnote 4.
    """
    return queries @ keys.transpose(-2, -1) / (math.sqrt(queries.shape[-1]) if scale else 1.0)


class Memory(NamedTuple):
    """What is attended to, its keys projected once for all queries."""

    keys: Float[Tensor, "batch key size"]
    values: Float[Tensor, "batch key width"]
    mask: Bool[Tensor, "batch key"]


class Attention(nn.Module):
    """Look at a memory from each state of a decoder.

        additive   v · tanh(W q + U k)             Bahdanau et al.
        dot        q · k                           Luong et al.
        general    q · W k                         Luong et al.

    Args:
        query: Size of a decoder's state.
        memory: Size of what is attended to.
        kind: How a key and a query make a score.
        size: Size of the hidden layer of "additive".

    Raises:
        UsageError: For another kind, or for "dot" between vectors of different sizes.

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
                'take "general" or "additive".'
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
        """Project the keys, once for every query to come."""
        if mask is None:
            mask = torch.ones(values.shape[:2], dtype=torch.bool, device=values.device)
        return Memory(self.from_key(values), values, mask)

    def forward(
        self, queries: Float[Tensor, "batch query size"], memory: Memory
    ) -> tuple[Float[Tensor, "batch query width"], Float[Tensor, "batch query key"]]:
        """Return what each query sees, and where it looked."""
        return attend(self.scores(queries, memory.keys), memory.values, memory.mask[:, None])

    def scores(self, queries: Tensor, keys: Tensor) -> Float[Tensor, "batch query key"]:
        """Return how well each key answers each query."""
        if self.from_query is None:
            return queries @ keys.transpose(1, 2)
        # In place: neither the sum nor its gradient needs the numbers before the tanh.
        hidden: Tensor = (self.from_query(queries)[:, :, None] + keys[:, None]).tanh_()
        scores: Tensor = hidden @ cast(Tensor, self.to_score)
        return scores


class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each in its own projection of what it reads.

    Args:
        width: Size of the vectors, shared out to the heads.
        heads: How many; ``width`` is a multiple of it.
        dropout: Share of the weights dropped while training.

    Raises:
        UsageError: If the heads do not share the width evenly.

    Source:
        Vaswani et al. (2017), https://arxiv.org/abs/1706.03762, section 3.2.2.
    """

    def __init__(self, width: int, heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        if width % heads:
            raise UsageError(f"{heads} heads cannot share a width of {width} evenly.")
        self.heads, self.dropout = heads, dropout
        self.to_query, self.to_key = nn.Linear(width, width), nn.Linear(width, width)
        self.to_value, self.output = nn.Linear(width, width), nn.Linear(width, width)

    def project(
        self, memory: Float[Tensor, "batch key width"]
    ) -> tuple[Float[Tensor, "batch head key size"], Float[Tensor, "batch head key size"]]:
        """Return keys and values, projected once for every query to come."""
        return self.split(self.to_key(memory)), self.split(self.to_value(memory))

    def forward(
        self,
        queries: Float[Tensor, "batch query width"],
        keys: Float[Tensor, "batch head key size"],
        values: Float[Tensor, "batch head key size"],
        mask: Bool[Tensor, "#batch #head #query key"] | None = None,
        bias: Float[Tensor, "#batch head query key"] | None = None,
    ) -> Float[Tensor, "batch query width"]:
        """Return what each query sees.

        Args:
            queries: One vector a position.
            keys: As ``project`` returns them.
            values: Likewise.
            mask: True where a query may look; a query that may look nowhere gets zeros.
            bias: Added to the scores (relative positions).
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
        """Return where each head looks from each query."""
        scores = scaled_dot_product(self.split(self.to_query(queries)), keys)
        scores = scores if bias is None else scores + bias
        return attend(scores, torch.zeros_like(keys), mask)[1]

    def split(self, vectors: Tensor) -> Float[Tensor, "batch head position size"]:
        """Share each vector out to the heads."""
        return vectors.view(*vectors.shape[:2], self.heads, -1).transpose(1, 2)

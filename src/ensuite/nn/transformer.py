"""Transformer block: self-attention, optional cross-attention, and a feed-forward network."""

from typing import Literal, NamedTuple, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ensuite.nn.attention import MultiHeadAttention

Norm = Literal["pre", "post"]


class Past(NamedTuple):
    """Key-value cache of a block: keys and values of the positions read so far."""

    keys: Float[Tensor, "batch head key size"]
    values: Float[Tensor, "batch head key size"]


class Seen(NamedTuple):
    """Keys and values of the cross-attention of one block, computed once from the memory.

    The memory is the sequence that cross-attention attends to: the output of an encoder.
    """

    keys: Float[Tensor, "batch head key size"]
    values: Float[Tensor, "batch head key size"]
    mask: Bool[Tensor, "batch 1 1 key"]


class Made(NamedTuple):
    """Outputs of a block.

    Attributes:
        hidden: One vector per position.
        past: Key-value cache of all positions so far.
        asked: Inputs of the cross-attention, from which its queries are computed; None without it.
    """

    hidden: Float[Tensor, "batch time width"]
    past: Past
    asked: Float[Tensor, "batch time width"] | None = None


class Block(nn.Module):
    """One layer of a Transformer encoder or, with cross-attention, of a decoder.

    Its sublayers (self-attention, cross-attention, feed-forward network) are residual. Layer norm
    is applied to the input of each sublayer ("pre"), which trains without learning-rate warm-up, or
    to the sum after it ("post"), as first published.

    Args:
        width: Size of the vector of each position.
        heads: Number of heads of each attention.
        inner: Size of the hidden layer of the feed-forward network.
        memory: Whether the block has cross-attention.
        norm: Where layer norm is applied.
        dropout: Dropout rate of the output of each sublayer, of the hidden layer of the
            feed-forward network and of the attention weights.

    Sources:
        Vaswani et al. (2017), https://arxiv.org/abs/1706.03762, section 3.1
        "pre": Xiong et al. (2020), https://arxiv.org/abs/2002.04745
    """

    def __init__(
        self,
        width: int,
        heads: int,
        inner: int,
        *,
        memory: bool = False,
        norm: Norm = "pre",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm, self.dropout = norm, nn.Dropout(dropout)
        self.to_itself = MultiHeadAttention(width, heads, dropout=dropout)
        self.to_memory = MultiHeadAttention(width, heads, dropout=dropout) if memory else None
        self.alone = nn.Sequential(
            nn.Linear(width, inner), nn.ReLU(), nn.Dropout(dropout), nn.Linear(inner, width)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3 if memory else 2))

    def forward(
        self,
        inputs: Float[Tensor, "batch time width"],
        mask: Bool[Tensor, "#batch 1 #time key"] | None = None,
        bias: Float[Tensor, "#batch head time key"] | None = None,
        *,
        past: Past | None = None,
        seen: Seen | None = None,
    ) -> Made:
        """Return the outputs, and the key-value cache for later positions.

        Args:
            inputs: One vector per position.
            mask: True where a position may attend to a key in self-attention. None: everywhere.
            bias: Added to the scores of self-attention.
            past: Key-value cache of the positions before these.
            seen: Keys and values of the memory, for a block with cross-attention.
        """
        read, asked = self.before(inputs, 0), None
        past = grow(past, Past(*self.to_itself.project(read)))
        hidden = self.after(inputs, self.to_itself(read, *past, mask, bias), 0)
        if seen is not None:
            asked = self.before(hidden, 1)
            hidden = self.after(hidden, self._memory(asked, *seen), 1)
        hidden = self.after(hidden, self.alone(self.before(hidden, -1)), -1)
        return Made(hidden, past, asked)

    def remember(
        self, encoded: Float[Tensor, "batch key width"], mask: Bool[Tensor, "batch key"]
    ) -> Seen:
        """Return the keys and values of this block's cross-attention for a memory."""
        return Seen(*self._memory.project(encoded), mask[:, None, None])

    def weights(
        self, asked: Float[Tensor, "batch time width"], seen: Seen
    ) -> Float[Tensor, "batch head time key"]:
        """Return the cross-attention weights of each head."""
        return self._memory.weights(asked, seen.keys, seen.mask)

    @property
    def _memory(self) -> MultiHeadAttention:
        assert self.to_memory is not None, "the block was built without cross-attention"
        return self.to_memory

    def before(self, hidden: Tensor, part: int) -> Tensor:
        """Return the input of a sublayer, normalised if norm is "pre"."""
        return cast(Tensor, self.norms[part](hidden)) if self.norm == "pre" else hidden

    def after(self, hidden: Tensor, found: Tensor, part: int) -> Tensor:
        """Return the residual sum after a sublayer, normalised if norm is "post"."""
        total = hidden + self.dropout(found)
        return cast(Tensor, self.norms[part](total)) if self.norm == "post" else total


def grow(past: Past | None, news: Past) -> Past:
    """Append the keys and values of later positions to a cache; None is an empty cache."""
    if past is None:
        return news
    return Past(*(torch.cat(pair, dim=2) for pair in zip(past, news, strict=True)))

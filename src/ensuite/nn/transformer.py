"""A block of a Transformer: attention to itself, perhaps to a memory, then each position alone."""

from typing import Literal, NamedTuple, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ensuite.nn.attention import MultiHeadAttention

Norm = Literal["pre", "post"]


class Past(NamedTuple):
    """Keys and values of the positions a block has read."""

    keys: Float[Tensor, "batch head key size"]
    values: Float[Tensor, "batch head key size"]


class Seen(NamedTuple):
    """A memory as one block sees it, projected once for every query to come."""

    keys: Float[Tensor, "batch head key size"]
    values: Float[Tensor, "batch head key size"]
    mask: Bool[Tensor, "batch 1 1 key"]


class Made(NamedTuple):
    """What a block makes of its inputs.

    Attributes:
        hidden: One vector a position.
        past: Keys and values of all positions so far.
        asked: What asked the memory, of a block that has one.
    """

    hidden: Float[Tensor, "batch time width"]
    past: Past
    asked: Float[Tensor, "batch time width"] | None = None


class Block(nn.Module):
    """One layer of an encoder or, with a memory, of a decoder.

    Each part is added to what it reads. The norm stands before the part ("pre"), which trains
    without warm-up, or after the sum ("post"), as first published.

    Args:
        width: Size of the vectors.
        heads: Of each attention.
        inner: Size of the hidden layer of the part that reads each position alone.
        memory: Whether it also attends to a memory.
        norm: Where layer norm stands.
        dropout: Share of what each part adds, of its hidden layer and of the attention weights
            that is dropped while training.

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
        """Return one vector a position, and what the next positions need of these.

        Args:
            inputs: One vector a position.
            mask: True where a position may look. None: everywhere.
            bias: Added to the scores of attention to itself.
            past: What the positions before these have left.
            seen: The memory, of a block that has one.
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
        """Return a memory as this block sees it."""
        return Seen(*self._memory.project(encoded), mask[:, None, None])

    def weights(
        self, asked: Float[Tensor, "batch time width"], seen: Seen
    ) -> Float[Tensor, "batch head time key"]:
        """Return where each head looks in the memory."""
        return self._memory.weights(asked, seen.keys, seen.mask)

    @property
    def _memory(self) -> MultiHeadAttention:
        assert self.to_memory is not None, "the block was made without a memory"
        return self.to_memory

    def before(self, hidden: Tensor, part: int) -> Tensor:
        """Return what a part reads."""
        return cast(Tensor, self.norms[part](hidden)) if self.norm == "pre" else hidden

    def after(self, hidden: Tensor, found: Tensor, part: int) -> Tensor:
        """Return the hidden vectors with what a part has found."""
        total = hidden + self.dropout(found)
        return cast(Tensor, self.norms[part](total)) if self.norm == "post" else total


def grow(past: Past | None, news: Past) -> Past:
    """Return keys and values with those of later positions behind."""
    if past is None:
        return news
    return Past(*(torch.cat(pair, dim=2) for pair in zip(past, news, strict=True)))

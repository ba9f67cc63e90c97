"""Ids to vectors, with the kinds of dropout that suit them."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

PADDING = 0


class Embedding(nn.Module):
    """A learned vector for each id; that of padding stays zero.

    Args:
        size: How many ids there are.
        width: Size of a vector.
        dropout: Share of the features dropped while training, the same ones at every position.
        word_dropout: Share of the positions whose whole vector is dropped while training.

    Sources:
        One mask for all positions: Gal & Ghahramani (2016), NeurIPS, section 4.
    """

    def __init__(
        self, size: int, width: int, *, dropout: float = 0.0, word_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.dropout, self.word_dropout = dropout, word_dropout
        self.weight = nn.Parameter(torch.randn(size, width) * 0.1)
        with torch.no_grad():
            self.weight[PADDING] = 0

    def forward(self, ids: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time width"]:
        vectors = functional.embedding(ids, self.weight, padding_idx=PADDING)
        if not self.training:
            return vectors
        if self.dropout:
            kept = functional.dropout(
                vectors.new_ones(len(ids), 1, vectors.shape[-1]), self.dropout
            )
            vectors = vectors * kept
        if self.word_dropout:
            words = vectors.new_empty(*ids.shape, 1).bernoulli_(1 - self.word_dropout)
            vectors = vectors * words
        return vectors

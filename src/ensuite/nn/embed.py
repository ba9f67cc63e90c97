"""Token embedding, with dropout of embeddings and of whole tokens."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


class Embedding(nn.Module):
    """Look up the vector of each token. The vector of padding (0) is zero and is not trained.

    Args:
        size: Size of the vocabulary, including padding.
        width: Size of a vector.
        dropout: Dropout rate of the features. One mask is drawn for each row and used at every
            position.
        word_dropout: Share of tokens whose whole vector is set to zero while training.
        vectors: (size, width), initial weights; None: random.
        init_std: Standard deviation of the random initial weights.

    Sources:
        Gal & Ghahramani (2016), https://arxiv.org/abs/1512.05287, section 4. They drop all
        occurrences of a word together and scale the other vectors; here every occurrence is dropped
        independently, and nothing is scaled.
    """

    def __init__(
        self,
        size: int,
        width: int,
        *,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
        vectors: Float[Tensor, "size width"] | None = None,
        init_std: float = 0.1,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size, width))
        self.dropout, self.word_dropout = dropout, word_dropout
        nn.init.normal_(self.weight, std=init_std)
        if vectors is not None:
            self.weight.data.copy_(vectors)
        nn.init.zeros_(self.weight[0])

    def forward(self, tokens: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time width"]:
        """Return one vector per token."""
        if self.training and self.word_dropout:
            dropped = torch.rand(tokens.shape, device=tokens.device) < self.word_dropout
            tokens = tokens.masked_fill(dropped, 0)
        # F.embedding, not indexing, whose gradient is not bit-for-bit reproducible
        vectors = F.embedding(tokens, self.weight, padding_idx=0)
        if self.training and self.dropout:
            kept = F.dropout(vectors.new_ones(len(vectors), 1, vectors.shape[2]), self.dropout)
            vectors = vectors * kept
        return vectors

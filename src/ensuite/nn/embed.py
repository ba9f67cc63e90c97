"""Token embedding, with dropout of embeddings and of whole tokens."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


class Embedding(nn.Module):
    """Look up the vector of each token.

    Args:
        size: Size of the vocabulary.
        width: Size of a vector.
        dropout: Dropout rate of the features. One mask is drawn for each row and used at every
            position.
        word_dropout: Share of tokens whose whole vector is set to zero while training.
        vectors: (size, width), initial weights; None: random.
        init_std: Standard deviation of the random initial weights.
        padding: The token whose vector is zero and is not trained; None: there is none.

    Sources:
        Gal & Ghahramani (2016), https://arxiv.org/abs/1512.05287, section 4. They drop all
        occurrences of a word together and scale the other vectors; here every occurrence is dropped
        independently, and nothing is scaled.
    """

    no_weight_decay = ("weight",)

    def __init__(
        self,
        size: int,
        width: int,
        *,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
        vectors: Float[Tensor, "size width"] | None = None,
        init_std: float = 0.1,
        padding: int | None = None,
    ) -> None:
        super().__init__()
        self.padding = padding
        self.weight = nn.Parameter(torch.empty(size, width))
        self.dropout, self.word_dropout = dropout, word_dropout
        nn.init.normal_(self.weight, std=init_std)
        if vectors is not None:
            self.weight.data.copy_(vectors)
        if padding is not None:
            nn.init.zeros_(self.weight[padding])

    def redraw(self, std: float) -> None:
        """Draw all vectors anew with another standard deviation; that of padding stays zero."""
        if self.padding is None:
            nn.init.normal_(self.weight, std=std)
            return
        for rows in (self.weight[: self.padding], self.weight[self.padding + 1 :]):
            nn.init.normal_(rows, std=std)

    def forward(self, tokens: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time width"]:
        """Return one vector per token."""
        # F.embedding, not indexing, whose gradient is not bit-for-bit reproducible
        vectors = F.embedding(tokens, self.weight, padding_idx=self.padding)
        if self.training and self.word_dropout:
            dropped = torch.rand(tokens.shape, device=tokens.device) < self.word_dropout
            vectors = vectors.masked_fill(dropped[..., None], 0.0)
        if self.training and self.dropout:
            kept = F.dropout(vectors.new_ones(len(vectors), 1, vectors.shape[2]), self.dropout)
            vectors = vectors * kept
        return vectors

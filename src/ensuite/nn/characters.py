"""Word vectors computed from characters, by a convolution or an LSTM."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ensuite.core.errors import UsageError
from ensuite.nn.embed import Embedding
from ensuite.nn.lstm import LSTM
from ensuite.nn.recurrent import Recurrent


class CharacterEncoder(nn.Module):
    """Compute a vector for each word from its characters; padding (no characters) becomes zeros.

    With "convolution" the vector is the maximum over the word of each output channel, and 0 at
    least. With "lstm" it is the last states of a bidirectional LSTM, concatenated. Words that occur
    several times in a batch are computed once.

    Args:
        size: Number of different characters, including padding (0).
        width: Size of the vector of a word.
        method: Layer that reads the characters.
        embedding: Size of the embedding of a character.
        reach: Kernel size of the convolution, in characters; an odd number.
        dropout: Dropout rate of the character embeddings.

    Raises:
        UsageError: For an unknown method, an even ``reach``, or an odd ``width`` with "lstm".

    Sources:
        Convolution: Ma & Hovy (2016), https://arxiv.org/abs/1603.01354, section 2.1
        LSTM: Lample et al. (2016), https://arxiv.org/abs/1603.01360, section 4.1
    """

    def __init__(
        self,
        size: int,
        width: int,
        method: Literal["convolution", "lstm"] = "convolution",
        *,
        embedding: int = 25,
        reach: int = 3,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embed = Embedding(size, embedding, dropout=dropout)
        if method == "convolution" and reach % 2:
            self.reader: nn.Module = CharacterConvolution(embedding, width, reach)
        elif method == "lstm" and width % 2 == 0:
            self.reader = CharacterLSTM(embedding, width)
        else:
            raise UsageError(
                "Characters are read by a convolution with an odd reach, or by an lstm with an "
                f"even width, not by method {method} with reach {reach} and width {width}."
            )

    def forward(
        self, characters: Int[Tensor, "batch time character"]
    ) -> Float[Tensor, "batch time width"]:
        """Return one vector per word, which does not depend on the padding of its characters."""
        words, places = distinct(characters.flatten(0, 1))
        vectors = self.reader(self.embed(words), words != 0)
        return F.embedding(places.view(characters.shape[:2]), vectors)


class CharacterConvolution(nn.Module):
    """A convolution over the characters of a word, with ReLU and max pooling over the word."""

    def __init__(self, features: int, width: int, reach: int) -> None:
        super().__init__()
        self.convolve = nn.Conv1d(features, width, reach)

    def forward(
        self, inputs: Float[Tensor, "word character features"], mask: Bool[Tensor, "word character"]
    ) -> Float[Tensor, "word width"]:
        """Return one vector per word.

        The convolution is computed at real characters only, since most characters of a batch of
        words are padding. The inputs at padding must be zero.
        """
        reach, width = self.convolve.kernel_size[0], self.convolve.out_channels
        padded = F.pad(inputs, (0, 0, reach // 2, reach // 2))
        word, character = mask.nonzero(as_tuple=True)
        start = word * padded.shape[1] + character
        seen = start[:, None] + torch.arange(reach, device=start.device)
        # F.embedding, not indexing, whose gradient is not bit-for-bit reproducible
        windows = F.embedding(seen, padded.flatten(0, 1)).flatten(1)
        weight = self.convolve.weight.transpose(1, 2).reshape(width, -1)
        columns = F.linear(windows, weight, self.convolve.bias)
        return torch.segment_reduce(columns, "max", lengths=mask.sum(1), initial=0.0)


class CharacterLSTM(nn.Module):
    """A bidirectional LSTM over the characters of a word, and its last states."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.recurrent = Recurrent(LSTM, features, width // 2, bidirectional=True)

    def forward(
        self, inputs: Float[Tensor, "word character features"], mask: Bool[Tensor, "word character"]
    ) -> Float[Tensor, "word width"]:
        """Return one vector per word."""
        _, states = self.recurrent(inputs, mask)
        return self.recurrent.last(states)


def distinct(
    rows: Int[Tensor, "row column"],
) -> tuple[Int[Tensor, "distinct column"], Int[Tensor, " row"]]:
    """Return the distinct rows, and for each row the index of its equal among them.

    Rows are compared by a hash, since ``torch.unique(dim=0)`` takes longer than the layer that
    reads the rows. It is used only if two different rows have the same hash.
    """
    order = torch.arange(max(rows.shape), device=rows.device)
    factors = torch.full_like(order, 6364136223846793005).cumprod(0)  # Knuth's, modulo 2^64
    hashes, places = torch.unique((rows * factors[: rows.shape[1]]).sum(1), return_inverse=True)
    found = rows[torch.empty_like(hashes).scatter_(0, places, order[: len(rows)])]
    if found[places].equal(rows):
        return found, places
    exact = torch.unique(rows, dim=0, return_inverse=True)
    return exact[0], exact[1]

"""One vector for a word, read from its characters."""

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
    """Read the characters of each word; a word without any, padding, becomes zeros.

    By convolution, with the largest of each column over the word, or at least 0; or by an LSTM from
    either end, its last states side by side. Equal words of a batch are read once.

    Args:
        size: How many characters there are, padding (0) among them.
        width: Size of the vector of a word.
        method: What reads the characters.
        embedding: Size of the vector of a character.
        reach: How many characters one column of the convolution sees at once; an odd number.
        dropout: Share of the characters' numbers dropped while training.

    Raises:
        UsageError: For another method, an even ``reach``, or an odd ``width`` of an LSTM.

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
        self.embed = Embedding(size, embedding, dropout=dropout, padding=0)
        if method == "convolution" and reach % 2:
            self.reader: nn.Module = Columns(embedding, width, reach)
        elif method == "lstm" and width % 2 == 0:
            self.reader = BothEnds(embedding, width)
        else:
            raise UsageError(
                "Characters are read by a convolution of odd reach, or by an lstm of even width; "
                f"not by a {method} of reach {reach} and width {width}."
            )

    def forward(
        self, characters: Int[Tensor, "batch time character"]
    ) -> Float[Tensor, "batch time width"]:
        """Return one vector per word, whatever the padding of its characters."""
        words, places = distinct(characters.flatten(0, 1))
        vectors = self.reader(self.embed(words), words != 0)
        return F.embedding(places.view(characters.shape[:2]), vectors)


class Columns(nn.Module):
    """A convolution over time, and the largest number of each column, or 0."""

    def __init__(self, features: int, width: int, reach: int) -> None:
        super().__init__()
        self.convolve = nn.Conv1d(features, width, reach)

    def forward(
        self, inputs: Float[Tensor, "word character features"], mask: Bool[Tensor, "word character"]
    ) -> Float[Tensor, "word width"]:
        """Return one vector a word, from its real characters only: most of a batch is padding.

        The inputs of padding are zeros.
        """
        reach, width = self.convolve.kernel_size[0], self.convolve.out_channels
        padded = F.pad(inputs, (0, 0, reach // 2, reach // 2))
        word, character = mask.nonzero(as_tuple=True)
        start = word * padded.shape[1] + character
        seen = start[:, None] + torch.arange(reach, device=start.device)
        # F.embedding, not padded[...]: the gradient of an index is not the same bits every time
        windows = F.embedding(seen, padded.flatten(0, 1)).flatten(1)
        weight = self.convolve.weight.transpose(1, 2).reshape(width, -1)
        columns = F.linear(windows, weight, self.convolve.bias)
        return torch.segment_reduce(columns, "max", lengths=mask.sum(1), initial=0.0)


class BothEnds(nn.Module):
    """An LSTM from either end, and the last state of both."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.recurrent = Recurrent(LSTM, features, width // 2, bidirectional=True)

    def forward(
        self, inputs: Float[Tensor, "word character features"], mask: Bool[Tensor, "word character"]
    ) -> Float[Tensor, "word width"]:
        """Return one vector a word."""
        _, states = self.recurrent(inputs, mask)
        return self.recurrent.last(states)


def distinct(
    rows: Int[Tensor, "row column"],
) -> tuple[Int[Tensor, "distinct column"], Int[Tensor, " row"]]:
    """Return the rows without repetitions, and where among them each row is.

    By a hash of each row, as ``torch.unique`` of rows takes longer than to read them; should two
    rows ever share one, by ``torch.unique``.
    """
    order = torch.arange(max(rows.shape), device=rows.device)
    factors = torch.full_like(order, 6364136223846793005).cumprod(0)  # Knuth's, modulo 2^64
    hashes, places = torch.unique((rows * factors[: rows.shape[1]]).sum(1), return_inverse=True)
    found = rows[torch.empty_like(hashes).scatter_(0, places, order[: len(rows)])]
    if found[places].equal(rows):
        return found, places
    exact = torch.unique(rows, dim=0, return_inverse=True)
    return exact[0], exact[1]

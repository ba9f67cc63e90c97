"""One vector for a word, read from its characters."""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ensuite.nn.embed import Embedding


class Spelling(nn.Module):
    """Convolve over the characters of each word and keep the largest of each column.

    Args:
        size: How many characters there are, padding (0) among them.
        width: Size of the vector of a word.
        embedding: Size of the vector of a character.
        reach: How many characters one column sees at once.
        dropout: Share of the characters' numbers dropped while training.

    Source:
        Ma & Hovy (2016), https://arxiv.org/abs/1603.01354, section 2.1.
    """

    def __init__(
        self, size: int, width: int, *, embedding: int = 25, reach: int = 3, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.embed = Embedding(size, embedding, dropout=dropout)
        self.convolve = nn.Conv1d(embedding, width, reach, padding=reach // 2)

    def forward(
        self, characters: Int[Tensor, "batch time character"]
    ) -> Float[Tensor, "batch time width"]:
        """Return one vector a word; however far its spelling is padded, it is the same."""
        spelled = characters.flatten(0, 1)
        columns = self.convolve(self.embed(spelled).transpose(1, 2))
        shut = (spelled == 0)[:, None]
        largest = F.relu(columns).masked_fill(shut, 0.0).amax(2)
        return largest.view(*characters.shape[:2], -1)

"""Heads: from the states of a backbone to the values a loss or a prediction reads."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ensuite.core.batch import Batch, States
from ensuite.core.errors import UsageError
from ensuite.nn.embed import Embedding
from ensuite.nn.vocabulary import Projected


class SummaryHead(nn.Module):
    """Read one vector for each row: logits, or numbers.

    Args:
        width: Size of the backbone's vectors.
        outputs: How many values.
        dropout: Share of the summary's numbers dropped while training.
    """

    def __init__(self, width: int, outputs: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, outputs)

    def forward(self, states: States, batch: Batch) -> Float[Tensor, "batch outputs"]:
        """Return the values of each row."""
        values: Tensor = self.linear(self.dropout(states.summary))
        return values


class SequenceHead(nn.Module):
    """Read one vector for each position: logits, or numbers.

    Args:
        width: Size of the backbone's vectors.
        outputs: How many values.
        dropout: Share of the sequence's numbers dropped while training.
    """

    def __init__(self, width: int, outputs: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, outputs)

    def forward(self, states: States, batch: Batch) -> Float[Tensor, "batch *time outputs"]:
        """Return the values of each position; without time where ``states`` are of one step.

        Raises:
            UsageError: If the backbone has no state for every position.
        """
        if states.sequence is None:
            raise UsageError("This backbone has no state for every position: choose one that does.")
        values: Tensor = self.linear(self.dropout(states.sequence))
        return values


class TokenHead(nn.Module):
    """Score every token at each position.

    Args:
        width: Size of the backbone's vectors.
        size: How many tokens there are.
        embedding: Where a token's score is the product with its own vector (tied), those vectors.

    Source:
        Press & Wolf (2017), https://arxiv.org/abs/1608.05859: one matrix for input and output.
    """

    def __init__(self, width: int, size: int, embedding: Embedding | None = None) -> None:
        super().__init__()
        inner = width if embedding is None else embedding.weight.shape[1]
        self.project = nn.Identity() if inner == width else nn.Linear(width, inner)
        self.weight = nn.Parameter(torch.empty(size, inner)) if embedding is None else None
        self.bias = nn.Parameter(torch.zeros(size))
        self.embedding = (embedding,)  # in a tuple: the weights are the backbone's, saved there
        if self.weight is not None:
            nn.init.normal_(self.weight, std=inner**-0.5)

    def forward(self, states: States, batch: Batch) -> Float[Tensor, "*positions size"]:
        """Return the logits of each position; of one step, or of chosen positions, without time.

        Raises:
            UsageError: If the backbone has no state for every position.
        """
        if states.sequence is None:
            raise UsageError("This backbone has no state for every position: choose one that does.")
        return self.factors(states.sequence).scores()

    def factors(self, hidden: Float[Tensor, "*positions width"]) -> Projected:
        """Return what the logits are the product of: their loss does not need themselves."""
        (embedding,) = self.embedding
        weight = self.weight if embedding is None else embedding.weight
        assert weight is not None
        return Projected(self.project(hidden), weight, self.bias)

"""Heads: layers from the states of a backbone to the outputs that a loss or prediction reads."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ensuite.core.batch import Batch, States
from ensuite.core.errors import UsageError
from ensuite.nn.embed import Embedding
from ensuite.nn.vocabulary import Projected


class _LinearHead(nn.Module):
    """Dropout and a linear layer.

    Args:
        width: Size of the backbone's states.
        outputs: Number of outputs.
        dropout: Dropout rate of the states.
    """

    def __init__(self, width: int, outputs: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, outputs)

    def read(
        self, states: Float[Tensor, "*positions width"]
    ) -> Float[Tensor, "*positions outputs"]:
        """Return the outputs for each state."""
        values: Tensor = self.linear(self.dropout(states))
        return values


class SummaryHead(_LinearHead):
    """Outputs for each row, such as logits or numbers, from the summary of the row.

    Args:
        width: Size of the backbone's summary.
        outputs: Number of outputs.
        dropout: Dropout rate of the summary.
    """

    def forward(self, states: States, batch: Batch) -> Float[Tensor, "batch outputs"]:
        """Return the outputs for each row."""
        return self.read(states.summary)


class SequenceHead(_LinearHead):
    """Outputs for each position, such as logits or numbers, from the state of the position.

    Args:
        width: Size of the backbone's states.
        outputs: Number of outputs.
        dropout: Dropout rate of the states.
    """

    def forward(self, states: States, batch: Batch) -> Float[Tensor, "batch *time outputs"]:
        """Return the outputs for each position; without ``time`` for the states of one step.

        Raises:
            UsageError: If the backbone has no state for each position.
        """
        return self.read(require_sequence(states))


class TokenHead(nn.Module):
    """Logits over the vocabulary at each position.

    Args:
        width: Size of the backbone's states.
        size: Size of the vocabulary.
        embedding: Input embedding whose weight is also the output projection (weight tying); None:
            a weight of its own.
        bias: Whether each token has a bias.
        rows: Rows of a weight of its own; those beyond the vocabulary are not used. None: as many
            as tokens.

    Source:
        Press & Wolf (2017), https://arxiv.org/abs/1608.05859
    """

    def __init__(
        self,
        width: int,
        size: int,
        embedding: Embedding | None = None,
        *,
        bias: bool = True,
        rows: int | None = None,
    ) -> None:
        super().__init__()
        self.size = size
        inner = width if embedding is None else embedding.weight.shape[1]
        self.project = nn.Identity() if inner == width else nn.Linear(width, inner)
        self.weight = None
        if embedding is None:
            self.weight = nn.Parameter(torch.empty(max(size, rows or 0), inner))
        self.bias = nn.Parameter(torch.zeros(size)) if bias else None
        # In a tuple, so that it is not registered as a submodule: the backbone owns its weights.
        self.embedding = (embedding,)
        if self.weight is not None:
            nn.init.normal_(self.weight, std=inner**-0.5)

    def forward(self, states: States, batch: Batch) -> Float[Tensor, "*positions size"]:
        """Return the logits at each position; without ``time`` for states of one step.

        Raises:
            UsageError: If the backbone has no state for each position.
        """
        return self.factors(require_sequence(states)).scores()

    def factors(self, hidden: Float[Tensor, "*positions width"]) -> Projected:
        """Return the two factors of the logits, from which their loss can be computed directly."""
        (embedding,) = self.embedding
        weight = self.weight if embedding is None else embedding.weight
        assert weight is not None
        return Projected(self.project(hidden), weight[: self.size], self.bias)


def require_sequence(states: States) -> Tensor:
    """Return the states of all positions.

    Raises:
        UsageError: If the backbone has no state for each position.
    """
    if states.sequence is None:
        raise UsageError(
            "This backbone has no state for each position: choose one with the trait sequence."
        )
    return states.sequence

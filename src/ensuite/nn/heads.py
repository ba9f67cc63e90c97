"""Heads: from the states of a backbone to the values a loss or a prediction reads."""

from jaxtyping import Float
from torch import Tensor, nn

from ensuite.core.batch import Batch, States
from ensuite.core.errors import UsageError


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

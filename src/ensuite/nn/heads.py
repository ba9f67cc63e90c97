"""What reads the states of a backbone: one answer a row, or one a position."""

from torch import Tensor, nn

from ensuite.core.batch import Batch, States


class SummaryHead(nn.Module):
    """A weighted sum of each row's summary, for every output.

    Args:
        width: Size of the summary.
        outputs: How many numbers each row gets.
    """

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, outputs)

    def forward(self, states: States, batch: Batch) -> Tensor:
        """Return (batch, outputs)."""
        values: Tensor = self.linear(states.summary)
        return values


class SequenceHead(nn.Module):
    """A weighted sum of the state at each position, for every output.

    Args:
        width: Size of a state.
        outputs: How many numbers each position gets.
    """

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, outputs)

    def forward(self, states: States, batch: Batch) -> Tensor:
        """Return (batch, time, outputs)."""
        values: Tensor = self.linear(states.sequence)
        return values

"""Heads that forecast several steps from one state, as quantiles that never cross."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def ordered(values: Float[Tensor, "*steps level"]) -> Float[Tensor, "*steps level"]:
    """Return quantiles that do not cross, the median in the middle.

    The median is the middle number itself; each level further out is the one before it, plus or
    minus the softplus of its own number. The number of levels is odd.

    >>> ordered(torch.tensor([0.0, 1.0, 0.0])).tolist()[1]
    1.0
    """
    middle = values.shape[-1] // 2
    if not middle:
        return values
    median = values[..., middle : middle + 1]
    below = median - F.softplus(values[..., :middle]).flip(-1).cumsum(-1).flip(-1)
    above = median + F.softplus(values[..., middle + 1 :]).cumsum(-1)
    return torch.cat([below, median, above], dim=-1)


def quantile_loss(
    values: Float[Tensor, "*steps level"],
    targets: Float[Tensor, "*steps"],
    levels: Float[Tensor, " level"],
) -> Float[Tensor, ""]:
    """Return twice the pinball loss, averaged over the levels and summed over the steps.

    For the median alone that is the absolute error. A target of NaN does not count.

    Source:
        Koenker & Bassett (1978), Econometrica 46(1):33-50, equation 3.1
    """
    known = ~targets.isnan()
    errors = torch.where(known, targets, 0)[..., None] - values
    losses = torch.maximum(levels * errors, (levels - 1) * errors).mean(-1)
    return 2 * (losses * known).sum()


class ForecastHead(nn.Module):
    """Forecast all steps from the summary by one linear layer.

    Args:
        width: Size of the summary.
        steps: How many steps are forecast.
        columns: How many columns each step has.
        levels: How many quantiles each value has; an odd number.
        future: How many features of each future step are known.
        dropout: Dropout rate of the summary.
    """

    def __init__(
        self,
        width: int,
        steps: int,
        *,
        columns: int,
        levels: int,
        future: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.shape = (steps, columns, levels)
        self.dropout = nn.Dropout(dropout)
        self.from_summary = nn.Linear(width, steps * columns * levels)
        self.from_future = FutureLayer(width, future, columns * levels) if future else None

    def forward(
        self,
        summary: Float[Tensor, "batch width"],
        future: Float[Tensor, "batch time features"] | None,
    ) -> Float[Tensor, "batch time column level"]:
        """Return the quantiles of each step and column."""
        summary = self.dropout(summary)
        values: Tensor = self.from_summary(summary).view(-1, *self.shape)
        if self.from_future is not None and future is not None:
            values = values + self.from_future(summary, future).view(values.shape)
        return ordered(values)


class FutureLayer(nn.Module):
    """One hidden layer on the known features of each future step and the summary."""

    def __init__(self, width: int, features: int, outputs: int) -> None:
        super().__init__()
        self.from_features = nn.Linear(features, width)
        self.from_summary = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, outputs)

    def forward(
        self,
        summary: Float[Tensor, "batch width"],
        future: Float[Tensor, "batch time features"],
    ) -> Float[Tensor, "batch time outputs"]:
        """Return what is added to the forecast of each step."""
        hidden = self.from_features(future) + self.from_summary(summary)[:, None]
        added: Tensor = self.out(hidden.relu())
        return added


class PositionHead(nn.Module):
    """Forecast all segments at once, each by one recurrent step from the summary.

    The input of the step is a learned vector for the position of the segment, so that no forecast
    depends on another, and errors do not accumulate.

    Args:
        width: Size of the summary.
        steps: How many steps are forecast.
        segment: Steps of one segment.
        columns: How many columns each step has.
        levels: How many quantiles each value has; an odd number.
        future: How many features of each future step are known.
        dropout: Dropout rate of the hidden states.

    Source:
        Lin et al. (2023), SegRNN, https://arxiv.org/abs/2308.11200, section 3.3
    """

    def __init__(
        self,
        width: int,
        steps: int,
        *,
        segment: int,
        columns: int,
        levels: int,
        future: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.steps, self.segment = steps, segment
        self.shape = (columns, levels)
        self.count = -(-steps // segment)
        self.positions = nn.Parameter(torch.randn(self.count, width))
        self.from_future = nn.Linear(future * segment, width) if future else None
        self.cell = nn.GRUCell(width, width)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(width, segment * columns * levels)

    def forward(
        self,
        summary: Float[Tensor, "batch width"],
        future: Float[Tensor, "batch time features"] | None,
    ) -> Float[Tensor, "batch time column level"]:
        """Return the quantiles of each step and column."""
        rows, width = summary.shape
        inputs = self.positions.expand(rows, -1, -1)
        if self.from_future is not None and future is not None:
            missing = self.count * self.segment - self.steps
            padded = F.pad(future, (0, 0, 0, missing))
            inputs = inputs + self.from_future(padded.reshape(rows, self.count, -1))
        states = summary[:, None].expand(-1, self.count, -1).reshape(-1, width)
        hidden = self.dropout(self.cell(inputs.reshape(-1, width), states))
        values: Tensor = self.out(hidden).view(rows, -1, *self.shape)
        return ordered(values[:, : self.steps])

"""The networks' part of forecasts: the head, the loss, and forecasts that are read again."""

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from ensuite.core.batch import FUTURE, Batch, States
from ensuite.nn.forecasting import quantile_loss


class Head(nn.Module):
    """A head of forecasts on the summary.

    Args:
        forecast: From the summary and what is known of the future to quantiles.
        future: Whether it reads what is known of the future.
    """

    def __init__(self, forecast: nn.Module, *, future: bool) -> None:
        super().__init__()
        self.forecast, self.future = forecast, future

    def forward(self, states: States, batch: Batch) -> Tensor:
        """Return the quantiles, (batch, steps, columns, levels)."""
        future = batch.inputs[FUTURE] if self.future else None
        values: Tensor = self.forecast(states.summary, future)
        return values


def squared_loss(values: Tensor, targets: Tensor) -> Tensor:
    """Return the squared error of the point, (..., 1), summed over the targets that are known."""
    known = ~targets.isnan()
    error = (values[..., 0] - torch.where(known, targets, 0)) * known
    return error.square().sum()


def pinball_loss(values: Tensor, targets: Tensor, levels: tuple[float, ...]) -> Tensor:
    """Return the loss of quantiles, (..., levels); of the median alone it is the absolute error."""
    return quantile_loss(values, targets, torch.tensor(levels, device=values.device))


def recur(
    forecast: Callable[[Batch], Tensor], batch: Batch, *, horizon: int, segment: int
) -> Tensor:
    """Forecast a segment, read its median as if it had come, and go on to the horizon.

    Args:
        forecast: Returns the quantiles of the next segment, (batch, segment, columns, levels).
        batch: What was read, and what is known of the future.
        horizon: Steps to forecast.
        segment: Steps that are forecast at once.

    Returns:
        (batch, horizon, columns, levels).
    """
    found, values, mask = [], batch.inputs["values"], cast(Tensor, batch.mask)
    rows = len(values)
    for start in range(0, horizon, segment):
        one = replace(batch, inputs={**batch.inputs, "values": values}, mask=mask)
        quantiles = forecast(one)
        found.append(quantiles)
        read = quantiles[..., quantiles.shape[-1] // 2]
        if FUTURE in batch.inputs:
            future = batch.inputs[FUTURE][:, start : start + segment]
            short = segment - future.shape[1]
            future = torch.nn.functional.pad(future, (0, 0, 0, short))
            read = torch.cat([read, future], dim=2)
        values = torch.cat([values[:, 1:], read.reshape(rows, 1, -1)], dim=1)
        mask = torch.cat([mask[:, 1:], mask.new_ones(rows, 1)], dim=1)
    return torch.cat(found, dim=1)[:, :horizon]

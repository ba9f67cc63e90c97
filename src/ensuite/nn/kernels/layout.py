"""How positions lie in memory while a recurrent kernel reads them: the real ones alone.

Each row's real positions are moved to its start, and the rows with most of them stand first. Then
the rows that have a position are the first ones of those that had the position before. The rows of
the first position lie in memory, then those of the second, and so on; a state has one row more for
every row of the batch, in front: where it starts.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Step = tuple[int, int, int, int]
"""Of a position: where the states before it, those after it and its own rows begin; how many."""


class Rectangle:
    """Rows of one length, without padding: nothing has to be moved.

    Args:
        batch: How many rows.
        time: How many positions each has.

    Attributes:
        batch: How many rows.
        total: How many positions all rows have.
        steps: One for every position in time.
    """

    def __init__(self, batch: int, time: int) -> None:
        self.batch, self.time, self.total = batch, time, batch * time
        begins = [batch * at for at in range(time)]
        self.steps: list[Step] = [(begin, begin + batch, begin, batch) for begin in begins]

    def read(self, inputs: Float[Tensor, "batch time features"]) -> Float[Tensor, "total features"]:
        """Return the real inputs."""
        return inputs.transpose(0, 1).reshape(self.total, inputs.shape[2])

    def sort(self, part: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        """Return what each row of the batch has, the longest row first."""
        return part

    def restore(self, part: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        """Undo ``sort``."""
        return part

    def write(
        self, start: Float[Tensor, "batch width"], outputs: Float[Tensor, "total width"]
    ) -> Float[Tensor, "batch time width"]:
        """Return the outputs where their inputs were; padding repeats the one before it."""
        return outputs.view(self.time, self.batch, outputs.shape[1]).transpose(0, 1)

    def last(self, states: Float[Tensor, "states width"]) -> Float[Tensor, "batch width"]:
        """Return the state after the last real position of each row."""
        return states[self.total :].clone()

    def before(self, states: Float[Tensor, "states width"]) -> Float[Tensor, "total width"]:
        """Return the state before each position."""
        return states[: self.total]

    def cut_before(self, states: Float[Tensor, "states width"]) -> Sequence[Tensor]:
        """Return the states before each position in time."""
        return self.cut(states[: self.total])

    def cut(self, rows: Float[Tensor, "total size"]) -> Sequence[Tensor]:
        """Return the rows of each position in time."""
        return rows.view(self.time, self.batch, rows.shape[1]).unbind(0)

    def heads(self, part: Tensor | None) -> Sequence[Any]:
        """Return as many rows as each position in time has; None stays None."""
        return [part] * self.time


class Ragged(Rectangle):
    """Rows with padding, which may stand anywhere.

    Args:
        mask: True at real positions.
    """

    def __init__(self, mask: Bool[Tensor, "batch time"]) -> None:
        self.batch, self.time = mask.shape
        self.mask, self.count = mask, mask.cumsum(1)
        lengths, self.order = self.count[:, -1].sort(descending=True, stable=True)
        self.ranks = self.order.argsort()
        self.sizes = [size for size in _longer(lengths, self.time).tolist() if size]
        self.total = sum(self.sizes)
        begins = [0, *accumulate([self.batch, *self.sizes])]  # of each position among the states
        self.begins = lengths.new_tensor(begins[:-1])
        heres = [begin - self.batch for begin in begins[1:]]
        self.steps = list(zip(begins, begins[1:], heres, self.sizes, strict=False))
        self.ends = self.begins[lengths] + torch.arange(self.batch)

    @cached_property
    def shown(self) -> Tensor:
        """Which state each position shows, padded ones too."""
        return (self.begins[self.count] + self.ranks[:, None]).flatten()

    @cached_property
    def befores(self) -> Tensor:
        """Which state stands before each position."""
        sizes = self.begins.new_tensor(self.sizes)
        back = self.begins.diff().repeat_interleave(sizes)
        return torch.arange(self.batch, self.batch + self.total) - back

    def read(self, inputs: Float[Tensor, "batch time features"]) -> Float[Tensor, "total features"]:
        real = self.mask.flatten().nonzero()[:, 0]
        places = torch.empty_like(real)
        places[self.shown[real] - self.batch] = real
        return inputs.flatten(0, 1).index_select(0, places)

    def sort(self, part: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        return part.index_select(0, self.order)

    def restore(self, part: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        return part.index_select(0, self.ranks)

    def write(
        self, start: Float[Tensor, "batch width"], outputs: Float[Tensor, "total width"]
    ) -> Float[Tensor, "batch time width"]:
        if bool(self.mask[:, 0].all()):  # nobody shows where it starts: no copy is needed
            shown = outputs.index_select(0, self.shown - self.batch)
        else:
            shown = torch.cat([start, outputs]).index_select(0, self.shown)
        return shown.view(self.batch, self.time, outputs.shape[1])

    def last(self, states: Float[Tensor, "states width"]) -> Float[Tensor, "batch width"]:
        return states.index_select(0, self.ends)

    def before(self, states: Float[Tensor, "states width"]) -> Float[Tensor, "total width"]:
        return states.index_select(0, self.befores)

    def cut_before(self, states: Float[Tensor, "states width"]) -> Sequence[Tensor]:
        return [states.narrow(0, begin, rows) for begin, _, _, rows in self.steps]

    def cut(self, rows: Float[Tensor, "total size"]) -> Sequence[Tensor]:
        return torch.split(rows, self.sizes)

    def heads(self, part: Tensor | None) -> Sequence[Any]:
        if part is None:
            return [part] * len(self.sizes)
        return [part[:rows] for rows in self.sizes]


def of(inputs: Float[Tensor, "batch time features"], mask: Tensor | None) -> Rectangle:
    """Return the layout of inputs; mask is True at real positions, None: all are."""
    if mask is None or bool(mask.all()):
        return Rectangle(*inputs.shape[:2])
    return Ragged(mask)


def _longer(lengths: Tensor, time: int) -> Tensor:
    """Return how many rows have each position."""
    return (lengths[:, None] > torch.arange(time)).sum(0)

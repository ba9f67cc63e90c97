"""How the positions of a batch are laid out in memory while a recurrent kernel reads them.

Padding is left out. Each row's real positions are moved to its start, and the rows are sorted by
length, longest first, so that the rows which have a position are the first ones of those that have
the position before (as in PyTorch's ``PackedSequence``). The rows of the first position come first
in memory, then those of the second, and so on. Tensors of states have the initial state of every
row of the batch in front of them.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Step = tuple[int, int, int, int]
"""For a position in time, the index of its first row among the states before it, among the states
after it, and among the inputs; and the number of its rows."""


class Rectangle:
    """Layout of rows of one length, without padding: nothing is moved.

    Args:
        batch: Number of rows.
        time: Number of positions of each row.

    Attributes:
        batch: Number of rows.
        total: Number of positions of all rows together.
        steps: One ``Step`` per position in time.
    """

    def __init__(self, batch: int, time: int) -> None:
        self.batch, self.time, self.total = batch, time, batch * time
        begins = [batch * at for at in range(time)]
        self.steps: list[Step] = [(begin, begin + batch, begin, batch) for begin in begins]

    def read(self, inputs: Float[Tensor, "batch time features"]) -> Float[Tensor, "total features"]:
        """Return the inputs of all real positions, in this layout."""
        return inputs.transpose(0, 1).reshape(self.total, inputs.shape[2])

    def sort(self, part: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        """Sort the rows of a tensor by length, longest first."""
        return part

    def restore(self, part: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        """Undo ``sort``."""
        return part

    def write(
        self, start: Float[Tensor, "batch width"], outputs: Float[Tensor, "total width"]
    ) -> Float[Tensor, "batch time width"]:
        """Move outputs to the positions of their inputs; padding repeats the output before it."""
        return outputs.view(self.time, self.batch, outputs.shape[1]).transpose(0, 1)

    def last(self, states: Float[Tensor, "states width"]) -> Float[Tensor, "batch width"]:
        """Return the state after the last real position of each row."""
        return states[self.total :].clone()

    def before(self, states: Float[Tensor, "states width"]) -> Float[Tensor, "total width"]:
        """Return the state before each position, in one tensor."""
        return states[: self.total]

    def before_by_time(self, states: Float[Tensor, "states width"]) -> Sequence[Tensor]:
        """Return the states before each position, one tensor per position in time."""
        return self.by_time(states[: self.total])

    def by_time(self, rows: Float[Tensor, "total size"]) -> Sequence[Tensor]:
        """Split a tensor of all positions into one tensor per position in time."""
        return rows.view(self.time, self.batch, rows.shape[1]).unbind(0)

    def present(self, part: Tensor | None) -> Sequence[Any]:
        """Return, for each position in time, the rows of a tensor that have this position.

        Where ``part`` is None, every element is None.
        """
        return [part] * self.time


class Ragged(Rectangle):
    """Layout of rows with padding, which may be anywhere.

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
        own = [begin - self.batch for begin in begins[1:]]
        self.steps = list(zip(begins, begins[1:], own, self.sizes, strict=False))
        self.ends = self.begins[lengths] + torch.arange(self.batch)

    @cached_property
    def shown(self) -> Tensor:
        """Index of the state that is the output at each position, padding included."""
        return (self.begins[self.count] + self.ranks[:, None]).flatten()

    @cached_property
    def befores(self) -> Tensor:
        """Index of the state before each real position."""
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
        if bool(self.mask[:, 0].all()):  # no row begins with padding: initial states are not shown
            shown = outputs.index_select(0, self.shown - self.batch)
        else:
            shown = torch.cat([start, outputs]).index_select(0, self.shown)
        return shown.view(self.batch, self.time, outputs.shape[1])

    def last(self, states: Float[Tensor, "states width"]) -> Float[Tensor, "batch width"]:
        return states.index_select(0, self.ends)

    def before(self, states: Float[Tensor, "states width"]) -> Float[Tensor, "total width"]:
        return states.index_select(0, self.befores)

    def before_by_time(self, states: Float[Tensor, "states width"]) -> Sequence[Tensor]:
        return [states.narrow(0, begin, rows) for begin, _, _, rows in self.steps]

    def by_time(self, rows: Float[Tensor, "total size"]) -> Sequence[Tensor]:
        return torch.split(rows, self.sizes)

    def present(self, part: Tensor | None) -> Sequence[Any]:
        if part is None:
            return [part] * len(self.sizes)
        return [part[:rows] for rows in self.sizes]


def layout_of(inputs: Float[Tensor, "batch time features"], mask: Tensor | None) -> Rectangle:
    """Return the layout of a batch; ``mask`` is True at real positions, None: all are real."""
    if mask is None or bool(mask.all()):
        return Rectangle(*inputs.shape[:2])
    return Ragged(mask)


def _longer(lengths: Tensor, time: int) -> Tensor:
    """Return the number of rows that have each position."""
    return (lengths[:, None] > torch.arange(time)).sum(0)

"""Several documents in one row, each read as if it stood alone."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ensuite.nn.unroll import State, choose


class Documents(NamedTuple):
    """Where everything stands once each document of a batch has a row of its own.

    Attributes:
        mask: True where a document has a position.
        sources: Place in the batch, of all its positions in one line, of each position here.
        places: Place here, of all positions in one line, of each position of the batch.
        ends: First and last document of each row; -1 of a row that is all padding.
        row: Row of the batch that each document comes from.
        real: The mask of the batch.
    """

    mask: Bool[Tensor, "document longest"]
    sources: Int[Tensor, " places"]
    places: Int[Tensor, " positions"]
    ends: Int[Tensor, "2 batch"]
    row: Int[Tensor, " document"]
    real: Bool[Tensor, "batch time"]

    def split(
        self, inputs: Float[Tensor, "batch time features"]
    ) -> Float[Tensor, "document longest features"]:
        """Give each document a row of its own, without padding between its positions."""
        return inputs.flatten(0, 1).index_select(0, self.sources).view(*self.mask.shape, -1)

    def join(
        self, outputs: Float[Tensor, "document longest width"]
    ) -> Float[Tensor, "batch time width"]:
        """Put every position back to its place; padding is 0."""
        joined = outputs.flatten(0, 1).index_select(0, self.places).view(*self.real.shape, -1)
        return joined * self.real[..., None]

    def start(self, begun: State, state: State, *, ahead: bool) -> State:
        """Return what each document starts from: the first one read of a row from ``state``.

        Args:
            begun: The state of a document that starts anew.
            state: The state that each row goes on from.
            ahead: Whether documents are read from the first to the last.
        """
        numbers = torch.arange(len(self.row), device=self.row.device)
        goes_on = self.ends[0 if ahead else 1].index_select(0, self.row) == numbers
        return choose(goes_on, _take(state, self.row), begun)

    def end(self, after: State, state: State, *, ahead: bool) -> State:
        """Return the state of each row after the last document read; all padding keeps its own."""
        last = self.ends[1 if ahead else 0]
        return choose(last >= 0, _take(after, last.clamp(min=0)), state)


def _take(state: State, rows: Int[Tensor, " row"]) -> State:
    return type(state)(*(part.index_select(0, rows) for part in state))


def documents_of(
    numbers: Int[Tensor, "batch time"], real: Bool[Tensor, "batch time"]
) -> Documents | None:
    """Return the documents of a batch; None where no position is real.

    Args:
        numbers: Number of the document of each position; it counts at real ones alone.
        real: True at real positions.
    """
    rows, time = real.shape
    found = real.flatten().nonzero()[:, 0]
    if not len(found):
        return None
    row, number = found // time, numbers.flatten().index_select(0, found)
    fresh = torch.ones_like(found, dtype=torch.bool)
    fresh[1:] = (number[1:] != number[:-1]) | (row[1:] != row[:-1])
    document, starts = fresh.cumsum(0) - 1, fresh.nonzero()[:, 0]
    within = torch.arange(len(found), device=found.device) - starts.index_select(0, document)
    longest = int(within.max()) + 1
    place = document * longest + within
    mask = fresh.new_zeros(len(starts) * longest)
    mask[place] = True
    sources, places = found.new_zeros(len(mask)), found.new_zeros(rows * time)
    sources[place], places[found] = found, place
    of = row.index_select(0, starts)
    every = torch.arange(rows, device=of.device)
    ends = torch.stack([torch.searchsorted(of, every), torch.searchsorted(of, every + 1) - 1])
    ends = ends.masked_fill(ends[1] < ends[0], -1)
    return Documents(mask.view(len(starts), longest), sources, places, ends, of, real)


def edges(
    numbers: Int[Tensor, "batch time"], real: Bool[Tensor, "batch time"]
) -> tuple[Int[Tensor, " batch"], Int[Tensor, " batch"]]:
    """Return the number of each row's first and of its last document."""
    first = real.int().argmax(1, keepdim=True)
    last = real.shape[1] - 1 - real.flip(1).int().argmax(1, keepdim=True)
    return numbers.gather(1, first)[:, 0], numbers.gather(1, last)[:, 0]

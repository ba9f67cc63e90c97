"""Rows that hold several documents: each document is given a row of its own, and put back."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ensuite.nn.unroll import State, choose


class Documents(NamedTuple):
    """The index tables between a batch and its documents with a row for each.

    Attributes:
        mask: True at the positions of each document; the rest of its row is padding.
        sources: For each position of the documents, its index in the flattened batch.
        places: For each position of the batch, its index in the flattened documents.
        ends: Index of the first and the last document of each row; -1 for a row of padding alone.
        row: Row of the batch that each document comes from.
        real: Mask of the batch.
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
        """Move each document to a row of its own, without padding between its positions."""
        return inputs.flatten(0, 1).index_select(0, self.sources).view(*self.mask.shape, -1)

    def join(
        self, outputs: Float[Tensor, "document longest width"]
    ) -> Float[Tensor, "batch time width"]:
        """Undo ``split``: move every position back to its row; padding is zero."""
        joined = outputs.flatten(0, 1).index_select(0, self.places).view(*self.real.shape, -1)
        return joined * self.real[..., None]

    def start(self, begun: State, state: State, *, forwards: bool) -> State:
        """Return the initial state of each document.

        Args:
            begun: Initial state, one row per document, of all but the first document of a row.
            state: Initial state of each row of the batch, for the first document read.
            forwards: Whether rows are read forwards.
        """
        numbers = torch.arange(len(self.row), device=self.row.device)
        goes_on = self.ends[0 if forwards else 1].index_select(0, self.row) == numbers
        return choose(goes_on, _take(state, self.row), begun)

    def end(self, after: State, state: State, *, forwards: bool) -> State:
        """Return the last state of each row of the batch.

        Args:
            after: Last state of each document.
            state: Initial state of each row, which a row of padding alone keeps.
            forwards: Whether rows are read forwards.
        """
        last = self.ends[1 if forwards else 0]
        return choose(last >= 0, _take(after, last.clamp(min=0)), state)


def _take(state: State, rows: Int[Tensor, " row"]) -> State:
    return type(state)(*(part.index_select(0, rows) for part in state))


def documents_of(
    numbers: Int[Tensor, "batch time"], real: Bool[Tensor, "batch time"]
) -> Documents | None:
    """Return the documents of a batch; None if it has no real position.

    Args:
        numbers: Number of the document that each position belongs to; at padding it is ignored.
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
    """Return the document numbers at the first and at the last real position of each row."""
    first = real.int().argmax(1, keepdim=True)
    last = real.shape[1] - 1 - real.flip(1).int().argmax(1, keepdim=True)
    return numbers.gather(1, first)[:, 0], numbers.gather(1, last)[:, 0]

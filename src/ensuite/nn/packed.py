"""Packed rows: only the real positions of a batch, so that padding is never computed."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ensuite.nn.position import rotate


class Group(NamedTuple):
    """Rows of one length, which stand one after the other in a packed tensor.

    Attributes:
        rows: How many.
        length: Positions of each.
    """

    rows: int
    length: int


class Packing(NamedTuple):
    """Where the real positions of a padded batch stand in a packed tensor.

    A packed tensor has no time axis: (position, ...), rows ordered by length. Layers that treat
    each position alone read it as it is; attention takes the rows of one length together, as a
    dense batch without a mask.

    Attributes:
        shape: Rows and positions of the padded batch.
        sources: Index of each packed position in the flattened batch; None where the batch has no
            padding, so that packing is only a view.
        places: Index of each packed position in its row, counted without padding.
        groups: The rows of each length.
    """

    shape: tuple[int, int]
    sources: Int[Tensor, " position"] | None
    places: Int[Tensor, " position"]
    groups: Sequence[Group]

    @classmethod
    def of(cls, mask: Bool[Tensor, "batch time"]) -> "Packing":
        """Return the packing of a batch.

        Args:
            mask: True at real positions, wherever in a row they stand.
        """
        rows, time = mask.shape
        if bool(mask.all()):
            places = torch.arange(time, device=mask.device).repeat(rows)
            return cls((rows, time), None, places, [Group(rows, time)])
        lengths, order = mask.sum(1).sort(stable=True)
        ordered = mask[order]
        row, column = ordered.nonzero(as_tuple=True)
        places = (ordered.cumsum(1) - 1)[row, column]
        sizes, counts = (
            each.tolist() for each in torch.unique_consecutive(lengths, return_counts=True)
        )
        groups = [Group(*pair) for pair in zip(counts, sizes, strict=True) if pair[1]]
        return cls((rows, time), order[row] * time + column, places, groups)

    @property
    def longest(self) -> int:
        """Positions of the longest row."""
        return max((group.length for group in self.groups), default=0)

    def pack(self, padded: Tensor) -> Tensor:
        """Return the real positions of a tensor, (batch, time, ...) to (position, ...)."""
        flat = padded.flatten(0, 1)
        return flat if self.sources is None else flat.index_select(0, self.sources)

    def unpack(self, packed: Tensor) -> Tensor:
        """Return a tensor with zeros at padding, (position, ...) to (batch, time, ...)."""
        rows, time = self.shape
        if self.sources is not None:
            empty = packed.new_zeros(rows * time, *packed.shape[1:])
            packed = empty.index_copy(0, self.sources, packed)
        return packed.view(rows, time, *packed.shape[1:])

    def split(self, packed: Float[Tensor, "position width"]) -> list[Tensor]:
        """Return the rows of each length, (rows, length, width)."""
        parts = torch.split(packed, [group.rows * group.length for group in self.groups])
        return [part.view(*group, -1) for part, group in zip(parts, self.groups, strict=True)]


def packed_attention(
    projected: Float[Tensor, "position projections"],
    packing: Packing,
    heads: int,
    *,
    allowed: Bool[Tensor, "#head time time"] | Float[Tensor, "head time time"] | None = None,
    angles: tuple[Tensor, Tensor] | None = None,
    dropout: float = 0.0,
) -> Float[Tensor, "position width"]:
    """Return multi-head self-attention over packed rows, before the output layer.

    Args:
        projected: Queries, keys and values of each position, one after the other.
        packing: Of the positions.
        heads: Number of heads.
        allowed: For places in a row, not positions: True where a query (row) may attend to a key
            (column), or what is added to the scores. None: all positions of a row see each other.
        angles: Cosines and sines of each place, each (time, half the size of a head), by which
            queries and keys are rotated; None: they are not.
        dropout: Dropout rate of the attention weights.

    Sources:
        Vaswani et al. (2017), https://arxiv.org/abs/1706.03762, section 3.2.2
        Batches without padding: Zeng et al. (2022), https://arxiv.org/abs/2208.08124
    """
    found = []
    for rows in packing.split(projected):
        length = rows.shape[1]
        queries, keys, values = rows.view(*rows.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
        if angles is not None:
            turns = [each[None, None, :length] for each in angles]
            queries, keys = rotate(queries, *turns), rotate(keys, *turns)
        limit = None if allowed is None else allowed[None, :, :length, :length]
        seen = F.scaled_dot_product_attention(queries, keys, values, limit, dropout)
        found.append(seen.transpose(1, 2).flatten(2).flatten(0, 1))
    return torch.cat(found) if found else projected[:, : projected.shape[1] // 3]

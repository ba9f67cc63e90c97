"""Packed rows: only the real positions of a batch, so that padding is never computed."""

import inspect
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ensuite.nn.position import rotate

WITHOUT_PLANS = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
"""Kernels that fit any shape; cuDNN's makes a plan for each new one, for longer than an update."""


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
        lengths: Positions of each row that has any, the shortest first.
        groups: The rows of each length.
    """

    shape: tuple[int, int]
    sources: Int[Tensor, " position"] | None
    places: Int[Tensor, " position"]
    lengths: Int[Tensor, " nonempty"]
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
            lengths = torch.full((rows,), time, device=mask.device)
            return cls((rows, time), None, places, lengths, [Group(rows, time)])
        lengths, order = mask.sum(1).sort(stable=True)
        ordered = mask[order]
        row, column = ordered.nonzero(as_tuple=True)
        places = (ordered.cumsum(1) - 1)[row, column]
        sizes, counts = (
            each.tolist() for each in torch.unique_consecutive(lengths, return_counts=True)
        )
        groups = [Group(*pair) for pair in zip(counts, sizes, strict=True) if pair[1]]
        sources, lengths = order[row] * time + column, lengths[lengths > 0]
        return cls((rows, time), sources, places, lengths, groups)

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
    reach: int | None = None,
    angles: tuple[Tensor, Tensor] | None = None,
    dropout: float = 0.0,
) -> Float[Tensor, "position width"]:
    """Return multi-head self-attention over packed rows, before the output layer.

    On a CPU the rows of one length are computed together. On a GPU all rows are, since there many
    small products take longer than they save: by a kernel for rows of different lengths where it
    fits, else with a mask.

    Args:
        projected: Queries, keys and values of each position, one after the other.
        packing: Of the positions.
        heads: Number of heads.
        allowed: For places in a row, not positions: True where a query (row) may attend to a key
            (column), or what is added to the scores. None: all positions of a row see each other.
        reach: Largest distance between two places that see each other, in place of ``allowed``.
        angles: Cosines and sines of each place, each (time, half the size of a head), by which
            queries and keys are rotated; None: they are not.
        dropout: Dropout rate of the attention weights.

    Sources:
        Vaswani et al. (2017), https://arxiv.org/abs/1706.03762, section 3.2.2
        Batches without padding: Zeng et al. (2022), https://arxiv.org/abs/2208.08124
        Rows of different lengths in one kernel: Dao (2024), https://arxiv.org/abs/2307.08691
    """
    if not len(projected):
        return projected[:, : projected.shape[1] // 3]
    attend = by_length if projected.device.type == "cpu" else together
    return attend(
        projected, packing, heads, allowed=allowed, reach=reach, angles=angles, dropout=dropout
    )


def by_length(
    projected: Float[Tensor, "position projections"],
    packing: Packing,
    heads: int,
    *,
    allowed: Tensor | None = None,
    reach: int | None = None,
    angles: tuple[Tensor, Tensor] | None = None,
    dropout: float = 0.0,
) -> Float[Tensor, "position width"]:
    """Return :func:`packed_attention`, the rows of each length as a dense batch."""
    found = []
    for rows in packing.split(projected):
        length = rows.shape[1]
        queries, keys, values = rows.view(*rows.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
        if angles is not None:
            turns = [each[None, None, :length] for each in angles]
            queries, keys = rotate(queries, *turns), rotate(keys, *turns)
        limit = None if allowed is None else allowed[None, :, :length, :length]
        if reach is not None and reach < length - 1:
            limit = _near(length, reach, rows.device)
        seen = F.scaled_dot_product_attention(queries, keys, values, limit, dropout)
        found.append(seen.transpose(1, 2).flatten(2).flatten(0, 1))
    return torch.cat(found)


def together(
    projected: Float[Tensor, "position projections"],
    packing: Packing,
    heads: int,
    *,
    allowed: Tensor | None = None,
    reach: int | None = None,
    angles: tuple[Tensor, Tensor] | None = None,
    dropout: float = 0.0,
) -> Float[Tensor, "position width"]:
    """Return :func:`packed_attention`, all rows at once."""
    queries, keys, values = projected.view(len(projected), 3, heads, -1).unbind(1)
    if angles is not None:
        turns = [each[packing.places, None] for each in angles]
        queries, keys = rotate(queries, *turns), rotate(keys, *turns)
    kernel = _ragged_kernel(values.dtype, values.shape[-1]) if values.is_cuda else None
    if kernel is None or allowed is not None or dropout:
        limit = _limit(packing, allowed, reach, values.dtype)
        seen = _padded(queries, keys, values, packing, limit, dropout)
    else:
        bounds = F.pad(packing.lengths.cumsum(0, dtype=torch.int32), (1, 0))
        window = (-1, -1) if reach is None else (reach, reach)
        longest = packing.longest
        seen = kernel(queries, keys, values, bounds, bounds, longest, longest, window_size=window)
    return seen.flatten(1)


def _limit(
    packing: Packing, allowed: Tensor | None, reach: int | None, dtype: torch.dtype
) -> Tensor:
    """Return what each position of rows that are padded to the longest sees, or adds to scores.

    Padding sees padding, itself at least, so that no softmax is of nothing.
    """
    lengths, time = packing.lengths, packing.longest
    real = torch.arange(time, device=lengths.device) < lengths[:, None]
    limit = (real[:, None] == real[:, :, None])[:, None]
    if reach is not None:
        return limit & _near(time, reach, lengths.device)
    if allowed is None:
        return limit
    allowed = allowed[None, :, :time, :time]
    if allowed.dtype == torch.bool:
        return limit & allowed
    return allowed.masked_fill(~limit, -torch.inf).to(dtype)


def _padded(
    queries: Float[Tensor, "position head size"],
    keys: Float[Tensor, "position head size"],
    values: Float[Tensor, "position head size"],
    packing: Packing,
    limit: Tensor,
    dropout: float,
) -> Float[Tensor, "position head size"]:
    """Return attention that is computed as one batch, padded to the longest row."""
    rows, time = len(packing.lengths), packing.longest
    row = torch.arange(rows, device=limit.device).repeat_interleave(packing.lengths)
    slots = row * time + packing.places

    def pad(each: Tensor) -> Float[Tensor, "batch head time size"]:
        empty = each.new_zeros(rows * time, *each.shape[1:])
        return empty.index_copy(0, slots, each).view(rows, time, *each.shape[1:]).transpose(1, 2)

    with sdpa_kernel(WITHOUT_PLANS):
        seen = F.scaled_dot_product_attention(pad(queries), pad(keys), pad(values), limit, dropout)
    return seen.transpose(1, 2).flatten(0, 1).index_select(0, slots)


def _near(time: int, reach: int, device: torch.device) -> Bool[Tensor, "time time"]:
    """Return which places are at most ``reach`` apart."""
    places = torch.arange(time, device=device)
    return (places[:, None] - places).abs() <= reach


@cache
def _ragged_kernel(dtype: torch.dtype, size: int) -> Callable[..., Tensor] | None:
    """Return the attention kernel for rows of different lengths; None if it does not fit.

    Args:
        dtype: Of queries, keys and values: the kernel has half precision only.
        size: Of a head: a multiple of 8, at most 256.
    """
    if dtype not in (torch.float16, torch.bfloat16) or size % 8 or size > 256:
        return None
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:  # torch before 2.10
        return None
    known = "window_size" in inspect.signature(varlen_attn).parameters  # from torch 2.11 on
    return cast("Callable[..., Tensor]", varlen_attn) if known else None

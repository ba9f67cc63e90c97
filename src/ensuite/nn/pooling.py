"""Pooling over the real positions of a sequence: their mean, their maximum, or the first."""

from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor

from ensuite.core.errors import UsageError


def pool(
    sequence: Float[Tensor, "batch time width"],
    mask: Bool[Tensor, "batch time"] | None,
    how: Literal["mean", "max", "first"],
) -> Float[Tensor, "batch width"]:
    """Pool over the real positions of each row; a row without any becomes zeros.

    Args:
        sequence: One vector per position.
        mask: True at real positions; None: all positions are real.
        how: Mean or maximum of each feature, or the vector of the first position.

    Raises:
        UsageError: If ``how`` is none of these.
    """
    if how not in ("mean", "max", "first"):
        raise UsageError(f'Pooling is "mean", "max" or "first", not "{how}".')
    if how == "first":
        return _first(sequence, mask)
    if mask is None:
        return sequence.mean(1) if how == "mean" else sequence.amax(1)
    padded = ~mask[..., None]
    if how == "mean":
        return sequence.masked_fill(padded, 0.0).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
    largest = sequence.masked_fill(padded, float("-inf")).amax(1)
    return largest.masked_fill(padded.all(1), 0.0)


def _first(sequence: Tensor, mask: Tensor | None) -> Tensor:
    """Return the vector at the first real position of each row."""
    if mask is None:
        return sequence[:, 0]
    places = mask.int().argmax(1)
    vectors = sequence.gather(1, places[:, None, None].expand(-1, 1, sequence.shape[2]))[:, 0]
    return vectors.masked_fill(~mask.any(1, keepdim=True), 0.0)

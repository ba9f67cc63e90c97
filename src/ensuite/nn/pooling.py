"""One vector for a sequence: the mean or the largest of its real positions."""

from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor

from ensuite.core.errors import UsageError


def pool(
    sequence: Float[Tensor, "batch time width"],
    mask: Bool[Tensor, "batch time"] | None,
    how: Literal["mean", "max"],
) -> Float[Tensor, "batch width"]:
    """Pool over real positions; a row without any becomes zeros.

    Args:
        sequence: One vector a position.
        mask: True at real positions; None: all are.
        how: Which number to take of each column.

    Raises:
        UsageError: For another way.
    """
    if how not in ("mean", "max"):
        raise UsageError(f'Pooling is "mean" or "max", not "{how}".')
    if mask is None:
        return sequence.mean(1) if how == "mean" else sequence.amax(1)
    padded = ~mask[..., None]
    if how == "mean":
        return sequence.masked_fill(padded, 0.0).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
    largest = sequence.masked_fill(padded, float("-inf")).amax(1)
    return largest.masked_fill(padded.all(1), 0.0)

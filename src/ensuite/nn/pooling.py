"""Mean and max pooling over the real positions of a sequence."""

from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor

from ensuite.core.errors import UsageError


def pool(
    sequence: Float[Tensor, "batch time width"],
    mask: Bool[Tensor, "batch time"] | None,
    how: Literal["mean", "max"],
) -> Float[Tensor, "batch width"]:
    """Pool over the real positions of each row; a row without any becomes zeros.

    Args:
        sequence: One vector per position.
        mask: True at real positions; None: all positions are real.
        how: Mean or maximum of each feature.

    Raises:
        UsageError: If ``how`` is neither.
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

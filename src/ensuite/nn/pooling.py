"""Many states of a row to one: over its real positions only."""

from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor


def pool(
    sequence: Float[Tensor, "batch time width"],
    mask: Bool[Tensor, "batch time"] | None,
    how: Literal["mean", "max"],
) -> Float[Tensor, "batch width"]:
    """Return the mean or the largest of each row's real states; zeros where it has none."""
    if mask is None:
        return sequence.mean(1) if how == "mean" else sequence.amax(1)
    real = mask[..., None]
    if how == "mean":
        return sequence.masked_fill(~real, 0).sum(1) / real.sum(1).clamp(min=1)
    largest = sequence.masked_fill(~real, float("-inf")).amax(1)
    return largest.masked_fill(~mask.any(1, keepdim=True), 0)

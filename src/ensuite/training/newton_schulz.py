"""Newton-Schulz iteration: make matrices orthogonal by matrix products alone."""

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the polynomial a x + b x³ + c x⁵, chosen by Jordan et al. for a steep slope at 0."""

ITERATIONS = 5

SMALLEST = 1e-7
"""Norm below which a matrix counts as this long, so that zeros stay zeros."""


def orthogonalise(matrices: Tensor) -> Tensor:
    """Return matrices of the same singular vectors, whose singular values are all about 1.

    Each matrix is divided by its norm, then X ← a X + b (X Xᵀ) X + c (X Xᵀ)² X is repeated. That
    maps each singular value x to a x + b x³ + c x⁵. With these coefficients the values end between
    0.7 and 1.2 instead of converging to 1, but small ones get there in few iterations; for an
    update of weights that is as good as the exact U Vᵀ.

    Args:
        matrices: (count, rows, columns), of one shape, so that they share batched products.

    Returns:
        (count, rows, columns), in the precision of the input.

    Source:
        Jordan et al. (2024), https://kellerjordan.github.io/posts/muon/, in float32 instead of
        bfloat16
    """
    wide = matrices.mT if matrices.shape[-2] > matrices.shape[-1] else matrices
    norms = torch.linalg.matrix_norm(wide, keepdim=True).clamp(min=SMALLEST)
    made: Tensor = wide / norms
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = made @ made.mT
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        made = torch.baddbmm(made, factor, made, beta=a)
    return made.mT if matrices.shape[-2] > matrices.shape[-1] else made

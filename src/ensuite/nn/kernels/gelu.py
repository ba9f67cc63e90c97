"""GELU and its slope in one loop over the numbers, compiled by numba."""

from typing import no_type_check

from numpy import float32

from ensuite.nn.kernels.fused import compiled, tanh

SCALE = float32(0.7978845608028654)
"""√(2 / π)."""

CUBE = float32(0.044715)

END = float32(5.0)
"""Inputs beyond which the tanh is 1 in float32, to which its approximation is only close."""


@compiled
@no_type_check
def gelu(inputs, outputs, slopes):
    """Fill flat arrays of one length with GELU(x) = x (1 + t) / 2, and with its derivative.

    t = tanh(√(2 / π) (x + 0.044715 x³))
    """
    half, one = float32(0.5), float32(1)
    for place in range(inputs.size):
        x = inputs[place]
        near = -END if x < -END else (END if x > END else x)
        t = tanh(SCALE * near * (one + CUBE * near * near))
        t = -one if x < -END else (one if x > END else t)
        share = half + half * t
        outputs[place] = x * share
        steepness = SCALE * (one + float32(3) * CUBE * near * near)
        slopes[place] = share + half * near * (one - t * t) * steepness

"""Products with int8 matrices, in loops that numba compiles."""

from typing import Any, no_type_check

import numba
from numpy import float32

OPTIONS: dict[str, Any] = {
    "error_model": "numpy",
    # Sums may be added up in any order, without which a dot product is not vectorised.
    "fastmath": {"contract", "reassoc", "nsz"},
    "nogil": True,
}


@no_type_check
def _product(inputs, rows, scales, outputs):
    """Fill (batch, row) outputs with the dot products of inputs and rows, times the row's scale."""
    for row in range(rows.shape[0]):
        whole = rows[row]
        for place in range(inputs.shape[0]):
            vector, total = inputs[place], float32(0)
            for feature in range(whole.shape[0]):
                total += vector[feature] * float32(whole[feature])
            outputs[place, row] = total * scales[row]


def _compiled() -> Any:
    try:
        return numba.njit(cache=True, **OPTIONS)(_product)
    except RuntimeError:  # no folder can be written
        return numba.njit(**OPTIONS)(_product)


product = _compiled()

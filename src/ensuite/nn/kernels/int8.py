"""Products with int8 matrices, in loops that numba compiles."""

from typing import Any, no_type_check

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numpy import float32

OPTIONS: dict[str, Any] = {
    "error_model": "numpy",
    # Sums may be added up in any order, without which a dot product is not vectorised.
    "fastmath": {"contract", "reassoc", "nsz"},
    "nogil": True,
}

AHEAD = 2048
"""Bytes ahead of those in use that are fetched into the cache."""

LINE = 64
"""Bytes that are fetched at once."""


@intrinsic
@no_type_check
def fetch(context, address):
    """Ask for the bytes at an address, which will be read soon; it need not be a valid one."""

    def generate(context, builder, signature, arguments):
        number, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", (pointer,), kind)
        place = builder.inttoptr(arguments[0], pointer)
        read, keep, data = number(0), number(3), number(1)
        builder.call(function, [place, read, keep, data])
        return context.get_dummy_value()

    return types.void(types.uintp), generate


@no_type_check
def _product(inputs, rows, scales, outputs):
    """Fill (batch, row) outputs with the dot products of inputs and rows, times the row's scale.

    All rows are read once, from main memory. Each ends a sum, for which the processor waits, so
    that it alone would not ask for the next rows early enough.
    """
    start, width = np.uintp(rows.ctypes.data), rows.shape[1]
    for row in range(rows.shape[0]):
        ahead = start + np.uintp(row * width + AHEAD)
        for offset in range(0, width, LINE):
            fetch(ahead + np.uintp(offset))
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

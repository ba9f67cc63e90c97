"""The functions of ``eager`` as loops over rows, compiled by numba.

They run in the calling thread alone: they take a few microseconds per position, and the matrix
products between them use all threads. So several threads or processes can train at once. Each loop
reads few arrays and calls nothing that is not inlined, so that the compiler vectorises it.
"""

from collections.abc import Callable
from typing import Any, TypeVar, no_type_check

import numba
from numpy import float32
from torch import Tensor

Function = TypeVar("Function", bound=Callable[..., Any])

OPTIONS: dict[str, Any] = {
    "error_model": "numpy",  # no check for division by zero, which prevents vectorising
    "fastmath": {"contract"},  # allow fused multiply-add; NaN is still propagated
}


def compiled(function: Function) -> Function:
    """Compile a function when it is first called, and cache the result on disk.

    The cache is beside this file or, if that cannot be written, in the user's cache folder. If
    neither can be written, the function is compiled again in each process.
    """
    try:
        return numba.njit(cache=True, **OPTIONS)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # no folder can be written
        return numba.njit(**OPTIONS)(function)  # type: ignore[no-any-return]


def arrays(*tensors: Tensor) -> list[Any]:
    """Return tensors in the form that the functions below take: as NumPy arrays."""
    return [tensor.detach().numpy() for tensor in tensors]


@compiled
@no_type_check
def tanh(x):
    """Approximate the hyperbolic tangent by a rational function, within 3e-7 relatively.

    Unlike ``math.tanh`` it can be vectorised.

    Source: Eigen, MathFunctionsImpl.h, ``generic_fast_tanh_float``.
    """
    end = float32(7.90531110763549805)  # tanh is 1 in float32 from here on
    x = -end if x < -end else (end if x > end else x)
    s = x * x
    above = float32(-2.76076847742355e-16)
    above = above * s + float32(2.00018790482477e-13)
    above = above * s + float32(-8.60467152213735e-11)
    above = above * s + float32(5.12229709037114e-08)
    above = above * s + float32(1.48572235717979e-05)
    above = above * s + float32(6.37261928875436e-04)
    above = above * s + float32(4.89352455891786e-03)
    below = float32(1.19825839466702e-06)
    below = below * s + float32(1.18534705686654e-04)
    below = below * s + float32(2.26843463243900e-03)
    below = below * s + float32(4.89352518554385e-03)
    return x * above / below


@compiled
@no_type_check
def sigmoid(x):
    """Approximate the logistic function of x, with an error of at most 2e-7."""
    half = float32(0.5)
    return half + half * tanh(half * x)


@compiled
@no_type_check
def rnn_forward(step, relu, states):
    _, ahead, _, rows = step
    after, width = states[ahead:], states.shape[1]
    zero = float32(0)
    for row in range(rows):
        if relu:
            for j in range(width):
                after[row, j] = zero if after[row, j] < zero else after[row, j]
        else:
            for j in range(width):
                after[row, j] = tanh(after[row, j])


@compiled
@no_type_check
def rnn_backward(step, relu, given, states, carry, products):
    _, ahead, here, rows = step
    after, given = states[ahead:], given[min(here, len(given) - rows) :]
    products, width = products[here:], states.shape[1]
    one, zero = float32(1), float32(0)
    for row in range(rows):
        for j in range(width):
            h = after[row, j]
            slope = float32(h > zero) if relu else one - h * h
            products[row, j] = (carry[row, j] + given[row, j]) * slope
        carry[row] = zero


@compiled
@no_type_check
def gru_forward(step, product, bias, states, gates):
    behind, ahead, here, rows = step
    before, after, gates = states[behind:], states[ahead:], gates[here:]
    width = states.shape[1]
    z, n, u = width, 2 * width, 3 * width
    for row in range(rows):
        for j in range(2 * width):
            gates[row, j] = sigmoid(gates[row, j] + product[row, j])
        for j in range(width):
            gates[row, u + j] = product[row, n + j] + bias[j]
        for j in range(width):
            gates[row, n + j] = tanh(gates[row, n + j] + gates[row, j] * gates[row, u + j])
        for j in range(width):
            new = gates[row, n + j]
            after[row, j] = new + gates[row, z + j] * (before[row, j] - new)


@compiled
@no_type_check
def gru_backward(step, given, gates, states, carry, products):
    behind, _, here, rows = step
    before, given = states[behind:], given[min(here, len(given) - rows) :]
    gates, products, width = gates[here:], products[here:], states.shape[1]
    z, n, u = width, 2 * width, 3 * width
    one = float32(1)
    for row in range(rows):
        for j in range(width):
            update, new = gates[row, z + j], gates[row, n + j]
            gradient = carry[row, j] + given[row, j]
            products[row, n + j] = gradient * (before[row, j] - new) * update * (one - update)
            products[row, j] = gradient * (one - update) * (one - new * new)
            carry[row, j] = gradient * update
        for j in range(width):
            reset, to_new = gates[row, j], products[row, j]
            products[row, z + j] = to_new * gates[row, u + j] * reset * (one - reset)
            products[row, u + j] = to_new * reset


@compiled
@no_type_check
def gates_forward(step, product, seen, gates, resets):
    behind, _, here, rows = step
    gates, seen, resets = gates[here:], seen[behind:], resets[here:]
    width = seen.shape[1]
    for row in range(rows):
        for j in range(2 * width):
            gates[row, j] = sigmoid(gates[row, j] + product[row, j])
        for j in range(width):
            resets[row, j] = gates[row, j] * seen[row, j]


@compiled
@no_type_check
def candidate_forward(step, product, states, gates):
    behind, ahead, here, rows = step
    before, after, gates = states[behind:], states[ahead:], gates[here:]
    width = states.shape[1]
    z, n = width, 2 * width
    for row in range(rows):
        for j in range(width):
            gates[row, n + j] = tanh(gates[row, n + j] + product[row, j])
        for j in range(width):
            new = gates[row, n + j]
            after[row, j] = new + gates[row, z + j] * (before[row, j] - new)


@compiled
@no_type_check
def candidate_backward(step, given, gates, states, carry, products):
    behind, _, here, rows = step
    before, given = states[behind:], given[min(here, len(given) - rows) :]
    gates, products, width = gates[here:], products[here:], states.shape[1]
    z, n = width, 2 * width
    one = float32(1)
    for row in range(rows):
        for j in range(width):
            update, new = gates[row, z + j], gates[row, n + j]
            gradient = carry[row, j] + given[row, j]
            products[row, z + j] = gradient * (before[row, j] - new) * update * (one - update)
            products[row, n + j] = gradient * (one - update) * (one - new * new)
            carry[row, j] = gradient * update


@compiled
@no_type_check
def gates_backward(step, recalled, gates, seen, products):
    behind, _, here, rows = step
    gates, seen, products = gates[here:], seen[behind:], products[here:]
    width = seen.shape[1]
    one = float32(1)
    for row in range(rows):
        for j in range(width):
            reset = gates[row, j]
            products[row, j] = recalled[row, j] * seen[row, j] * reset * (one - reset)
        for j in range(width):
            recalled[row, j] *= gates[row, j]


@compiled
@no_type_check
def cell_forward(step, product, peepholes, cells, gates):
    behind, ahead, here, rows = step
    before, after, gates = cells[behind:], cells[ahead:], gates[here:]
    width = cells.shape[1]
    f, g, o = width, 2 * width, 3 * width
    for row in range(rows):
        for j in range(4 * width):
            gates[row, j] += product[row, j]
        for j in range(width):
            gates[row, j] = sigmoid(gates[row, j] + peepholes[0, j] * before[row, j])
        for j in range(width):
            gates[row, f + j] = sigmoid(gates[row, f + j] + peepholes[1, j] * before[row, j])
        for j in range(g, o):
            gates[row, j] = tanh(gates[row, j])
        for j in range(width):
            entered = gates[row, j] * gates[row, g + j]
            after[row, j] = gates[row, f + j] * before[row, j] + entered


@compiled
@no_type_check
def hidden_forward(step, peepholes, cells, hidden, gates):
    _, ahead, here, rows = step
    after, cell, gates = hidden[ahead:], cells[ahead:], gates[here:]
    width = cells.shape[1]
    o = 3 * width
    for row in range(rows):
        for j in range(width):
            gates[row, o + j] = sigmoid(gates[row, o + j] + peepholes[2, j] * cell[row, j])
        for j in range(width):
            after[row, j] = gates[row, o + j] * tanh(cell[row, j])


@compiled
@no_type_check
def hidden_backward(step, given, gates, peepholes, cells, carry, cell_carry, products):
    _, ahead, here, rows = step
    cell, given = cells[ahead:], given[min(here, len(given) - rows) :]
    gates, products, width = gates[here:], products[here:], cells.shape[1]
    o = 3 * width
    one, zero = float32(1), float32(0)
    for row in range(rows):
        carry[row] += given[row]
        for j in range(width):
            out = gates[row, o + j]
            products[row, o + j] = carry[row, j] * tanh(cell[row, j]) * out * (one - out)
        for j in range(width):
            shown = tanh(cell[row, j])
            cell_carry[row, j] += carry[row, j] * gates[row, o + j] * (one - shown * shown)
        for j in range(width):
            cell_carry[row, j] += products[row, o + j] * peepholes[2, j]
        carry[row] = zero


@compiled
@no_type_check
def cell_backward(step, gates, peepholes, cells, cell_carry, products):
    behind, _, here, rows = step
    before, gates, products = cells[behind:], gates[here:], products[here:]
    width = cells.shape[1]
    f, g = width, 2 * width
    one = float32(1)
    for row in range(rows):
        for j in range(width):
            enter, new, gradient = gates[row, j], gates[row, g + j], cell_carry[row, j]
            products[row, j] = gradient * new * enter * (one - enter)
            products[row, g + j] = gradient * enter * (one - new * new)
        for j in range(width):
            forget, gradient = gates[row, f + j], cell_carry[row, j]
            products[row, f + j] = gradient * before[row, j] * forget * (one - forget)
            cell_carry[row, j] = gradient * forget
        for j in range(width):
            seen = peepholes[0, j] * products[row, j] + peepholes[1, j] * products[row, f + j]
            cell_carry[row, j] += seen


@compiled
@no_type_check
def lstm_forward(step, product, peepholes, cells, hidden, gates):
    cell_forward(step, product, peepholes, cells, gates)
    hidden_forward(step, peepholes, cells, hidden, gates)


@compiled
@no_type_check
def lstm_backward(step, given, gates, peepholes, cells, carry, cell_carry, products):
    hidden_backward(step, given, gates, peepholes, cells, carry, cell_carry, products)
    cell_backward(step, gates, peepholes, cells, cell_carry, products)

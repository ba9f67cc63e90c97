"""The functions of ``eager``, each compiled into loops over the rows: needs numba.

They run in the thread that calls them: the matrix products between them use all threads, and what
stands here is a few microseconds a position. So nothing is shared, and any number of threads and
processes may train at once. Every loop is one that vectorises: few arrays each, no calls.
"""

from collections.abc import Callable
from typing import Any, TypeVar, no_type_check

import numba
import numpy as np
from numpy import float32
from torch import Tensor

Function = TypeVar("Function", bound=Callable[..., Any])

OPTIONS: dict[str, Any] = {
    "error_model": "numpy",  # a division needs no check, so that its loop vectorises
    "fastmath": {"contract"},  # a product and its sum in one rounding; NaN stays NaN
}


def compiled(function: Function) -> Function:
    """Compile a function when first called; the result is kept for the next process.

    It is kept beside this file, else in the user's cache folder, else (where nothing can be
    written) nowhere.
    """
    try:
        return numba.njit(cache=True, **OPTIONS)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # no place to write to
        return numba.njit(**OPTIONS)(function)  # type: ignore[no-any-return]


def arrays(*tensors: Tensor) -> list[Any]:
    """Return tensors as the functions below take them."""
    return [tensor.detach().numpy() for tensor in tensors]


def reals(mask: Tensor | None, time: int, rows: int) -> Any:
    """Return which rows are real at each position, of a (batch, time) mask."""
    return np.ones((time, rows), np.bool_) if mask is None else mask.t().contiguous().numpy()


@compiled
@no_type_check
def tanh(x):
    """Return tanh x within 3e-7 of it, relatively: a rational function, which vectorises.

    Source: Eigen, MathFunctionsImpl.h, ``generic_fast_tanh_float``.
    """
    end = float32(7.90531110763549805)  # from here on it is 1 in float32
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
    """Return the logistic function of x, within 2e-7."""
    half = float32(0.5)
    return half + half * tanh(half * x)


@compiled
@no_type_check
def rnn_forward(time, relu, states, real):
    before, after = states[time], states[time + 1]
    rows, width = before.shape
    zero = float32(0)
    for row in range(rows):
        if not real[time, row]:
            after[row] = before[row]
        elif relu:
            for j in range(width):
                after[row, j] = zero if after[row, j] < zero else after[row, j]
        else:
            for j in range(width):
                after[row, j] = tanh(after[row, j])


@compiled
@no_type_check
def rnn_backward(time, relu, given, states, real, carry, products):
    after, given, products = states[time + 1], given[time % len(given)], products[time]
    rows, width = after.shape
    one, zero = float32(1), float32(0)
    for row in range(rows):
        if not real[time, row]:
            carry[row] += given[row]
            products[row] = zero
            continue
        for j in range(width):
            h = after[row, j]
            slope = float32(h > zero) if relu else one - h * h
            products[row, j] = (carry[row, j] + given[row, j]) * slope
        carry[row] = zero


@compiled
@no_type_check
def gru_forward(time, product, bias, states, real, gates):
    before, after, gates = states[time], states[time + 1], gates[time]
    rows, width = before.shape
    z, n, u = width, 2 * width, 3 * width
    for row in range(rows):
        if not real[time, row]:
            after[row] = before[row]
            continue
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
def gru_backward(time, given, gates, states, real, carry, products):
    before, given, gates = states[time], given[time % len(given)], gates[time]
    products = products[time]
    rows, width = before.shape
    z, n, u = width, 2 * width, 3 * width
    one, zero = float32(1), float32(0)
    for row in range(rows):
        if not real[time, row]:
            carry[row] += given[row]
            products[row] = zero
            continue
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
def gates_forward(time, product, seen, gates, resets):
    gates, seen, resets = gates[time], seen[time], resets[time]
    rows, width = seen.shape
    for row in range(rows):
        for j in range(2 * width):
            gates[row, j] = sigmoid(gates[row, j] + product[row, j])
        for j in range(width):
            resets[row, j] = gates[row, j] * seen[row, j]


@compiled
@no_type_check
def candidate_forward(time, product, states, real, gates):
    before, after, gates = states[time], states[time + 1], gates[time]
    rows, width = before.shape
    z, n = width, 2 * width
    for row in range(rows):
        if not real[time, row]:
            after[row] = before[row]
            continue
        for j in range(width):
            gates[row, n + j] = tanh(gates[row, n + j] + product[row, j])
        for j in range(width):
            new = gates[row, n + j]
            after[row, j] = new + gates[row, z + j] * (before[row, j] - new)


@compiled
@no_type_check
def candidate_backward(time, given, gates, states, real, carry, products):
    before, given, gates = states[time], given[time % len(given)], gates[time]
    products = products[time]
    rows, width = before.shape
    z, n = width, 2 * width
    one, zero = float32(1), float32(0)
    for row in range(rows):
        if not real[time, row]:
            carry[row] += given[row]
            products[row] = zero
            continue
        for j in range(width):
            update, new = gates[row, z + j], gates[row, n + j]
            gradient = carry[row, j] + given[row, j]
            products[row, z + j] = gradient * (before[row, j] - new) * update * (one - update)
            products[row, n + j] = gradient * (one - update) * (one - new * new)
            carry[row, j] = gradient * update


@compiled
@no_type_check
def gates_backward(time, recalled, gates, seen, products):
    gates, seen, products = gates[time], seen[time], products[time]
    rows, width = seen.shape
    one = float32(1)
    for row in range(rows):
        for j in range(width):
            reset = gates[row, j]
            products[row, j] = recalled[row, j] * seen[row, j] * reset * (one - reset)
        for j in range(width):
            recalled[row, j] *= gates[row, j]


@compiled
@no_type_check
def cell_forward(time, product, peepholes, cells, real, gates):
    before, after, gates = cells[time], cells[time + 1], gates[time]
    rows, width = before.shape
    f, g, o = width, 2 * width, 3 * width
    for row in range(rows):
        if not real[time, row]:
            after[row] = before[row]
            continue
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
def hidden_forward(time, peepholes, cells, hidden, real, gates):
    before, after, cell = hidden[time], hidden[time + 1], cells[time + 1]
    gates = gates[time]
    rows, width = cell.shape
    o = 3 * width
    for row in range(rows):
        if not real[time, row]:
            after[row] = before[row]
            continue
        for j in range(width):
            gates[row, o + j] = sigmoid(gates[row, o + j] + peepholes[2, j] * cell[row, j])
        for j in range(width):
            after[row, j] = gates[row, o + j] * tanh(cell[row, j])


@compiled
@no_type_check
def hidden_backward(time, given, gates, peepholes, cells, real, carry, cell_carry, products):
    cell, given, gates = cells[time + 1], given[time % len(given)], gates[time]
    products = products[time]
    rows, width = cell.shape
    o = 3 * width
    one, zero = float32(1), float32(0)
    for row in range(rows):
        if not real[time, row]:
            carry[row] += given[row]
            products[row, o:] = zero
            continue
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
def cell_backward(time, gates, peepholes, cells, real, cell_carry, products):
    before, gates, products = cells[time], gates[time], products[time]
    rows, width = before.shape
    f, g, o = width, 2 * width, 3 * width
    one, zero = float32(1), float32(0)
    for row in range(rows):
        if not real[time, row]:
            products[row, :o] = zero
            continue
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
def lstm_forward(time, product, peepholes, cells, hidden, real, gates):
    cell_forward(time, product, peepholes, cells, real, gates)
    hidden_forward(time, peepholes, cells, hidden, real, gates)


@compiled
@no_type_check
def lstm_backward(time, given, gates, peepholes, cells, real, carry, cell_carry, products):
    hidden_backward(time, given, gates, peepholes, cells, real, carry, cell_carry, products)
    cell_backward(time, gates, peepholes, cells, real, cell_carry, products)

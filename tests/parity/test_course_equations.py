"""Our cells beside the equations of the course, written out in NumPy, one position at a time.

Values in float64, from an implementation that shares nothing with ours. Gradients against finite
differences of the same NumPy function: they are checked to be those of these equations, not merely
to agree with our own forward pass.
"""

from functools import partial

import numpy as np
import pytest
import torch

from ensuite.nn import GRU, LSTM, RNN

FEATURES, WIDTH, TIME, ROWS = 3, 4, 5, 2

# A central difference over 1e-6 is right to about 1e-10, of values of order 1.
STEP, CLOSE = 1e-6, 1e-8


def sigma(x):
    return 1 / (1 + np.exp(-x))


def course_rnn(w, x, h, f=np.tanh):
    """h_t = f(W_xh x_t + W_hh h_{t-1} + b_h)."""
    for x_t in x.swapaxes(0, 1):
        h = f(x_t @ w["W_xh"].T + h @ w["W_hh"].T + w["b_h"])
        yield h


def course_lstm(w, x, h, c):
    """With peepholes: W_cf c, W_ci c, W_co c."""
    for x_t in x.swapaxes(0, 1):
        f = sigma(x_t @ w["W_xf"].T + h @ w["W_hf"].T + c @ w["W_cf"].T + w["b_f"])
        i = sigma(x_t @ w["W_xi"].T + h @ w["W_hi"].T + c @ w["W_ci"].T + w["b_i"])
        candidate = np.tanh(x_t @ w["W_xc"].T + h @ w["W_hc"].T + w["b_c"])
        c = f * c + i * candidate
        o = sigma(x_t @ w["W_xo"].T + h @ w["W_ho"].T + c @ w["W_co"].T + w["b_o"])
        h = o * np.tanh(c)
        yield h


def course_gru(w, x, h):
    """Reset before the matrix; z = 1 carries h_{t-1} on."""
    for x_t in x.swapaxes(0, 1):
        z = sigma(x_t @ w["W_xz"].T + h @ w["W_hz"].T + w["b_z"])
        r = sigma(x_t @ w["W_xr"].T + h @ w["W_hr"].T + w["b_r"])
        candidate = np.tanh(x_t @ w["W_xh"].T + (r * h) @ w["W_hh"].T + w["b_h"])
        h = z * h + (1 - z) * candidate
        yield h


def after_gru(w, x, h):
    """The other published order: the product, with a separate bias, is reset."""
    for x_t in x.swapaxes(0, 1):
        z = sigma(x_t @ w["W_xz"].T + h @ w["W_hz"].T + w["b_z"])
        r = sigma(x_t @ w["W_xr"].T + h @ w["W_hr"].T + w["b_r"])
        candidate = np.tanh(x_t @ w["W_xh"].T + w["b_h"] + r * (h @ w["W_hh"].T + w["u"]))
        h = z * h + (1 - z) * candidate
        yield h


def diagonal_lstm(w, x, h, c):
    """The same with W_cf, W_ci and W_co diagonal: the peepholes as they were first published."""
    return course_lstm({n: np.diag(m) if n in PEEPHOLES else m for n, m in w.items()}, x, h, c)


PEEPHOLES = ("W_ci", "W_cf", "W_co")

GATES = {RNN: "h", LSTM: "ifco", GRU: "rzh"}


def named(cell, tensors):
    """Return our stacked weight blocks (or their gradients) under the course's names."""
    gates, found = GATES[type(cell)], {}
    for ours, theirs in (("from_input.weight", "W_x"), ("from_hidden.weight", "W_h")):
        stacked = np.split(tensors[ours], len(gates))
        found |= {theirs + gate: block for gate, block in zip(gates, stacked, strict=True)}
    biases = np.split(tensors["from_input.bias"], len(gates))
    found |= {f"b_{gate}": block for gate, block in zip(gates, biases, strict=True)}
    if "peepholes" in tensors:
        found |= zip(PEEPHOLES, tensors["peepholes"], strict=True)
    if "reset_bias" in tensors:
        found["u"] = tensors["reset_bias"]
    return found


CASES = {
    "rnn-tanh": (RNN, {}, course_rnn),
    "rnn-sigmoid": (RNN, {"activation": "sigmoid"}, partial(course_rnn, f=sigma)),
    "rnn-any-function": (RNN, {"activation": torch.sin}, partial(course_rnn, f=np.sin)),
    "lstm-full": (LSTM, {"peepholes": "full"}, course_lstm),
    "lstm-diagonal": (LSTM, {"peepholes": "diagonal"}, diagonal_lstm),
    "gru-before": (GRU, {"reset": "before"}, course_gru),
    "gru-after": (GRU, {"reset": "after"}, after_gru),
}


@pytest.mark.parametrize(("make", "options", "equations"), CASES.values(), ids=CASES.keys())
def test_values_and_gradients(make, options, equations):
    cell = make(FEATURES, WIDTH, **options).double()
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    inputs = torch.randn(ROWS, TIME, FEATURES, dtype=torch.float64, requires_grad=True)
    zeros = cell.begin(ROWS)
    start = type(zeros)(*(torch.randn_like(part).requires_grad_() for part in zeros))
    outputs, last = cell(inputs, None, start)
    outputs.sin().sum().backward()

    weights = named(cell, {n: p.detach().numpy().copy() for n, p in cell.named_parameters()})
    x, *begun = (tensor.detach().numpy().copy() for tensor in (inputs, *start))
    expected = np.stack(list(equations(weights, x, *begun)), axis=1)
    np.testing.assert_allclose(outputs.detach(), expected, rtol=1e-12)
    np.testing.assert_allclose(last[0].detach(), expected[:, -1], rtol=1e-12)

    def total():
        return sum(np.sin(h).sum() for h in equations(weights, x, *begun))

    gradients = named(cell, {n: p.grad.numpy() for n, p in cell.named_parameters()})
    for name, gradient in gradients.items():
        slope = slopes(total, weights[name])
        np.testing.assert_allclose(gradient, slope, rtol=0, atol=CLOSE, err_msg=name)
    for array, tensor in zip((x, *begun), (inputs, *start), strict=True):
        np.testing.assert_allclose(tensor.grad, slopes(total, array), rtol=0, atol=CLOSE)


def slopes(total, array):
    """Return finite differences of ``total()`` for each number of ``array``, changed in place."""
    found = np.empty_like(array)
    for place in np.ndindex(array.shape):
        at = array[place]
        array[place] = at + STEP
        above = total()
        array[place] = at - STEP
        found[place] = (above - total()) / (2 * STEP)
        array[place] = at
    return found

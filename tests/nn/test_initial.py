"""Initial weights: what defines each, and what they change for a gradient that goes far back."""

from functools import partial

import pytest
import torch

from ensuite.nn import GRU, LSTM, RNN
from ensuite.nn.initial import chrono_, initialize_

FEATURES, WIDTH = 60, 200

CELLS = {"rnn": (RNN, 1), "gru": (GRU, 3), "lstm": (LSTM, 4)}
cells = pytest.mark.parametrize(("make", "gates"), CELLS.values(), ids=CELLS.keys())


def started(make, how):
    cell = make(FEATURES, WIDTH)
    initialize_(cell, how)
    return cell


@cells
@pytest.mark.parametrize("how", ["glorot", "orthogonal", "identity"])
def test_each_gate_reads_the_input_by_glorot_s_variance(make, gates, how):
    blocks = started(make, how).from_input.weight.split(WIDTH)
    assert len(blocks) == gates
    for block in blocks:  # 12 000 uniform draws: the variance is known to 0.8 %
        assert block.var().item() == pytest.approx(2 / (FEATURES + WIDTH), rel=0.04)
        assert block.abs().max() <= (6 / (FEATURES + WIDTH)) ** 0.5


@cells
def test_glorot_gives_each_gate_the_variance_of_its_own_size(make, gates):
    for block in started(make, "glorot").from_hidden.weight.split(WIDTH):
        assert block.var().item() == pytest.approx(1 / WIDTH, rel=0.04)
        assert block.abs().max() <= (3 / WIDTH) ** 0.5


@cells
def test_orthogonal_keeps_every_length_in_every_gate(make, gates):
    blocks = started(make, "orthogonal").from_hidden.weight.split(WIDTH)
    for block in blocks:  # products of 200 float32
        torch.testing.assert_close(block @ block.T, torch.eye(WIDTH), rtol=0, atol=1e-5)
    assert len({block[0, 0].item() for block in blocks}) == gates


@cells
def test_identity_is_the_identity_in_every_gate(make, gates):
    blocks = started(make, "identity").from_hidden.weight.split(WIDTH)
    assert all(torch.equal(block, torch.eye(WIDTH)) for block in blocks)


@cells
def test_biases_are_0_but_for_the_1_of_a_forget_gate(make, gates):
    bias = started(make, "glorot").from_input.bias
    assert bias.nonzero().flatten().tolist() == (
        list(range(WIDTH, 2 * WIDTH)) if make is LSTM else []
    )
    assert bias.sum() == (WIDTH if make is LSTM else 0)


@cells
def test_a_seed_gives_the_same_weights(make, gates):
    torch.manual_seed(1)
    one = started(make, "orthogonal").from_hidden.weight
    torch.manual_seed(1)
    assert torch.equal(one, started(make, "orthogonal").from_hidden.weight)


def share_that_comes_back(cell, steps=100):
    """Return the gradient of the last state by the first, beside that of the state by itself."""
    inputs = 0.1 * torch.randn(8, steps, 10)
    start = cell.begin(8)[0].requires_grad_()
    outputs, _ = cell(inputs, None, type(cell.begin(8))(start))
    (gradient,) = torch.autograd.grad(outputs[:, -1].sum(), start)
    return (gradient.norm() / 8**0.5 / 50**0.5).item()


def test_a_gradient_crosses_100_steps_of_an_irnn_and_vanishes_in_a_default_rnn():
    irnn = RNN(10, 50, activation="relu")
    initialize_(irnn, "identity")
    assert 0.1 < share_that_comes_back(irnn) < 10
    for activation in ("relu", "tanh"):
        assert share_that_comes_back(RNN(10, 50, activation=activation)) < 1e-12


@pytest.mark.parametrize("make", [LSTM, partial(GRU, reset="before")])
def test_chrono_forgets_over_1_to_span_steps(make):
    cell = make(3, 500)
    chrono_(cell, 50)
    steps = 1 / (1 - cell.from_input.bias[500:1000].sigmoid())  # of forget or update gate
    assert 2 <= steps.min() < 3
    assert 48 < steps.max() <= 50
    if make is LSTM:
        assert torch.equal(cell.from_input.bias[:500], -cell.from_input.bias[500:1000])

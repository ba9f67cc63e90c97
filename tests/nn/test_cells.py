"""What holds for every cell: its step is its definition, and padding leaves no trace."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import Tensor

from ensuite.core.errors import UsageError
from ensuite.nn import GRU, LSTM, RNN, Cell, unroll

FEATURES, WIDTH = 3, 4

# Sums of a dozen float32 terms in another order: a few roundings of 6e-8 each, through 7 positions.
TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}

CELLS = {
    "rnn": RNN,
    "rnn-relu": partial(RNN, activation="relu"),
    "lstm": LSTM,
    "lstm-peepholes": partial(LSTM, peepholes=True),
    "gru": GRU,
    "gru-before": partial(GRU, reset="before"),
}
cells = pytest.mark.parametrize("make", CELLS.values(), ids=CELLS.keys())
masks = st.integers(1, 7).flatmap(
    lambda time: st.lists(
        st.lists(st.booleans(), min_size=time, max_size=time), min_size=1, max_size=4
    )
)


@pytest.mark.parametrize("make", [partial(RNN, activation="sine"), partial(GRU, reset="never")])
def test_an_unknown_option_is_refused(make):
    # the hook that checks types while testing stands before our own check
    with pytest.raises((UsageError, TypeCheckError)):
        make(FEATURES, WIDTH)


def any_cell(make, dtype=torch.float32) -> Cell:
    """Make a cell whose parameters are all random, those that start at zero too."""
    cell = make(FEATURES, WIDTH).to(dtype)
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return cell


def any_state(cell: Cell, rows: int):
    zeros = cell.begin(rows)
    return type(zeros)(*(torch.randn_like(part) for part in zeros))


def results(outputs: Tensor, state, inputs: Tensor, start, cell: Cell) -> list[Tensor]:
    """Return outputs, last state, and the gradients of a random sum of them."""
    values = [outputs, *state]
    generator = torch.Generator().manual_seed(1)
    total = sum(
        (v * torch.randn(v.shape, generator=generator, dtype=v.dtype)).sum() for v in values
    )
    gradients = torch.autograd.grad(total, [inputs, *start, *cell.parameters()])
    return [*values, *gradients]


@cells
@settings(max_examples=25)
@given(rows=masks)
def test_forward_is_the_definition(make, rows):
    torch.manual_seed(0)
    mask = torch.tensor(rows)
    cell = any_cell(make)
    inputs = torch.randn(*mask.shape, FEATURES, requires_grad=True)
    start = any_state(cell, len(mask))
    for part in start:
        part.requires_grad_()
    fast = results(*cell(inputs, mask, start), inputs, start, cell)
    plain = results(*unroll(cell.step, cell.from_input(inputs), start, mask), inputs, start, cell)
    for one, other in zip(fast, plain, strict=True):
        torch.testing.assert_close(one, other, **TOLERANCE)


@cells
def test_padding_has_no_gradient_and_keeps_the_state_to_the_bit(make):
    cell = any_cell(make)
    inputs = torch.randn(2, 40, FEATURES, requires_grad=True)
    mask = torch.arange(40) < torch.tensor([[40], [1]])
    _, state = cell(inputs, mask)
    sum(part.sum() for part in state).backward()
    assert inputs.grad[0, -1].abs().min() > 0
    assert inputs.grad[~mask].abs().max() == 0
    start = any_state(cell, 2)
    _, kept = cell(inputs, mask & torch.tensor([[True], [False]]), start)
    for before, after in zip(start, kept, strict=True):
        assert torch.equal(before[1], after[1])


@cells
@pytest.mark.parametrize(("before", "after"), [(0, 1), (5, 0), (2, 3)])
def test_padding_on_either_side_changes_nothing(make, before, after):
    cell = any_cell(make)
    inputs = torch.randn(3, 6, FEATURES)
    outputs, state = cell(inputs)
    padded = torch.nn.functional.pad(inputs, (0, 0, before, after), value=7.0)
    mask = torch.zeros(padded.shape[:2], dtype=torch.bool)
    mask[:, before : before + 6] = True
    padded_outputs, padded_state = cell(padded, mask)
    torch.testing.assert_close(padded_outputs[:, before : before + 6], outputs, **TOLERANCE)
    torch.testing.assert_close(padded_state, state, **TOLERANCE)


@cells
def test_a_padded_output_repeats_the_one_before(make):
    cell = any_cell(make)
    start = any_state(cell, 1)
    mask = torch.tensor([[False, True, False, True, False]])
    outputs, state = cell(torch.randn(1, 5, FEATURES), mask, start)
    assert torch.equal(outputs[0, 0], start[0][0])
    assert torch.equal(outputs[0, 2], outputs[0, 1])
    assert torch.equal(outputs[0, 4], state[0][0])
    assert not torch.equal(outputs[0, 3], outputs[0, 1])


@cells
def test_a_row_alone_equals_the_row_in_a_batch(make):
    cell = any_cell(make)
    inputs = torch.randn(3, 5, FEATURES)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [0, 0, 1, 1, 0]]).bool()
    outputs, state = cell(inputs, mask)
    for row in range(3):
        alone, last = cell(inputs[row : row + 1, mask[row]])
        torch.testing.assert_close(outputs[row, mask[row]], alone[0], **TOLERANCE)
        for many, one in zip(state, last, strict=True):
            torch.testing.assert_close(many[row], one[0], **TOLERANCE)


@cells
def test_a_sequence_may_be_read_in_two_parts(make):
    cell = any_cell(make)
    inputs = torch.randn(2, 6, FEATURES)
    outputs, state = cell(inputs)
    first, middle = cell(inputs[:, :4])
    second, last = cell(inputs[:, 4:], None, middle)
    torch.testing.assert_close(torch.cat([first, second], 1), outputs, **TOLERANCE)
    torch.testing.assert_close(last, state, **TOLERANCE)


# A bfloat16 has 8 bits: a rounding is 0.004 of a number of size 1, and they add up.
@cells
@pytest.mark.parametrize("autocast", [False, True])
def test_bfloat16_is_the_definition_within_its_rounding(make, autocast):
    cell = any_cell(make, torch.float32 if autocast else torch.bfloat16)
    inputs = torch.randn(4, 6, FEATURES, dtype=cell.from_input.weight.dtype)
    mask = torch.rand(4, 6) < 0.6
    start = any_state(cell, 4)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        outputs, state = cell(inputs, mask, start)
        exact, last = unroll(cell.step, cell.from_input(inputs), start, mask)
    sum(part.float().sum() for part in (outputs, *state)).backward()
    assert all(parameter.grad.isfinite().all() for parameter in cell.parameters())
    for one, other in zip((outputs, *state), (exact, *last), strict=True):
        torch.testing.assert_close(one.float(), other.float(), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_an_lstm_keeps_its_cell_to_the_bit_through_a_thousand_pads(dtype):
    cell = any_cell(LSTM, dtype)
    start = any_state(cell, 2)
    mask = torch.zeros(2, 1000, dtype=torch.bool)
    mask[0, 0] = True
    inputs = 10 * torch.randn(2, 1000, FEATURES, dtype=dtype)
    _, kept = cell(inputs, mask, start)
    _, other = cell(torch.where(mask[..., None], inputs, -3 * inputs), mask, start)
    assert torch.equal(kept.cell, other.cell)  # nothing of 999 pads came in
    assert torch.equal(kept.cell[1], start.cell[1])  # nothing was forgotten
    # the first position alone is a matrix product of another shape, which may round otherwise
    _, alone = cell(inputs[:, :1], mask[:, :1], start)
    torch.testing.assert_close(kept.cell, alone.cell)


@cells
def test_gradients_agree_with_finite_differences(make):
    cell = any_cell(make, torch.float64)
    mask = torch.tensor([[1, 1, 0], [0, 1, 1]]).bool()
    names, parameters = zip(*cell.named_parameters(), strict=True)
    inputs = torch.randn(2, 3, FEATURES, dtype=torch.float64, requires_grad=True)

    def outputs(inputs, *values):
        weights = dict(zip(names, values, strict=True))
        read, state = torch.func.functional_call(cell, weights, (inputs, mask))
        return read, *state

    assert torch.autograd.gradcheck(outputs, (inputs, *parameters))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_peepholes_are_the_equations_in_numpy():
    cell = any_cell(partial(LSTM, peepholes=True), torch.float64)
    inputs = torch.randn(2, 5, FEATURES, dtype=torch.float64)
    outputs, state = cell(inputs)
    W, b, U, p = (
        each.detach().numpy()
        for each in (
            cell.from_input.weight,
            cell.from_input.bias,
            cell.from_hidden.weight,
            cell.peepholes,
        )
    )
    h, c = np.zeros((2, 2, WIDTH))
    for time, x in enumerate(inputs.numpy().swapaxes(0, 1)):
        i, f, g, o = np.split(x @ W.T + h @ U.T + b, 4, axis=1)
        i, f = sigmoid(i + p[0] * c), sigmoid(f + p[1] * c)
        c = f * c + i * np.tanh(g)
        h = sigmoid(o + p[2] * c) * np.tanh(c)
        np.testing.assert_allclose(outputs[:, time].detach(), h, rtol=1e-12)
    np.testing.assert_allclose(state.cell.detach(), c, rtol=1e-12)


def test_reset_before_is_the_equations_in_numpy():
    cell = any_cell(partial(GRU, reset="before"), torch.float64)
    inputs = torch.randn(2, 5, FEATURES, dtype=torch.float64)
    outputs, _ = cell(inputs)
    W, b = cell.from_input.weight.detach().numpy(), cell.from_input.bias.detach().numpy()
    U_r, U_z, U_n = np.split(cell.from_hidden.weight.detach().numpy(), 3)
    h = np.zeros((2, WIDTH))
    for time, x in enumerate(inputs.numpy().swapaxes(0, 1)):
        r, z, n = np.split(x @ W.T + b, 3, axis=1)
        r, z = sigmoid(r + h @ U_r.T), sigmoid(z + h @ U_z.T)
        h = z * h + (1 - z) * np.tanh(n + (r * h) @ U_n.T)
        np.testing.assert_allclose(outputs[:, time].detach(), h, rtol=1e-12)


def test_an_lstm_starts_by_remembering():
    bias = LSTM(FEATURES, WIDTH).from_input.bias
    assert bias.tolist() == WIDTH * [0] + WIDTH * [1] + 2 * WIDTH * [0]


def test_peepholes_start_as_a_plain_lstm():
    plain, peeping = LSTM(FEATURES, WIDTH), LSTM(FEATURES, WIDTH, peepholes=True)
    peeping.load_state_dict(plain.state_dict(), strict=False)
    inputs = torch.randn(2, 5, FEATURES)
    torch.testing.assert_close(peeping(inputs), plain(inputs), **TOLERANCE)


def test_relu_does_not_grow_through_padding():
    cell = RNN(FEATURES, WIDTH, activation="relu")
    torch.nn.init.constant_(cell.from_hidden.weight, 1.0)  # four times as large at every step
    mask = torch.arange(100) < torch.tensor([[3], [5]])
    outputs, state = cell(torch.randn(2, 100, FEATURES), mask)
    (outputs.sum() + state.hidden.sum()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in cell.parameters())

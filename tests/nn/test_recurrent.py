"""Stacks of cells: directions, states, steps, dropout."""

import pytest
import torch

from ensuite.core.errors import UsageError
from ensuite.nn import GRU, LSTM, RNN, Recurrent

TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}  # sums of a few float32 in another order
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 1, 1, 1], [0, 1, 0, 1, 0]]).bool()

cells = pytest.mark.parametrize("make", [RNN, LSTM, GRU])


@cells
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_row_alone_equals_the_row_in_a_batch(make, bidirectional):
    stack = Recurrent(make, 3, 4, layers=2, bidirectional=bidirectional)
    inputs = torch.randn(4, 5, 3)
    outputs, state = stack(inputs, MASK)
    for row in range(4):
        alone, last = stack(inputs[row : row + 1, MASK[row]])
        torch.testing.assert_close(outputs[row, MASK[row]], alone[0], **TOLERANCE)
        torch.testing.assert_close(stack.last(state)[row], stack.last(last)[0], **TOLERANCE)


@cells
def test_last_is_the_end_of_each_direction(make):
    stack = Recurrent(make, 3, 4, layers=2, bidirectional=True)
    outputs, state = stack(torch.randn(4, 5, 3), MASK)
    last = stack.last(state)
    for row in range(4):
        places = MASK[row].nonzero().flatten()
        assert torch.equal(last[row, :4], outputs[row, places[-1], :4])
        assert torch.equal(last[row, 4:], outputs[row, places[0], 4:])


@cells
def test_steps_are_forward(make):
    stack = Recurrent(make, 3, 4, layers=2)
    inputs = torch.randn(2, 5, 3)
    outputs, last = stack(inputs)
    state = stack.begin(2)
    for time in range(5):
        now, state = stack.step(inputs[:, time], state)
        torch.testing.assert_close(now, outputs[:, time], **TOLERANCE)
    torch.testing.assert_close(state, last, **TOLERANCE)


def test_states_come_by_layer_and_direction_and_go_back_in():
    stack = Recurrent(LSTM, 3, 4, layers=2)
    inputs = torch.randn(2, 6, 3)
    outputs, last = stack(inputs)
    assert len(stack.begin(2)) == len(last) == 2
    assert len(Recurrent(LSTM, 3, 4, layers=3, bidirectional=True).begin(2)) == 6
    _, middle = stack(inputs[:, :3])
    rest, end = stack(inputs[:, 3:], None, middle)
    torch.testing.assert_close(rest, outputs[:, 3:], **TOLERANCE)
    torch.testing.assert_close(end, last, **TOLERANCE)


def test_two_directions_cannot_step():
    stack = Recurrent(GRU, 3, 4, bidirectional=True)
    with pytest.raises(UsageError, match="bidirectional=False"):
        stack.step(torch.randn(2, 3), stack.begin(2))


def test_dropout_is_between_layers_and_only_while_training():
    inputs = torch.randn(2, 5, 3)
    one, two = (Recurrent(GRU, 3, 4, layers=layers, dropout=0.5) for layers in (1, 2))
    assert torch.equal(one(inputs)[0], one(inputs)[0])
    assert not torch.equal(two(inputs)[0], two(inputs)[0])
    two.eval()
    assert torch.equal(two(inputs)[0], two(inputs)[0])


def test_every_parameter_gets_a_gradient():
    stack = Recurrent(GRU, 3, 4, layers=2, bidirectional=True)
    stack(torch.randn(4, 5, 3), MASK)[0].sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in stack.parameters())

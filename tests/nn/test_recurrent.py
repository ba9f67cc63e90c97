"""Stacks of cells: directions, states, steps, dropout, truncation, documents."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

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


@cells
@pytest.mark.parametrize("combine", ["sum", "mean"])
def test_directions_combine_after_every_layer(make, combine):
    stack = Recurrent(make, 3, 4, layers=2, bidirectional=True, combine=combine)
    inputs = torch.randn(4, 5, 3)
    outputs, states = stack(inputs, MASK)
    share = 1 if combine == "sum" else 0.5
    expected = inputs
    for ahead, back in (stack.cells[:2], stack.cells[2:]):
        one, first = ahead(expected, MASK)
        other, second = back(expected.flip(1), MASK.flip(1))
        expected = share * (one + other.flip(1))
    torch.testing.assert_close(outputs[MASK], expected[MASK], **TOLERANCE)
    last = share * (first[0] + second[0])
    torch.testing.assert_close(stack.last(states), last, **TOLERANCE)
    assert stack.width == outputs.shape[-1] == 4


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"combine": "sum"}, "needs two directions: set bidirectional=True"),
        ({"truncate": 0}, "truncate must be 1 or more positions, or None, not 0"),
    ],
)
def test_impossible_options_are_refused(options, sentence):
    with pytest.raises(UsageError, match=sentence):
        Recurrent(LSTM, 3, 4, **options)


VARIANTS = {
    "rnn": RNN,
    "lstm": LSTM,
    "gru": GRU,
    "lstm-all": partial(LSTM, peepholes="full", normalize=True, learn_start=True),
    "gru-before": partial(GRU, reset="before", learn_start=True),
}
variants = pytest.mark.parametrize("make", VARIANTS.values(), ids=VARIANTS.keys())


@variants
@pytest.mark.parametrize("truncate", [1, 2, 5, 9])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_truncation_changes_no_value(make, truncate, bidirectional):
    whole = Recurrent(make, 3, 4, layers=2, bidirectional=bidirectional)
    short = Recurrent(make, 3, 4, layers=2, bidirectional=bidirectional, truncate=truncate)
    short.load_state_dict(whole.state_dict())
    inputs, start = torch.randn(4, 5, 3), whole.begin(4)
    start = tuple(type(state)(*(torch.randn_like(part) for part in state)) for state in start)
    torch.testing.assert_close(short(inputs, MASK, start), whole(inputs, MASK, start), **TOLERANCE)


@variants
def test_a_gradient_goes_back_to_the_start_of_its_piece(make):
    inputs = torch.randn(1, 7, 3, requires_grad=True)
    ahead, back = slice(0, 4), slice(4, 8)
    for place, direction, seen in [
        (6, ahead, [6]),  # pieces 0-2, 3-5, 6
        (5, ahead, [3, 4, 5]),
        (2, ahead, [0, 1, 2]),
        (0, back, [0]),  # pieces 6-4, 3-1, 0
        (4, back, [4, 5, 6]),
    ]:
        one = Recurrent(make, 3, 4, bidirectional=True, truncate=3)
        outputs, _ = one(inputs)
        (gradient,) = torch.autograd.grad(outputs[0, place, direction].sum(), inputs)
        assert gradient[0].abs().sum(1).nonzero().flatten().tolist() == seen


@variants
def test_a_row_that_is_over_keeps_the_gradient_of_its_last_piece(make):
    stack = Recurrent(make, 3, 4, truncate=2)
    inputs = torch.randn(2, 7, 3, requires_grad=True)
    mask = torch.arange(7) < torch.tensor([[3], [7]])
    _, states = stack(inputs, mask)
    (gradient,) = torch.autograd.grad(stack.last(states)[0].sum(), inputs)
    assert gradient.abs().sum(2).nonzero().tolist() == [[0, 2]]


def test_truncated_pieces_share_the_mask_of_dropout():
    make = partial(GRU, recurrent_dropout=0.5)
    whole, short = (Recurrent(make, 3, 4, truncate=truncate) for truncate in (None, 2))
    short.load_state_dict(whole.state_dict())
    inputs = torch.randn(2, 5, 3)
    torch.manual_seed(5)
    expected = whole(inputs)
    torch.manual_seed(5)
    torch.testing.assert_close(short(inputs), expected, **TOLERANCE)


rows = st.integers(1, 8).flatmap(
    lambda time: st.lists(
        st.lists(st.sampled_from([None, 0, 1, 7]), min_size=time, max_size=time),
        min_size=1,
        max_size=4,
    )
)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("make", [RNN, VARIANTS["lstm-all"]])
@settings(max_examples=40)
@given(rows=rows)
def test_documents_in_a_row_are_read_as_if_each_stood_alone(make, bidirectional, rows):
    torch.manual_seed(0)
    # float64: layer norm over four numbers makes much of a rounding
    stack = Recurrent(make, 3, 4, layers=2, bidirectional=bidirectional).double()
    mask = torch.tensor([[number is not None for number in row] for row in rows])
    documents = torch.tensor([[number or 0 for number in row] for row in rows])
    inputs = torch.randn(*mask.shape, 3, dtype=torch.float64)
    states = tuple(
        type(state)(*(torch.randn_like(part) for part in state)) for state in stack.begin(len(rows))
    )
    outputs, last = stack(inputs, mask, states, documents)
    for row, numbers in enumerate(rows):
        real = [place for place, number in enumerate(numbers) if number is not None]
        cuts = [i for i in range(1, len(real)) if numbers[real[i]] != numbers[real[i - 1]]]
        pieces = [real[i:j] for i, j in zip([0, *cuts], [*cuts, len(real)], strict=True)]
        given_state = [type(s)(*(part[row : row + 1] for part in s)) for s in states]
        ends = [given_state, given_state]
        for number, places in enumerate(pieces if real else []):
            begin = list(stack.begin(1))
            for cell in range(len(begin)):  # the first one read goes on from what was given
                backwards = bidirectional and cell % 2
                if number == (len(pieces) - 1 if backwards else 0):
                    begin[cell] = given_state[cell]
            alone, end = stack(inputs[row : row + 1, places], None, tuple(begin))
            torch.testing.assert_close(outputs[row, places], alone[0], **TOLERANCE)
            ends = [end if number == 0 else ends[0], end]
        for cell, after in enumerate(last):
            expected = ends[0 if bidirectional and cell % 2 else 1][cell]
            for one, other in zip(after, expected, strict=True):
                torch.testing.assert_close(one[row], other[0], **TOLERANCE)


def test_no_gradient_goes_from_a_document_to_another():
    stack = Recurrent(LSTM, 3, 4, layers=2, bidirectional=True)
    inputs = torch.randn(1, 6, 3, requires_grad=True)
    outputs, _ = stack(inputs, None, None, torch.tensor([[4, 4, 2, 2, 2, 4]]))
    (gradient,) = torch.autograd.grad(outputs[0, 3].sum(), inputs)
    assert gradient[0].abs().sum(1).nonzero().flatten().tolist() == [2, 3, 4]


def test_states_by_name_and_back():
    stack = Recurrent(LSTM, 3, 4, layers=2)
    _, states = stack(torch.randn(2, 5, 3))
    packed = stack.pack(states)
    assert list(packed) == ["0.hidden", "0.cell", "1.hidden", "1.cell"]
    again = stack.unpack({**packed, "memory": torch.zeros(2, 9)})
    assert [type(state) for state in again] == [type(state) for state in states]
    torch.testing.assert_close(again, states, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (Recurrent(LSTM, 3, 6), "0.hidden of 6, 0.cell of 6"),
        (Recurrent(GRU, 3, 4), "0.hidden of 4"),
        (Recurrent(LSTM, 3, 4, layers=2), "1.hidden of 4"),
    ],
)
def test_the_state_of_another_network_is_refused(other, found):
    stack = Recurrent(LSTM, 3, 4)
    sentence = rf"of width 4, 0.hidden, 0.cell, but was given .*{found}"
    with pytest.raises(UsageError, match=sentence):
        stack.unpack(other.pack(other.begin(2)))
    with pytest.raises((UsageError, TypeCheckError)):
        stack(torch.zeros(2, 5, 3), None, other.begin(2))

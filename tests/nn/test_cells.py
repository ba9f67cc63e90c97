"""What holds for every cell: its step is its definition, and padding leaves no trace."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import Tensor

from ensuite.core.errors import UsageError
from ensuite.nn import GRU, LSTM, RNN, Cell, GRUState, LSTMState, Recurrent, unroll
from ensuite.nn.rnn import ACTIVATIONS

FEATURES, WIDTH = 3, 4

TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}

# A gradient of a weight adds the terms of all positions, which are up to 30 in size where nothing
# bounds a state (relu) and cancel: what is left of their rounding in float32 (in float64 both ways
# agree to 1e-14). The tanh of the compiled cells, right to 3e-7, goes through seven positions.
WHOLE_TOLERANCE = {"rtol": 5e-6, "atol": 5e-6}

CELLS = {
    "rnn": RNN,
    "rnn-relu": partial(RNN, activation="relu"),
    "rnn-gelu": partial(RNN, activation="gelu"),
    "rnn-function": partial(RNN, activation=torch.atan),
    "rnn-normalized": partial(RNN, normalize=True),
    "lstm": LSTM,
    "lstm-diagonal": partial(LSTM, peepholes="diagonal"),
    "lstm-full": partial(LSTM, peepholes="full"),
    "lstm-normalized": partial(LSTM, normalize=True),
    "lstm-all": partial(LSTM, peepholes="full", normalize=True, learn_start=True),
    "gru": GRU,
    "gru-before": partial(GRU, reset="before"),
    "gru-normalized": partial(GRU, normalize=True),
    "gru-before-all": partial(GRU, reset="before", normalize=True, learn_start=True),
}
every = pytest.mark.parametrize("make", CELLS.values(), ids=CELLS.keys())


def cells(test):
    """Run a law over every cell, by both kinds of kernels."""
    return pytest.mark.usefixtures("kernels")(every(test))


masks = st.integers(1, 7).flatmap(
    lambda time: st.lists(
        st.lists(st.booleans(), min_size=time, max_size=time), min_size=1, max_size=4
    )
)


@pytest.mark.parametrize(
    "make",
    [
        partial(RNN, activation="sine"),
        partial(GRU, reset="never"),
        partial(LSTM, peepholes="half"),
        partial(LSTM, recurrent_dropout=1.0),
    ],
)
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


def weights(cell: Cell):
    """Return the parameters of a cell that is told where to start."""
    return [parameter for name, parameter in cell.named_parameters() if name != "start"]


def results(outputs: Tensor, state, inputs: Tensor, start, cell: Cell) -> list[Tensor]:
    """Return outputs, last state, and the gradients of a random sum of them."""
    values = [outputs, *state]
    generator = torch.Generator().manual_seed(1)
    total = sum(
        (v * torch.randn(v.shape, generator=generator, dtype=v.dtype)).sum() for v in values
    )
    gradients = torch.autograd.grad(total, [inputs, *start, *weights(cell)])
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
        torch.testing.assert_close(one, other, **WHOLE_TOLERANCE)


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
@every
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
    assert all(parameter.grad.isfinite().all() for parameter in weights(cell))
    for one, other in zip((outputs, *state), (exact, *last), strict=True):
        torch.testing.assert_close(one.float(), other.float(), rtol=0.05, atol=0.05)


@cells
def test_gradients_have_gradients(make):
    """A penalty on a gradient: what was hoisted is computed again by the definition."""
    cell = any_cell(make)
    inputs = torch.randn(3, 5, FEATURES, requires_grad=True)
    mask, start = torch.rand(3, 5) < 0.7, any_state(cell, 3)

    def slope(outputs, state):
        total = outputs.sin().sum() + sum(part.cos().sum() for part in state)
        (first,) = torch.autograd.grad(total, inputs, create_graph=True)
        return torch.autograd.grad(
            first.square().sum(), [inputs, *weights(cell)], allow_unused=True
        )

    found = slope(*cell(inputs, mask, start))
    expected = slope(*Cell.run(cell, inputs, mask, start, None))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@cells
def test_what_is_changed_after_it_was_returned_is_noticed(make):
    cell = any_cell(make)
    outputs, _ = cell(torch.randn(2, 4, FEATURES))
    outputs.mul_(2)
    try:
        outputs.sum().backward()  # where nothing of the outputs was kept, it is right to go on
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)


@cells
def test_a_graph_of_it_computes_the_same(make):
    cell = any_cell(make).eval()
    inputs, mask = torch.randn(2, 4, FEATURES), torch.tensor([[1, 1, 0, 1], [1, 1, 1, 1]]).bool()
    program = torch.export.export(cell, (inputs, mask))
    torch.testing.assert_close(program.module()(inputs, mask), cell(inputs, mask), **TOLERANCE)


@cells
@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch's own use of it
def test_transforms_of_torch_see_the_definition(make):
    cell = any_cell(make)
    many = torch.randn(3, 2, 4, FEATURES)
    together = torch.vmap(lambda inputs: cell(inputs)[0])(many)
    torch.testing.assert_close(together, torch.stack([cell(one)[0] for one in many]), **TOLERANCE)
    _, slope = torch.func.jvp(lambda inputs: cell(inputs)[0], (many[0],), (many[1],))
    near = 1e-2 * many[1]
    expected = (cell(many[0] + near)[0] - cell(many[0] - near)[0]) / 2e-2
    torch.testing.assert_close(slope, expected, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize(
    ("name", "avx512", "padded", "dropout", "path"),
    [
        ("rnn", True, False, False, "hoisted"),
        ("gru", True, True, False, "hoisted"),
        ("gru-before", True, False, True, "hoisted"),
        ("lstm", False, False, False, "hoisted"),
        ("lstm", True, False, False, "pytorch"),  # torch's own is one piece
        ("lstm", True, True, False, "hoisted"),
        ("lstm", True, False, True, "hoisted"),
        ("lstm-full", True, False, False, "hoisted"),
        ("gru-normalized", True, False, False, "step"),
        ("rnn-gelu", True, False, False, "step"),
    ],
)
def test_each_cell_takes_its_fastest_path(monkeypatch, name, avx512, padded, dropout, path):
    monkeypatch.setattr("torch.cpu._is_avx512_supported", lambda: avx512)
    monkeypatch.setattr("ensuite.nn.kernels.hoisted.is_compiled", lambda: True)
    cell, inputs = CELLS[name](FEATURES, WIDTH), torch.randn(2, 4, FEATURES)
    mask = torch.ones(2, 4, dtype=torch.bool) if padded else None
    kept = torch.ones(2, WIDTH) if dropout else None
    assert cell.path(inputs, mask, cell.begin(2), kept) == path
    double = cell.double()
    assert double.path(inputs.double(), mask, double.begin(2), kept) != "hoisted"


class Average(Cell[GRUState]):
    """A cell that defines nothing but its step: half the old state, half the input."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__(
            features, width, GRUState, (1,),
            normalize=False, recurrent_dropout=0.0, learn_start=False,
        )  # fmt: skip

    def step(self, projected, state, kept=None):
        return GRUState((projected + state.hidden) / 2)


def test_a_cell_needs_only_a_step():
    stack = Recurrent(Average, FEATURES, WIDTH, bidirectional=True)
    inputs, mask = torch.randn(2, 3, FEATURES), torch.tensor([[1, 1, 1], [1, 0, 1]]).bool()
    outputs, _ = stack(inputs, mask)
    forwards, backwards = (cell.from_input(inputs) for cell in stack.cells)
    last = forwards[1, 2] / 2 + forwards[1, 0] / 4
    torch.testing.assert_close(outputs[1, 2], torch.cat([last, backwards[1, 2] / 2]))


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


@every
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


def test_an_lstm_starts_by_remembering():
    bias = LSTM(FEATURES, WIDTH).from_input.bias
    assert bias.tolist() == WIDTH * [0] + WIDTH * [1] + 2 * WIDTH * [0]


@pytest.mark.parametrize("peepholes", ["diagonal", "full"])
def test_peepholes_start_as_a_plain_lstm(peepholes):
    plain, peeping = LSTM(FEATURES, WIDTH), LSTM(FEATURES, WIDTH, peepholes=peepholes)
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


# Parameters as the course counts them, 50 units over one feature. The bias that only "after" has
# is 50 more, and full peepholes are three matrices of 50 by 50.
@pytest.mark.parametrize(
    ("make", "count"),
    [
        (RNN, 2_600),
        (LSTM, 10_400),
        (partial(LSTM, peepholes="diagonal"), 10_550),
        (partial(LSTM, peepholes="full"), 17_900),
        (partial(GRU, reset="before"), 7_800),
        (GRU, 7_850),
    ],
)
def test_parameters_are_counted(make, count):
    assert sum(parameter.numel() for parameter in make(1, 50).parameters()) == count


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_what_its_name_says(name):
    x = torch.linspace(-3, 3, 13)
    phi = (1 + (x / 2**0.5).erf()) / 2  # of the normal distribution
    expected = {
        "tanh": 1 - 2 / ((2 * x).exp() + 1),
        "relu": x.clamp(min=0),
        "sigmoid": 1 / (1 + (-x).exp()),
        "gelu": x * phi,
        "silu": x / (1 + (-x).exp()),
        "identity": x,
    }
    cell = RNN(1, 1, activation=name)
    for parameter, value in zip(cell.parameters(), (1.0, 0.0, 0.0), strict=True):
        torch.nn.init.constant_(parameter, value)  # h' = f(x)
    outputs, _ = cell(x[None, :, None])
    torch.testing.assert_close(outputs[0, :, 0], expected[name], **TOLERANCE)


@cells
def test_same_mask_dropout_multiplies_every_hidden_state_by_one_mask(make):
    cell = any_cell(partial(make, recurrent_dropout=0.5))
    inputs, mask = torch.randn(3, 6, FEATURES), torch.rand(3, 6) < 0.7
    torch.manual_seed(3)
    outputs, last = cell(inputs, mask)
    torch.manual_seed(3)
    kept = cell.draw(3)
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    step = partial(cell.step, kept=kept)
    expected, end = unroll(step, cell.from_input(inputs), cell.begin(3), mask)
    torch.testing.assert_close((outputs, last), (expected, end), **TOLERANCE)
    torch.testing.assert_close(cell(inputs, mask, None, kept)[0], expected, **TOLERANCE)


@cells
def test_same_mask_dropout_is_for_training_and_for_what_a_matrix_sees(make):
    cell = any_cell(partial(make, recurrent_dropout=0.5))
    inputs = torch.randn(3, 6, FEATURES)
    assert not torch.equal(cell(inputs)[0], cell(inputs)[0])
    cell.eval()
    assert cell.draw(3) is None
    assert torch.equal(cell(inputs)[0], cell(inputs)[0])
    nothing = torch.zeros(3, WIDTH)
    torch.nn.init.zeros_(cell.from_hidden.weight)
    state = any_state(cell, 3)  # with no matrix to see it, it makes no difference
    torch.testing.assert_close(cell(inputs, None, state, nothing), cell(inputs, None, state))


def test_same_mask_dropout_keeps_the_mean():
    cell = RNN(FEATURES, 100, recurrent_dropout=0.3)
    kept = cell.draw(1000)
    assert kept.mean().item() == pytest.approx(1, abs=0.01)  # 5 sigma of 100 000 draws
    assert (kept == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)


@cells
def test_a_learned_start_is_handed_out_and_gets_a_gradient(make):
    cell = make(FEATURES, WIDTH, learn_start=True)
    assert all((part == 0).all() for part in cell.begin(2))  # it starts where the others stay
    torch.nn.init.normal_(cell.start)
    begun = cell.begin(2)
    for part, learned in zip(begun, cell.start, strict=True):
        assert torch.equal(part, learned.expand(2, -1))
    inputs = torch.randn(2, 3, FEATURES)
    torch.testing.assert_close(cell(inputs), cell(inputs, None, begun), rtol=0, atol=0)
    cell(inputs)[0].sum().backward()
    assert (cell.start.grad != 0).all()


def norm(x):
    """Layer norm without gain or bias, as its paper defines it."""
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + 1e-5).sqrt()


def normalized_rnn(cell, x, h):
    total = cell.from_input.gain * norm(x @ cell.from_input.weight.T)
    total = total + cell.from_hidden.gain * norm(h @ cell.from_hidden.weight.T)
    return ((total + cell.from_input.bias).tanh(),)


def normalized_lstm(cell, x, h, c):
    """All gates are normalised together, and the cell only where it is shown."""
    total = cell.from_input.gain * norm(x @ cell.from_input.weight.T)
    total = total + cell.from_hidden.gain * norm(h @ cell.from_hidden.weight.T)
    i, f, g, o = (total + cell.from_input.bias).split(WIDTH, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    shown = cell.cell_norm.weight * norm(c) + cell.cell_norm.bias
    return o.sigmoid() * shown.tanh(), c


def normalized_gru(cell, x, h):
    """The two gates are normalised together, and the candidate by itself."""
    cut = [2 * WIDTH]
    W, U, b = cell.from_input.weight, cell.from_hidden.weight, cell.from_input.bias
    read = torch.cat([norm(x @ part.T) for part in W.tensor_split(cut)], -1)
    gates, candidate = (cell.from_input.gain * read + b).tensor_split(cut, -1)
    to_gates, to_candidate = cell.from_hidden.gain.tensor_split(cut)
    r, z = (gates + to_gates * norm(h @ U[: 2 * WIDTH].T)).sigmoid().chunk(2, -1)
    recalled = to_candidate * norm(h @ U[2 * WIDTH :].T) + cell.reset_bias
    return (z * h + (1 - z) * (candidate + r * recalled).tanh(),)


@pytest.mark.parametrize(
    ("make", "equations"), [(RNN, normalized_rnn), (LSTM, normalized_lstm), (GRU, normalized_gru)]
)
def test_layer_norm_is_the_equations_of_its_paper(make, equations):
    cell = any_cell(partial(make, normalize=True), torch.float64)
    inputs, state = torch.randn(2, 5, FEATURES, dtype=torch.float64), any_state(cell, 2)
    outputs, _ = cell(inputs, None, state)
    for time in range(5):
        state = equations(cell, inputs[:, time], *state)
        torch.testing.assert_close(outputs[:, time], state[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("make", [RNN, LSTM, GRU])
def test_layer_norm_makes_the_scale_of_weights_and_inputs_matter_nothing(make):
    cell = any_cell(partial(make, normalize=True), torch.float64)
    inputs = torch.randn(2, 5, FEATURES, dtype=torch.float64)
    start = any_state(cell, 2)
    expected = cell(inputs, None, start)
    with torch.no_grad():
        cell.from_hidden.weight *= 100
    found = cell(300 * inputs, None, start)
    # the 1e-5 that the norm adds to a variance of about 1
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (LSTMState(torch.zeros(2, 5), torch.zeros(2, 5)), r"shape \(2, 4\), .*\(2, 5\)"),
        (LSTMState(torch.zeros(3, 4), torch.zeros(3, 4)), r"shape \(2, 4\), .*\(3, 4\)"),
        (LSTMState(torch.zeros(2, 4), torch.zeros(2, 5)), "The cell state of this LSTM"),
        (GRUState(torch.zeros(2, 4)), r"LSTMState\(hidden, cell\).*GRUState\(hidden\)"),
    ],
)
def test_a_foreign_state_is_refused(state, sentence):
    # the hook that checks types while testing knows the class of a state, not its width
    with pytest.raises((UsageError, TypeCheckError), match=sentence):
        LSTM(FEATURES, WIDTH)(torch.zeros(2, 6, FEATURES), None, state)

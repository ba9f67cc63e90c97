"""Our recurrent layers beside torch's, with torch's weights."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ensuite.core.errors import UsageError
from ensuite.nn import GRU, LSTM, RNN, Recurrent, unroll

# Our biases are torch's two added up, and sums come in another order: a few roundings.
TOLERANCE = {
    torch.float32: {"rtol": 1e-6, "atol": 1e-6},
    torch.float64: {"rtol": 1e-13, "atol": 1e-13},
}
PAIRS = {
    "rnn": (RNN, nn.RNN, {}),
    "rnn-relu": (RNN, nn.RNN, {"nonlinearity": "relu"}),
    "lstm": (LSTM, nn.LSTM, {}),
    "gru": (GRU, nn.GRU, {}),
    "gru-no-bias": (GRU, nn.GRU, {"bias": False}),
    "lstm-no-bias": (LSTM, nn.LSTM, {"bias": False}),
}
pairs = pytest.mark.parametrize(("ours", "torchs", "options"), PAIRS.values(), ids=PAIRS.keys())
dtypes = pytest.mark.parametrize("dtype", TOLERANCE)


@pairs
@dtypes
def test_values_and_gradients(ours, torchs, options, dtype):
    theirs = torchs(3, 4, batch_first=True, dtype=dtype, **options)
    layer = ours.from_torch(theirs)
    inputs = torch.randn(2, 6, 3, dtype=dtype, requires_grad=True)
    start = [torch.randn(2, 4, dtype=dtype, requires_grad=True) for _ in layer.begin(2)]
    state = type(layer.begin(2))(*start)
    given = tuple(part[None] for part in start)
    expected, last = theirs(inputs, given if len(given) > 1 else given[0])
    last = last if isinstance(last, tuple) else (last,)
    wanted = [inputs, *start]
    hidden = [theirs.weight_ih_l0, theirs.weight_hh_l0]
    gradients = torch.autograd.grad(
        sum(p.sin().sum() for p in (expected, *last)), [*wanted, *hidden]
    )
    mine = [layer.from_input.weight, layer.from_hidden.weight]
    plain = unroll(layer.step, layer.from_input(inputs), state)
    for outputs, after in (layer(inputs, None, state), plain):
        total = sum(p.sin().sum() for p in (outputs, *after))
        values = [outputs, *after, *torch.autograd.grad(total, [*wanted, *mine])]
        for one, other in zip(values, [expected, *(p[0] for p in last), *gradients], strict=True):
            torch.testing.assert_close(one, other, **TOLERANCE[dtype])


@pairs
@dtypes
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [(6, 6, 6), (3, 6, 1)])
def test_stacks(ours, torchs, options, dtype, bidirectional, lengths):
    theirs = torchs(3, 4, 2, batch_first=True, bidirectional=bidirectional, dtype=dtype, **options)
    parts = iter(split(theirs, torchs, options))
    stack = Recurrent(
        lambda *_: ours.from_torch(next(parts)), 3, 4, layers=2, bidirectional=bidirectional
    )
    inputs = torch.randn(3, 6, 3, dtype=dtype, requires_grad=True)
    mask = torch.arange(6) < torch.tensor(lengths)[:, None]
    outputs, states = stack(inputs, mask)
    packed = pack_padded_sequence(inputs, torch.tensor(lengths), True, enforce_sorted=False)
    packed, last = theirs(packed)
    expected, _ = pad_packed_sequence(packed, batch_first=True)
    values = [outputs[mask], *(torch.stack(part) for part in zip(*states, strict=True))]
    wanted = [expected[mask], *(last if isinstance(last, tuple) else (last,))]
    for one, other in zip(values, wanted, strict=True):
        torch.testing.assert_close(one, other, **TOLERANCE[dtype])

    our_weights = [w for cell in stack.cells for w in (cell.from_input, cell.from_hidden)]
    biases = [cell.from_input.bias for cell in stack.cells] if theirs.bias else []
    gradients = torch.autograd.grad(
        sum(value.sin().sum() for value in values),
        [inputs, *(layer.weight for layer in our_weights), *biases],
    )
    their_weights = [w for name, w in theirs.named_parameters() if name.startswith("weight")]
    their_biases = [w for name, w in theirs.named_parameters() if name.startswith("bias_ih")]
    expected_gradients = torch.autograd.grad(
        sum(value.sin().sum() for value in wanted), [inputs, *their_weights, *their_biases]
    )
    for one, other in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(one, other, **TOLERANCE[dtype])


def split(whole, torchs, options):
    """Yield each layer and direction of a torch stack as a separate torch layer."""
    for depth in range(whole.num_layers):
        for direction in ["", "_reverse"][: 1 + whole.bidirectional]:
            weights = {
                f"{name}_l0": getattr(whole, f"{name}_l{depth}{direction}")
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                if whole.bias or name.startswith("weight")
            }
            size = weights["weight_ih_l0"].shape[1]
            layer = torchs(size, whole.hidden_size, **options).to(weights["weight_ih_l0"])
            layer.load_state_dict(weights)
            yield layer


def test_a_copy_shares_nothing():
    theirs = nn.LSTM(3, 4)
    before = copy.deepcopy(theirs.state_dict())
    layer = LSTM.from_torch(theirs)
    nn.init.zeros_(layer.from_input.weight)
    torch.testing.assert_close(theirs.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize("options", [{"num_layers": 2}, {"bidirectional": True}, {"proj_size": 2}])
def test_only_one_plain_layer_is_read(options):
    with pytest.raises(UsageError, match="one layer in one direction"):
        LSTM.from_torch(nn.LSTM(3, 4, **options))

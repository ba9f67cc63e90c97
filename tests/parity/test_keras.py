"""Our recurrent layers beside Keras's, with the same weights; and the two listings of the course.

Where the layouts differ. Keras stores a matrix as (in, out), we as (out, in). An LSTM's gates stand
in the same order: i, f, c, o there are i, f, g, o here. A GRU's do not: z, r, h there are r, z, n
here; in both, z keeps the old state. With ``reset_after`` Keras adds two biases, of which only the
candidate's are not one sum: that is our ``reset_bias``. Backward outputs of a bidirectional layer
stand in the order of the inputs in both.
"""

import os

import numpy as np
import pytest
import torch
from torch import nn

from ensuite.nn import GRU, LSTM, RNN, Recurrent
from ensuite.nn.losses import binary_cross_entropy

os.environ.setdefault("KERAS_BACKEND", "torch")  # before Keras is imported
keras = pytest.importorskip("keras")
layers = keras.layers

if keras.backend.backend() != "torch":
    pytest.skip("Keras is set to another backend than torch", allow_module_level=True)

# Keras's variables hand themselves to NumPy in the manner of NumPy 1.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
WIDTH, FEATURES = 5, 3

LAYERS = {
    "rnn": (layers.SimpleRNN, {}, RNN, {}),
    "rnn-relu": (layers.SimpleRNN, {"activation": "relu"}, RNN, {"activation": "relu"}),
    "lstm": (layers.LSTM, {}, LSTM, {}),
    "gru-after": (layers.GRU, {"reset_after": True}, GRU, {"reset": "after"}),
    "gru-before": (layers.GRU, {"reset_after": False}, GRU, {"reset": "before"}),
}
every_layer = pytest.mark.parametrize(
    ("theirs", "their_options", "ours", "our_options"), LAYERS.values(), ids=LAYERS.keys()
)


def swapped(blocks: torch.Tensor) -> torch.Tensor:
    """Swap the first two gates: from Keras's z, r, h to our r, z, n, and back."""
    first, second, candidate = blocks.chunk(3)
    return torch.cat([second, first, candidate])


def from_keras(weights: list[np.ndarray], cell: nn.Module) -> None:
    """Copy the weights of ``layer.get_weights()`` into one of our cells."""
    kernel, recurrent, bias = (torch.from_numpy(array) for array in weights)
    found = {"from_input.weight": kernel.T, "from_hidden.weight": recurrent.T}
    if isinstance(cell, GRU):
        found = {name: swapped(matrix) for name, matrix in found.items()}
        of_input, of_hidden = bias if bias.dim() == 2 else (bias, torch.zeros_like(bias))
        gates, candidate = of_hidden.tensor_split([2 * cell.width])
        bias = swapped(of_input) + swapped(torch.cat([gates, torch.zeros(cell.width)]))
        if cell.reset_bias is not None:
            found["reset_bias"] = candidate
    cell.load_state_dict({**found, "from_input.bias": bias})


def to_keras(cell: nn.Module) -> list[np.ndarray]:
    """Return the weights of one of our cells in the format of ``layer.set_weights``."""
    kernel, recurrent = cell.from_input.weight, cell.from_hidden.weight
    bias = cell.from_input.bias
    if isinstance(cell, GRU):
        kernel, recurrent, bias = swapped(kernel), swapped(recurrent), swapped(bias)
        if cell.reset_bias is not None:
            of_hidden = torch.cat([torch.zeros(2 * cell.width), cell.reset_bias])
            bias = torch.stack([bias, of_hidden])
    return [array.detach().numpy() for array in (kernel.T, recurrent.T, bias)]


def randomized(layer, features: int = FEATURES):
    """Build a Keras layer without zero weights or biases, so that a wrong order is detected."""
    layer.build((None, None, features))
    generator = np.random.default_rng(0)
    layer.set_weights([generator.normal(0, 0.5, w.shape) for w in layer.get_weights()])
    return layer


def run(layer, inputs: torch.Tensor, **how) -> torch.Tensor:
    """Return the output of a Keras layer for a batch."""
    with torch.no_grad():
        return layer(inputs, **how)


@every_layer
def test_weights_of_keras_in_our_layers(theirs, their_options, ours, our_options):
    layer = randomized(theirs(WIDTH, return_sequences=True, **their_options))
    cell = ours(FEATURES, WIDTH, **our_options)
    from_keras(layer.get_weights(), cell)
    inputs = torch.randn(4, 9, FEATURES)
    torch.testing.assert_close(cell(inputs)[0], run(layer, inputs), **TOLERANCE)


@every_layer
def test_our_weights_in_keras(theirs, their_options, ours, our_options):
    cell = ours(FEATURES, WIDTH, **our_options)
    for parameter in cell.parameters():
        nn.init.normal_(parameter, std=0.5)
    layer = randomized(theirs(WIDTH, return_sequences=True, **their_options))
    layer.set_weights(to_keras(cell))
    inputs = torch.randn(4, 9, FEATURES)
    torch.testing.assert_close(run(layer, inputs), cell(inputs)[0], **TOLERANCE)


@every_layer
def test_weights_there_and_back(theirs, their_options, ours, our_options):
    cell, again = (ours(FEATURES, WIDTH, **our_options) for _ in range(2))
    from_keras(to_keras(cell), again)
    torch.testing.assert_close(again.state_dict(), cell.state_dict(), rtol=0, atol=0)


@every_layer
def test_both_directions(theirs, their_options, ours, our_options):
    layer = randomized(layers.Bidirectional(theirs(WIDTH, return_sequences=True, **their_options)))
    both = Recurrent(
        lambda *sizes: ours(*sizes, **our_options), FEATURES, WIDTH, bidirectional=True
    )
    for cell, one in zip(both.cells, (layer.forward_layer, layer.backward_layer), strict=True):
        from_keras(one.get_weights(), cell)
    inputs = torch.randn(4, 9, FEATURES)
    outputs, states = both(inputs)
    torch.testing.assert_close(outputs, run(layer, inputs), **TOLERANCE)
    # What Keras returns without the sequence: the last state of each direction.
    ends = torch.cat([outputs[:, -1, :WIDTH], outputs[:, 0, WIDTH:]], dim=-1)
    torch.testing.assert_close(both.last(states), ends)


@every_layer
def test_padding_after_the_end(theirs, their_options, ours, our_options):
    """Keras's mask, for padding on the right only, gives the same result as our mask."""
    layer = randomized(theirs(WIDTH, **their_options))
    cell = ours(FEATURES, WIDTH, **our_options)
    from_keras(layer.get_weights(), cell)
    inputs = torch.randn(3, 7, FEATURES)
    mask = torch.arange(7) < torch.tensor([[7], [4], [1]])
    (last, *_) = cell(inputs, mask)[1]
    torch.testing.assert_close(last, run(layer, inputs, mask=mask), **TOLERANCE)


LISTINGS = {
    "listing 1": (lambda: layers.SimpleRNN(50, activation="tanh"), RNN),  # lines 104 to 118
    "listing 2": (lambda: layers.LSTM(50, return_sequences=False), LSTM),  # lines 186 to 196
}


@pytest.mark.parametrize(("make", "ours"), LISTINGS.values(), ids=LISTINGS.keys())
def test_the_listings_of_the_course(make, ours):
    """Output, loss and the first update of Adam, from the same weights on the same batch.

    Keras's Adam adds epsilon (1e-7) to the root of the second moment before its bias is corrected,
    PyTorch (1e-8) after: "epsilon hat" and epsilon of Kingma & Ba (2015), section 2. In the first
    update theirs is therefore 1e-7 / sqrt(1 - 0.999) of ours, 3.2e-6; where the gradient is as
    small as that, our default moves a weight by up to a learning rate more, and is compared no
    closer.
    """
    inputs, labels = torch.randn(32, 10, 1), (torch.rand(32) < 0.5).float()
    model = keras.Sequential([make(), layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    expected = run(model, inputs).squeeze(-1)

    recurrent, dense = ours(1, 50), nn.Linear(50, 1)
    from_keras(model.layers[0].get_weights(), recurrent)
    kernel, bias = (torch.from_numpy(array) for array in model.layers[1].get_weights())
    dense.load_state_dict({"weight": kernel.T, "bias": bias})

    logits = dense(recurrent(inputs)[1].hidden).squeeze(-1)
    torch.testing.assert_close(logits.sigmoid(), expected, **TOLERANCE)

    loss = binary_cross_entropy(logits, labels) / len(labels)
    expected_loss, _ = model.train_on_batch(inputs.numpy(), labels.numpy())
    assert loss.item() == pytest.approx(float(expected_loss), abs=1e-5)

    parameters = [*recurrent.parameters(), *dense.parameters()]
    before = [parameter.detach().clone() for parameter in parameters]
    epsilon = 1e-7 / (1 - 0.999) ** 0.5
    adam = torch.optim.AdamW(parameters, lr=1e-3, eps=epsilon, weight_decay=0)
    loss.backward()
    adam.step()
    assert all((p != b).any() for p, b in zip(parameters, before, strict=True))

    updated = ours(1, 50)
    from_keras(model.layers[0].get_weights(), updated)
    kernel, bias = (torch.from_numpy(array) for array in model.layers[1].get_weights())
    expected_parameters = [*updated.parameters(), kernel.T, bias]
    for one, other in zip(parameters, expected_parameters, strict=True):
        torch.testing.assert_close(one.detach(), other.detach(), **TOLERANCE)

"""The course's third listing beside Keras, with the same weights.

Keras stores a matrix as (in, out), we as (out, in). Keras's loss is the mean of the cross-entropies
of a row's 784 pixels, ours their sum, as the course writes it in its formula.
"""

import os

import numpy as np
import pytest
import torch

from ensuite.core.batch import sum_counts
from ensuite.core.model import Model
from ensuite.data import readers
from ensuite.models.autoencoder import AutoencoderOptions
from ensuite.tasks.reduce import Reduce
from ensuite.training.evaluate import predict

os.environ.setdefault("KERAS_BACKEND", "torch")  # before Keras is imported
keras = pytest.importorskip("keras")
layers = keras.layers

if keras.backend.backend() != "torch":
    pytest.skip("Keras is set to another backend than torch", allow_module_level=True)

# Keras's variables hand themselves to NumPy in the manner of NumPy 1.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
"""Rounding of sums of 784 float32 numbers."""

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 28, 28)).astype(np.uint8)


def listing():
    """Return the model of the listing, lines 294 to 299, with weights drawn from a seed."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape=(784,))
    encoded = layers.Dense(64, activation="relu")(inputs)
    decoded = layers.Dense(784, activation="sigmoid")(encoded)
    model = keras.Model(inputs, decoded)
    model.compile(optimizer="adam", loss="binary_crossentropy")
    return model, keras.Model(inputs, encoded)


def ours(theirs):
    """Return the same model in our words, with the weights of Keras."""
    task, examples = Reduce(criterion="binary").read(readers.read({"image": list(PIXELS)}), {})
    task = task.prepare(examples)
    options = AutoencoderOptions(code=64, layers=0, code_activation="relu")
    model = Model.build(options, task).eval()
    kernels = [np.array(each) for each in theirs.get_weights()]
    sides = model.backbone.encoder.layers[0], model.backbone.decoder.layers[0]
    with torch.no_grad():
        for layer, kernel, bias in zip(sides, kernels[::2], kernels[1::2], strict=True):
            layer.weight.copy_(torch.from_numpy(kernel.T))
            layer.bias.copy_(torch.from_numpy(bias))
    return task, examples, model


def test_codes_outputs_and_loss_are_those_of_keras() -> None:
    theirs, encoder = listing()
    task, examples, model = ours(theirs)
    rows = (PIXELS / 255).reshape(8, 784).astype(np.float32)
    predictions = predict(task, model, examples)
    codes = np.array([prediction.code for prediction in predictions])
    np.testing.assert_allclose(codes, encoder.predict(rows, verbose=0), **TOLERANCE)
    decoded = np.array([prediction.reconstruction for prediction in predictions]) / 255
    expected = theirs.predict(rows, verbose=0)
    np.testing.assert_allclose(decoded.reshape(8, 784), expected, **TOLERANCE)
    batch = task.collate(task.items(examples))
    loss = (task.loss(model(batch), batch) / sum_counts([batch])).value.item()
    assert loss / 784 == pytest.approx(theirs.evaluate(rows, rows, verbose=0), rel=1e-5)


def test_the_first_update_is_that_of_keras() -> None:
    """Adam divides by the size of the gradient, so that the sum and the mean update alike.

    Only its epsilon must be as many times larger; Keras adds it before the correction of the
    second moment, which is 1 / (1 - 0.999) in the first update.
    """
    theirs, _ = listing()
    task, examples, model = ours(theirs)
    batch = task.collate(task.items(examples))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7 * 784 / 0.001**0.5)
    (task.loss(model(batch), batch) / sum_counts([batch])).value.backward()
    optimizer.step()
    rows = (PIXELS / 255).reshape(8, 784).astype(np.float32)
    theirs.fit(rows, rows, batch_size=8, epochs=1, verbose=0)
    kernel = np.array(theirs.get_weights()[0]).T
    found = model.backbone.encoder.layers[0].weight.detach().numpy()
    np.testing.assert_allclose(found, kernel, rtol=0, atol=2e-5)  # a fiftieth of an update

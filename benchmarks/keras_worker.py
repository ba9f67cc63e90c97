"""Worker process that runs Keras; ``make bench`` creates its environment.

The time is measured here, around the work alone.
"""

import os
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""  # all contenders run on the CPU
from worker import Run, serve  # keeps what libraries print out of the answers

# isort: split

import keras
import numpy as np
import tensorflow as tf

CELLS = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}


def layer(cell: str, shape: list[int], width: int) -> Callable[[], Any]:
    """Return one training step of a layer: outputs at all positions, gradients of all weights."""
    made = CELLS[cell](width, return_sequences=True)
    inputs = tf.constant(np.random.default_rng(0).normal(size=shape).astype("float32"))
    made(inputs)

    @tf.function
    def step(inputs: Any) -> Any:
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(made(inputs))
        return tape.gradient(total, made.trainable_variables)

    return lambda: [each.numpy() for each in step(inputs)]


def fit(cell: str, data: str, width: int, epochs: int, batch_size: int) -> Callable[[], Any]:
    """Return ``fit`` of the course's listing: a model of one layer, compiled with the defaults."""
    parts = np.load(data)
    model = keras.Sequential(
        [
            keras.Input(parts["train_x"].shape[1:]),
            CELLS[cell](width),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    return lambda: model.fit(
        parts["train_x"], parts["train_y"], batch_size=batch_size, epochs=epochs, verbose=0,
        validation_data=(parts["valid_x"], parts["valid_y"]),
    )  # fmt: skip


class Sampled(keras.layers.Layer):
    """Draw a code from its mean and log variance, and add the divergence from N(0, I)."""

    def call(self, inputs: Any) -> Any:
        mean, log_variance = inputs
        apart = keras.ops.square(mean) + keras.ops.exp(log_variance) - log_variance - 1
        self.add_loss(0.5 * keras.ops.mean(keras.ops.sum(apart, axis=-1)))
        noise = keras.random.normal(keras.ops.shape(mean))
        return mean + keras.ops.exp(0.5 * log_variance) * noise


def autoencode(
    data: str, hidden: list[int], code: int, batch_size: int, epochs: int, variational: bool
) -> Callable[[], Any]:
    """Return ``fit`` of a dense autoencoder, compiled as in the course's listing.

    The cross-entropy of a variational one is summed over the numbers, as its divergence is.
    """
    parts, layers = np.load(data), keras.layers
    train, valid = parts["train"], parts["valid"]
    numbers = train.shape[1]
    given = made = keras.Input((numbers,))
    for width in hidden:
        made = layers.Dense(width, activation="relu")(made)
    if variational:
        made = Sampled()([layers.Dense(code)(made), layers.Dense(code)(made)])
    else:
        made = layers.Dense(code, activation=None if hidden else "relu")(made)
    for width in reversed(hidden):
        made = layers.Dense(width, activation="relu")(made)
    model = keras.Model(given, layers.Dense(numbers, activation="sigmoid")(made))
    model.compile(
        optimizer="adam",
        loss="binary_crossentropy",
        loss_weights=float(numbers) if variational else None,
    )
    return lambda: model.fit(
        train,
        train,
        batch_size=batch_size,
        epochs=epochs,
        verbose=0,
        validation_data=(valid, valid),
    )


JOBS: dict[str, Callable[..., Callable[[], Any]]] = {
    "layer": layer, "fit": fit, "autoencode": autoencode,
}  # fmt: skip


def timed(prepare: Callable[..., Callable[[], Any]]) -> Callable[..., Run]:
    """Return a job that times what ``prepare`` returns; the first call includes tracing."""

    def job(**how: Any) -> Run:
        work = prepare(**how)

        def run(calls: int) -> float:
            began = perf_counter()
            for _ in range(calls):
                work()
            return perf_counter() - began

        return run

    return job


if __name__ == "__main__":
    threads = int(sys.argv[1])
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    serve(
        {name: timed(prepare) for name, prepare in JOBS.items()},
        {"keras": keras.__version__, keras.backend.backend(): tf.__version__},
    )

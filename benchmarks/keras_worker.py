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


JOBS: dict[str, Callable[..., Callable[[], Any]]] = {"layer": layer, "fit": fit}


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

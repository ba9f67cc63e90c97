"""Keras at work in a process of its own: reads one job a line as JSON, answers with seconds.

It imports nothing of ensuite, so that it runs in an environment of its own (``make bench`` makes
one). The clock is read here, around the work alone.
"""

import json
import os
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the same machine for all: its processor
answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)  # whatever a library prints is no answer

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

CELLS = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}


def layer(cell: str, shape: list[int], width: int) -> Callable[[], Any]:
    """Return one training step of a layer: outputs of all positions, gradients of all weights."""
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
    """Return the course's listing: a model of one layer, compiled as by default, and its fit."""
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


def answer(value: Any) -> None:
    """Write one line."""
    print(json.dumps(value), file=answers, flush=True)


def main() -> None:
    """Answer until the other side closes."""
    threads = int(sys.argv[1])
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    answer({"keras": keras.__version__, keras.backend.backend(): tf.__version__})
    works: dict[str, Callable[[], Any]] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        name = asked["name"]
        if name not in works:
            works[name] = JOBS[asked["job"]](**asked["how"])
        began = perf_counter()
        for _ in range(asked["calls"]):  # the first of all pays for tracing
            works[name]()
        answer(perf_counter() - began)


if __name__ == "__main__":
    main()

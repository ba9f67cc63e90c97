"""Worker process that runs Keras: reads one job per line as JSON, answers with seconds.

It imports nothing from ensuite, so that it can run in a separate environment (``make bench``
creates one). The time is measured here, around the work alone.
"""

import json
import os
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""  # all contenders run on the CPU
answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)  # output that libraries print must not mix with the answers

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

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


def answer(value: Any) -> None:
    """Write a value as one line of JSON."""
    print(json.dumps(value), file=answers, flush=True)


def main() -> None:
    """Answer jobs until standard input is closed."""
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
        for _ in range(asked["calls"]):  # the very first call includes tracing
            works[name]()
        answer(perf_counter() - began)


if __name__ == "__main__":
    main()

"""Whole training of the course's two recurrent models, against Keras `fit` and plain torch loops.

    python -m benchmarks.train

The course's listings: SimpleRNN(50) or LSTM(50) on (N, 10, 1), one output, Adam, cross-entropy,
batches of 32, five epochs. All train on the same rows and evaluate on the same validation rows.

* ``train``: the whole call that a user makes, from arrays to a tested and saved model: reading,
  checks, training, some 14 evaluations where Keras makes five, the test rows, the report.
* ``fit``: only the updates and evaluations of these.
* Keras: only ``fit`` of a compiled model, with one evaluation per epoch.
* A loop: written by hand, with a DataLoader, or with batches taken from one tensor and the fused
  optimizer; one evaluation per epoch.
* First epoch: a whole process, with imports, one epoch, and whatever is saved.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import ensuite
from benchmarks.peers import HERE, Keras, keras_python
from benchmarks.protocol import (
    Contender,
    Effort,
    Found,
    Missing,
    Row,
    ceilings,
    compare,
    publish,
    timed,
)
from ensuite.candidates import Trained
from ensuite.problem import Problem, open_problem
from ensuite.specs import model_options
from ensuite.training.budget import Budget
from ensuite.training.loop import fit

CELLS = ("rnn", "lstm")
TORCH: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM}
WIDTH, BATCH, EPOCHS = 50, 32, 5

Parts = Mapping[str, tuple[NDArray[Any], NDArray[Any]]]


def measure(rows: int = 10_000, effort: Effort | None = None) -> Found:
    """Measure every job; return the rows of the table, and the versions of the peers."""
    parts, found = make_parts(rows), list[Row]()
    with tempfile.TemporaryDirectory() as folder, Keras() as keras:
        data = save_parts(parts, Path(folder))
        for cell in CELLS:
            found += training(cell, parts, keras, data, effort)
        found += first_epoch("lstm", data, effort)
    return Found(found, keras.versions)


def make_parts(rows: int) -> Parts:
    """Draw series of ten numbers, labelled by whether their sum is above 0, in three parts."""
    inputs = np.random.default_rng(0).normal(size=(rows, 10, 1)).astype(np.float32)
    labels = (inputs.sum((1, 2)) > 0).astype(np.float32)
    cuts = (8 * rows // 10, 9 * rows // 10)
    pairs = zip(np.split(inputs, cuts), np.split(labels, cuts), strict=True)
    return dict(zip(("train", "valid", "test"), pairs, strict=True))


def save_parts(parts: Parts, folder: Path) -> Path:
    """Save the parts for other processes."""
    path, arrays = folder / "parts.npz", dict[str, Any]()
    for name, (inputs, labels) in parts.items():
        arrays |= {f"{name}_x": inputs, f"{name}_y": labels}
    np.savez(path, **arrays)
    return path


def training(cell: str, parts: Parts, keras: Keras, data: Path, effort: Effort | None) -> list[Row]:
    """Compare the whole call, and the training alone, with each peer."""
    how = {"cell": cell, "width": WIDTH, "epochs": EPOCHS, "batch_size": BATCH}
    peers = [
        keras.contender("fit", data=str(data), **how),
        timed("torch, DataLoader", lambda: loop(cell, parts, loaded, fused=False)),
        timed("torch, one tensor", lambda: loop(cell, parts, sliced, fused=True)),
    ]
    job = f"{cell} of {WIDTH} units, {EPOCHS} epochs"
    ours = {f"`train`, {job}": whole(cell, parts), f"`fit`, {job}": updates(cell, parts)}
    return compare(ours, peers, effort, amount=EPOCHS * len(parts["train"][0]))


def model_name(cell: str) -> str:
    """Return the course's model as a value of ``--model``."""
    return f"{cell}:width={WIDTH},dropout=0"


def columns(part: tuple[NDArray[Any], NDArray[Any]]) -> dict[str, Any]:
    """Return a part in the form that a user passes."""
    return {"series": part[0], "label": part[1]}


def whole(cell: str, parts: Parts) -> Contender:
    """Return the contender for the whole call: from arrays to a tested and saved model."""
    given = {name: columns(part) for name, part in parts.items()}

    def call() -> None:
        with tempfile.TemporaryDirectory() as folder:
            ensuite.train(
                "classify", given["train"], valid=given["valid"], test=given["test"],
                model=model_name(cell), budget=f"{EPOCHS}epochs", out=Path(folder) / "run",
            )  # fmt: skip

    return timed("ensuite", call)


def updates(cell: str, parts: Parts) -> Contender:
    """Return the contender for the updates and evaluations alone."""
    given = {name: columns(part) for name, part in parts.items()}
    problem = open_problem("classify", given["train"], valid=given["valid"], test=given["test"])
    name = model_name(cell)
    options = model_options(name)[1]
    candidate = Trained(name, name, options, options.recipe())
    return repeated(candidate, problem, Budget(EPOCHS, "epochs", patience=None))


def repeated(candidate: Trained, problem: Problem, budget: Budget) -> Contender:
    """Return the contender for the updates and evaluations of a candidate alone."""

    def run(calls: int) -> float:
        taken = 0.0
        for _ in range(calls):
            fresh = candidate.begin(problem, budget, seed=0)
            began = perf_counter()
            for _ in fit(fresh):
                pass
            taken += perf_counter() - began
        return taken

    return Contender("ensuite", run)


class Listing(nn.Module):
    """The course's model in plain torch."""

    def __init__(self, cell: str) -> None:
        super().__init__()
        self.recurrent = TORCH[cell](1, WIDTH, batch_first=True)
        self.dense = nn.Linear(WIDTH, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs, _ = self.recurrent(inputs)
        logits: Tensor = self.dense(outputs[:, -1])[:, 0]
        return logits


Batches = Callable[[Tensor, Tensor], Iterator[tuple[Tensor, Tensor]]]


def loaded(inputs: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches from a DataLoader, as tutorials do."""
    yield from DataLoader(TensorDataset(inputs, labels), batch_size=BATCH, shuffle=True)


def sliced(inputs: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches by indexing one tensor."""
    for rows in torch.split(torch.randperm(len(inputs)), BATCH):
        yield inputs.index_select(0, rows), labels.index_select(0, rows)


def loop(cell: str, parts: Parts, batches: Batches, *, fused: bool) -> float:
    """Train in plain torch, and return the accuracy on the validation rows."""
    model, accuracy = Listing(cell), 0.0
    optimizer = torch.optim.Adam(model.parameters(), fused=fused)
    (inputs, labels), valid = (tensors(parts[name]) for name in ("train", "valid"))
    for _ in range(EPOCHS):
        for some, answers in batches(inputs, labels):
            loss = nn.functional.binary_cross_entropy_with_logits(model(some), answers)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
        with torch.inference_mode():
            accuracy = ((model(valid[0]) > 0) == valid[1]).float().mean().item()
    return accuracy


def tensors(part: tuple[NDArray[Any], NDArray[Any]]) -> tuple[Tensor, Tensor]:
    """Return a part as tensors."""
    return torch.from_numpy(part[0]), torch.from_numpy(part[1])


ONE_EPOCH = """
import sys, tempfile
import numpy, ensuite
parts, names = numpy.load(sys.argv[1]), ("train", "valid", "test")
given = {name: {"series": parts[name + "_x"], "label": parts[name + "_y"]} for name in names}
train = given.pop("train")
with tempfile.TemporaryDirectory() as folder:
    trained = ensuite.train(
        "classify", train, **given, model=sys.argv[2], budget="1epoch", out=folder + "/run"
    )
"""


def first_epoch(cell: str, data: Path, effort: Effort | None) -> list[Row]:
    """Compare whole processes, with imports, one epoch, and whatever is saved."""
    ours = [sys.executable, "-c", ONE_EPOCH, str(data), model_name(cell)]
    peer: Contender | Missing = Missing("Keras", "no TensorFlow; `make bench` installs it")
    if (python := keras_python()) is not None:
        how = {"cell": cell, "data": str(data), "width": WIDTH, "epochs": 1, "batch_size": BATCH}
        asked = json.dumps({"name": "one", "job": "fit", "how": how, "calls": 1})
        worker = [python, str(HERE / "keras_worker.py"), str(torch.get_num_threads())]
        peer = process("Keras", worker, asked)
    job = f"first epoch of {cell}, imports included"
    return compare({job: process("ensuite", ours)}, [peer], effort)


def process(name: str, command: list[str], asked: str = "") -> Contender:
    """Return a contender that runs a separate process."""

    def call() -> None:
        environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
        subprocess.run(
            command, input=asked, text=True, capture_output=True, check=True, env=environment
        )

    return timed(name, call)


if __name__ == "__main__":
    print(publish("train", measure(), ceilings()))

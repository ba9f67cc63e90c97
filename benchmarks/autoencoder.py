"""Whole training of autoencoders, against Keras `fit`, PyOD and plain torch loops.

    python -m benchmarks.autoencoder

All train on the same rows of 784 numbers from 0 to 1, with binary cross-entropy and Adam:

* 784-64-784: the course's model, batches of 256.
* VAE: 784-256-32-256-784, Gaussian codes, batches of 256.
* PyOD's shape: 784-64-32-64-784, batches of 32, the defaults of its `AutoEncoder`.

What is timed:

* ``train``: the whole call that a user makes, from an array to a tested and saved model: reading,
  checks, training, the evaluations in it, the test rows, the report.
* ``fit``: only the updates, and the evaluations in them.
* Keras: only ``fit`` of a compiled model, with one evaluation per epoch.
* PyOD: only ``fit`` of its `AutoEncoder` with the defaults (batches of 32, batch norm, dropout,
  squared error), which also scores the training rows once. Whatever the job, its model is this one.
* torch: a loop written by hand, with a DataLoader, or with batches taken from one tensor and the
  fused optimizer; one evaluation per epoch.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import ensuite
from benchmarks.peers import Keras, PyOD
from benchmarks.protocol import Contender, Effort, Found, Missing, ceilings, compare, publish, timed
from benchmarks.train import repeated
from ensuite.api import open_sorted
from ensuite.problem import Problem, divide_source
from ensuite.specs import choose
from ensuite.training.budget import Budget
from ensuite.training.device import choose_device

FEATURES = 784

Batches = Callable[[Tensor, int], Iterator[Tensor]]


@dataclass(frozen=True)
class Job:
    """A model that all contenders train.

    Args:
        name: In the table.
        model: Ours.
        hidden: Sizes of the layers between the numbers and the code.
        code: Size of the code.
        batch: Rows of a batch.
        variational: Whether codes are distributions.
    """

    name: str
    model: str
    hidden: tuple[int, ...]
    code: int
    batch: int
    variational: bool = False


COURSE = Job("784-64-784", "autoencoder:code=64,layers=0,code_activation=relu", (), 64, 256)

VARIATIONAL = Job(
    "VAE", "vae:code=32,width=256,layers=1,learn_variance=false", (256,), 32, 256, variational=True
)

PYOD = Job("PyOD's shape", "autoencoder:code=32,width=64,layers=1", (64,), 32, 32)


@dataclass(frozen=True)
class Size:
    """How much is trained on.

    Args:
        rows: Of the training part; the validation and the test part have a tenth of that.
        epochs: Times that each row is trained on.
    """

    rows: int = 20_000
    epochs: int = 3


def measure(size: Size | None = None, effort: Effort | None = None) -> Found:
    """Measure every job; return the rows of the table, and the versions of the peers."""
    size = size or Size()
    parts, found = invent(size), []
    with tempfile.TemporaryDirectory() as folder, Keras() as keras, PyOD() as pyod:
        path = Path(folder) / "parts.npz"
        np.savez(path, **parts)
        how = {"data": str(path), "epochs": size.epochs}
        other = pyod.contender("fit", **how)
        for job in (COURSE, VARIATIONAL, PYOD):
            shape = {"hidden": list(job.hidden), "code": job.code, "batch_size": job.batch}
            theirs = keras.contender("autoencode", variational=job.variational, **shape, **how)
            peers = [theirs, *loops(job, size, parts)]
            if not job.variational:
                peers.append(other)
            found += compare(ours(job, size, parts), peers, effort, amount=size.epochs * size.rows)
    return Found(found, {**keras.versions, **pyod.versions})


def invent(size: Size) -> dict[str, NDArray[np.float32]]:
    """Return three parts of rows of numbers from 0 to 1."""
    random, tenth = np.random.default_rng(0), max(2, size.rows // 10)
    counts = {"train": size.rows, "valid": tenth, "test": tenth}
    return {name: random.random((rows, FEATURES), np.float32) for name, rows in counts.items()}


# Ours


def settings(job: Job) -> dict[str, Any]:
    """Return what makes our training that of the peers."""
    return {
        "criterion": "binary", "scale": "none", "recipe.batch_size": job.batch,
        "recipe.learning_rate": 1e-3, "recipe.schedule": "constant", "recipe.clip": "none",
    }  # fmt: skip


def ours(job: Job, size: Size, parts: dict[str, Any]) -> dict[str, Contender]:
    """Return the contenders for the whole call, and for the updates alone."""
    name = f"{job.name}, batches of {job.batch}, {size.epochs} epochs"
    return {
        f"`train`, {name}": whole(job, size, parts),
        f"`fit`, {name}": updates(job, size, parts),
    }


def whole(job: Job, size: Size, parts: dict[str, Any]) -> Contender:
    """Return the contender for the whole call: from an array to a tested and saved model."""
    given = {name: {"X": rows} for name, rows in parts.items()}

    def call() -> None:
        with tempfile.TemporaryDirectory() as folder:
            ensuite.train(
                "reduce", given["train"], valid=given["valid"], test=given["test"],
                model=job.model, settings=settings(job), budget=f"{size.epochs}epochs",
                out=Path(folder) / "run", threads=torch.get_num_threads(),
            )  # fmt: skip

    return timed("ensuite", call)


def updates(job: Job, size: Size, parts: dict[str, Any]) -> Contender:
    """Return the contender for the updates and evaluations alone."""
    problem, candidate = opened(job, parts)
    return repeated(candidate, problem, Budget(size.epochs, "epochs", patience=None))


def opened(job: Job, parts: dict[str, Any]) -> tuple[Problem, Any]:
    """Return the problem of a job, and what trains our model on it."""
    given = {name: {"X": rows} for name, rows in parts.items()}
    source, mine = open_sorted(
        "reduce", given["train"], [job.model], settings(job), valid=given["valid"],
        test=given["test"],
    )  # fmt: skip
    problem = divide_source(source)
    return problem, choose([job.model], problem, mine, choose_device("cpu"))[0]


# Loops in plain torch


class Plain(nn.Module):
    """The model of a job in plain torch."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job
        outputs = job.code * (2 if job.variational else 1)
        self.encoder = perceptron([FEATURES, *job.hidden, outputs])
        self.decoder = perceptron([job.code, *reversed(job.hidden), FEATURES])

    def forward(self, rows: Tensor) -> Tensor:
        """Return the loss of a batch, a mean over its rows."""
        if not self.job.variational:
            code = self.encoder(rows)
            return self.error(code if self.job.hidden else code.relu(), rows)
        mean, log_variance = self.encoder(rows).chunk(2, -1)
        noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
        divergence = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum()
        code = mean + (0.5 * log_variance).exp() * noise
        return self.error(code, rows) + divergence / len(rows)

    def error(self, code: Tensor, rows: Tensor) -> Tensor:
        """Return the cross-entropy of what a code is decoded to, summed over the numbers."""
        decoded = self.decoder(code)
        return F.binary_cross_entropy_with_logits(decoded, rows, reduction="sum") / len(rows)


def perceptron(sizes: list[int]) -> nn.Sequential:
    """Return linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for number, (size_in, size_out) in enumerate(pairwise(sizes)):
        layers += [*([nn.ReLU()] if number else []), nn.Linear(size_in, size_out)]
    return nn.Sequential(*layers)


def loaded(rows: Tensor, batch: int) -> Iterator[Tensor]:
    """Yield batches from a DataLoader, as tutorials do."""
    for (some,) in DataLoader(TensorDataset(rows), batch_size=batch, shuffle=True):
        yield some


def sliced(rows: Tensor, batch: int) -> Iterator[Tensor]:
    """Yield batches by indexing one tensor."""
    for places in torch.split(torch.randperm(len(rows)), batch):
        yield rows.index_select(0, places)


def loops(job: Job, size: Size, parts: dict[str, Any]) -> list[Contender | Missing]:
    """Return the two loops in plain torch."""
    return [
        timed("torch, DataLoader", lambda: loop(job, size, parts, loaded, fused=False)),
        timed("torch, one tensor", lambda: loop(job, size, parts, sliced, fused=True)),
    ]


def loop(job: Job, size: Size, parts: dict[str, Any], batches: Batches, *, fused: bool) -> float:
    """Train in plain torch, and return the loss of the validation rows."""
    model, found = Plain(job), 0.0
    optimizer = torch.optim.Adam(model.parameters(), fused=fused)
    train, valid = (torch.from_numpy(parts[name]) for name in ("train", "valid"))
    for _ in range(size.epochs):
        for rows in batches(train, job.batch):
            loss = model.train()(rows)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
        with torch.inference_mode():
            found = float(model.eval()(valid))
    return found


if __name__ == "__main__":
    print(publish("autoencoder", measure(effort=Effort(repeats=5)), ceilings()))

"""An update of a multilayer perceptron with many targets, beside loops that a person writes.

    python -m benchmarks.dense

784 numbers in, 64 hidden units, 784 numbers out, batches of 256, squared error: the products are
small, so that whatever a training loop does beside them shows. Ours is `mlp` in `regress`, as
``ensuite train`` repeats it: it collates rows, looks for targets that are missing and for gradients
that are not finite, and counts. The peers take batches out of tensors in memory, and update by
torch's fused Adam:

* inputs and targets: two tensors, as for any regression.
* inputs as targets: one tensor, as for an autoencoder, so that half as much is copied.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.protocol import Effort, Found, ceilings, compare, publish, timed
from ensuite.candidates import Trained
from ensuite.core.recipe import Recipe
from ensuite.models.mlp import MLPOptions
from ensuite.problem import open_problem
from ensuite.training.budget import Budget
from ensuite.training.loop import fit
from ensuite.training.training import Training


class Size(NamedTuple):
    """A model and its data."""

    features: int
    width: int
    batch: int
    rows: int

    @property
    def flops(self) -> float:
        """Multiplications and additions of an update's matrix products, forward and backward.

        The gradient of the inputs is not needed.
        """
        return 2.0 * 5 * self.features * self.width * self.batch


SIZE = Size(features=784, width=64, batch=256, rows=4096)


def measure(size: Size = SIZE, effort: Effort | None = None) -> Found:
    """Measure an update; return the rows of the table."""
    job = f"{size.features}-{size.width}-{size.features}, batch {size.batch}, an update"
    data = invent(size)
    peers = [
        timed("torch, inputs and targets", stepper(plain(size, data, data.clone()))),
        timed("torch, inputs as targets", stepper(plain(size, data, data))),
    ]
    ours = {job: timed("ensuite", stepper(updates(size, data)))}
    return Found(compare(ours, peers, effort, amount=size.batch, flops=size.flops), {})


def stepper(steps: Iterator[object]) -> Callable[[], object]:
    """Return what takes one step of an endless loop."""
    return lambda: next(steps)


def invent(size: Size) -> Tensor:
    """Return rows of numbers from 0 to 1."""
    return torch.rand(size.rows, size.features, generator=torch.Generator().manual_seed(0))


def begin(size: Size, data: Tensor) -> Training:
    """Return a training of ours that never ends."""
    rows = {"x": data.numpy(), "y": data.numpy().astype(np.float64)}
    few = {name: values[:8] for name, values in rows.items()}
    problem = open_problem("regress", rows, valid=few, test=few)
    options = MLPOptions(width=size.width, layers=1, dropout=0.0)
    recipe = Recipe(batch_size=size.batch, schedule="constant", clip=None)
    budget = Budget(1e12, "steps", patience=None)
    return Trained("mlp", "mlp", options, recipe).begin(problem, budget, seed=0)


def updates(size: Size, data: Tensor) -> Iterator[object]:
    """Train for ever; a step is an update."""
    yield from fit(begin(size, data))


def perceptron(size: Size) -> nn.Sequential:
    """Return the same model in plain torch."""
    return nn.Sequential(
        nn.Linear(size.features, size.width), nn.ReLU(), nn.Linear(size.width, size.features)
    )


def plain(size: Size, inputs: Tensor, targets: Tensor) -> Iterator[float]:
    """Train for ever in plain torch; a step is an update."""
    model = perceptron(size)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    while True:
        for rows in torch.split(torch.randperm(size.rows), size.batch):
            some = inputs[rows]
            wanted = some if targets is inputs else targets[rows]
            loss = nn.functional.mse_loss(model(some), wanted)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            yield loss.item()


if __name__ == "__main__":
    print(publish("dense", measure(), ceilings()))

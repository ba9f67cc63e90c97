"""Frozen features: a checkpoint as it is, and a linear head on its vectors, solved at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ensuite import catalog
from ensuite.baselines.features import Linear, OnNumbers
from ensuite.checkpoint import load_weights
from ensuite.core.backbone import BackboneOptions
from ensuite.core.errors import UsageError
from ensuite.core.model import Model
from ensuite.core.registry import load
from ensuite.network import Network
from ensuite.tasks.embed import Embed, Summary
from ensuite.training.evaluate import predict

Numbers = NDArray[Any]

STEADY = 1e-6
"""Standard deviation below which a feature counts as constant."""


def linear_method(task_name: str) -> type[Linear]:
    """Return the linear method on numbers of a task: logistic or ridge regression.

    Raises:
        UsageError: If it has none.
    """
    for target in catalog.tasks[task_name].baselines:
        method: type[Linear] = load(target)
        if issubclass(method, OnNumbers):
            return method
    raise UsageError(
        f"frozen=true puts a linear method on the vectors of texts, and {task_name} has none; "
        "leave it out to fine-tune the checkpoint."
    )


def solve_frozen(
    method: type[Linear],
    task: Any,
    options: BackboneOptions,
    parts: Sequence[Sequence[Any]],
    device: torch.device,
) -> Network:
    """Return a network whose backbone is a checkpoint as it is, and whose head is solved.

    Each text is read once. The head is that of the task, so the network is saved, and goes on to
    be fine-tuned, like any other.

    Args:
        method: Solves the head.
        task: Prepared for the checkpoint.
        options: Of the backbone, for embeddings.
        parts: The training examples, and the validation examples, which choose the penalty.
        device: Where to compute.
    """
    model = Model.build(options, task)
    load_weights(model, options)
    model.to(device).eval()
    embed, reader = Embed(processor=task.processor), Model(model.backbone, Summary()).eval()
    train, valid = (method.labelled(task, part) for part in parts)
    features = np.array(predict(embed, reader, task.raws(train)))
    mean, deviation = features.mean(0), features.std(0)
    deviation[deviation < STEADY] = 1.0
    held_out = None
    if valid:
        held_out = (np.array(predict(embed, reader, task.raws(valid))) - mean) / deviation
    solved = method.solve(task, ((features - mean) / deviation, held_out), (train, valid))
    fill_head(model.head, *unscaled(*solved, mean, deviation))
    return Network(model, options, task.published)


def unscaled(
    weights: Numbers, bias: Numbers, mean: Numbers, deviation: Numbers
) -> tuple[Numbers, Numbers]:
    """Return the weights and bias for features that are not standardised.

    Args:
        weights: (width, outputs).
        bias: (outputs,).
        mean: (width,) of the features.
        deviation: (width,) of the features.
    """
    weights = weights / deviation[:, None]
    return weights, bias - mean @ weights


def fill_head(head: Any, weights: Numbers, bias: Numbers) -> None:
    """Copy the solution into a linear head; that of two labels has the log odds of the second."""
    if weights.shape[1] == 1 and head.linear.out_features == 2:
        weights, bias = (np.stack([np.zeros_like(each), each], -1) for each in (weights, bias))
        weights, bias = weights[:, 0], bias[0]
    with torch.no_grad():
        head.linear.weight.copy_(torch.from_numpy(weights.T))
        head.linear.bias.copy_(torch.from_numpy(bias))

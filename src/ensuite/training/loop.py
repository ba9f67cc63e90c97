"""The training loop, as a stream of progress.

``fit`` owns what happens in one update; whoever iterates over it owns what happens between two:
print, plot, save, or stop by leaving the ``for``. At every yield ``training`` is whole: what it
saves there goes on bit for bit.
"""

from collections.abc import Iterator
from time import perf_counter

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_value_

from ensuite.core.batch import sum_counts
from ensuite.core.loss import Loss
from ensuite.core.recipe import Recipe
from ensuite.training.device import deterministic
from ensuite.training.optimizer import Optimizer
from ensuite.training.training import Progress, Training


def fit(training: Training) -> Iterator[Progress]:
    """Train until the budget is spent, and yield once an update.

    Raises:
        NonFiniteGradientError: After a few in a row; names the batch.
    """
    training.model.train()
    while not training.over:
        with deterministic():
            began = perf_counter()
            loss = add_gradients(training)
            norm = clip_gradients(training.optimizer, training.recipe)
            training.update(norm)  # not finite: the weights stay as they were
            training.advance(began)
        scores = training.evaluate_if_due()
        yield Progress(training.state.spent.steps, loss, norm, training.share, scores)


def add_gradients(training: Training) -> Loss:
    """Sum the gradients of one update's batches, each part divided by all the update counts of it.

    The counts are known before the first forward pass, so n batches equal one n times as large,
    however unequal their counts, and two parts keep their own denominators.
    """
    batches = training.next_batches()
    counts = sum_counts(batches)
    losses = []
    for batch in batches:
        loss = training.forward(batch)
        loss.backward(counts)
        losses.append(loss.detach() / counts)
    return sum(losses, Loss())


def clip_gradients(optimizer: Optimizer, recipe: Recipe) -> Tensor:
    """Cut the gradients as the recipe says, and return the norm they had.

    Source:
        Pascanu, Mikolov & Bengio (2013), https://arxiv.org/abs/1211.5063, algorithm 1 (norm).
    """
    gradients = optimizer.gradients
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    length = norm.item()
    if recipe.clip is not None and length > recipe.clip:
        torch._foreach_mul_(gradients, recipe.clip / (length + 1e-6))  # as torch's clip_grad_norm_
    if recipe.clip_value is not None:
        clip_grad_value_(optimizer.parameters, recipe.clip_value)
    return norm

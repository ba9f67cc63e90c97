"""The training loop, as a generator of progress.

:func:`fit` performs the updates; the code that iterates over it decides what happens between two of
them: print, plot, save, or stop by leaving the ``for`` loop. At every yield ``training`` can be
saved, and training resumed from there continues, on a CPU to the same bits.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_value_

from ensuite.core.batch import Batch, sum_counts
from ensuite.core.loss import Loss
from ensuite.core.recipe import Recipe
from ensuite.training.clock import Moment
from ensuite.training.device import deterministic
from ensuite.training.memory import is_out_of_memory
from ensuite.training.optimizer import Optimizer
from ensuite.training.training import Progress, Training


def fit(training: Training) -> Iterator[Progress]:
    """Train until the budget is spent, and yield after every update.

    Raises:
        NonFiniteGradientError: If several gradients in a row are not finite; names the batch.
        OutOfMemoryError: If not even one row fits into memory.
    """
    training.model.train()
    while not training.over:
        loss, norm = update(training)
        scores = training.evaluate_if_due()
        yield Progress(training.state.spent.steps, loss, norm, training.share, scores)


class Update(NamedTuple):
    """The loss of one update, and the norm of its gradient before clipping."""

    loss: Loss
    norm: Tensor


def update(training: Training) -> Update:
    """Perform one update, and charge it to the budget."""
    with deterministic(training.device):
        began = Moment.now()
        loss = add_gradients(training)
        norm = clip_gradients(training.optimizer, training.recipe)
        training.update(norm)  # where the norm is not finite, the weights stay as they were
        training.advance(began)
    return Update(loss, norm)


def add_gradients(training: Training) -> Loss:
    """Compute the gradients of one update, and return its loss.

    The total count of each loss part is known before the first forward pass, and each part is
    divided by it. Several batches therefore give the same gradients as one large batch, even where
    their counts differ. Where memory runs out, the update begins again with its batches in pieces
    of half the size.
    """
    batches = training.next_batches()
    counts = sum_counts(batches)
    carry = training.carry
    while True:
        try:
            return sum_gradients(training, batches, counts)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        # Outside the handler: the error keeps what the failed forward pass holds.
        training.halve(batches, carry)


def sum_gradients(training: Training, batches: Sequence[Batch], counts: Mapping[str, int]) -> Loss:
    """Add up the gradients of the batches, each loss part divided by its count."""
    losses = []
    for batch in batches:
        for loss in training.losses(batch):
            loss.backward(counts)
            losses.append(loss.detach() / counts)
    return sum(losses, Loss())


def clip_gradients(optimizer: Optimizer, recipe: Recipe) -> Tensor:
    """Clip the gradients as the recipe says, and return their norm before clipping.

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

"""Predict examples with a model, batch by batch, and tell how sure a score is."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ensuite.core.batch import Batch, check_ranges
from ensuite.core.model import Model
from ensuite.core.score import Score
from ensuite.core.stacked import take
from ensuite.core.task import Task

PREDICT_ROWS, MOST_ROWS, MOST_POSITIONS = 64, 512, 64 * 128
"""Rows in a batch without gradients, and the most it may have where its rows are so short that it
needs no more memory. No prediction depends on it."""

GROUPS = 50
"""Groups of examples that are left out in turn, for the standard error of a score: it is known to a
tenth of itself."""


@torch.inference_mode()
def predict(
    task: Task[Any, Any, Any],
    model: Model,
    examples: Sequence[Any],
    *,
    items: Sequence[Any] | None = None,
    size: int | None = None,
) -> list[Any]:
    """Return one prediction for each example, in order.

    Args:
        task: Makes batches of examples, and predictions of outputs.
        model: Used in evaluation mode; its mode is restored.
        examples: To be predicted.
        items: ``task.items(examples)``, where they are predicted repeatedly; None: made here.
        size: Rows in a batch; None: by the length of the longest item.
    """
    items = task.items(examples) if items is None else items
    order = task.order(items, size or rows_at_once(task, items))
    device = next(model.parameters()).device

    def batches() -> Iterator[Batch]:
        for index, numbers in enumerate(order):
            # A task that draws noise draws the same each time.
            generator = torch.Generator().manual_seed(index)
            batch = task.collate(take(items, numbers), generator)
            check_ranges(batch, task.inputs)
            yield batch.to(device)

    was_training = model.training
    model.eval()
    pieces: list[Any] = [None] * len(items)
    for numbers, answers in zip(order, task.predict_batches(model, batches()), strict=True):
        for number, piece in zip(numbers, answers, strict=True):
            pieces[number] = piece
    model.train(was_training)
    return task.merge(examples, items, pieces)


def rows_at_once(task: Task[Any, Any, Any], items: Sequence[Any]) -> int:
    """Return the number of rows in a batch, by the length of the longest item."""
    longest = int(task.lengths(items).max(initial=1))
    return max(PREDICT_ROWS, min(MOST_ROWS, MOST_POSITIONS // max(1, longest)))


def standard_error(score: Score) -> float | None:
    """Estimate the standard error of a score over its examples, by the grouped jackknife.

    The examples are put into groups at random, the same ones every time; the score is computed
    without each group in turn, and the spread of these values tells its error.

    Returns:
        The standard error; None where fewer than two groups leave a score that is a number.

    Source:
        Shao & Tu (1995), The Jackknife and Bootstrap, section 2.3
    """
    count = score.statistics.shape[0]
    groups = min(count, GROUPS)
    members = np.zeros((groups, count))
    members[np.random.default_rng(0).permutation(count) % groups, np.arange(count)] = 1.0
    values = score.function(score.statistics.sum(0) - members @ score.statistics)
    known = values[np.isfinite(values)]
    if len(known) < 2:
        return None
    return float(np.sqrt((len(known) - 1) * known.var()))

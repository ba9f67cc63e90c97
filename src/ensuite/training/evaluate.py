"""Answer examples with a model, batch by batch, and judge the answers."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ensuite.core.batch import ROWS, Batch, check_ranges, sum_counts
from ensuite.core.model import Model
from ensuite.core.score import Numbers, Score, ratio
from ensuite.core.stacked import take
from ensuite.core.task import Task

PREDICT_ROWS, MOST_ROWS, MOST_POSITIONS = 64, 512, 64 * 128
"""Rows in a batch that is only predicted, and how many it may have where rows are so short that
they need no more memory. No answer depends on it."""


@torch.inference_mode()
def predict(
    task: Task[Any, Any, Any],
    model: Model,
    examples: Sequence[Any],
    *,
    items: Sequence[Any] | None = None,
    size: int | None = None,
) -> list[Any]:
    """Return one prediction for each example, in order. Outputs are not kept, answers are.

    Args:
        task: Says what an example becomes, and what an answer is.
        model: Asked without dropout; left as it was.
        examples: What is asked.
        items: Those of the examples, where they are asked again and again.
        size: Rows in a batch; None: more where they are short.
    """
    items = task.items(examples, asking=True) if items is None else items
    order = task.order(items, size or rows_at_once(task, items))
    device = next(model.parameters()).device

    def batches() -> Iterator[Batch]:
        for numbers in order:
            batch = task.collate(take(items, numbers))
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
    """Return how many rows of the longest item's length make a batch."""
    longest = int(task.lengths(items).max(initial=1))
    return max(PREDICT_ROWS, min(MOST_ROWS, MOST_POSITIONS // max(1, longest)))


@torch.inference_mode()
def validation_loss(task: Task[Any, Any, Any], model: Model, items: Sequence[Any]) -> Score:
    """Return the loss of items in evaluation mode, each part divided by its count.

    Args:
        task: Computes the loss.
        model: Used in evaluation mode; its mode is restored.
        items: Made for evaluation (``asking=True``).

    Returns:
        A score whose statistics have a row for each batch: the total and the count of each part.
    """
    device, was_training = next(model.parameters()).device, model.training
    model.eval()
    rows: list[dict[str, tuple[float, int]]] = []
    for numbers in task.order(items, rows_at_once(task, items)):
        batch = task.collate(take(items, numbers)).to(device)
        outputs = task.forward(model, batch)
        loss = task.loss(outputs, batch).with_penalties(outputs.states.penalties)
        counts = sum_counts([batch])
        rows.append(
            {
                name: (part.weight * part.total.item(), counts.get(name, counts[ROWS]))
                for name, part in loss.parts.items()
            }
        )
    model.train(was_training)
    names = dict.fromkeys(name for row in rows for name in row)
    statistics = [[number for name in names for number in row.get(name, (0, 0))] for row in rows]
    return Score(np.array(statistics, dtype=float), _sum_of_means, higher_is_better=False)


def _sum_of_means(sums: Numbers) -> Numbers:
    """Divide the totals of the parts, (..., 2 parts), by their counts, and add them up."""
    means = ratio(sums[..., ::2], np.maximum(1, sums[..., 1::2]))
    total: Numbers = means.sum(-1)
    return total

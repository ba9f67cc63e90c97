"""Answer examples with a model, batch by batch, and judge the answers."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from ensuite.core.batch import Batch, check_ranges
from ensuite.core.model import Model
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

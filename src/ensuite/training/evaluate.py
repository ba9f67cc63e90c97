"""Predict examples with a model, batch by batch, and tell how sure a score is."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ensuite.core.batch import ROWS, Batch, Image, Row, check_ranges, read_by, sum_counts
from ensuite.core.model import Model
from ensuite.core.score import Numbers, Score, ratio
from ensuite.core.stacked import take
from ensuite.core.task import Task

PREDICT_ROWS, MOST_ROWS, MOST_POSITIONS = 64, 512, 64 * 128
"""Rows in a batch without gradients, and the most it may have where its rows are so short that it
needs no more memory. No prediction depends on it."""

MOST_NUMBERS = 2**19
"""Numbers in such a batch of rows of numbers, which have no positions."""

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


def count_positions(task: Task[Any, Any, Any], items: Sequence[Any]) -> int:
    """Return how many positions items have, in the unit of :attr:`Batch.positions`.

    That of rows of numbers and of images, which have no time, is the row.
    """
    return len(items) if is_timeless(task) else int(task.lengths(items).sum())


def is_timeless(task: Task[Any, Any, Any]) -> bool:
    """Say whether what a backbone reads is rows of numbers and images alone."""
    kinds = read_by(task.inputs, "backbone").values()
    return all(isinstance(kind, Row | Image) for kind in kinds)


def rows_at_once(task: Task[Any, Any, Any], items: Sequence[Any]) -> int:
    """Return the number of rows in a batch, by the length of the longest item."""
    longest = int(task.lengths(items).max(initial=1))
    most = MOST_NUMBERS if is_timeless(task) else MOST_POSITIONS
    return max(PREDICT_ROWS, min(MOST_ROWS, most // max(1, longest)))


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

"""Predict examples with a model, batch by batch, and tell how sure a score is."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch

from ensuite.core.batch import ROWS, Batch, Image, Row, check_ranges, read_by, sum_counts
from ensuite.core.model import Model
from ensuite.core.score import Numbers, Score, ratio
from ensuite.core.stacked import take
from ensuite.core.task import Task
from ensuite.training.memory import is_out_of_memory

PREDICT_ROWS, MOST_ROWS, SHORT, LONG = 64, 512, 128, 512
"""Usual and largest number of rows in a batch without gradients. More than the usual number share a
batch where they have fewer than SHORT positions, and fewer where they have more than LONG.
Predictions do not depend on it."""

MOST_NUMBERS = 2**19
"""Numbers in such a batch of rows of numbers, which have no positions."""

GROUPS = 50
"""Groups of the jackknife for the standard error of a score, which is then accurate to about
10 %."""


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
        size: Rows in a batch; None: by the length of the longest item. Where memory runs out, half
            as many are predicted at a time.
    """
    items = task.items(examples, asking=True) if items is None else items
    device = next(model.parameters()).device

    def batches(order: Sequence[list[int]]) -> Iterator[Batch]:
        for numbers in order:
            batch = task.collate(take(items, numbers))
            check_ranges(batch, task.inputs)
            yield batch.to(device)

    def pieces(size: int) -> list[Any]:
        order, found = task.order(items, size), [None] * len(items)
        answered = task.predict_batches(model, batches(order))
        for numbers, answers in zip(order, answered, strict=True):
            for number, piece in zip(numbers, answers, strict=True):
                found[number] = piece
        return found

    with evaluating(model):
        found = in_smaller_batches(pieces, min(size or rows_at_once(task, items), len(items)))
    return task.merge(examples, items, found)


@contextmanager
def evaluating(model: Model) -> Iterator[None]:
    """Put a model in evaluation mode; its mode is restored, also after an error."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


Found = TypeVar("Found")


def in_smaller_batches(compute: Callable[[int], Found], size: int) -> Found:
    """Call ``compute`` with the rows of a batch; where memory runs out, again with half as many."""
    size = max(1, size)
    while True:
        try:
            return compute(size)
        except (MemoryError, RuntimeError) as error:
            if size == 1 or not is_out_of_memory(error):
                raise
        size //= 2  # outside the handler: the error keeps what failed in memory


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
    longest = max(1, int(task.lengths(items).max(initial=1)))
    if is_timeless(task):
        return max(1, min(MOST_ROWS, MOST_NUMBERS // longest))
    usual = min(PREDICT_ROWS, PREDICT_ROWS * LONG // longest)
    return max(1, usual, min(MOST_ROWS, PREDICT_ROWS * SHORT // longest))


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
    device = next(model.parameters()).device

    def losses(size: int) -> list[dict[str, tuple[float, int]]]:
        found = []
        for numbers in task.order(items, size):
            batch = task.collate(take(items, numbers)).to(device)
            outputs = task.forward(model, batch)
            loss = task.loss(outputs, batch).with_penalties(outputs.states.penalties)
            counts = sum_counts([batch])
            found.append(
                {
                    name: (part.weight * part.total.item(), counts.get(name, counts[ROWS]))
                    for name, part in loss.parts.items()
                }
            )
        return found

    with evaluating(model):
        rows = in_smaller_batches(losses, min(rows_at_once(task, items), len(items)))
    names = dict.fromkeys(name for row in rows for name in row)
    statistics = [[number for name in names for number in row.get(name, (0, 0))] for row in rows]
    return Score(np.array(statistics, dtype=float), _sum_of_means, higher_is_better=False)


def _sum_of_means(sums: Numbers) -> Numbers:
    """Divide the totals of the parts, (..., 2 parts), by their counts, and add them up."""
    means = ratio(sums[..., ::2], np.maximum(1, sums[..., 1::2]))
    total: Numbers = means.sum(-1)
    return total

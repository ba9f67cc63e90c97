"""Check, before training, that no row depends on the rows beside it or on padding."""

from collections.abc import Iterable
from dataclasses import replace
from math import isfinite

import numpy as np
import torch
from numpy.typing import NDArray

from ensuite.core.batch import Batch
from ensuite.core.errors import PaddingLeakError, RowLeakError
from ensuite.core.loss import Loss
from ensuite.core.stacked import take
from ensuite.training.training import Training

ROWS = 8
"""Rows that are compared alone and together."""

TOLERANCE = 1e-4
"""Largest relative difference that rounding alone makes in a float32 sum over some rows."""


def require_independent_rows(training: Training) -> float:
    """Compare the loss of some training rows together with the sum of their losses alone.

    A row alone has no padding. First rows of one length are compared, whose batch has none either,
    so that a difference comes from the other rows; then rows from the shortest to the longest. The
    model computes without dropout; its weights and all random numbers stay as they were.

    Returns:
        The largest relative difference.

    Raises:
        RowLeakError: If a row depends on the rows beside it.
        PaddingLeakError: If a row depends on padding.
    """
    lengths, largest = training.task.lengths(training.items), 0.0
    for numbers in (rows_of_one_length(lengths), rows_of_many_lengths(lengths)):
        if not numbers:
            continue
        batch = _collate(training, numbers)
        difference = _difference(training, batch, numbers)
        if difference > TOLERANCE:
            raise _leak(type(training.model.backbone).__name__, batch, difference)
        largest = max(largest, difference)
    return largest


def _leak(name: str, batch: Batch, difference: float) -> RowLeakError | PaddingLeakError:
    """Return the error for a batch whose rows are not independent."""
    differs = f"(the loss differs by {difference:.0e} of itself)"
    if batch.mask is None or batch.mask.all():
        return RowLeakError(
            f"The result of {name} for a row depends on the other rows of its batch {differs}: "
            "let its forward compute each row by itself."
        )
    return PaddingLeakError(
        f"The result of {name} for a row depends on its padding {differs}: let its forward respect "
        "batch.mask."
    )


def rows_of_one_length(lengths: NDArray[np.int64]) -> list[int]:
    """Return the numbers of some rows that have the most frequent length, empty rows left out.

    >>> rows_of_one_length(np.array([3, 5, 0, 5]))
    [1, 3]
    """
    found, counts = np.unique(lengths[lengths > 0], return_counts=True)
    if not len(found):
        return []
    numbers: list[int] = np.flatnonzero(lengths == found[counts.argmax()])[:ROWS].tolist()
    return numbers


def rows_of_many_lengths(lengths: NDArray[np.int64]) -> list[int]:
    """Return the numbers of some rows, from the shortest that is not empty to the longest.

    >>> rows_of_many_lengths(np.array([3, 5, 0, 4]))
    [0, 3, 1]
    """
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    places = np.linspace(0, len(order) - 1, min(ROWS, len(order))).astype(int)
    numbers: list[int] = order[places].tolist()
    return numbers


def _collate(training: Training, numbers: list[int]) -> Batch:
    """Return a batch of some rows, as at the start of training."""
    batch = training.task.collate(take(training.items, numbers)).to(training.device)
    return replace(batch, progress=0.0)


def _difference(training: Training, batch: Batch, numbers: list[int]) -> float:
    """Return the largest relative difference of a part of the loss, together and alone."""
    together = _loss(training, batch)
    alone = sum((_loss(training, _collate(training, [each])) for each in numbers), Loss())
    pairs = (
        (float(part.total), float(alone.parts[name].total)) for name, part in together.parts.items()
    )
    return _largest(abs(one - other) / max(abs(other), 1.0) for one, other in pairs)


def _largest(differences: Iterable[float]) -> float:
    """Return the largest difference; one that is not finite is left to training to report."""
    return max((each for each in differences if isfinite(each)), default=0.0)


@torch.no_grad()
def _loss(training: Training, batch: Batch) -> Loss:
    """Return the loss of a batch without dropout."""
    task, model = training.task, training.model
    was_training = model.training
    model.eval()
    with torch.random.fork_rng():
        outputs = task.forward(model, batch)
        loss = task.loss(outputs, batch).with_penalties(outputs.states.penalties)
    model.train(was_training)
    return loss

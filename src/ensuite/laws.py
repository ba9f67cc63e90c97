"""What every trained model must obey, checked on the model itself and a few real examples."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ensuite.core.batch import Batch
from ensuite.core.errors import PaddingLeakError
from ensuite.core.task import Model, Task
from ensuite.predictor import Predictor

ROWS = 64
PADS = (0, 1, 7, 64)

TOLERANCE = 1e-4
"""Largest difference that rounding alone can make in float32 logits of a few hundred steps."""


class Verdict(NamedTuple):
    """One law, whether it holds, and the measure of it."""

    law: str
    holds: bool
    measure: str


def check(predictor: Predictor, examples: Sequence[Any]) -> Iterator[Verdict]:
    """Try every law that applies to a predictor on up to 64 of its own examples."""
    examples = examples[:ROWS]
    if isinstance(predictor.model, Model):
        yield padding_changes_nothing(predictor.task, predictor.model, examples)
        yield alone_as_in_a_batch(predictor.task, predictor.model, examples)
    yield one_prediction_each(predictor, examples)
    yield saved_is_loaded(predictor, examples)


def padding_changes_nothing(
    task: Task[Any, Any, Any], model: Model, examples: Sequence[Any]
) -> Verdict:
    """Pad on either side and compare the values of every row."""
    law = "padding changes nothing"
    batch = _collate(task, model, task.items(examples)[:ROWS])
    if batch.mask is None:
        return Verdict(law, True, "its inputs have no time, nothing is padded")
    expected = _values(model, batch)
    largest = 0.0
    for pads in PADS:
        for before, after in ((pads, 0), (0, pads)):
            padded = _values(model, pad(batch, before, after))
            difference = (padded - expected).abs().max().item()
            largest = max(largest, difference)
    said = f"largest difference {largest:.0e}, {len(batch)} rows, pads {PADS} on either side"
    return Verdict(law, largest <= TOLERANCE, said)


def alone_as_in_a_batch(
    task: Task[Any, Any, Any], model: Model, examples: Sequence[Any]
) -> Verdict:
    """Ask each row alone, and compare with what it gives among others."""
    items = task.items(examples)[:ROWS]
    together = _values(model, _collate(task, model, items))
    alone = [_values(model, _collate(task, model, [item])) for item in items]
    largest = (torch.cat(alone) - together).abs().max().item()
    return Verdict("alone = in a batch", largest <= TOLERANCE, f"{largest:.0e}")


def one_prediction_each(predictor: Predictor, examples: Sequence[Any]) -> Verdict:
    """Count answers, and compare their order."""
    answers, backwards = predictor.answer(examples), predictor.answer(examples[::-1])[::-1]
    same = [predictor.task.answer(a)[0] == predictor.task.answer(b)[0]
            for a, b in zip(answers, backwards, strict=False)]  # fmt: skip
    holds = len(answers) == len(examples) and all(same)
    return Verdict("one answer each, in order", holds, f"{len(answers)} for {len(examples)}")


def saved_is_loaded(predictor: Predictor, examples: Sequence[Any]) -> Verdict:
    """Save, load, and compare bit for bit."""
    with tempfile.TemporaryDirectory() as folder:
        again = Predictor.load(predictor.save(folder))
        same = again.answer(examples) == predictor.answer(examples)
    return Verdict("saved = loaded", same, "bit for bit" if same else "other answers")


def require_padding_invariance(
    task: Task[Any, Any, Any], model: Model, examples: Sequence[Any]
) -> Verdict:
    """Check the first law, and refuse a model that breaks it.

    Raises:
        PaddingLeakError: Says by how much.
    """
    verdict = padding_changes_nothing(task, model, examples[:ROWS])
    if not verdict.holds:
        raise PaddingLeakError(
            f"Padding changes the answers of {type(model.backbone).__name__} ({verdict.measure}): "
            "its forward ignores batch.mask."
        )
    return verdict


def pad(batch: Batch, before: int, after: int) -> Batch:
    """Return the batch with padding around its time axis."""
    assert batch.mask is not None
    time = batch.mask.shape[1]

    def widen(tensor: Tensor) -> Tensor:
        if tensor.dim() < 2 or tensor.shape[1] != time:
            return tensor
        rest = (0, 0) * (tensor.dim() - 2)
        return torch.nn.functional.pad(tensor, (*rest, before, after))

    inputs = {name: widen(tensor) for name, tensor in batch.inputs.items()}
    return replace(batch, inputs=inputs, mask=widen(batch.mask))


def _collate(task: Task[Any, Any, Any], model: Model, items: Sequence[Any]) -> Batch:
    batch = task.collate(items, torch.Generator().manual_seed(0))
    return batch.to(next(model.parameters()).device)


@torch.inference_mode()
def _values(model: Model, batch: Batch) -> Tensor:
    values: Tensor = model.eval()(batch).values
    return values



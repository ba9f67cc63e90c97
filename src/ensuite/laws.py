"""What every trained model must obey, checked on the model itself."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import isclose, isfinite
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ensuite.core.baseline import Baseline
from ensuite.core.batch import DECODER, Batch, Characters, Image, Inputs, Tokens, Values
from ensuite.core.errors import PaddingLeakError
from ensuite.core.model import Model
from ensuite.core.task import Task
from ensuite.predictor import Predictor

ROWS = 64
PADS = (0, 1, 7, 64)
LONGEST = 40
LONGEST_WORD = 9

TOLERANCE = 1e-4
"""Largest difference that rounding alone makes in float32 outputs after hundreds of steps."""


class Verdict(NamedTuple):
    """One law, whether it holds, and the measure of it."""

    law: str
    holds: bool
    measure: str


def check(predictor: Predictor, examples: Sequence[Any] | None = None) -> Iterator[Verdict]:
    """Try every law that applies, on up to 64 examples, or on inputs drawn at random."""
    task, model = predictor.task, predictor.model
    if isinstance(model, Model):
        batch = make_batch(task, examples).to(next(model.parameters()).device)
        yield padding_changes_nothing(model, batch)
        yield alone_as_in_a_batch(model, batch)
        yield saved_values(predictor, batch)
    elif isinstance(model, Baseline):
        yield saved_arrays(predictor)
    if examples:
        yield one_answer_each(predictor, examples[:ROWS])
        yield saved_answers(predictor, examples[:ROWS])


def make_batch(task: Task[Any, Any, Any], examples: Sequence[Any] | None) -> Batch:
    """Return a batch of rows of different lengths: of examples, or drawn at random."""
    if not examples:
        return random_batch(task.inputs)
    items = task.items(examples[:ROWS])[:ROWS]
    return task.collate(items, torch.Generator().manual_seed(0))


def random_batch(inputs: Inputs, rows: int = ROWS, longest: int = LONGEST, seed: int = 0) -> Batch:
    """Draw a batch that a backbone for these inputs can read; no token is padding."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (rows,), generator=generator)
    mask = torch.arange(longest) < lengths[:, None]
    fields: dict[str, Tensor] = {}
    for name, kind in inputs.items():
        if name == DECODER and isinstance(kind, Tokens):
            # A time of its own, all of it real.
            fields[name] = torch.randint(1, kind.size, (rows, longest - 1), generator=generator)
        elif isinstance(kind, Tokens):
            drawn = torch.randint(1, kind.size, (rows, longest), generator=generator)
            fields[name] = drawn * mask
        elif isinstance(kind, Characters):
            ends = torch.randint(1, LONGEST_WORD + 1, (rows, longest, 1), generator=generator)
            spelled = (torch.arange(LONGEST_WORD) < ends) & mask[..., None]
            drawn = torch.randint(1, kind.size, spelled.shape, generator=generator)
            fields[name] = drawn * spelled
        elif isinstance(kind, Values):
            drawn = torch.randn(rows, longest, kind.features, generator=generator)
            fields[name] = drawn * mask[..., None]
        elif isinstance(kind, Image):
            shape = (rows, kind.channels, kind.height, kind.width)
            fields[name] = torch.rand(shape, generator=generator)
        else:
            fields[name] = torch.randn(rows, kind.features, generator=generator)
    kinds = [kind for name, kind in inputs.items() if name != DECODER]
    timed = any(isinstance(kind, Tokens | Characters | Values) for kind in kinds)
    return Batch(inputs=fields, mask=mask if timed else None)


def padding_changes_nothing(model: Model, batch: Batch) -> Verdict:
    """Pad on either side and compare the values of every row."""
    law = "padding changes nothing"
    if batch.mask is None:
        return Verdict(law, True, "its inputs have no time: nothing is padded")
    expected, largest = values(model, batch), 0.0
    for pads in PADS:
        for before, after in ((pads, 0), (0, pads)):
            padded = values(model, pad(batch, before, after))
            largest = max(largest, difference(padded, expected))
    said = f"largest difference {largest:.0g}, {len(batch)} rows, pads {PADS} on either side"
    return Verdict(law, largest <= TOLERANCE, said)


def alone_as_in_a_batch(model: Model, batch: Batch) -> Verdict:
    """Ask each row alone, without padding, and compare with what it gives among others."""
    alone = torch.cat([values(model, row) for row in rows_of(batch)])
    largest = difference(alone, values(model, batch))
    return Verdict("alone = in a batch", largest <= TOLERANCE, f"{largest:.0g}")


def saved_values(predictor: Predictor, batch: Batch) -> Verdict:
    """Save, load, and compare outputs bit for bit."""
    with tempfile.TemporaryDirectory() as folder:
        again = Predictor.load(predictor.save(folder))
    assert isinstance(again.model, Model)
    assert isinstance(predictor.model, Model)
    same = torch.equal(
        values(again.model, batch.to("cpu")), values(predictor.model.cpu(), batch.to("cpu"))
    )
    return Verdict("saved = loaded", same, "bit for bit" if same else "other values")


def saved_arrays(predictor: Predictor) -> Verdict:
    """Save a baseline, load it, and compare what it has learned bit for bit."""
    with tempfile.TemporaryDirectory() as folder:
        again = Predictor.load(predictor.save(folder))
    assert isinstance(predictor.model, Baseline)
    assert isinstance(again.model, Baseline)
    one, other = predictor.model.arrays(), again.model.arrays()
    same = one.keys() == other.keys() and all((one[k] == other[k]).all() for k in one)
    return Verdict("saved = loaded", same, "bit for bit" if same else "other numbers")


def saved_answers(predictor: Predictor, examples: Sequence[Any]) -> Verdict:
    """Save, load, and compare answers."""
    with tempfile.TemporaryDirectory() as folder:
        again = Predictor.load(predictor.save(folder))
    same = again.predict_examples(examples) == predictor.predict_examples(examples)
    return Verdict("saved answers = loaded", same, "equal" if same else "other answers")


def one_answer_each(predictor: Predictor, examples: Sequence[Any]) -> Verdict:
    """Count answers, and compare them with those to the same examples in reverse."""
    task = predictor.task
    answers = [task.record(each) for each in predictor.predict_examples(examples)]
    backwards = [task.record(each) for each in predictor.predict_examples(examples[::-1])]
    holds = len(answers) == len(examples) and alike(answers, backwards[::-1])
    return Verdict("one answer each, in order", holds, f"{len(answers)} for {len(examples)}")


def alike(one: Any, other: Any) -> bool:
    """Tell whether two answers, or lists of them, are the same but for rounding.

    >>> alike([{"answer": "yes", "probability": 0.9}], [{"answer": "yes", "probability": 0.900001}])
    True
    """
    words, others = list(_leaves(one)), list(_leaves(other))
    numbers = [each for each in words if isinstance(each, float)]
    size = max((abs(each) for each in numbers if isfinite(each)), default=0.0)
    return len(words) == len(others) and all(
        isclose(a, b, rel_tol=0, abs_tol=TOLERANCE * size)
        if isinstance(a, float) and isinstance(b, float) and isfinite(a)
        else str(a) == str(b)
        for a, b in zip(words, others, strict=True)
    )


def _leaves(value: Any) -> Iterator[Any]:
    """Return the words and numbers within mappings and lists, in order."""
    if isinstance(value, Mapping):
        value = [part for pair in value.items() for part in pair]
    if not isinstance(value, list | tuple):
        yield value
        return
    for each in value:
        yield from _leaves(each)


def require_padding_invariance(
    task: Task[Any, Any, Any], model: Model, examples: Sequence[Any]
) -> Verdict:
    """Check the first law on examples, and refuse a model that breaks it.

    Raises:
        PaddingLeakError: Says by how much.
    """
    batch = make_batch(task, examples).to(next(model.parameters()).device)
    verdict = padding_changes_nothing(model, batch)
    if not verdict.holds:
        raise PaddingLeakError(
            f"Padding changes the answers of {type(model.backbone).__name__} ({verdict.measure}): "
            "its forward ignores batch.mask."
        )
    return verdict


def pad(batch: Batch, before: int, after: int) -> Batch:
    """Return the batch with padding around its time axis."""
    if batch.mask is None:
        return batch

    def widen(tensor: Tensor) -> Tensor:
        rest = (0, 0) * (tensor.dim() - 2)
        return torch.nn.functional.pad(tensor, (*rest, before, after))

    inputs = {n: widen(t) if timed(batch, n) else t for n, t in batch.inputs.items()}
    documents = None if batch.documents is None else widen(batch.documents)
    return replace(batch, inputs=inputs, mask=widen(batch.mask), documents=documents)


def rows_of(batch: Batch) -> Iterator[Batch]:
    """Return each row as a batch of its own, without its padding."""
    for row in range(len(batch)):
        if batch.mask is None:
            yield Batch(inputs={name: t[row : row + 1] for name, t in batch.inputs.items()})
            continue
        real = batch.mask[row]
        inputs = {
            name: t[row : row + 1, real] if timed(batch, name) else t[row : row + 1]
            for name, t in batch.inputs.items()
        }
        documents = None if batch.documents is None else batch.documents[row : row + 1, real]
        yield Batch(inputs=inputs, mask=real[real][None], documents=documents)


def timed(batch: Batch, name: str) -> bool:
    """Tell whether a field has the time of the batch's mask.

    One of a picture's or a row's sizes may happen to be as large: a picture has four dimensions,
    and a row is real numbers in two.
    """
    field = batch.inputs[name]
    if field.dim() > 3 or (field.dim() == 2 and field.is_floating_point()) or name == DECODER:
        return False
    return batch.mask is not None and field.shape[:2] == batch.mask.shape


@torch.inference_mode()
def values(model: Model, batch: Batch) -> Tensor:
    """Return what the head reads, without dropout: of each row, or of each real position.

    Several heads stand side by side; a parameter that a loss reads beside them is left out.
    """
    found: Any = model.eval()(batch).values
    if isinstance(found, Tensor):
        found = (found,)
    mask = None if DECODER in batch.inputs else batch.mask
    read = [_real(f, mask).flatten(1) for f in found if not isinstance(f, nn.Parameter)]
    return torch.cat(read, dim=1)


def _real(values: Tensor, mask: Tensor | None) -> Tensor:
    """Drop the padded positions of (batch, time, ...) values; others stay as they are."""
    if mask is None or values.dim() < 3 or values.shape[:2] != mask.shape:
        return values
    return values[mask]


def difference(one: Tensor, other: Tensor) -> float:
    """Return the largest absolute difference."""
    return float((one - other).abs().max())

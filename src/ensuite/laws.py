"""Laws that every trained model must obey, checked on the model itself."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from math import isclose, isfinite
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ensuite import catalog
from ensuite.core.baseline import Baseline
from ensuite.core.batch import (
    DECODER,
    OWN_TIME,
    Batch,
    Characters,
    Image,
    Inputs,
    Tokens,
    Values,
    read_by,
)
from ensuite.core.errors import PaddingLeakError
from ensuite.core.model import Model
from ensuite.core.task import Task
from ensuite.predictor import Predictor

ROWS = 64
PADS = (0, 1, 7, 64)
LONGEST = 40

ANSWERED_ALONE = 16
"""Examples that are answered in batches of several sizes."""

LONGEST_WORD = 9

TOLERANCE = 1e-4
"""Largest difference that rounding makes in float32 outputs after hundreds of steps."""


class Verdict(NamedTuple):
    """A law, whether it holds, and what was measured."""

    law: str
    holds: bool
    measure: str


def check(predictor: Predictor, examples: Sequence[Any] | None = None) -> Iterator[Verdict]:
    """Check every law that applies, on up to 64 examples, or on random inputs.

    A published checkpoint without a task of ours is not saved, so nothing is said of that.
    """
    task, model = predictor.task, predictor.model
    is_run = predictor.task_name in catalog.tasks
    if isinstance(model, Model):
        longest = min(LONGEST, predictor.fitted.context or LONGEST)
        batch = make_batch(task, examples, longest).to(next(model.parameters()).device)
        yield padding_changes_nothing(model, batch)
        yield alone_as_in_a_batch(model, batch)
        if is_run:
            yield saved_values(predictor, batch)
    elif isinstance(model, Baseline):
        yield saved_arrays(predictor)
    if examples:
        yield one_answer_each(predictor, examples[:ROWS])
        yield same_answer_in_any_batch(predictor, examples[:ANSWERED_ALONE])
        if is_run:
            yield saved_answers(predictor, examples[:ROWS])


def make_batch(
    task: Task[Any, Any, Any], examples: Sequence[Any] | None, longest: int = LONGEST
) -> Batch:
    """Return a batch of rows of different lengths: of examples, or drawn at random."""
    if not examples:
        return random_batch(task.inputs, longest=longest)
    return task.collate(task.items(examples[:ROWS], asking=True)[:ROWS])


def random_batch(inputs: Inputs, rows: int = ROWS, longest: int = LONGEST, seed: int = 0) -> Batch:
    """Draw a random batch of these input fields; no token is padding."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (rows,), generator=generator)
    mask = torch.arange(longest) < lengths[:, None]
    fields: dict[str, Tensor] = {}
    for name, kind in inputs.items():
        if kind.reader == "decoder" and isinstance(kind, Tokens):
            # Decoder inputs have their own time axis; none of it is padding.
            fields[name] = torch.randint(1, kind.size, (rows, longest - 1), generator=generator)
        elif isinstance(kind, Tokens):
            drawn = torch.randint(1, kind.size, (rows, longest), generator=generator)
            fields[name] = drawn * mask
        elif isinstance(kind, Characters):
            ends = torch.randint(1, LONGEST_WORD + 1, (rows, longest, 1), generator=generator)
            spelled = (torch.arange(LONGEST_WORD) < ends) & mask[..., None]
            drawn = torch.randint(1, kind.size, spelled.shape, generator=generator)
            fields[name] = drawn * spelled
        elif isinstance(kind, Values) and name in OWN_TIME:
            steps = kind.steps or longest
            fields[name] = torch.randn(rows, steps, kind.features, generator=generator)
        elif isinstance(kind, Values):
            drawn = torch.randn(rows, longest, kind.features, generator=generator)
            fields[name] = drawn * mask[..., None]
        elif isinstance(kind, Image):
            shape = (rows, kind.channels, kind.height, kind.width)
            fields[name] = torch.rand(shape, generator=generator)
        else:
            fields[name] = torch.randn(rows, kind.features, generator=generator)
    kinds = read_by(inputs, "backbone").values()
    timed = any(isinstance(kind, Tokens | Characters | Values) for kind in kinds)
    return Batch(inputs=fields, mask=mask if timed else None)


def padding_changes_nothing(model: Model, batch: Batch) -> Verdict:
    """Pad on either side and compare the values of every row."""
    law = "padding changes nothing"
    if batch.mask is None:
        return Verdict(law, True, "inputs without a time dimension are never padded")
    steady, largest = without_time(model, batch), Difference()
    expected = values(model, batch, steady)
    for pads in PADS:
        for before, after in ((pads, 0), (0, pads)):
            padded = values(model, pad(batch, before, after), steady)
            largest = max(largest, difference(padded, expected))
    said = f"{largest}, {len(batch)} rows, pads {PADS} on either side"
    return Verdict(law, largest.size <= TOLERANCE, f"largest difference {said}")


def alone_as_in_a_batch(model: Model, batch: Batch) -> Verdict:
    """Compute each row alone, without padding, and compare with its values in the batch."""
    steady = without_time(model, batch)
    alone = [values(model, row, steady) for row in rows_of(batch)]
    joined = {name: torch.cat([parts[name] for parts in alone]) for name in alone[0]}
    largest = difference(joined, values(model, batch, steady))
    return Verdict("alone = in a batch", largest.size <= TOLERANCE, str(largest))


def saved_values(predictor: Predictor, batch: Batch) -> Verdict:
    """Save, load, and compare outputs bit for bit."""
    with tempfile.TemporaryDirectory() as folder:
        again = Predictor.load(predictor.save(folder))
    assert isinstance(again.model, Model)
    assert isinstance(predictor.model, Model)
    one = values(again.model, batch.to("cpu"))
    other = values(predictor.model.cpu(), batch.to("cpu"))
    differ = [name for name in one if not torch.equal(one[name], other[name])]
    return Verdict("saved = loaded", not differ, said_of(differ) or "bit for bit")


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
    one, other = (
        [repr(leaf) for leaf in _leaves(each.predict_examples(examples))]  # NaN is as NaN
        for each in (again, predictor)
    )
    same = one == other
    return Verdict("saved answers = loaded", same, "equal" if same else "other answers")


def one_answer_each(predictor: Predictor, examples: Sequence[Any]) -> Verdict:
    """Count the answers."""
    answers = predictor.predict_examples(examples)
    said = f"{len(answers)} for {len(examples)}"
    return Verdict("one answer each", len(answers) == len(examples), said)


def same_answer_in_any_batch(predictor: Predictor, examples: Sequence[Any]) -> Verdict:
    """Ask in another order, in batches of three and one by one, and compare the answers."""
    law = "same answer in any batch"
    if predictor.task.continues and any(predictor.task.keys(e).time is not None for e in examples):
        return Verdict(law, True, "its examples continue one another, so their order matters")

    def records(batches: Sequence[Sequence[Any]]) -> list[Any]:
        answers = [answer for batch in batches for answer in predictor.predict_examples(batch)]
        asked = [example for batch in batches for example in batch]
        pairs = zip(asked, answers, strict=True)
        return [predictor.task.records(*pair) for pair in pairs]

    expected = records([examples])
    others = {
        "backwards": records([examples[::-1]])[::-1],
        "in batches of three": records(
            [examples[at : at + 3] for at in range(0, len(examples), 3)]
        ),
        "alone": records([[example] for example in examples]),
    }
    differ = [name for name, answers in others.items() if not alike(answers, expected)]
    said = said_of(differ) or f"{len(examples)} alone, in threes and backwards"
    return Verdict(law, not differ, said)


def said_of(differ: Sequence[str]) -> str:
    """Return a sentence on what differs; empty if nothing does."""
    return f"differs: {', '.join(differ)}" if differ else ""


def alike(one: Any, other: Any) -> bool:
    """Return whether two answers, or lists of them, are equal up to rounding.

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
    """Return the words and numbers within mappings, lists and arrays, in order."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
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
    """Check on examples that padding changes nothing.

    Raises:
        PaddingLeakError: If it does; says by how much.
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
    """Return whether a field has the time axis of the batch's mask.

    Fields without one may have the same size by chance: an image has four dimensions, a row is
    real numbers in two.
    """
    field = batch.inputs[name]
    if field.dim() > 3 or (field.dim() == 2 and field.is_floating_point()) or name in OWN_TIME:
        return False
    return batch.mask is not None and field.shape[:2] == batch.mask.shape


class Difference(NamedTuple):
    """The largest absolute difference, and the part of the outputs that has it."""

    size: float = 0.0
    part: str = ""

    def __str__(self) -> str:
        """Return the size, and the part where outputs have several."""
        return f"{self.size:.0g}{f' in {self.part}' if self.part else ''}"


@torch.inference_mode()
def values(model: Model, batch: Batch, steady: Set[str] = frozenset()) -> dict[str, Tensor]:
    """Return the values of the head by part, in evaluation mode: a row or a real position a line.

    Parts are the fields of a named tuple or the entries of a mapping; a single tensor has the name
    "". Parameters of the head that a loss reads as well are left out.

    Args:
        model: Its head may be of any task.
        batch: What it reads.
        steady: The parts that have no value of each position, as :func:`without_time` tells.
    """
    mask = None if DECODER in batch.inputs else batch.mask
    return {
        name: _lines(each if name in steady else _real(each, mask))
        for name, each in _parts(model, batch).items()
    }


@torch.inference_mode()
def without_time(model: Model, batch: Batch) -> frozenset[str]:
    """Return the parts of a head that have no value of each position.

    They may have as many steps as a batch by chance, but not more of them with more padding.
    """
    if batch.mask is None:
        return frozenset()
    parts, longer = _parts(model, batch), _parts(model, pad(batch, 0, 1))
    return frozenset(name for name, each in parts.items() if longer[name].shape == each.shape)


def _real(values: Tensor, mask: Tensor | None) -> Tensor:
    """Drop the padded positions of (batch, time, ...) values; others stay as they are."""
    if mask is None or values.dim() < 3 or values.shape[:2] != mask.shape:
        return values
    return values[mask]


def _parts(model: Model, batch: Batch) -> dict[str, Tensor]:
    """Return the values of the head by part, as it has them."""
    found: Any = model.eval()(batch).values
    if isinstance(found, Tensor):
        found = {"": found}
    elif hasattr(found, "_asdict"):
        found = found._asdict()
    elif not isinstance(found, Mapping):
        found = {str(number): each for number, each in enumerate(found)}
    return {name: each for name, each in found.items() if not isinstance(each, nn.Parameter)}


def _lines(values: Tensor) -> Tensor:
    """Return values as (rows, numbers)."""
    return values.flatten(1) if values.dim() > 1 else values[:, None]


def difference(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> Difference:
    """Return the part of two outputs that differs most; NaN is a difference without bound."""
    sizes = {
        name: (each - other[name]).abs().nan_to_num(nan=float("inf")).max().item()
        if each.numel()
        else 0.0
        for name, each in one.items()
    }
    part = max(sizes, key=lambda name: sizes[name])
    return Difference(sizes[part], part)

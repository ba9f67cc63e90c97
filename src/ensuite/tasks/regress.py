"""Regress: one number, or several, for a whole text, series, image or row."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, NamedTuple, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ensuite.core.backbone import Backbone, Pretrained
from ensuite.core.batch import Batch, Inputs, Outputs
from ensuite.core.errors import DataError
from ensuite.core.loss import Loss, Part
from ensuite.core.model import Model
from ensuite.core.score import Score
from ensuite.core.stacked import column
from ensuite.core.table import Table
from ensuite.core.task import Finding, Ledger, Task
from ensuite.data import columns, inputs
from ensuite.data.encoded import rows_of_windows
from ensuite.data.processors import Processor, Text, Window
from ensuite.metrics import regression as metrics
from ensuite.nn.heads import SummaryHead
from ensuite.nn.losses import absolute_error, squared_error

TARGET_NAMES = ("target", "targets", "y", "value", "score", "rating", "label")

STEADY = 1e-12
"""Deviation, beside the size of the numbers, below which a target counts as never changing."""

MOST_TOLD = 8
"""Targets up to which each has metrics of its own, and a line in the data check."""

InputKind = Literal["auto", "text", "series", "image", "row"]

Numbers = NDArray[Any]
Target = float | tuple[float, ...]


class Example(NamedTuple):
    """An input and the number, or numbers, that belong to it."""

    input: Any  # what the processor reads: a text or a pair of them, an array
    target: Target | None = None  # given to learn from (NaN: not known), left out to ask


class Item(NamedTuple):
    """A row of a batch: one window of an example."""

    example: int
    window: Window
    target: Numbers  # (target,), scaled; NaN: not given


class Prediction(NamedTuple):
    """The number that is expected, or a tuple of several, in the user's own unit."""

    value: Target


class Piece(NamedTuple):
    """What one window says."""

    values: Numbers  # (target,), scaled
    weight: int  # its real positions


@dataclass(frozen=True, kw_only=True)
class Regress(Task[Example, Item, Prediction]):
    """Give each input a number, or several.

    Targets are learned at mean 0 and deviation 1 over the training rows, so that no unit needs
    another learning rate, and answered in the unit they came in.

    Args:
        input: What an input is; auto: a text or image column if there is one, else numbers.
        criterion: What training makes small: squared errors, which ask for the mean of what may
            come, or absolute ones, which ask for its median and mind outliers less.
        processor: How an input becomes tensors. A published checkpoint brings its own.
        target_columns: Those that hold the targets, where the file names its columns.
        targets: What each number is called.
        mean: Of each target over the training rows.
        deviation: Likewise; 1 for a target that never changes.
    """

    input: InputKind = "auto"
    criterion: Literal["squared", "absolute"] = "squared"
    processor: Processor = field(default_factory=Text, metadata={"options": True})
    target_columns: tuple[str, ...] = field(default=(), metadata={"learned": True})
    targets: tuple[str, ...] = field(default=(), metadata={"learned": True})
    mean: tuple[float, ...] = field(default=(), metadata={"learned": True})
    deviation: tuple[float, ...] = field(default=(), metadata={"learned": True})

    fields: ClassVar[tuple[str, ...]] = ("text", "text_pair")

    # From data to tensors

    def read(
        self, table: Table, given: Mapping[str, str], *, asking: bool = False
    ) -> tuple[Self, list[Example]]:
        columns.only(given, ("target", *inputs.ROLES))
        names = self._find(table, given, asking)
        raws, processor = inputs.read(table, given, self.input, self.processor, but=names)
        task = replace(self, processor=processor)
        if asking:
            return task, [Example(raw) for raw in raws]
        truths = [columns.numbers(table, name).reshape(table.rows, -1) for name in names]
        called = [each for pair in zip(names, truths, strict=True) for each in _call(*pair)]
        if not called or (self.mean and len(called) != len(self.mean)):
            wanted = counted_targets(len(self.mean)) if self.mean else "at least one number"
            raise DataError(
                f"{table.name} has {counted_targets(len(called))} a row; give {wanted}."
            )
        task = replace(
            task,
            targets=self.targets or tuple(called),
            # Without a header names are but numbers, and change with the columns beside them.
            target_columns=tuple(names) if table.has_header else (),
        )
        rows = np.hstack(truths).tolist()
        targets = [row[0] if len(row) == 1 else tuple(row) for row in rows]
        return task, [Example(*pair) for pair in zip(raws, targets, strict=True)]

    def _find(self, table: Table, given: Mapping[str, str], asking: bool) -> list[str]:
        """Return the columns of the targets: named, or those learned from, or usual ones."""
        if "target" not in given and table.has_header and self.target_columns:
            known = [name for name in self.target_columns if name in table.columns]
            if asking or len(known) == len(self.target_columns):
                return known
        found = columns.find_all(table, "target", TARGET_NAMES, given)
        if found or asking:
            return found
        return [columns.require(table, "target", TARGET_NAMES, given)]  # tells that there is none

    def ask(self, raw: Any) -> Example:
        return raw if isinstance(raw, Example) else Example(inputs.ask(raw, self.processor))

    def prepare(self, examples: Sequence[Example], pretrained: Pretrained | None = None) -> Self:
        sizes = sorted({np.size(e.target) for e in examples if e.target is not None})
        if len(sizes) != 1:
            said = " or ".join(map(str, sizes)) or "no"
            raise DataError(
                f"The training rows have {said} targets; give each the same, 1 or more."
            )
        named = len(self.targets) == sizes[0]
        names = self.targets if named else tuple(_call("target", np.empty((0, sizes[0]))))
        mean, deviation = _measure(_truths(examples, len(names)), names)
        return replace(
            self,
            processor=self.processor.prepare([e.input for e in examples], pretrained),
            input=cast(InputKind, self.processor.kind),  # what a run was trained on it is asked for
            targets=names,
            mean=tuple(mean.tolist()),
            deviation=tuple(deviation.tolist()),
        )

    @property
    def inputs(self) -> Inputs:
        return self.processor.inputs

    def verify(self, example: Example) -> None:
        given = 0 if example.target is None else np.size(example.target)
        if given not in (0, len(self.mean)):
            raise DataError(f"it has {counted_targets(given)}; training had {len(self.mean)}.")

    def items(self, examples: Sequence[Example]) -> Sequence[Item]:
        targets = self.scale(examples).astype(np.float32)
        cut = self.processor.windows([e.input for e in examples])
        return rows_of_windows(Item, cut, targets)

    def scale(self, examples: Sequence[Example]) -> Numbers:
        """Return the targets as they are learned, (examples, target); NaN where not given."""
        scaled: Numbers = (_truths(examples, len(self.mean)) - self.mean) / self.deviation
        return scaled

    def length(self, item: Item) -> int:
        return len(item.window)

    def collate(self, items: Sequence[Item], generator: torch.Generator | None = None) -> Batch:
        batch = self.processor.collate(column(items, "window"))
        targets = np.asarray(column(items, "target"))
        counts = {"target": int(np.count_nonzero(~np.isnan(targets)))}
        return replace(batch, targets={"target": torch.from_numpy(targets)}, counts=counts)

    # From tensors to a loss

    def head(self, backbone: Backbone) -> SummaryHead:
        return SummaryHead(backbone.width, len(self.mean))

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        error = squared_error if self.criterion == "squared" else absolute_error
        return Loss({"target": Part(error(outputs.values, batch.targets["target"]))})

    # From outputs to answers

    def predict(self, model: Model, batch: Batch) -> list[Piece]:
        values = model(batch).values.double().cpu().numpy()
        weights = [1] * len(batch) if batch.mask is None else batch.mask.sum(1).tolist()
        return [Piece(*pair) for pair in zip(values, weights, strict=True)]

    def merge(
        self, examples: Sequence[Example], items: Sequence[Item], pieces: Sequence[Piece]
    ) -> list[Prediction]:
        """Average what the windows of an example say, each by its length."""
        values = np.array([piece.values for piece in pieces]).reshape(-1, len(self.mean))
        weights = np.array([piece.weight for piece in pieces], dtype=float)
        numbers = np.asarray(column(items, "example"), dtype=int)
        totals = np.zeros((len(examples), len(self.mean)))
        np.add.at(totals, numbers, weights[:, None] * values)
        return self.predictions(totals / np.bincount(numbers, weights, len(examples))[:, None])

    def predictions(self, scaled: Numbers) -> list[Prediction]:
        """Return a prediction for each row of scaled values, (examples, target)."""
        rows = (scaled * self.deviation + self.mean).tolist()
        return [Prediction(row[0] if len(row) == 1 else tuple(row)) for row in rows]

    def score(
        self, predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> dict[str, Score]:
        values = np.array([np.atleast_1d(p.value) for p in predictions])
        truths = _truths(examples, len(self.mean))
        scores = {
            "mae": metrics.mean_absolute_error(values, truths),
            "rmse": metrics.root_mean_squared_error(values, truths),
            "r2": metrics.r2(values, truths),
        }
        if 1 < len(self.targets) <= MOST_TOLD:
            for place, name in enumerate(self.targets):
                one = metrics.mean_absolute_error(values[:, place], truths[:, place])
                scores[f"mae_{name}"] = one
        return scores

    # For the data check, splits, tables and reports

    @property
    def unit(self) -> str:
        return self.processor.kind

    def key(self, example: Example) -> Hashable:
        return self.processor.key(example.input)

    def check(self, parts: Mapping[str, Sequence[Example]]) -> list[Finding]:
        everything = [e for part in parts.values() for e in part]
        findings = self.processor.check([e.input for e in everything])
        truths = _truths(everything, len(self.mean)).T
        for name, truth in list(zip(self.targets, truths, strict=True))[:MOST_TOLD]:
            known = truth[~np.isnan(truth)]
            wrong = np.abs(known - known.mean()).mean()
            findings.append(
                Finding(
                    "target",
                    f"{name}: {show(known.min())} to {show(known.max())}, mean {known.mean():.4g}; "
                    f"always guessing that is {wrong:.3g} off on average",
                )
            )
        if len(self.targets) > MOST_TOLD:
            findings.append(Finding("target", f"and {len(self.targets) - MOST_TOLD} more"))
        return findings

    def ledger(self, examples: Sequence[Example]) -> Ledger:
        return self.processor.ledger([e.input for e in examples])

    def show(self, example: Example) -> str:
        return self.processor.show(example.input)

    def picture(self, example: Example) -> bytes | None:
        return self.processor.picture(example.input)

    def truth(self, example: Example) -> str:
        return "" if example.target is None else self._say(example.target)

    def describe(self, prediction: Prediction) -> tuple[str, float | None]:
        return self._say(prediction.value), None

    def record(self, prediction: Prediction) -> dict[str, Any]:
        if isinstance(prediction.value, tuple):
            return dict(zip(self.targets, prediction.value, strict=True))
        return {"answer": prediction.value}

    def error(self, prediction: Prediction, example: Example) -> float:
        """Return the mean distance to the truth over the targets, each in its deviations."""
        difference = np.subtract(prediction.value, _truths([example], len(self.mean))[0])
        known = np.abs(difference / self.deviation)[~np.isnan(difference)]
        return float(known.mean()) if len(known) else 0.0

    def _say(self, value: Target) -> str:
        if not isinstance(value, tuple):
            return show(value)
        pairs = zip(self.targets, value, strict=True)
        return ", ".join(f"{name} {show(number)}" for name, number in pairs)


def show(number: float) -> str:
    """Write a number with as many digits as float32 holds.

    >>> [show(number) for number in (2.0, 0.1234567, 151.1352, 12345678.0)]
    ['2', '0.123457', '151.135', '1.23457e+07']
    """
    return f"{number:.6g}"


def counted_targets(count: int) -> str:
    """Say how many targets there are.

    >>> [counted_targets(count) for count in (0, 1, 2)]
    ['no target', '1 target', '2 targets']
    """
    return f"{count or 'no'} target{'s' if count > 1 else ''}"


def _call(column: str, numbers: Numbers) -> list[str]:
    """Name the numbers of a column, (rows, targets)."""
    width = numbers.shape[1]
    return [column] if width == 1 else [f"{column}_{number}" for number in range(1, width + 1)]


def _truths(examples: Sequence[Example], targets: int) -> Numbers:
    """Return the targets of examples, (examples, targets); NaN where one is not given."""
    none = (np.nan,) * targets
    truths = [none if e.target is None else np.atleast_1d(e.target) for e in examples]
    return np.array(truths, dtype=float).reshape(len(examples), targets)


def _measure(truths: Numbers, names: Sequence[str]) -> tuple[Numbers, Numbers]:
    """Return mean and deviation of each target over the rows that have it.

    Raises:
        DataError: If a target is never given, or if none of them ever changes.
    """
    known = ~np.isnan(truths)
    counts = known.sum(0)
    if not counts.all():
        raise DataError(f"No training row has a number for the target {names[counts.argmin()]}.")
    mean = np.where(known, truths, 0).sum(0) / counts
    deviation = np.sqrt(np.where(known, (truths - mean) ** 2, 0).sum(0) / counts)
    steady = deviation <= STEADY * np.abs(mean)
    if steady.all():
        raise DataError(
            f"The training rows all have the target {show(mean[0])}: there is nothing to learn."
        )
    return mean, np.where(steady, 1.0, deviation)

"""Regress: one number, or several, for a whole text, series, image or row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ensuite.core.backbone import Backbone, BackboneOptions, Pretrained
from ensuite.core.batch import Batch, Outputs
from ensuite.core.errors import DataError
from ensuite.core.loss import Loss, Part
from ensuite.core.presentation import Finding, written
from ensuite.core.published import PublishedTask, output_names
from ensuite.core.score import Score
from ensuite.core.table import Table
from ensuite.data import columns, inputs
from ensuite.data.processors import Text
from ensuite.data.series import is_rounding
from ensuite.metrics import regression as metrics
from ensuite.nn.heads import SummaryHead
from ensuite.nn.losses import absolute_error, squared_error
from ensuite.tasks.windowed import Windowed

TARGET_NAMES = ("target", "targets", "y", "value", "score", "rating", "label")

MOST_TOLD = 8
"""Most targets that have metrics of their own, and a line in the data check."""

Numbers = NDArray[Any]
Target = float | tuple[float, ...]


class Example(NamedTuple):
    """An input and the number, or numbers, that belong to it."""

    input: Any  # what the processor reads: a text or a pair of them, an array
    target: Target | None = None  # given to learn from (NaN: not known), left out to ask


class Prediction(NamedTuple):
    """The number that is expected, or a tuple of several, in the user's own unit."""

    value: Target


@dataclass(frozen=True, kw_only=True)
class Regress(Windowed[Example, Prediction]):
    """Give each input a number, or several.

    Targets are scaled to mean 0 and deviation 1 over the training examples, so that one learning
    rate suits every unit; predictions are in the unit of the targets.

    Args:
        input: Kind of the input; auto: a text or image column if there is one, otherwise numbers.
        criterion: The loss: squared errors, which estimate the mean, or absolute errors, which
            estimate the median and are less sensitive to outliers.
        processor: Turns an input into tensors. A published checkpoint brings its own.
        target_columns: The columns of the targets, where the file names its columns.
        targets: Name of each target.
        mean: Of each target over the training examples.
        deviation: Standard deviation of each; 1 for a target that never changes.
    """

    criterion: Literal["squared", "absolute"] = "squared"
    target_columns: tuple[str, ...] = field(default=(), metadata={"learned": True})
    targets: tuple[str, ...] = field(default=(), metadata={"learned": True})
    mean: tuple[float, ...] = field(default=(), metadata={"learned": True})
    deviation: tuple[float, ...] = field(default=(), metadata={"learned": True})

    roles: ClassVar[tuple[str, ...]] = ("target", *inputs.ROLES)
    usual_names: ClassVar[Mapping[str, Sequence[str]]] = {"target": TARGET_NAMES, **inputs.USUAL}
    part: ClassVar[str] = "target"

    # Data

    def read(
        self, table: Table, given: Mapping[str, str], *, asking: bool = False
    ) -> tuple[Self, list[Example]]:
        names = self._find(table, given, asking)
        raws, processor = inputs.read(table, given, self.input, self.processor, but=names)
        task = replace(self, processor=processor)
        if asking:
            return task, [Example(raw) for raw in raws]
        table.note("target", *names)
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

    def prepare(
        self,
        examples: Sequence[Example],
        options: BackboneOptions | None = None,
        pretrained: Pretrained | None = None,
    ) -> Self:
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
            super().prepare(examples, options, pretrained),
            targets=names,
            mean=tuple(mean.tolist()),
            deviation=tuple(deviation.tolist()),
        )

    def verify(self, example: Example) -> None:
        given = 0 if example.target is None else np.size(example.target)
        if given not in (0, len(self.mean)):
            raise DataError(f"it has {counted_targets(given)}; training had {len(self.mean)}.")

    def encode_targets(self, examples: Sequence[Example]) -> Numbers:
        """Return the scaled targets, (examples, target); NaN where one is not known."""
        return self.scale(examples).astype(np.float32)

    def scale(self, examples: Sequence[Example]) -> Numbers:
        """Return the targets as they are learned, (examples, target); NaN where not given."""
        scaled: Numbers = (_truths(examples, len(self.mean)) - self.mean) / self.deviation
        return scaled

    # Model

    def head(self, backbone: Backbone) -> SummaryHead:
        return SummaryHead(backbone.width, len(self.mean))

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        error = squared_error if self.criterion == "squared" else absolute_error
        return Loss({"target": Part(error(outputs.values, batch.targets["target"]))})

    def activate(self, values: Tensor) -> Tensor:
        return values

    def predictions(self, outputs: Numbers) -> list[Prediction]:
        """Return a prediction for each row of scaled values, (examples, target)."""
        rows = (outputs * self.deviation + self.mean).tolist()
        return [Prediction(row[0] if len(row) == 1 else tuple(row)) for row in rows]

    # Judgement

    def score(
        self, predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> dict[str, Score]:
        values = _rows([p.value for p in predictions], len(self.mean))
        truths = _truths(examples, len(self.mean))
        scores = {
            "mae": metrics.mean_absolute_error(values, truths),
            "rmse": metrics.root_mean_squared_error(values, truths),
            "r2": metrics.r2(values, truths),
        }
        if 1 < len(self.targets) <= MOST_TOLD:
            for place, name in enumerate(self.targets):
                one = metrics.mean_absolute_error(values[:, place], truths[:, place])
                display = replace(one.display, name=f"{one.display.name} {name}")
                scores[f"mae_{name}"] = replace(one, display=display)
        return scores

    # Published checkpoints

    @property
    def published(self) -> PublishedTask:
        """How transformers calls it: a classifier whose problem type is regression.

        Its outputs are in deviations from the mean of the training targets.
        """
        pipeline = "text-classification" if self.unit == "text" else self.pipeline
        known = super().published
        return known._replace(pipeline=pipeline, outputs=self.targets, problem="regression")

    @classmethod
    def from_published(cls, config: Mapping[str, Any], pretrained: Pretrained) -> Self | None:
        names = output_names(config)
        if config.get("problem_type") != "regression" and len(names) != 1:
            return None
        return cls(
            input="text",
            processor=Text().prepare([], pretrained),
            targets=names,
            mean=(0.0,) * len(names),
            deviation=(1.0,) * len(names),
        )

    # Presentation

    @property
    def pipeline(self) -> str:
        return "tabular-regression" if self.unit == "row" else ""

    def check(self, parts: Mapping[str, Sequence[Example]]) -> list[Finding]:
        everything = [e for part in parts.values() for e in part]
        findings = super().check(parts)
        truths = _truths(everything, len(self.mean)).T
        for name, truth in list(zip(self.targets, truths, strict=True))[:MOST_TOLD]:
            known = truth[~np.isnan(truth)]
            wrong = np.abs(known - known.mean()).mean()
            findings.append(
                Finding(
                    "target",
                    f"{name}: {known.min():.6g} to {known.max():.6g}, mean {known.mean():.4g}; "
                    f"always guessing that is {wrong:.3g} off on average",
                )
            )
        if len(self.targets) > MOST_TOLD:
            findings.append(Finding("target", f"and {len(self.targets) - MOST_TOLD} more"))
        return findings

    def truth(self, example: Example) -> str:
        return "" if example.target is None else self._say(example.target)

    def describe(self, prediction: Prediction) -> tuple[str, float | None]:
        return self._say(prediction.value), None

    def records(self, example: Example, prediction: Prediction) -> list[dict[str, Any]]:
        if isinstance(prediction.value, tuple):
            return [dict(zip(self.targets, prediction.value, strict=True))]
        return [{"answer": prediction.value}]

    def error(self, prediction: Prediction, example: Example) -> float:
        """Return the mean distance to the truth over the targets, each in its deviations."""
        difference = np.subtract(prediction.value, _truths([example], len(self.mean))[0])
        known = np.abs(difference / self.deviation)[~np.isnan(difference)]
        return float(known.mean()) if len(known) else 0.0

    def _say(self, value: Target) -> str:
        if not isinstance(value, tuple):
            return written(value)
        pairs = zip(self.targets, value, strict=True)
        return ", ".join(f"{name} {written(number)}" for name, number in pairs)


def counted_targets(count: int) -> str:
    """Return the number of targets in words.

    >>> [counted_targets(count) for count in (0, 1, 2)]
    ['no target', '1 target', '2 targets']
    """
    return f"{count or 'no'} target{'s' if count > 1 else ''}"


def _call(column: str, numbers: Numbers) -> list[str]:
    """Return a name for each number of a column, (rows, targets)."""
    width = numbers.shape[1]
    return [column] if width == 1 else [f"{column}_{number}" for number in range(1, width + 1)]


def _truths(examples: Sequence[Example], targets: int) -> Numbers:
    """Return the targets of examples, (examples, targets); NaN where one is not given."""
    none = (np.nan,) * targets
    return _rows([none if e.target is None else e.target for e in examples], targets)


def _rows(values: Sequence[Target], targets: int) -> Numbers:
    """Return numbers and tuples of numbers as one array, (examples, targets)."""
    rows = [(value,) if isinstance(value, float | int | np.number) else value for value in values]
    return np.array(rows, dtype=float).reshape(len(rows), targets)


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
    steady = is_rounding(deviation, mean)
    if steady.all():
        raise DataError(
            f"The training rows all have the target {written(mean[0])}: there is nothing to learn."
        )
    return mean, np.where(steady, 1.0, deviation)

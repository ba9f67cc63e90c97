"""Classify: one label, or several, for a whole text, series, image or row."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, NamedTuple, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ensuite.core.backbone import Backbone, Pretrained
from ensuite.core.batch import Batch, Inputs, Outputs
from ensuite.core.errors import DataError, UsageError
from ensuite.core.loss import Loss, Part
from ensuite.core.model import Model
from ensuite.core.score import Score
from ensuite.core.stacked import column, stack
from ensuite.core.table import Table
from ensuite.core.task import Finding, Ledger, Task
from ensuite.data import columns, inputs, labels
from ensuite.data.labels import Label, Labels
from ensuite.data.processors import Processor, Text, Window
from ensuite.metrics import classification as metrics
from ensuite.metrics.calibration import best_temperature
from ensuite.nn.heads import SummaryHead
from ensuite.nn.losses import binary_cross_entropy, cross_entropy

LABEL_NAMES = (
    "label", "labels", "class", "target", "category", "sentiment", "language", "y",
)  # fmt: skip

IMBALANCE = 0.8
"""Share of the largest class above which balanced accuracy ranks: always guessing it is 'good'."""

THRESHOLD = 0.5
"""Probability from which on one of several labels is given."""

InputKind = Literal["auto", "text", "series", "image", "row"]


class Example(NamedTuple):
    """An input and what it is."""

    input: Any  # what the processor reads: a text or a pair of them, an array, a picture's path
    label: Label | None = None  # given to learn from, left out to ask; a tuple of several


class Item(NamedTuple):
    """A row of a batch: one window of an example."""

    example: int
    window: Window
    label: Any  # a label's number, or 0 and 1 (NaN: not given) for each of several


class Prediction(NamedTuple):
    """A label and how probable it is; labels that are each more likely than not, of several."""

    label: Label
    probability: float  # of the label; of the whole set, of several
    probabilities: tuple[float, ...]  # of every label, in the order of ``labels``


class Piece(NamedTuple):
    """What one window says."""

    log_odds: NDArray[np.float64]  # (label,), log probabilities; of several, logits
    weight: int  # its real positions


@dataclass(frozen=True, kw_only=True)
class Classify(Task[Example, Item, Prediction]):
    """Give each input one label of a fixed set, or as many as hold.

    Args:
        input: What an input is; auto: a text column if there is one, else pictures, else numbers.
        separator: What stands between several labels in one cell; empty: a cell is one label.
        class_weight: balanced weighs each class by how rare it is; for one label each.
        processor: How an input becomes tensors. A published checkpoint brings its own.
        labels: The labels, in the order of the outputs.
        several: Whether an example may have several labels.
        weights: Of each label in the loss; empty for all alike.
        imbalanced: Whether one class has more than 80 % of the training rows.
        temperature: Divides the logits, so that probabilities hold (Guo et al. 2017).

    Raises:
        UnknownLabelError: In ``items``, for a label that is not among ``labels``.
    """

    input: InputKind = "auto"
    separator: str = ""
    class_weight: Literal["none", "balanced"] = "none"
    processor: Processor = field(default_factory=Text, metadata={"options": True})
    labels: Labels = field(default_factory=Labels, metadata={"learned": True})
    several: bool = field(default=False, metadata={"learned": True})
    weights: tuple[float, ...] = field(default=(), metadata={"learned": True})
    imbalanced: bool = field(default=False, metadata={"learned": True})
    temperature: float = field(default=1.0, metadata={"learned": True})

    fields: ClassVar[tuple[str, ...]] = ("text", "text_pair")

    # From data to tensors

    def read(
        self, table: Table, given: Mapping[str, str], *, asking: bool = False
    ) -> tuple[Self, list[Example]]:
        columns.only(given, ("label", *inputs.ROLES))
        find = columns.find if asking else columns.require
        label = find(table, "label", LABEL_NAMES, given)
        but = [label] if label else []
        raws, processor = inputs.read(table, given, self.input, self.processor, but=but)
        if label is None or asking:
            return replace(self, processor=processor), [Example(raw) for raw in raws]
        names, several = labels.read(table, label, self.separator, lists=self.several)
        task = replace(self, processor=processor, several=several)
        return task, [Example(*pair) for pair in zip(raws, names, strict=True)]

    def ask(self, raw: Any) -> Example:
        if isinstance(raw, Example):
            return raw
        return Example(inputs.ask(raw, self.processor))

    def prepare(self, examples: Sequence[Example], pretrained: Pretrained | None = None) -> Self:
        known = Labels.learn(name for e in examples for name in each_label(e.label))
        if len(known) < 2:
            only = f'the single label "{known.names[0]}"' if known.names else "no label"
            raise DataError(
                f"The training rows have {only}: at least two are needed to tell apart."
            )
        counts = Counter(name for e in examples for name in each_label(e.label))
        frequencies = np.array([counts[name] for name in known.names])
        balanced = self.class_weight == "balanced"
        if balanced and self.several:
            raise UsageError("class_weight=balanced is for one label each; leave it out.")
        return replace(
            self,
            labels=known,
            processor=self.processor.prepare([e.input for e in examples], pretrained),
            input=cast(InputKind, self.processor.kind),  # what a run was trained on it is asked for
            weights=tuple(frequencies.mean() / frequencies) if balanced else (),
            imbalanced=not self.several and bool(frequencies.max() / len(examples) > IMBALANCE),
        )

    @property
    def inputs(self) -> Inputs:
        return self.processor.inputs

    def verify(self, example: Example) -> None:
        self._target(example.label)

    def items(self, examples: Sequence[Example]) -> Sequence[Item]:
        targets = [self._target(e.label) for e in examples]
        cut = self.processor.windows([e.input for e in examples])
        return stack(
            [
                Item(number, window, targets[number])
                for number, windows in enumerate(cut)
                for window in windows
            ]
        )

    def _target(self, label: Label | None) -> Any:
        if not self.several:
            return self.labels.encode(label if isinstance(label, str) else None)
        if label is None:
            return np.full(len(self.labels), np.nan, np.float32)
        target = np.zeros(len(self.labels), np.float32)
        target[[self.labels.encode(name) for name in each_label(label)]] = 1
        return target

    def length(self, item: Item) -> int:
        return len(item.window)

    def collate(self, items: Sequence[Item], generator: torch.Generator | None = None) -> Batch:
        batch = self.processor.collate(column(items, "window"))
        targets = np.asarray(column(items, "label"))
        given = ~np.isnan(targets) if self.several else targets >= 0
        counts = {"label": int(np.count_nonzero(given))}
        return replace(batch, targets={"label": torch.from_numpy(targets)}, counts=counts)

    # From tensors to a loss

    def head(self, backbone: Backbone) -> SummaryHead:
        return SummaryHead(backbone.width, len(self.labels))

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        values, targets = outputs.values, batch.targets["label"]
        if self.several:
            return Loss({"label": Part(binary_cross_entropy(values, targets))})
        weights = values.new_tensor(self.weights) if self.weights else None
        return Loss({"label": Part(cross_entropy(values, targets, weights))})

    # From outputs to answers

    def predict(self, model: Model, batch: Batch) -> list[Piece]:
        logits: Tensor = model(batch).values.double() / self.temperature
        log_odds = logits if self.several else logits.log_softmax(-1)
        weights = [1] * len(batch) if batch.mask is None else batch.mask.sum(1).tolist()
        return [Piece(*pair) for pair in zip(log_odds.cpu().numpy(), weights, strict=True)]

    def merge(
        self, examples: Sequence[Example], items: Sequence[Item], pieces: Sequence[Piece]
    ) -> list[Prediction]:
        """Average what the windows of an example say, each by its length."""
        log_odds = np.array([piece.log_odds for piece in pieces]).reshape(-1, len(self.labels))
        each = 1 / (1 + np.exp(-log_odds)) if self.several else np.exp(log_odds)
        weights = np.array([piece.weight for piece in pieces], dtype=float)
        numbers = np.asarray(column(items, "example"), dtype=int)
        totals = np.zeros((len(examples), len(self.labels)))
        np.add.at(totals, numbers, weights[:, None] * each)
        return self.predictions(totals / np.bincount(numbers, weights, len(examples))[:, None])

    def predictions(self, probabilities: NDArray[Any]) -> list[Prediction]:
        """Return a prediction for each row of probabilities, (examples, label)."""
        rows = [tuple(row) for row in probabilities.tolist()]
        if not self.several:
            best = np.argmax(probabilities, axis=1)
            return [
                Prediction(self.labels.names[label], row[label], row)
                for label, row in zip(best.tolist(), rows, strict=True)
            ]
        sets = [
            tuple(n for n, p in zip(self.labels.names, row, strict=True) if p >= THRESHOLD)
            for row in rows
        ]
        sure = np.maximum(probabilities, 1 - probabilities).prod(1)
        return [Prediction(*each) for each in zip(sets, map(float, sure), rows, strict=True)]

    def score(
        self, predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> dict[str, Score]:
        probabilities = np.array([p.probabilities for p in predictions])
        targets = np.array([self._target(e.label) for e in examples])
        if self.several:
            return {
                "accuracy": metrics.multilabel_accuracy(probabilities, targets, THRESHOLD),
                "macro_f1": metrics.multilabel_macro_f1(probabilities, targets, THRESHOLD),
                "micro_f1": metrics.multilabel_micro_f1(probabilities, targets, THRESHOLD),
                "log_loss": metrics.multilabel_log_loss(probabilities, targets),
            }
        accuracies = {
            "accuracy": metrics.accuracy(probabilities, targets),
            "balanced_accuracy": metrics.balanced_accuracy(probabilities, targets),
        }
        first = "balanced_accuracy" if self.imbalanced else "accuracy"
        return {
            first: accuracies[first],
            **accuracies,
            "macro_f1": metrics.macro_f1(probabilities, targets),
            "log_loss": metrics.log_loss(probabilities, targets),
            "calibration_error": metrics.calibration_error(probabilities, targets),
        }

    def calibrate(self, predictions: Sequence[Prediction], held_out: Sequence[Example]) -> Self:
        if self.several:
            return self
        probabilities = np.array([p.probabilities for p in predictions])
        targets = np.array([self._target(e.label) for e in held_out])
        temperature = best_temperature(probabilities, targets)
        return replace(self, temperature=self.temperature * temperature)

    # For the data check, splits, tables and reports

    @property
    def unit(self) -> str:
        return self.processor.kind

    def key(self, example: Example) -> Hashable:
        return self.processor.key(example.input)

    def stratum(self, example: Example) -> str | None:
        return example.label if isinstance(example.label, str) else None

    def check(self, parts: Mapping[str, Sequence[Example]]) -> list[Finding]:
        everything = [e for part in parts.values() for e in part]
        counts = Counter(name for e in everything for name in each_label(e.label))
        shown = ", ".join(f"{name} {count:,}" for name, count in counts.most_common(6))
        rest = f" and {len(counts) - 6} more" if len(counts) > 6 else ""
        name, most = counts.most_common(1)[0]
        share = f"{100 * most / len(everything):.1f} %"
        fact = (
            f'"{name}" holds in {share}'
            if self.several
            else f'always guessing "{name}" is right {share} of the time'
        )
        findings = self.processor.check([e.input for e in everything])
        findings.append(Finding("label", f"{shown}{rest}; {fact}"))
        if alike := labels.look_alike(counts):
            advice = "make them one in the file if they mean the same"
            findings.append(Finding("label", f"{alike}: {advice}"))
        if self.imbalanced:
            advice = "balanced accuracy ranks; try --set class_weight=balanced"
            findings.append(Finding("imbalance", f"one class has more than 80 %: {advice}"))
        return findings

    def ledger(self, examples: Sequence[Example]) -> Ledger:
        return self.processor.ledger([e.input for e in examples])

    def show(self, example: Example) -> str:
        return self.processor.show(example.input)

    def picture(self, example: Example) -> bytes | None:
        return self.processor.picture(example.input)

    @property
    def choices(self) -> Sequence[str]:
        return self.labels.names

    def truth(self, example: Example) -> str:
        if not isinstance(example.label, tuple):
            return example.label or ""
        names = self.labels.names or example.label  # in the order of an answer
        return ", ".join(name for name in names if name in example.label) or "none"

    def distribution(self, prediction: Prediction) -> Mapping[str, float]:
        return dict(zip(self.labels.names, prediction.probabilities, strict=True))

    def describe(self, prediction: Prediction) -> tuple[str, float | None]:
        return ", ".join(each_label(prediction.label)) or "none", prediction.probability


def each_label(label: Label | None) -> Iterable[str]:
    """Return the labels of an example, however many it has."""
    if label is None:
        return ()
    return (label,) if isinstance(label, str) else label

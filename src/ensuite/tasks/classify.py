"""Classify: one label, or several, for a whole text, series, image or row."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ensuite.core.backbone import Backbone, BackboneOptions, Pretrained
from ensuite.core.batch import Batch, Outputs
from ensuite.core.errors import DataError, UsageError
from ensuite.core.keys import Keys
from ensuite.core.loss import Loss, Part
from ensuite.core.presentation import Finding, written
from ensuite.core.published import PublishedTask, output_names
from ensuite.core.score import Score
from ensuite.core.table import Table
from ensuite.data import columns, inputs, labels
from ensuite.data.labels import Label, Labels
from ensuite.data.processors import Text
from ensuite.metrics import classification as metrics
from ensuite.metrics.calibration import best_temperature
from ensuite.nn.heads import SummaryHead
from ensuite.nn.losses import binary_cross_entropy, cross_entropy
from ensuite.tasks.windowed import Windowed

LABEL_NAMES = (
    "label", "labels", "class", "target", "category", "sentiment", "language", "y",
)  # fmt: skip

IMBALANCE = 0.8
"""Share of the largest class above which balanced accuracy ranks instead of accuracy."""

THRESHOLD = 0.5
"""Probability at and above which one of several labels is predicted."""


class Example(NamedTuple):
    """An input and its label."""

    input: Any  # as the processor reads it: a text or a pair of them, an array, an image's path
    label: Label | None = None  # None if it is asked for; a tuple where there may be several


class Prediction(NamedTuple):
    """The most probable label; where there are several, all that are more likely than not."""

    label: Label
    probability: float  # of the label, or of exactly this set of labels
    probabilities: tuple[float, ...]  # of every label, in the order of ``labels``


@dataclass(frozen=True, kw_only=True)
class Classify(Windowed[Example, Prediction]):
    """Give each input one label of a fixed set, or all labels that apply.

    Args:
        input: Kind of the input; auto: a text or image column if there is one, otherwise numbers.
        separator: What separates several labels in one cell; empty: a cell is one label.
        class_weight: ``balanced`` weighs each class by its inverse frequency, as scikit-learn does;
            for one label each.
        processor: Turns an input into tensors. A published checkpoint brings its own.
        labels: The labels, in the order of the outputs.
        several: Whether an example may have several labels.
        weights: Weight of each label in the loss; empty if all are equal.
        imbalanced: Whether one class has more than 80 % of the training examples.
        temperature: Divides the log probabilities, so that they are calibrated (Guo et al. 2017).

    Raises:
        UnknownLabelError: In ``items``, for a label that is not among ``labels``.
    """

    separator: str = ""
    class_weight: Literal["none", "balanced"] = "none"
    labels: Labels = field(default_factory=Labels, metadata={"learned": True})
    several: bool = field(default=False, metadata={"learned": True})
    weights: tuple[float, ...] = field(default=(), metadata={"learned": True})
    imbalanced: bool = field(default=False, metadata={"learned": True})
    temperature: float = field(default=1.0, metadata={"learned": True})

    roles: ClassVar[tuple[str, ...]] = ("label", *inputs.ROLES)
    usual_names: ClassVar[Mapping[str, Sequence[str]]] = {"label": LABEL_NAMES, **inputs.USUAL}
    part: ClassVar[str] = "label"

    # Data

    def read(
        self, table: Table, given: Mapping[str, str], *, asking: bool = False
    ) -> tuple[Self, list[Example]]:
        find = columns.find if asking else columns.require
        label = find(table, "label", LABEL_NAMES, given)
        but = [label] if label else []
        raws, processor = inputs.read(table, given, self.input, self.processor, but=but)
        if label is None or asking:
            return replace(self, processor=processor), [Example(raw) for raw in raws]
        table.note("label", label)
        names, several = labels.read(table, label, self.separator, lists=self.several)
        task = replace(self, processor=processor, several=several)
        return task, [Example(*pair) for pair in zip(raws, names, strict=True)]

    def ask(self, raw: Any) -> Example:
        return raw if isinstance(raw, Example) else Example(inputs.ask(raw, self.processor))

    def keys(self, example: Example) -> Keys:
        one = isinstance(example.label, str)
        return super().keys(example)._replace(strata=each_label(example.label) if one else ())

    def verify(self, example: Example) -> None:
        self.encode_targets([example])

    def prepare(
        self,
        examples: Sequence[Example],
        options: BackboneOptions | None = None,
        pretrained: Pretrained | None = None,
    ) -> Self:
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
            super().prepare(examples, options, pretrained),
            labels=known,
            weights=tuple(frequencies.mean() / frequencies) if balanced else (),
            imbalanced=not self.several and bool(frequencies.max() / len(examples) > IMBALANCE),
        )

    def encode_targets(self, examples: Sequence[Example]) -> NDArray[Any]:
        """Return the number of each label, (examples,), or 0 and 1 of several, (examples, label).

        Negative, or NaN of several, where the label is not known.
        """
        if not self.several:
            names = [e.label if isinstance(e.label, str) else None for e in examples]
            return np.array([self.labels.encode(name) for name in names], dtype=np.int64)
        targets = np.zeros((len(examples), len(self.labels)), np.float32)
        for row, example in zip(targets, examples, strict=True):
            row[[self.labels.encode(name) for name in each_label(example.label)]] = 1
            if example.label is None:
                row[:] = np.nan
        return targets

    # Model

    def head(self, backbone: Backbone) -> SummaryHead:
        return SummaryHead(backbone.width, len(self.labels))

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        values, targets = outputs.values, batch.targets["label"]
        if self.several:
            return Loss({"label": Part(binary_cross_entropy(values, targets))})
        weights = torch.tensor(self.weights, device=values.device) if self.weights else None
        return Loss({"label": Part(cross_entropy(values, targets, weights))})

    def activate(self, values: Tensor) -> Tensor:
        return values.sigmoid() if self.several else values.softmax(-1)

    def predictions(self, outputs: NDArray[Any]) -> list[Prediction]:
        """Return a prediction for each row of probabilities, (examples, label)."""
        probabilities = sharpen(outputs, self.temperature)
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

    def from_choices(self, log_probabilities: NDArray[Any]) -> list[Prediction]:
        if self.several:
            raise UsageError(
                "A language model is prompted for one label of each example, and these have "
                "several; train a model instead."
            )
        norms = np.logaddexp.reduce(log_probabilities, axis=1, keepdims=True)
        return self.predictions(np.exp(log_probabilities - norms))

    # Published checkpoints

    @property
    def published(self) -> PublishedTask:
        kind = "multi_label" if self.several else "single_label"
        return super().published._replace(problem=f"{kind}_classification")

    @classmethod
    def from_published(cls, config: Mapping[str, Any], pretrained: Pretrained) -> Self | None:
        names = output_names(config)
        if config.get("problem_type") == "regression" or len(names) < 2:
            return None
        return cls(
            input="text",
            processor=Text().prepare([], pretrained),
            labels=Labels(names),
            several=config.get("problem_type") == "multi_label_classification",
        )

    # Judgement

    def score(
        self, predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> dict[str, Score]:
        probabilities = np.array([p.probabilities for p in predictions])
        targets = self.encode_targets(examples)
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
        if self.several or not held_out:
            return self
        probabilities = np.array([p.probabilities for p in predictions])
        temperature = best_temperature(probabilities, self.encode_targets(held_out))
        return replace(self, temperature=self.temperature * temperature)

    # Presentation

    @property
    def pipeline(self) -> str:
        names = {"text": "text-classification", "image": "image-classification"}
        return {**names, "row": "tabular-classification"}.get(self.unit, "")

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
        findings = super().check(parts)
        findings.append(Finding("label", f"{shown}{rest}; {fact}"))
        if alike := labels.look_alike(counts):
            advice = "make them one in the file if they mean the same"
            findings.append(Finding("label", f"{alike}: {advice}"))
        if self.imbalanced:
            advice = "balanced accuracy ranks; try --set class_weight=balanced"
            findings.append(Finding("imbalance", f"one class has more than 80 %: {advice}"))
        return findings

    @property
    def choices(self) -> Sequence[str]:
        return self.labels.names

    def truth(self, example: Example) -> str:
        if not isinstance(example.label, tuple):
            return example.label or ""
        names = self.labels.names or example.label  # in the order of an answer
        return written(tuple(name for name in names if name in example.label))

    def distribution(self, prediction: Prediction) -> Mapping[str, float]:
        return dict(zip(self.labels.names, prediction.probabilities, strict=True))


def sharpen(probabilities: NDArray[Any], temperature: float) -> NDArray[Any]:
    """Return probabilities, (examples, label), whose logarithms are divided by a temperature.

    >>> sharpen(np.array([[0.8, 0.2]]), 0.5).round(3).tolist()
    [[0.941, 0.059]]
    """
    if temperature == 1:
        return probabilities
    with np.errstate(divide="ignore"):
        logits = np.log(probabilities) / temperature
    sharp: NDArray[Any] = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
    return sharp


def each_label(label: Label | None) -> tuple[str, ...]:
    """Return the labels of an example, however many it has."""
    if label is None:
        return ()
    return (label,) if isinstance(label, str) else label

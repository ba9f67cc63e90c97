"""Reduce: rows, images and series as short codes, from which they can be reconstructed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ensuite.core.backbone import Backbone, BackboneOptions, Pretrained, Samples
from ensuite.core.batch import Batch, Inputs, Outputs, Row
from ensuite.core.errors import DataError, UsageError
from ensuite.core.model import Model
from ensuite.core.presentation import Figure
from ensuite.core.score import Score
from ensuite.core.split import spread
from ensuite.core.stacked import column
from ensuite.core.table import Table
from ensuite.data import inputs
from ensuite.data.labels import Labels, one
from ensuite.metrics import reconstruction as metrics
from ensuite.metrics.codes import active_units, near_zero_share, neighbour_accuracy
from ensuite.nn.evidence import evidence
from ensuite.tasks import reduce_figures
from ensuite.tasks.reconstruction import UNKNOWN, Item, Piece, Reconstruction, label_column

LABEL_NAMES = ("label", "labels", "class", "category", "species")
"""Usual names of the column of labels; beside an array ``X`` also ``y``."""

CONDITION = "condition"
"""Name of the input field that holds the label where the decoder reads it."""

COLLAPSED = 0.1
"""Share of active units of a code below which it is said to have collapsed."""

SILENT = 0.05
"""Divergence from the prior of each unit, in nats, below which a code is said to have collapsed."""

MOST_VALIDATED = 2000
"""Validation examples that the best weights are selected by."""

SHOWN = 8
"""Numbers of a code that are shown in a line of text."""

Numbers = NDArray[Any]


class Example(NamedTuple):
    """An input, and its label where there is one: it is never learned from, only scored with."""

    input: Any  # as the processor reads it: an array, an image's path
    label: str | None = None


class Evidence(NamedTuple):
    """How probable an example is to a model whose codes have a distribution, in nats.

    It is that of scaled numbers, of which densities depend on the scale.
    """

    reconstruction: float  # log p(x | z), averaged over codes of the example
    divergence: float  # of the distribution of its code from the prior
    importance: float  # importance-weighted estimate of log p(x)


@dataclass(frozen=True, eq=False)
class Prediction:
    """A code and what it is decoded to.

    Args:
        code: (code,).
        reconstruction: In the units and the shape of the input.
        error: Mean squared error of the reconstruction, of scaled numbers.
        evidence: How probable the example is; None to a model that cannot tell.
    """

    code: Numbers
    reconstruction: Numbers
    error: float
    evidence: Evidence | None = None

    def __eq__(self, other: object) -> bool:
        """Compare all numbers."""
        return (
            isinstance(other, Prediction)
            and (self.error, self.evidence) == (other.error, other.evidence)
            and np.array_equal(self.code, other.code)
            and np.array_equal(self.reconstruction, other.reconstruction)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays have none


@dataclass(frozen=True, kw_only=True)
class Reduce(Reconstruction[Example, Prediction]):
    """Encode rows, images or series in a few numbers, and reconstruct them.

    Args:
        condition: Whether the decoder also receives the label of an example, so that the code need
            not contain it, and examples of a label can be drawn (Sohn, Lee & Yan 2015).
        samples: Codes of an example that the evidence lower bound and the importance-weighted
            estimate of a VAE are computed from.
        labels: The labels of the training rows, where the data has any.
    """

    condition: bool = False
    samples: int = 16
    labels: Labels = field(default_factory=Labels, metadata={"learned": True})

    roles: ClassVar[tuple[str, ...]] = ("label", "series", "image")
    usual_names: ClassVar[Mapping[str, Sequence[str]]] = {
        "label": LABEL_NAMES,
        "series": inputs.SERIES_NAMES,
        "image": inputs.IMAGE_NAMES,
    }

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError("samples must be 1 or more")

    # Data

    def read(
        self, table: Table, given: Mapping[str, str], *, asking: bool = False
    ) -> tuple[Self, list[Example]]:
        beside = ("y",) if "X" in table.columns else ()  # as scikit-learn names arrays
        label = label_column(table, given, (*LABEL_NAMES, *beside))
        task, raws = self.read_inputs(table, given, but=[label] if label else [])
        if label is None:
            return task, [Example(raw) for raw in raws]
        table.note("label", label)
        names = [name_of(cell, table.where(row)) for row, cell in enumerate(table.columns[label])]
        return task, [Example(*pair) for pair in zip(raws, names, strict=True)]

    def ask(self, raw: Any) -> Example:
        return raw if isinstance(raw, Example) else Example(inputs.ask(raw, self.processor))

    def prepare(
        self,
        examples: Sequence[Example],
        options: BackboneOptions | None = None,
        pretrained: Pretrained | None = None,
    ) -> Self:
        known = Labels.learn(e.label for e in examples if e.label is not None)
        if self.condition and not known:
            raise DataError(
                "condition=true tells the decoder each label, and the training rows have none; "
                "name their column (--column label=NAME)."
            )
        return replace(super().prepare(examples, options, pretrained), labels=known)

    @property
    def inputs(self) -> Inputs:
        fields: Inputs = self.processor.inputs
        if not self.condition:
            return fields
        return {**fields, CONDITION: Row(len(self.labels), reader="decoder")}

    def collate(self, items: Sequence[Item], generator: torch.Generator | None = None) -> Batch:
        batch = super().collate(items, generator)
        if not self.condition:
            return batch
        return self.with_condition(batch, np.asarray(column(items, "label")))

    def with_condition(self, batch: Batch, labels: NDArray[np.int64]) -> Batch:
        """Return a batch whose decoder is told labels, by number; zeros where one is unknown."""
        condition = torch.from_numpy(np.equal.outer(labels, np.arange(len(self.labels))))
        return replace(batch, inputs={**batch.inputs, CONDITION: condition.float()})

    def label_numbers(self, examples: Sequence[Example]) -> list[int]:
        return [self.labels.numbers.get(e.label or "", UNKNOWN) for e in examples]

    def blank(self, count: int, label: str | None = None, *, steps: int | None = None) -> Batch:
        if not self.condition:
            return super().blank(count, label, steps=steps)
        if label not in self.labels.names:
            raise UsageError(
                f"The decoder was told the label of each example; give one of: "
                f"{', '.join(self.labels.names)}."
            )
        numbers = np.full(count, self.labels.encode(label))
        return self.with_condition(super().blank(count, steps=steps), numbers)

    # Model

    def predict(self, model: Model, batch: Batch) -> list[Prediction]:
        outputs: Outputs = model(batch)
        bounds = self.bounds(model.backbone, outputs, batch)
        codes, values, targets = self.arrays(outputs, batch)
        if batch.mask is not None:
            rows = zip(self.pieces(outputs, batch), bounds, strict=True)
            return [self.prediction(*row) for row in rows]
        errors = np.square(values - targets, dtype=np.float64).reshape(len(values), -1).mean(1)
        found = zip(codes, self.restore(values), errors.tolist(), bounds, strict=True)
        return [Prediction(*row) for row in found]

    def bounds(
        self, backbone: Backbone, outputs: Outputs, batch: Batch
    ) -> Sequence[Evidence | None]:
        """Return how probable each row is; None for a backbone whose codes have no prior."""
        if not isinstance(backbone, Samples):
            return [None] * len(batch)
        noise = self.noise(backbone.width)
        log_variance = outputs.states.log_variance
        found = evidence(
            backbone, batch, noise, criterion=self.criterion, log_variance=log_variance
        )
        return [Evidence(*row) for row in torch.stack(found, 1).cpu().double().tolist()]

    def noise(self, size: int) -> Tensor:
        """Return (samples, code) numbers from N(0, 1), always the same."""
        return torch.randn(self.samples, size, generator=torch.Generator().manual_seed(0))

    def merge(
        self, examples: Sequence[Example], items: Sequence[Item], pieces: Sequence[Prediction]
    ) -> list[Prediction]:
        return list(pieces)

    def conclude(
        self, examples: Sequence[Example], items: Sequence[Item], pieces: Sequence[Piece]
    ) -> list[Prediction]:
        return [self.prediction(piece) for piece in pieces]

    def prediction(self, piece: Piece, evidence: Evidence | None = None) -> Prediction:
        """Return a prediction of numbers as a backbone has them."""
        error = np.square(piece.values - piece.targets, dtype=np.float64).mean()
        return Prediction(piece.code, self.restore(piece.values), float(error), evidence)

    # Judgement

    def score(
        self, predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> dict[str, Score]:
        codes = np.array([prediction.code for prediction in predictions])
        scores = {"mse": metrics.mean_squared_error([p.error for p in predictions])}
        if self.labels:
            labels = np.array(self.label_numbers(examples))
            scores["knn_accuracy"] = neighbour_accuracy(codes, labels)
        bounds = [p.evidence for p in predictions if p.evidence is not None]
        if len(bounds) == len(predictions):
            scores |= metrics.evidence(*np.array(bounds).T)
            scores["active_units"] = active_units(codes)
        scores["near_zero"] = near_zero_share(codes)
        return scores

    def while_training(self) -> Self:
        return replace(self, samples=1)  # a decoded code costs as much as an update

    def validation_subset(self, examples: Sequence[Example]) -> Sequence[Example]:
        return spread(examples, MOST_VALIDATED)

    # Presentation

    def describe(self, prediction: Prediction) -> tuple[str, float | None]:
        numbers = prediction.code[:SHOWN].tolist()
        more = " ..." if len(prediction.code) > SHOWN else ""
        return " ".join(f"{number:.3g}" for number in numbers) + more, None

    def records(self, example: Example, prediction: Prediction) -> list[dict[str, Any]]:
        numbers = prediction.code.tolist()
        codes = {f"code_{number}": value for number, value in enumerate(numbers, 1)}
        bounds = {} if prediction.evidence is None else {"elbo": elbo(prediction.evidence)}
        return [{**codes, "error": prediction.error, **bounds}]

    def error(self, prediction: Prediction, example: Example) -> float:
        return prediction.error

    def figures(
        self, predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> list[Figure]:
        return reduce_figures.figures(self, predictions, examples)

    def remarks(
        self, name: str, predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> list[str]:
        """Warn of a VAE whose code says nothing of the example (posterior collapse)."""
        bounds = [p.evidence for p in predictions if p.evidence is not None]
        if not bounds:
            return []
        codes = np.array([prediction.code for prediction in predictions])
        size, active = codes.shape[1], int(active_units(codes).value)
        divergence = float(np.mean([each.divergence for each in bounds]))
        if active >= COLLAPSED * size and divergence >= SILENT * size:
            return []
        return [
            f"{name}: {active} of {size} units of the code vary between examples, and it tells "
            f"{divergence:.2g} nats of them: the decoder all but ignores it (posterior collapse). "
            "Try --set model.kl_warmup=0.5, --set free_bits=0.25, a beta below 1, or a smaller "
            "code."
        ]


def elbo(evidence: Evidence) -> float:
    """Return the evidence lower bound."""
    return evidence.reconstruction - evidence.divergence


def name_of(cell: Any, where: str) -> str | None:
    """Return the label that a cell holds; None for an empty one."""
    missing = cell is None or (isinstance(cell, float | np.floating) and cell != cell)
    return None if missing or not str(cell).strip() else one(cell, where)

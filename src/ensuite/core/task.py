"""The second word: a task says what is asked, and how answers are learned and judged.

A task knows what an example is, which rows of a batch it becomes, which head reads the states,
what the loss counts, and how outputs become predictions. It knows no backbone.
"""

import shlex
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ensuite.core.backbone import Backbone, Pretrained, Trait
from ensuite.core.batch import Batch, Inputs, Outputs
from ensuite.core.errors import UsageError, nearest
from ensuite.core.loss import Loss
from ensuite.core.model import Model
from ensuite.core.score import Score
from ensuite.core.stacked import Stacked
from ensuite.core.table import Table

Example = TypeVar("Example")
Item = TypeVar("Item")
Prediction = TypeVar("Prediction")


class Finding(NamedTuple):
    """One line of the data check: what it is about, and what was found."""

    topic: str
    sentence: str


class Ledger(NamedTuple):
    """What reading left out: rows that were cut, and how many tokens of how many that cost."""

    rows: int = 0
    tokens: int = 0
    total: int = 0


class Task(ABC, Generic[Example, Item, Prediction]):
    """One kind of job. A frozen dataclass: its options, and what ``prepare`` has learned.

    Attributes:
        needs: What a backbone must offer.
        carries: Whether the state at the end of a batch is where the next batch starts.
        fields: What an example can be given as, by name, where it has several parts.
    """

    needs: ClassVar[frozenset[Trait]] = frozenset()
    carries: ClassVar[bool] = False
    fields: ClassVar[tuple[str, ...]] = ()

    # From data to tensors

    @abstractmethod
    def read(
        self, table: Table, given: Mapping[str, str], *, asking: bool = False
    ) -> tuple[Self, list[Example]]:
        """Make examples of a table, and settle what its columns decide (text or numbers, ...).

        Args:
            table: A file's columns.
            given: Column by role, where the user names them.
            asking: Whether the truth may be absent, since it is asked for.

        Raises:
            DataError: If a column is absent or a row is not what the task needs.
        """

    @abstractmethod
    def prepare(self, examples: Sequence[Example], pretrained: Pretrained | None = None) -> Self:
        """Learn labels, vocabularies and scales from the training examples."""

    @property
    @abstractmethod
    def inputs(self) -> Inputs:
        """All that a backbone learns of the data."""

    def items(self, examples: Sequence[Example]) -> Sequence[Item]:
        """Return what rows of a batch are: by default the examples themselves."""
        return cast(Sequence[Item], examples)

    def length(self, item: Item) -> int:
        """Return how long a row the item makes, so that rows of a length come together."""
        return 1

    def lengths(self, items: Sequence[Item]) -> NDArray[Any]:
        """Return the length of every item."""
        if isinstance(items, Stacked):  # of one shape, so of one length
            return np.full(len(items), self.length(items[0]) if len(items) else 0)
        return np.array([self.length(item) for item in items], dtype=int)

    def extent(self, example: Example) -> int:
        """Return how long an input is, so that scores of short and long ones can be told apart."""
        return sum(self.length(item) for item in self.items([example]))

    def order(
        self, items: Sequence[Item], size: int, epoch: int = 0, seed: int | None = None
    ) -> list[list[int]]:
        """Return the item numbers of each batch of an epoch.

        With a seed: shuffled, rows of nearly equal length together, batches in random order.
        Without: by length, longest first, so that memory peaks at once or not at all.
        """
        lengths = self.lengths(items)
        if seed is None:
            numbers = np.argsort(-lengths, kind="stable")
            return [numbers[i : i + size].tolist() for i in range(0, len(items), size)]
        if not len(items):
            return []
        generator = np.random.default_rng((seed, epoch))
        numbers = generator.permutation(len(items))
        pool = 50 * size  # batches of one length, yet no two epochs with the same neighbours
        pools = [numbers[i : i + pool] for i in range(0, len(numbers), pool)]
        numbers = np.concatenate([p[np.argsort(lengths[p], kind="stable")] for p in pools])
        batches = [numbers[i : i + size].tolist() for i in range(0, len(numbers), size)]
        return [batches[i] for i in generator.permutation(len(batches))]

    @abstractmethod
    def collate(self, items: Sequence[Item], generator: torch.Generator | None = None) -> Batch:
        """Make a batch; masks and noise are drawn from ``generator`` alone."""

    def verify(self, example: Example) -> None:
        """Refuse an example that ``prepare`` did not prepare for, an unknown label above all.

        Raises:
            DataError: Says what was not known.
        """

    def ask(self, raw: Any) -> Example:
        """Make an example of what a person types or hands over, to be answered."""
        return cast(Example, raw)

    # From tensors to a loss

    @abstractmethod
    def head(self, backbone: Backbone) -> nn.Module:
        """Return what reads the states: ``head(states, batch) -> values``."""

    def forward(self, model: Model, batch: Batch) -> Outputs:
        """Run the model as training does."""
        return cast(Outputs, model(batch))

    @abstractmethod
    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """Return the parts of the loss, each a sum over what ``batch.counts`` counts."""

    # From outputs to answers

    def predict_batches(self, model: Model, batches: Iterator[Batch]) -> Iterator[list[Any]]:
        """Return the pieces of each batch; a task of lanes hands the state along here."""
        for batch in batches:
            yield self.predict(model, batch)

    @abstractmethod
    def predict(self, model: Model, batch: Batch) -> list[Any]:
        """Return a piece of an answer for each row of the batch; by default a prediction."""

    def merge(
        self, examples: Sequence[Example], items: Sequence[Item], pieces: Sequence[Any]
    ) -> list[Prediction]:
        """Make one prediction for each example of the pieces of its items."""
        return list(pieces)

    @abstractmethod
    def score(
        self, predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> dict[str, Score]:
        """Judge predictions by the truth; the first metric is the one that ranks."""

    def validation_subset(self, examples: Sequence[Example]) -> Sequence[Example]:
        """Return the validation examples that the best weights are chosen by: all.

        Fewer for a task whose answers would take longer than the updates between them.
        """
        return examples

    def calibrate(self, predictions: Sequence[Prediction], held_out: Sequence[Example]) -> Self:
        """Learn thresholds from predictions on held-out examples."""
        return self

    # For the data check, splits, tables and reports

    @property
    def unit(self) -> str:
        """What one input is called."""
        return "row"

    @property
    def ordered(self) -> bool:
        """Whether examples follow one another, so that a split keeps them in their order."""
        return False

    def key(self, example: Example) -> Hashable:
        """Return what makes two examples the same input."""
        return repr(example)

    def stratum(self, example: Example) -> str | Collection[str] | None:
        """Return the class, or classes, of which training must see at least one example."""
        return None

    def check(self, parts: Mapping[str, Sequence[Example]]) -> list[Finding]:
        """Return what a person should know of the data before it costs anything."""
        return []

    def ledger(self, examples: Sequence[Example]) -> Ledger:
        """Count what reading these examples leaves out."""
        return Ledger()

    def show(self, example: Example) -> str:
        """Return the input as a line of text."""
        return str(example)

    def picture(self, example: Example) -> bytes | None:
        """Return what the input looks like, as PNG; None where words show it."""
        return None

    def truth(self, example: Example) -> str:
        """Return what the right answer is, as a word."""
        return ""

    @property
    def choices(self) -> Sequence[str]:
        """The words an answer is one of, or made of; none where anything may be answered."""
        return ()

    def usage(self, run: str) -> str:
        """Return what to type to ask a run."""
        typed = {"text": '"your own text"', "sentence": '"your own text"', "image": "PICTURE.png"}
        return f"ensuite predict {shlex.quote(run)} {typed.get(self.unit, '--file FILE')}"

    def describe(self, prediction: Prediction) -> tuple[str, float | None]:
        """Return the answer as a word, and how sure it is (0 to 1)."""
        return str(prediction), None

    def record(self, prediction: Prediction) -> dict[str, Any]:
        """Return the answer as columns of a table, or as JSON holds it."""
        word, sure = self.describe(prediction)
        return {"answer": word} | ({} if sure is None else {"probability": sure})

    def distribution(self, prediction: Prediction) -> Mapping[str, float]:
        """Return the probability of every answer that was possible; empty where none is told."""
        return {}

    def error(self, prediction: Prediction, example: Example) -> float:
        """Return how wrong an answer is, 0 where it is right; among wrong ones, surer is worse."""
        word, sure = self.describe(prediction)
        return 0.0 if word == self.truth(example) else 1.0 + (sure or 0.0)


def rank(scores: Mapping[str, Score], metric: str | None = None) -> tuple[str, Score]:
    """Return the metric that ranks: the one named, or the task's first.

    Raises:
        UsageError: If the task has no metric of that name.
    """
    if metric is None:
        return next(iter(scores.items()))
    if metric not in scores:
        hint = nearest(metric, scores) or "."
        raise UsageError(f'There is no metric "{metric}"{hint} There is: {", ".join(scores)}.')
    return metric, scores[metric]


def group(items: Sequence[int]) -> dict[int, list[int]]:
    """Return the positions at which each example number stands, in order.

    >>> group([0, 0, 1])
    {0: [0, 1], 1: [2]}
    """
    places: dict[int, list[int]] = defaultdict(list)
    for place, example in enumerate(items):
        places[example].append(place)
    return dict(places)

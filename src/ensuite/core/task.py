"""What a task is: what an example holds, how it is learned and how predictions are judged.

A task knows what an example is, which rows of a batch it becomes, which head reads the states,
what the loss counts, and how outputs become predictions. It knows no backbone.
"""

import json
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ensuite.core import split
from ensuite.core.backbone import Backbone, BackboneOptions, Pretrained, Trait
from ensuite.core.batch import Batch, Inputs, Outputs, Tokens
from ensuite.core.errors import UsageError, nearest
from ensuite.core.keys import Keys, Split
from ensuite.core.loss import Loss
from ensuite.core.model import Model
from ensuite.core.presentation import Presentation
from ensuite.core.published import TOKENIZER_CONFIG, PublishedTask
from ensuite.core.score import Score
from ensuite.core.stacked import Stacked
from ensuite.core.table import Table

Example = TypeVar("Example")
Item = TypeVar("Item")
Prediction = TypeVar("Prediction")

LOSS = "loss"
"""Name of the validation loss where the best weights are selected by it."""


class Task(Presentation[Example, Prediction], ABC, Generic[Example, Item, Prediction]):
    """One kind of job. A frozen dataclass: its options, and what ``prepare`` has learned.

    Its methods come in four groups: data, model, judgement, and presentation, which is inherited
    (:class:`~ensuite.core.presentation.Presentation`). Only ``read``, ``collate``, ``head``,
    ``loss``, ``predict`` and ``score`` have no default.

    Attributes:
        needs: The traits that a backbone must offer.
        optional: The kinds of input that ``prepare`` leaves out for a backbone that does not read
            them.
        roles: The roles that a column can be given (``--column ROLE=NAME``), beside ``group`` and
            ``time``, which split, and ``ignore``. A task that names one of these two reads the
            column as well.
        usual_names: The names by which a column of a role is found where the user names none.
        fields: The parts an example can be typed in, by name, where it has several.
        calibration_share: Share of the training examples that is kept apart for ``calibrate``; 0:
            it uses the validation examples.
        keeps_head: Whether a run of the task that training starts from (``--init-from``) gives its
            head as well as its backbone, to continue pretraining on other texts.
    """

    needs: ClassVar[frozenset[Trait]] = frozenset()
    optional: ClassVar[frozenset[str]] = frozenset()
    roles: ClassVar[tuple[str, ...]] = ()
    usual_names: ClassVar[Mapping[str, Sequence[str]]] = {}
    fields: ClassVar[tuple[str, ...]] = ()
    calibration_share: ClassVar[float] = 0.0
    keeps_head: ClassVar[bool] = False

    @property
    def carries(self) -> bool:
        """Whether the state at the end of a batch is where the next batch starts."""
        return False

    @property
    def continues(self) -> bool:
        """Whether an example with a time is read as what follows the one before it."""
        return self.carries

    # Data: from a file to batches

    @abstractmethod
    def read(
        self, table: Table, given: Mapping[str, str], *, asking: bool = False
    ) -> tuple[Self, Sequence[Example]]:
        """Make examples of a table, and settle what its columns decide (text or numbers, ...).

        Args:
            table: A file's columns.
            given: Column by role, where the user names them.
            asking: Whether the truth may be absent, since it is asked for.

        Raises:
            DataError: If a column is absent or a row is not what the task needs.
        """

    def ask(self, raw: Any) -> Example:
        """Make an example of what a person types or passes in, to be answered."""
        return cast(Example, raw)

    def ask_line(self, line: str) -> Example:
        """Make an example of one of many lines to be answered; by default as :meth:`ask` does."""
        return self.ask(line)

    def keys(self, example: Example) -> Keys:
        """Return what the split and the check for duplicates know of an example."""
        raw = self.raw(example)
        return Keys(repr(raw) if self.processor is None else self.processor.key(raw))

    def identities(self, examples: Sequence[Example]) -> Sequence[Hashable]:
        """Return what is equal for equal inputs; none if inputs of the task cannot be equal."""
        return [self.keys(example).identity for example in examples]

    def verify(self, example: Example) -> None:
        """Refuse an example that ``prepare`` did not prepare for, for example an unknown label.

        Raises:
            DataError: Says what was not known.
        """

    def divide(
        self, parts: Mapping[str, Sequence[Example]], how: Split
    ) -> tuple[Mapping[str, Sequence[Example]], str]:
        """Return the training, validation and test parts, and how they were made.

        The default divides by :meth:`keys`. A task may override it, for example to let the test
        examples look back at values from before their part begins.

        Args:
            parts: The examples of the training file, ``train``, and those of files that the user
                gave for the other parts.
            how: The split that the user asked for.

        Returns:
            The parts, with ``calibration`` where the task asks for it by ``calibration_share``,
            and a sentence for the data check.

        Raises:
            DataError: If the examples are too few to divide.
            UsageError: If the examples cannot be divided in that way.
        """
        return split.divide(parts, self.keys, how, self.calibration_share)

    def folds(
        self, examples: Sequence[Example], how: Split, count: int
    ) -> Sequence[tuple[Mapping[str, Sequence[Example]], str]] | None:
        """Return the parts of each fold of a cross-validation, and how they were made.

        By default None: folds are made by :meth:`keys`. A task that divides its data in a way of
        its own has no folds unless it overrides this method too.

        Args:
            examples: Those of the training file.
            how: The split that the user asked for.
            count: Number of folds.

        Returns:
            Training, validation and test part of each fold, with a sentence; and last those for the
            model that is kept, which is trained on all examples. It is never scored on its test
            part, which is that of the last fold.

        Raises:
            DataError: If the examples are too few.
            UsageError: If the examples cannot be divided in that way.
        """
        return None

    def prepare(
        self,
        examples: Sequence[Example],
        options: BackboneOptions | None = None,
        pretrained: Pretrained | None = None,
    ) -> Self:
        """Learn labels, vocabularies and scales; by default those of the processor.

        Args:
            examples: The training examples.
            options: Of the candidate that will be trained; None for a baseline.
            pretrained: What a checkpoint, or the run that is started from, fixes.
        """
        if self.processor is None:
            return self
        processor = self.processor.prepare(self.raws(examples), pretrained)
        prepared: Self = replace(cast(Any, self), processor=processor)
        return prepared

    @property
    def inputs(self) -> Inputs:
        """The input fields of a batch; by default those of the processor."""
        inputs: Inputs = self.processor.inputs
        return inputs

    def items(self, examples: Sequence[Example], *, asking: bool = False) -> Sequence[Item]:
        """Return what the rows of a batch are made of; by default the examples themselves.

        Args:
            examples: Any number of them.
            asking: Whether they are to be answered rather than learned from. Noise that belongs to
                the question is drawn here, from a seed that depends on the example alone, so that
                its answer does not depend on the batch it is in.
        """
        return cast(Sequence[Item], examples)

    def length(self, item: Item) -> int:
        """Return the length of the item's row, so that rows of one length come together."""
        return 1

    def lengths(self, items: Sequence[Item]) -> NDArray[Any]:
        """Return the length of every item."""
        if isinstance(items, Stacked):  # of one shape, so of one length
            return np.full(len(items), self.length(items[0]) if len(items) else 0)
        return np.array([self.length(item) for item in items], dtype=int)

    def extent(self, example: Example) -> int:
        """Return the length of an input, by which scores of short and long ones are told apart."""
        return sum(self.length(item) for item in self.items([example]))

    def order(
        self, items: Sequence[Item], size: int, epoch: int = 0, seed: int | None = None
    ) -> Sequence[list[int]]:
        """Return the item numbers of each batch of an epoch.

        With a seed: shuffled, rows of nearly equal length together, batches in random order.
        Without: by length, longest first, so that memory is highest in the first batch.
        """
        lengths = self.lengths(items)
        if seed is None:
            numbers = np.argsort(-lengths, kind="stable")
            return [numbers[i : i + size].tolist() for i in range(0, len(items), size)]
        if not len(items):
            return []
        generator = np.random.default_rng((seed, epoch))
        numbers = generator.permutation(len(items))
        pool = 50 * size  # batches of one length, yet other neighbours in every epoch
        pools = [numbers[i : i + pool] for i in range(0, len(numbers), pool)]
        numbers = np.concatenate([p[np.argsort(lengths[p], kind="stable")] for p in pools])
        batches = [numbers[i : i + size].tolist() for i in range(0, len(numbers), size)]
        return [batches[i] for i in generator.permutation(len(batches))]

    @abstractmethod
    def collate(self, items: Sequence[Item], generator: torch.Generator | None = None) -> Batch:
        """Make a batch.

        Args:
            items: The rows.
            generator: What training draws its noise from; None in evaluation, where no noise is
                drawn here.
        """

    # Model: from batches to a loss and to predictions

    @abstractmethod
    def head(self, backbone: Backbone) -> nn.Module:
        """Return what reads the states: ``head(states, batch) -> values``."""

    def forward(self, model: Model, batch: Batch) -> Outputs:
        """Run the model as training does."""
        return cast(Outputs, model(batch))

    @abstractmethod
    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """Return the parts of the loss, each a sum over what ``batch.counts`` counts."""

    @abstractmethod
    def predict(self, model: Model, batch: Batch) -> list[Any]:
        """Return what each row of the batch contributes to an answer; by default a prediction."""

    def predict_batches(self, model: Model, batches: Iterator[Batch]) -> Iterator[list[Any]]:
        """Return :meth:`predict` of each batch; overridden where a state is carried along."""
        for batch in batches:
            yield self.predict(model, batch)

    def merge(
        self, examples: Sequence[Example], items: Sequence[Item], pieces: Sequence[Any]
    ) -> list[Prediction]:
        """Make one prediction for each example from what its items contribute."""
        return list(pieces)

    def from_choices(self, log_probabilities: NDArray[Any]) -> list[Prediction]:
        """Make predictions from log probabilities of the task's ``choices``, (examples, choices).

        Raises:
            UsageError: If answers are not chosen from fixed words.
        """
        raise UsageError(
            "A language model can only be prompted for a task with fixed choices, and this task "
            "has none."
        )

    # Published checkpoints

    @property
    def published(self) -> PublishedTask:
        """How transformers calls the task, so that it can build the same head."""
        tokens = self.inputs.get("tokens")
        size = tokens.size if isinstance(tokens, Tokens) else 0
        return PublishedTask(self.pipeline, tuple(self.choices), tokens=size)

    def tokenizer_files(self) -> Mapping[str, str]:
        """Return the files, by name, by which transformers opens the tokenizer.

        By default ``tokenizer_config.json``, which goes with the ``tokenizer.json`` that a
        processor of texts saves.
        """
        config = {} if self.processor is None else self.processor.tokenizer_config()
        return {TOKENIZER_CONFIG: json.dumps(config, ensure_ascii=False)} if config else {}

    @classmethod
    def from_published(cls, config: Mapping[str, Any], pretrained: Pretrained) -> Self | None:
        """Return the task that a published checkpoint with a head does; None if it is not this one.

        Args:
            config: Its ``config.json``.
            pretrained: What it fixes.
        """
        return None

    # Judgement: how good predictions are

    @abstractmethod
    def score(
        self, predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> dict[str, Score]:
        """Judge predictions by the truth."""

    @property
    def ranks_by(self) -> str | None:
        """The metric that ranks candidates; empty for the first that ``score`` returns.

        None: no metric does, so that a comparison is a table without a winner.
        """
        return ""

    @property
    def selects(self) -> str:
        """The validation metric that selects the best weights; empty for the one that ranks.

        It need not be one that ranks; ``"loss"`` stands for the validation loss.
        """
        return LOSS if self.ranks_by is None else self.ranks_by

    def blocks(self, examples: Sequence[Example]) -> Sequence[int] | None:
        """Return a number for each example, equal for examples that are not independent.

        The statistics of a comparison then resample whole blocks. By default they are the groups
        of :meth:`keys`. None: all examples are independent.
        """
        keys = [self.keys(example) for example in examples]
        if all(each.group is None for each in keys):
            return None
        units = [k.identity if k.group is None else ("group", k.group) for k in keys]
        return [int(number) for number in split.number(units)]

    def validation_subset(self, examples: Sequence[Example]) -> Sequence[Example]:
        """Return the validation examples that the best weights are selected by; by default all.

        Fewer for a task whose predictions take longer than the updates between two evaluations.
        """
        return examples

    def while_training(self) -> Self:
        """Return the task that evaluates while training: itself, or one whose answers cost less."""
        return self

    def calibrate(self, predictions: Sequence[Prediction], held_out: Sequence[Example]) -> Self:
        """Learn thresholds and the like from the predictions of one model for held-out examples.

        It is called for networks and baselines alike, after they were trained.
        """
        return self


def rank(scores: Mapping[str, Score], metric: str | None = None) -> tuple[str, Score]:
    """Return the metric of a name and its score; without a name the first.

    Raises:
        UsageError: If the task has no metric of that name.
    """
    if not metric:
        return next(iter(scores.items()))
    if metric not in scores:
        hint = nearest(metric, scores) or "."
        raise UsageError(f'There is no metric "{metric}"{hint} There is: {", ".join(scores)}.')
    return metric, scores[metric]


def group(items: Sequence[int]) -> dict[int, list[int]]:
    """Return the positions of each example number, in order.

    >>> group([0, 0, 1])
    {0: [0, 1], 1: [2]}
    """
    places: dict[int, list[int]] = defaultdict(list)
    for place, example in enumerate(items):
        places[example].append(place)
    return dict(places)

"""What translate and caption share: learning to write a text, and writing it."""

import math
from abc import ABC
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple, Self, cast

import numpy as np
import torch
from torch import Tensor, nn

from ensuite.core.backbone import Backbone, BackboneOptions, Pretrained, Trait
from ensuite.core.batch import DECODER, IGNORE, Batch, Inputs, Outputs, Tokens
from ensuite.core.errors import DataError
from ensuite.core.keys import Keys
from ensuite.core.loss import Loss, Part
from ensuite.core.model import Model
from ensuite.core.presentation import Finding
from ensuite.core.split import spread
from ensuite.core.table import Table
from ensuite.core.task import Task
from ensuite.data import inputs
from ensuite.data.encoded import Rows, Windows
from ensuite.data.processors import Processor, Window
from ensuite.data.processors.writing import Writing
from ensuite.decoding.beam import beam_search
from ensuite.decoding.greedy import greedy
from ensuite.decoding.interfaces import DecodedSequence, attention_weights
from ensuite.nn.heads import TokenHead
from ensuite.nn.vocabulary import projected_cross_entropy


class Example(NamedTuple):
    """A source, and the text to write for it."""

    source: Any  # as the processor reads it: a text, an image
    target: str | None = None  # None if it is asked for


class Item(NamedTuple):
    """A row of a batch."""

    example: int
    source: Window
    target: Window | None


class Piece(NamedTuple):
    """What a model wrote for a row, and its attention weights, (tokens and the end, time)."""

    written: DecodedSequence
    attention_weights: Tensor | None


class Attention(NamedTuple):
    """The attention weights of each written token over the source."""

    weights: tuple[tuple[float, ...], ...]  # (written tokens and the end, source positions)
    written: tuple[str, ...]  # the written tokens, without the end
    read: tuple[str, ...]  # the tokens of the source; empty if it is no text


class Prediction(NamedTuple):
    """A written text."""

    text: str
    probability: float | None = None  # geometric mean over the tokens
    attention: Attention | None = None  # only if the task's option return_attention is set


VALIDATION_EXAMPLES = 1000
"""Validation examples that the best weights are selected by, since writing takes long."""


@dataclass(frozen=True, kw_only=True)
class Writer(Task[Example, Item, Prediction], ABC):
    """Write a text for each source. Subclasses define the source and the metrics.

    Args:
        processor: Turns a source into tensors.
        writing: Turns a target into tokens, and tokens into a text.
        beam: Beam width; 1 is greedy decoding.
        length_penalty: Exponent of the length that a beam's log probability is divided by; 0: none.
        return_attention: Whether answers come with the attention weights of each written token.
        label_smoothing: Share of the target probability spread evenly over all tokens in training.
        scheduled_sampling: Share of decoder inputs that are the model's own predictions, in place
            of the true tokens, by the end of the budget.

    Sources:
        Scheduled sampling: Bengio et al. (2015), https://arxiv.org/abs/1506.03099; in two passes:
        Mihaylova & Martins (2019), https://arxiv.org/abs/1906.07651
        Label smoothing: Szegedy et al. (2016), https://arxiv.org/abs/1512.00567, section 7
    """

    processor: Processor = field(metadata={"options": True})
    writing: Writing = field(
        default_factory=lambda: Writing(byte_fallback=False),
        metadata={"options": True, "prefix": "target_"},
    )
    beam: int = 1
    length_penalty: float = 0.6
    return_attention: bool = False
    label_smoothing: float = 0.05
    scheduled_sampling: float = 0.0

    needs: ClassVar[frozenset[Trait]] = frozenset({Trait.DECODES, Trait.STEPS})

    def __post_init__(self) -> None:
        if self.beam < 1:
            raise ValueError("beam must be 1 or more (1 is greedy decoding)")
        if not 0 <= self.label_smoothing < 1 or not 0 <= self.scheduled_sampling <= 1:
            raise ValueError(
                "label_smoothing must be from 0 to less than 1, scheduled_sampling from 0 to 1"
            )

    # Data

    def ask(self, raw: Any) -> Example:
        return raw if isinstance(raw, Example) else Example(inputs.ask(raw, self.processor))

    def keys(self, example: Example) -> Keys:
        """Return the source; several targets of one source are not independent."""
        identity = super().keys(example).identity
        return Keys(identity, group=identity)

    def prepare(
        self,
        examples: Sequence[Example],
        options: BackboneOptions | None = None,
        pretrained: Pretrained | None = None,
    ) -> Self:
        targets = [e.target for e in examples if e.target is not None]
        return replace(
            super().prepare(examples, options, pretrained),
            writing=self.writing.prepare(targets, pretrained),
        )

    @property
    def inputs(self) -> Inputs:
        decoder = Tokens(self.writing.size, pad=self.writing.special.pad, reader="decoder")
        return {**super().inputs, DECODER: decoder}

    def items(self, examples: Sequence[Example], *, asking: bool = False) -> Sequence[Item]:
        windows = self.processor.windows(self.raws(examples))
        texts = [e.target for e in examples if e.target is not None]
        targets: Sequence[Window | None] = self.writing.encode(texts)
        if len(texts) < len(examples):
            known = iter(targets)
            targets = [None if e.target is None else next(known) for e in examples]
        if isinstance(windows, Windows):
            return Rows(Item, windows, targets)
        return [Item(n, window[0], targets[n]) for n, window in enumerate(windows)]

    def length(self, item: Item) -> int:
        return len(item.source) + (0 if item.target is None else len(item.target))

    def collate(self, items: Sequence[Item], generator: torch.Generator | None = None) -> Batch:
        batch = self.processor.collate([item.source for item in items])
        longest = max(0 if item.target is None else len(item.target) for item in items) + 1
        empty = self.writing.special.pad or 0  # any id: targets tell what is padding
        decoder = np.full((len(items), longest), empty, dtype=np.int64)
        targets = np.full((len(items), longest), IGNORE, dtype=np.int64)
        decoder[:, 0] = self.writing.start
        for row, item in enumerate(items):
            if item.target is not None:
                end = len(item.target)
                decoder[row, 1 : end + 1] = targets[row, :end] = item.target
                targets[row, end] = self.writing.end
        return replace(
            batch,
            inputs={**batch.inputs, DECODER: torch.from_numpy(decoder)},
            targets={"token": torch.from_numpy(targets)},
            counts={"token": int((targets != IGNORE).sum())},
        )

    # Model

    def head(self, backbone: Backbone) -> nn.Module:
        return TokenHead(
            backbone.sequence_width, self.writing.size, cast(Any, backbone.token_embedding)
        )

    def forward(self, model: Model, batch: Batch) -> Outputs:
        """Return the factors of the scores, at positions with a target only (two thirds)."""
        if self.scheduled_sampling and model.training:
            batch = self._with_own_words(model, batch)
        states = model.backbone(batch)
        real = (batch.targets["token"] != IGNORE).flatten().nonzero()[:, 0]
        chosen = states.sequence.flatten(0, 1).index_select(0, real)
        return Outputs(cast(TokenHead, model.head).factors(chosen), states)

    @torch.no_grad()
    def _with_own_words(self, model: Model, batch: Batch) -> Batch:
        """Return the batch with some decoder inputs replaced by the model's own predictions."""
        words = batch.inputs[DECODER]
        own = model(batch).values.argmax(-1).roll(1, 1)
        replaced = (
            torch.rand(words.shape, device=words.device) < self.scheduled_sampling * batch.progress
        )
        replaced[:, 0] = False
        return replace(batch, inputs={**batch.inputs, DECODER: own.where(replaced, words)})

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        targets = batch.targets["token"].flatten()
        known = targets[targets != IGNORE]
        total = projected_cross_entropy(outputs.values, known, self.label_smoothing)
        return Loss({"token": Part(total)})

    def predict(self, model: Model, batch: Batch) -> list[Piece]:
        writing = self.writing
        how: dict[str, Any] = {"start": writing.start, "end": writing.end, "longest": writing.limit}
        if self.beam == 1:
            written = greedy(model, batch, **how)
        else:
            how |= {"beam": self.beam, "length_penalty": self.length_penalty}
            written = beam_search(model, batch, **how)
        seen: Any = None
        if self.return_attention:
            seen = attention_weights(
                model, batch, [each.tokens for each in written], start=writing.start
            )
        if seen and batch.mask is not None:  # without the padding of the source
            seen = [row[:, real] for row, real in zip(seen, batch.mask, strict=True)]
        return [Piece(*pair) for pair in zip(written, seen or [None] * len(batch), strict=True)]

    def merge(
        self, examples: Sequence[Example], items: Sequence[Item], pieces: Sequence[Piece]
    ) -> list[Prediction]:
        texts = self.writing.decode_batch([written.tokens for written, _ in pieces])
        predictions = []
        for text, item, (written, seen) in zip(texts, items, pieces, strict=True):
            probability = math.exp(written.score / (len(written.tokens) + 1))
            looked = None
            if seen is not None:
                tokens = (
                    self.writing.to_tokens(written.tokens),
                    self.processor.to_tokens(item.source),
                )
                looked = Attention(tuple(map(tuple, seen.tolist())), *tokens)
            predictions.append(Prediction(text, probability, looked))
        return predictions

    # Judgement

    def validation_subset(self, examples: Sequence[Example]) -> Sequence[Example]:
        return spread(examples, VALIDATION_EXAMPLES)

    def references(self, examples: Sequence[Example]) -> list[list[str]]:
        """Return for each example all targets of its source, each once."""
        keys = [self.keys(e).identity for e in examples]
        every: dict[Hashable, dict[str, None]] = {}
        for key, e in zip(keys, examples, strict=True):
            every.setdefault(key, {})[cast(str, e.target)] = None
        return [list(every[key]) for key in keys]

    # Presentation

    def check(self, parts: Mapping[str, Sequence[Example]]) -> list[Finding]:
        everything = [e for part in parts.values() for e in part]
        findings = super().check(parts)
        lengths = self.writing.encode([cast(str, e.target) for e in everything]).lengths
        middle, most = np.quantile(lengths, [0.5, 0.95], method="higher")
        sentence = (
            f"median {middle:,} {self.writing.unit}, 95 % within {most:,}, longest "
            f"{lengths.max():,}; answers end after {self.writing.limit:,} at the latest"
        )
        return [*findings, Finding("target", sentence)]

    def records(self, example: Example, prediction: Prediction) -> list[dict[str, Any]]:
        (record,) = super().records(example, prediction)
        looked = prediction.attention
        return [record if looked is None else record | {"attention": looked._asdict()}]


def read_texts(table: Table, column: str) -> list[str]:
    """Return a column of texts.

    Raises:
        DataError: Names the first row that has none.
    """
    for row, cell in enumerate(table.columns[column]):
        if not isinstance(cell, str) or not cell.strip():
            raise DataError(
                f"{table.where(row)}: the column {column} is empty or not a text; give one, or "
                "take the row out."
            )
    return list(table.columns[column])

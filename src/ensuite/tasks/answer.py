"""Answer: extractive question answering, the span of a text that answers a question."""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ensuite.core.backbone import Backbone, BackboneOptions, Pretrained, Trait
from ensuite.core.batch import IGNORE, Batch, Outputs
from ensuite.core.keys import Keys
from ensuite.core.loss import Loss, Part
from ensuite.core.model import Model
from ensuite.core.presentation import Finding, Ledger
from ensuite.core.score import Score
from ensuite.core.table import Table
from ensuite.core.task import Task, group
from ensuite.data.processors.questions import (
    CONTEXT,
    END,
    NONE,
    PLACES,
    START,
    Questions,
    Window,
    tokens_of,
)
from ensuite.metrics import answers as metrics
from ensuite.nn.losses import cross_entropy
from ensuite.nn.masked import SpanHead
from ensuite.tasks.answer_examples import FIELDS, Example, ask, read_examples

Numbers = NDArray[Any]

MOST_SHOWN = 300
"""Characters of a context that are shown."""

NO_ANSWER = "no answer"


class Item(NamedTuple):
    """A row of a batch: a question with a part of its context."""

    example: int
    window: Window
    span: tuple[int, int] | None  # first and last token of the answer; None: it is not in here
    known: bool  # whether it is known where the answer is


class Piece(NamedTuple):
    """The best span of a window."""

    first: int  # token of the window's context
    last: int
    odds: float  # log odds against there being no answer in the window; -inf if it has no span
    probability: float  # among the spans of the window


class Prediction(NamedTuple):
    """An answer, as it stands in the context; empty if none is given."""

    text: str
    probability: float | None = None
    start: int | None = None  # its first character in the context
    end: int | None = None  # the character after its last
    odds: float = 0.0  # log odds of the best span against there being none
    best: str = ""  # the best span, given or not


@dataclass(frozen=True, kw_only=True)
class Answer(Task[Example, Item, Prediction]):
    """Find the span of a text that answers a question about it.

    Two linear layers give each token of the context the logit that the answer starts there, and
    that it ends there. The position of [CLS] stands for "there is no answer here": the true one in
    windows without the answer. The answer is the span with the highest odds against it, over all
    windows; where training had questions without an answer, none is given below a threshold that
    is chosen on the validation part.

    Args:
        processor: Turns a question and a part of the context into tokens.
        longest: Most tokens of an answer.
        language: Whose articles do not count in F1 and exact match; auto: that of the contexts.
        unanswerable: Whether training had questions without an answer.
        threshold: Log odds below which no answer is given.

    Sources:
        Devlin et al. (2019), https://arxiv.org/abs/1810.04805, sections 4.2 and 4.3
    """

    processor: Questions = field(default_factory=Questions, metadata={"options": True})
    longest: int = 30
    language: Literal["auto", "english", "french"] = "auto"
    unanswerable: bool = field(default=False, metadata={"learned": True})
    threshold: float = field(default=0.0, metadata={"learned": True})

    needs: ClassVar[frozenset[Trait]] = frozenset({Trait.SEQUENCE})
    roles: ClassVar[tuple[str, ...]] = ("context", "question", "answers", "article")
    fields: ClassVar[tuple[str, ...]] = FIELDS

    def __post_init__(self) -> None:
        if self.longest < 1:
            raise ValueError("longest must be 1 or more")

    # Data

    def read(
        self, table: Table, given: Mapping[str, str], *, asking: bool = False
    ) -> tuple[Self, list[Example]]:
        return self, read_examples(table, given, asking=asking)

    def ask(self, raw: Any) -> Example:
        return ask(raw)

    def raw(self, example: Example) -> tuple[str, str]:
        return example.context, example.question

    def keys(self, example: Example) -> Keys:
        """Questions about one article, or else about one context, stay together."""
        return Keys(self.raw(example), group=example.article or example.context)

    def prepare(
        self,
        examples: Sequence[Example],
        options: BackboneOptions | None = None,
        pretrained: Pretrained | None = None,
    ) -> Self:
        prepared = super().prepare(examples, options, pretrained)
        language = self.language
        if language == "auto":
            language = metrics.find_language(list({example.context for example in examples}))
        silent = any(example.answers == () for example in examples)
        return replace(prepared, language=language, unanswerable=silent)

    def verify(self, example: Example) -> None:
        (ids,) = self.processor.encode([example.question])
        self.processor.room(len(ids), example.question)

    def items(self, examples: Sequence[Example], *, asking: bool = False) -> Sequence[Item]:
        cut = self.processor.windows(self.raws(examples))
        return [
            Item(number, window, find_span(example, window), example.answers is not None)
            for number, (example, windows) in enumerate(zip(examples, cut, strict=True))
            for window in windows
        ]

    def length(self, item: Item) -> int:
        return len(item.window.question) + len(item.window.context)

    def collate(self, items: Sequence[Item], generator: torch.Generator | None = None) -> Batch:
        batch, starts = self.processor.collate([item.window for item in items])
        targets = np.full((len(items), 2), IGNORE, dtype=np.int64)
        for row, item in enumerate(items):
            if item.known:
                context, none = starts[row]
                targets[row] = none if item.span is None else context + np.array(item.span)
        known = sum(item.known for item in items)
        first, last = torch.from_numpy(targets).unbind(1)
        return replace(
            batch, targets={"start": first, "end": last}, counts={"start": known, "end": known}
        )

    # Model

    def head(self, backbone: Backbone) -> nn.Module:
        return SpanHead(backbone.sequence_width)

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """Return the mean of the cross-entropies of start and end, over the places they may be."""
        start, end = self.possible(outputs.values, batch)
        return Loss(
            {
                "start": Part(cross_entropy(start, batch.targets["start"]), 0.5),
                "end": Part(cross_entropy(end, batch.targets["end"]), 0.5),
            }
        )

    def possible(self, values: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the logits of start and end, (batch, time), -inf where no answer can be."""
        barred = batch.inputs[PLACES] < CONTEXT
        start, end = values.float().masked_fill(barred[..., None], -torch.inf).unbind(-1)
        return start, end

    def predict(self, model: Model, batch: Batch) -> list[Piece]:
        start, end = self.possible(model(batch).values, batch)
        places = batch.inputs[PLACES]
        none = (start + end)[places == NONE]
        start, end = (each.masked_fill(places != CONTEXT, -torch.inf) for each in (start, end))
        odds = span_scores(start, end, self.longest) - none[:, None, None]
        total = odds.flatten(1).logsumexp(1)
        if self.unanswerable:
            total = torch.logaddexp(total, torch.zeros_like(total))
        best, found = odds.flatten(1).max(1)
        before = (places == CONTEXT).int().argmax(1)
        length, first = found // odds.shape[2], found % odds.shape[2] - before
        shares = (best - total).exp().nan_to_num()
        columns = (first, first + length, best.cpu().double(), shares.cpu().double())
        return [Piece(*row) for row in zip(*(each.tolist() for each in columns), strict=True)]

    def merge(
        self, examples: Sequence[Example], items: Sequence[Item], pieces: Sequence[Piece]
    ) -> list[Prediction]:
        predictions = []
        for number, places in group([item.example for item in items]).items():
            best = max(places, key=lambda place: pieces[place].odds)
            predictions.append(self._prediction(examples[number], items[best], pieces[best]))
        return predictions

    def _prediction(self, example: Example, item: Item, piece: Piece) -> Prediction:
        """Return the answer that the best span of all windows stands for."""
        if piece.odds == -math.inf:  # the context has no token
            return Prediction("", odds=-math.inf)
        tokens = item.window.context
        start, end = int(tokens[piece.first, START]), int(tokens[piece.last, END])
        text = example.context[start:end]
        if not text.strip():  # a token of blanks alone
            return self.decide(Prediction("", piece.probability, odds=piece.odds))
        start, end = start + len(text) - len(text.lstrip()), end - len(text) + len(text.rstrip())
        best = example.context[start:end]
        return self.decide(Prediction(best, piece.probability, start, end, piece.odds, best))

    def decide(self, prediction: Prediction) -> Prediction:
        """Return the prediction, without its answer if its odds are below the threshold.

        Its probability is then that of "no answer".
        """
        if not self.unanswerable or prediction.odds >= self.threshold:
            return prediction
        none = prediction.probability
        if none is not None:  # the odds are the logarithm of the ratio of the two
            none = math.exp(min(0.0, math.log(max(none, 1e-300)) - prediction.odds))
        return prediction._replace(text="", start=None, end=None, probability=none)

    # Published checkpoints

    @classmethod
    def from_published(cls, config: Mapping[str, Any], pretrained: Pretrained) -> Self | None:
        return cls().prepare([], None, pretrained)

    # Judgement

    def score(
        self, predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> dict[str, Score]:
        truths = [example.truths for example in examples]
        return metrics.scores([p.text for p in predictions], truths, self.articles)

    @property
    def articles(self) -> metrics.Language:
        """Language whose articles do not count."""
        return "english" if self.language == "auto" else self.language

    def calibrate(self, predictions: Sequence[Prediction], held_out: Sequence[Example]) -> Self:
        """Choose the threshold with the highest F1 on held-out questions."""
        if not self.unanswerable:
            return self
        pairs = [  # a context without a token has no answer, whatever the threshold
            (prediction, example)
            for prediction, example in zip(predictions, held_out, strict=True)
            if example.truths is not None and prediction.odds > -math.inf
        ]
        given = [metrics.f1(p.best, e.truths or (), self.articles) for p, e in pairs]
        silent = [metrics.f1("", e.truths or (), self.articles) for _, e in pairs]
        found = metrics.best_threshold([p.odds for p, _ in pairs], given, silent)
        return replace(self, threshold=found)

    # Presentation

    @property
    def unit(self) -> str:
        return "question"

    @property
    def pipeline(self) -> str:
        return "question-answering"

    def usage(self, run: str) -> str:
        return f'ensuite predict {shlex.quote(run)} context=@FILE.txt question="your question"'

    def check(self, parts: Mapping[str, Sequence[Example]]) -> list[Finding]:
        every = [e for part in parts.values() for e in part]
        contexts = list(dict.fromkeys(e.context for e in every))
        lengths = self.processor.encode(contexts).lengths
        windows = self.processor.windows(self.raws(every))
        several = sum(len(each) > 1 for each in windows)
        silent = sum(e.answers == () for e in every)
        findings = [
            Finding(
                "contexts",
                f"{len(contexts):,}, median {int(np.median(lengths)):,} {self.processor.unit}, "
                f"longest {int(lengths.max()):,}",
            ),
            Finding(
                "windows",
                f"{several:,} of {len(every):,} questions are read in several windows of "
                f"{self.processor.window}, {sum(map(len, windows)):,} in all; nothing is cut",
            ),
            Finding("answers", f"{silent:,} questions have none; articles of {self.articles}"),
        ]
        encoded = self.processor.encode([example.context for example in every])
        if long := sum(map(self._is_long, every, encoded)):
            said = f"{long:,} are longer than {self.longest} tokens and cannot be found whole"
            findings.append(Finding("long answers", f"{said}; --set task.longest=N"))
        return findings

    def _is_long(self, example: Example, tokens: Numbers) -> bool:
        """Say whether the first answer has more tokens than one may have."""
        if not example.answers:
            return False
        answer = example.answers[0]
        found = tokens_of(tokens, answer.start, answer.start + len(answer.text))
        return found is not None and found[1] - found[0] >= self.longest

    def ledger(self, examples: Sequence[Example]) -> Ledger:
        texts = [text for raw in self.raws(examples) for text in raw]
        return Ledger(0, 0, int(self.processor.encode(texts).lengths.sum()))

    def show(self, example: Example) -> str:
        return f"{example.question} | {example.context[:MOST_SHOWN]}"

    def picture(self, example: Example) -> None:
        return None

    def truth(self, example: Example) -> str:
        if example.truths is None:
            return ""
        return example.truths[0] if example.truths else NO_ANSWER

    def describe(self, prediction: Prediction) -> tuple[str, float | None]:
        return prediction.text or NO_ANSWER, prediction.probability

    def records(self, example: Example, prediction: Prediction) -> list[dict[str, Any]]:
        place = {"start": prediction.start, "end": prediction.end}
        return [{"answer": prediction.text, "probability": prediction.probability, **place}]

    def error(self, prediction: Prediction, example: Example) -> float:
        return 1.0 - metrics.f1(prediction.text, example.truths or (), self.articles)


def find_span(example: Example, window: Window) -> tuple[int, int] | None:
    """Return the first and last token of the first answer in a window; None if it has not all."""
    if not example.answers:
        return None
    answer = example.answers[0]
    return tokens_of(window.context, answer.start, answer.start + len(answer.text))


def span_scores(start: Tensor, end: Tensor, longest: int) -> Tensor:
    """Return the sum of the logits of each span, (batch, length - 1, first position).

    Args:
        start: (batch, time), -inf where no span starts.
        end: (batch, time), -inf where none ends.
        longest: Most positions of a span.
    """
    time = start.shape[1]
    shifted = [
        torch.nn.functional.pad(end[:, length:], (0, length), value=-torch.inf)
        for length in range(min(longest, time))
    ]
    return start[:, None] + torch.stack(shifted, dim=1)

"""Fill: masked language modelling, with next-sentence prediction."""

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ensuite.core.backbone import Backbone, BackboneOptions, Pretrained, Trait
from ensuite.core.batch import IGNORE, Batch, Inputs, Outputs
from ensuite.core.display import Display
from ensuite.core.errors import DataError, UsageError
from ensuite.core.keys import Keys, Split
from ensuite.core.loss import Loss, Part
from ensuite.core.model import Model
from ensuite.core.presentation import Finding, Ledger
from ensuite.core.published import TOKENIZER_CONFIG, PublishedTask
from ensuite.core.score import Score, ratio_of_two
from ensuite.core.split import spread
from ensuite.core.table import Table
from ensuite.core.task import Task, group
from ensuite.data import columns, pairs
from ensuite.data.inputs import TEXT_NAMES
from ensuite.data.masks import Shares
from ensuite.data.processors.documents import Documents
from ensuite.data.stretches import LongText
from ensuite.nn.heads import require_sequence
from ensuite.nn.losses import cross_entropy
from ensuite.nn.masked import MaskedHead
from ensuite.nn.vocabulary import Projected, projected_cross_entropy
from ensuite.tasks import fill_answers as answers
from ensuite.tasks.fill_answers import Piece, Prediction
from ensuite.tasks.fill_examples import Example, read_long, read_prose, with_others
from ensuite.tasks.fill_rows import Item, Maker, TrainingRows

MASK = "[MASK]"
"""What may be typed for the mask token of any tokenizer."""

MOST_SHOWN = 2000
"""Characters of a text that are shown."""

TELLING = 40
"""Bytes below which a text is too short to count as one that the model predicts badly."""

VALIDATION_CHARACTERS = 100_000
"""Characters of the validation part that the best weights are selected by."""

PRETRAINING = "pretraining"
"""The name of a published head that also tells whether two texts follow each other."""

ACCURACY = Display(name="accuracy at masks", points=100)
FOLLOWING = Display(name="next sentence accuracy", points=100)


class Chosen(NamedTuple):
    """The outputs of training, at hidden tokens alone."""

    tokens: Projected
    follows: Tensor | None


@dataclass(frozen=True, kw_only=True)
class Fill(Task[Example, Item, Prediction]):
    """Predict tokens that are hidden in a text, from what stands on both sides of them.

    In training some tokens of each row are drawn anew in every epoch. In evaluation each token is
    hidden once: the words of a window are divided at random, by a seed that depends on the window
    alone, into groups of the share ``hidden``, and each group is predicted from the rest. Since
    whole words are hidden, models with other tokenizers can be compared.

    Args:
        reading: Turns a text into tokens.
        hidden: Share of the tokens that are predicted.
        shares: Of these tokens, the shares that are replaced by the mask token, replaced by a
            random token, and left unchanged.
        whole_words: Whether all tokens of a word are hidden together in training.
        next_sentence: Whether rows are pairs of texts, of which half follow each other and half
            are of two documents, and the model learns to tell which.
        k: Number of predicted tokens listed for each mask token of an input.

    Sources:
        Devlin et al. (2019), https://arxiv.org/abs/1810.04805, sections 3.1 and A.1
        Masks drawn anew: Liu et al. (2019), https://arxiv.org/abs/1907.11692, section 4.1
        Pseudo-log-likelihood: Salazar et al. (2020), https://arxiv.org/abs/1910.14659; of whole
        words: Kauf & Ivanova (2023), https://arxiv.org/abs/2305.10588
    """

    reading: Documents = field(default_factory=Documents, metadata={"options": True})
    hidden: float = 0.15
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    whole_words: bool = False
    next_sentence: bool = False
    k: int = 5

    needs: ClassVar[frozenset[Trait]] = frozenset({Trait.SEQUENCE, Trait.TWO_SIDED})
    roles: ClassVar[tuple[str, ...]] = ("text", "text_pair")
    fields: ClassVar[tuple[str, ...]] = ("text", "text_pair")
    keeps_head: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 < self.hidden < 1:
            raise ValueError("hidden must be more than 0 and less than 1")
        if min(self.shares) < 0 or not math.isclose(sum(self.shares), 1):
            raise ValueError("shares must be three numbers from 0 on that add up to 1")
        if self.k < 1:
            raise ValueError("k must be 1 or more")

    # Data

    def read(
        self, table: Table, given: Mapping[str, str], *, asking: bool = False
    ) -> tuple[Self, list[Example]]:
        cells = table.columns[columns.require(table, "text", TEXT_NAMES, given)]
        if isinstance(cells, LongText) and not asking:
            examples, borders = read_long(cells)
            task = replace(self, reading=replace(self.reading, borders=borders))
            return task, task.paired(examples)
        for row, text in enumerate(cells):
            if not isinstance(text, str):
                raise DataError(f"{table.where(row)}: {text!r} is not a text; give one.")
        if asking:
            return self, self._questions(table, cells, given)
        if table.prose:
            examples = read_prose(cells)
        else:
            examples = [Example(text, document=n) for n, text in enumerate(cells)]
        if not any(str(example.text).strip() for example in examples):
            raise DataError(f"{table.name} has no text: all of it is blank; give some.")
        return self, self.paired(examples)

    def paired(self, examples: Sequence[Example]) -> list[Example]:
        """Return the examples with what the evaluation of pairs needs."""
        return with_others(examples) if self.next_sentence else list(examples)

    def _questions(
        self, table: Table, texts: Sequence[str], given: Mapping[str, str]
    ) -> list[Example]:
        """Return a question for each row."""
        column = columns.find(table, "text_pair", ("text_pair", "sentence2"), given)
        if column is not None:
            return [self.ask(both) for both in zip(texts, table.columns[column], strict=True)]
        return [self.ask_line(text) for text in texts]

    def ask_line(self, line: str) -> Example:
        """Make a question of a line; one without a mask token is to be scored."""
        masked = any(name in line for name in (MASK, self.reading.mask_name))
        return self.ask(line) if masked else Example(line)

    def ask(self, raw: Any) -> Example:
        if isinstance(raw, Example):
            return raw
        if isinstance(raw, tuple) and len(raw) == len(self.fields):
            raw = dict(zip(self.fields, raw, strict=True))
        given = raw if isinstance(raw, Mapping) else {"text": raw}
        text, pair = given.get("text"), given.get("text_pair")
        if not isinstance(text, str) or not isinstance(pair, str | None):
            raise DataError("There is no text to answer; give one in quotation marks.")
        if pair is None:
            return Example(text.replace(MASK, self.reading.mask_name), asked=True)
        if not self.next_sentence:
            raise UsageError(
                "This model has not learned whether one text follows another; train one with "
                "--set next_sentence=true."
            )
        return Example(text, pair)

    def keys(self, example: Example) -> Keys:
        text = example.text
        if isinstance(text, str) and not text.strip():
            return Keys(id(example), time=example.place)
        return Keys((text, example.pair), time=example.place)

    def divide(
        self, parts: Mapping[str, Sequence[Example]], how: Split
    ) -> tuple[Mapping[str, Sequence[Example]], str]:
        divided, said = super().divide(parts, how)
        return {name: self.paired(part) for name, part in divided.items()}, said

    def prepare(
        self,
        examples: Sequence[Example],
        options: BackboneOptions | None = None,
        pretrained: Pretrained | None = None,
    ) -> Self:
        prepared = replace(self, reading=self.reading.prepare(self.raws(examples), pretrained))
        if self.next_sentence and examples:
            prepared.maker.require_pairs(examples)
        return prepared

    @property
    def inputs(self) -> Inputs:
        return self.reading.fields(pairs=self.next_sentence)

    @property
    def maker(self) -> Maker:
        """What makes rows and batches."""
        return Maker(
            reading=self.reading,
            hidden=self.hidden,
            shares=Shares(*self.shares),
            whole_words=self.whole_words,
            pairs=self.next_sentence,
        )

    def items(self, examples: Sequence[Example], *, asking: bool = False) -> Sequence[Item]:
        if asking or any(example.asked for example in examples):
            return self.maker.to_answer(examples)
        return self.maker.to_learn(examples)

    def length(self, item: Item) -> int:
        return len(item.first) + (0 if item.second is None else len(item.second))

    def lengths(self, items: Sequence[Item]) -> NDArray[Any]:
        if isinstance(items, TrainingRows):  # known without making each row
            return items.pool.pieces.lengths
        return super().lengths(items)

    def extent(self, example: Example) -> int:
        return len(self.reading.encode([example.text])[0])

    def collate(self, items: Sequence[Item], generator: torch.Generator | None = None) -> Batch:
        return self.maker.collate(items, generator)

    # Model

    def head(self, backbone: Backbone) -> nn.Module:
        return MaskedHead(backbone, self.reading.size, next_sentence=self.next_sentence)

    def forward(self, model: Model, batch: Batch) -> Outputs:
        """Return the factors of the scores, at hidden tokens alone: these are a few of all."""
        states, head = model.backbone(batch), cast(MaskedHead, model.head)
        places = (batch.targets["token"] != IGNORE).flatten().nonzero()[:, 0]
        chosen = require_sequence(states).flatten(0, 1).index_select(0, places)
        follows = head.pair(states) if self.next_sentence else None
        return Outputs(Chosen(head.factors(chosen), follows), states)

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        values, targets = cast(Chosen, outputs.values), batch.targets["token"].flatten()
        total = projected_cross_entropy(values.tokens, targets[targets != IGNORE])
        parts = {"token": Part(total)}
        if values.follows is not None:
            parts["follows"] = Part(cross_entropy(values.follows, batch.targets["follows"]))
        return Loss(parts)

    def predict(self, model: Model, batch: Batch) -> list[Piece]:
        states, head = model.backbone(batch), cast(MaskedHead, model.head)
        sequence, targets = require_sequence(states), batch.targets["token"]
        hidden = targets != IGNORE
        masked = (batch.inputs["tokens"] == self.reading.mask_id) & ~hidden.any(1, keepdim=True)
        bits, right = answers.judge(head, sequence[hidden], targets[hidden])
        best = answers.best_choices(head, sequence[masked], self.reading, self.k)
        follows: list[float | None] = [None] * len(batch)
        if self.next_sentence:
            follows = head.pair(states).float().softmax(-1)[:, pairs.FOLLOWS].tolist()
        ends, asked = (each.sum(1).cumsum(0).tolist() for each in (hidden, masked))
        return [
            Piece(bits[a:b], right[a:b], best[c:d], each)
            for a, b, c, d, each in zip([0, *ends], ends, [0, *asked], asked, follows, strict=False)
        ]

    def merge(
        self, examples: Sequence[Example], items: Sequence[Item], pieces: Sequence[Piece]
    ) -> list[Prediction]:
        rows, found = group([item.example for item in items]), list[Prediction]()
        for number, example in enumerate(examples):
            own = [(items[place], pieces[place]) for place in rows.get(number, ())]
            if example.asked:
                found.append(answers.answer_masks(example, own, self.reading))
            elif example.pair is not None:
                found.append(Prediction(follows=own[0][1].follows))
            else:
                found.append(answers.score_rows(example, own))
        return found

    # Published checkpoints

    @property
    def published(self) -> PublishedTask:
        known = super().published
        return known._replace(pipeline=PRETRAINING) if self.next_sentence else known

    def tokenizer_files(self) -> Mapping[str, str]:
        config = self.reading.tokenizer_config()
        return {TOKENIZER_CONFIG: json.dumps(config, ensure_ascii=False)}

    @classmethod
    def from_published(cls, config: Mapping[str, Any], pretrained: Pretrained) -> Self | None:
        classes = map(str, config.get("architectures") or [])
        both = any(name.endswith("ForPreTraining") for name in classes)
        return cls(next_sentence=both).prepare([], None, pretrained)

    # Judgement

    def score(
        self, predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> dict[str, Score]:
        found = np.array([each[:6] for each in predictions], dtype=float).reshape(-1, 6)
        scores = {
            "bits_per_byte": Score(found[:, [0, 2]], ratio_of_two, higher_is_better=False),
            "accuracy": Score(found[:, [3, 1]], ratio_of_two, display=ACCURACY),
        }
        if self.next_sentence:
            known = found[:, [5, 4]]
            scores["next_sentence_accuracy"] = Score(known, ratio_of_two, display=FOLLOWING)
        return scores

    def blocks(self, examples: Sequence[Example]) -> Sequence[int] | None:
        """Return blocks of consecutive parts of one text; documents are independent.

        Source:
            Hall, Horowitz & Jing (1995), https://doi.org/10.1093/biomet/82.3.561: of n dependent
            observations, blocks of the order of the cube root of n.
        """
        if any(example.place is None for example in examples):
            return None
        length = math.ceil(len(examples) ** (1 / 3))
        return [number // length for number in range(len(examples))]

    def validation_subset(self, examples: Sequence[Example]) -> Sequence[Example]:
        size = sum(len(example.text) for example in examples)
        return spread(examples, math.ceil(len(examples) * VALIDATION_CHARACTERS / max(1, size)))

    # Presentation

    @property
    def unit(self) -> str:
        return "text"

    @property
    def pipeline(self) -> str:
        return "fill-mask"

    def usage(self, run: str) -> str:
        return f'ensuite predict {shlex.quote(run)} "your own text with a {MASK} in it"'

    def check(self, parts: Mapping[str, Sequence[Example]]) -> list[Finding]:
        everything = [e for part in parts.values() for e in part]
        return self.maker.check(everything, len(self.items(parts["train"])))

    def ledger(self, examples: Sequence[Example]) -> Ledger:
        return Ledger(0, 0, int(self.reading.encode(self.raws(examples)).lengths.sum()))

    def show(self, example: Example) -> str:
        shown = str(example.text)[:MOST_SHOWN].rstrip("\n")
        return shown if example.pair is None else f"{shown} | {example.pair[:MOST_SHOWN]}"

    def truth(self, example: Example) -> str:
        return ""

    def describe(self, prediction: Prediction) -> tuple[str, float | None]:
        return answers.describe(prediction)

    def distribution(self, prediction: Prediction) -> Mapping[str, float]:
        """Return the most probable tokens of a question with one mask token."""
        if len(prediction.masks) != 1:
            return {}
        return dict(prediction.masks[0])

    def records(self, example: Example, prediction: Prediction) -> list[dict[str, Any]]:
        return [answers.record(prediction, next_sentence=self.next_sentence)]

    def error(self, prediction: Prediction, example: Example) -> float:
        return prediction.bits / max(TELLING, prediction.bytes)

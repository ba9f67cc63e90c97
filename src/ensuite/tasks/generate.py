"""Generate: causal language modelling."""

import json
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ensuite.core.backbone import Backbone, BackboneOptions, Pretrained, Trait
from ensuite.core.batch import IGNORE, Batch, Carry, Inputs, Outputs, Tokens
from ensuite.core.errors import DataError, UsageError
from ensuite.core.keys import Keys
from ensuite.core.loss import Loss, Part
from ensuite.core.model import Model
from ensuite.core.presentation import Finding, Written
from ensuite.core.published import TOKENIZER, TOKENIZER_CONFIG, PublishedTask
from ensuite.core.score import Score, ratio, ratio_of_two
from ensuite.core.table import Table
from ensuite.core.task import Task
from ensuite.data import chat, columns, passages
from ensuite.data.processors.checkpoint import published_tokenizer
from ensuite.data.processors.writing import Writing
from ensuite.data.stream import Chunk, Chunks, Independent, Lanes, Stream
from ensuite.data.stretches import LongText, Stretch
from ensuite.decoding.interfaces import LanguageModel
from ensuite.decoding.sampling import Sampling
from ensuite.nn.heads import TokenHead
from ensuite.nn.losses import cross_entropy
from ensuite.tasks.text_generator import TextGenerator

TEXT_NAMES = ("text", "content", "document", "sentence", "review")

BEGINS = 0.05
"""Share of the training chunks of one long text that are read as the beginning of a text."""

MOST_LANES = 64
"""Most rows of a batch, since each position holds a score for every token of the vocabulary."""

MOST_SHOWN = 2000
"""Characters of a text that are shown."""

LONGEST_HALF = 160
"""Characters of the prompts in a report, and of their continuations."""

TEMPERATURE = 0.7
"""Of the sampling of what it writes there."""

TELLING = 40
"""Bytes below which a text is too short to count as one that the model predicts badly."""

Numbers = NDArray[Any]


ALONE = -1
"""Stands in place of the number of a document at a text that is asked about, one by itself."""


class Example(NamedTuple):
    """A part of a document: one line of it, many lines of a large file, or all."""

    text: str | Stretch
    document: int = 0
    line: int = 0  # within the document
    ends: bool = True  # the document ends here, which is predicted as one more token


class Prediction(NamedTuple):
    """The cross-entropy of a text under the model."""

    bits: float
    tokens: int
    bytes: int


VALIDATION_CHARACTERS = 200_000
"""Characters of the validation part that the best weights are selected by, from its start."""


@dataclass(frozen=True, kw_only=True)
class Generate(Task[Example, Chunk, Prediction]):
    """Learn to continue texts, and to give the probability of a text.

    The rows of a batch are lanes: each goes through its own part of the text, chunk by chunk, and
    the state at the end of a chunk is the start of the next (truncated backpropagation through
    time). The state is reset where a document begins.

    Args:
        writing: Turns a text into tokens, and tokens into a text.
        chunk: Tokens of a row of a batch, which is as far back as gradients go.
        lines: Whether the rows of the file are the lines of one text.
        chat_template: The Jinja template of conversations; empty if the model has none.
        lanes: Whether a state is carried from chunk to chunk. Otherwise chunks have the length
            that the model reads, and are read in random order; in evaluation each begins with the
            second half of the one before it, as context.

    Source:
        Mikolov et al. (2010), https://www.isca-archive.org/interspeech_2010/mikolov10_interspeech.html
    """

    writing: Writing = field(default_factory=Writing, metadata={"options": True})
    chunk: int = 64
    lines: bool = field(default=False, metadata={"learned": True})
    chat_template: str = field(default="", metadata={"learned": True, "file": chat.TEMPLATE})
    lanes: bool = field(default=True, metadata={"learned": True})

    needs: ClassVar[frozenset[Trait]] = frozenset({Trait.SEQUENCE, Trait.CAUSAL, Trait.STEPS})
    roles: ClassVar[tuple[str, ...]] = ("text", "messages")
    usual_names: ClassVar[Mapping[str, Sequence[str]]] = {"text": TEXT_NAMES}

    def __post_init__(self) -> None:
        if self.chunk < 1:
            raise ValueError("chunk must be 1 or more")

    @property
    def carries(self) -> bool:
        return self.lanes

    @property
    def continues(self) -> bool:
        return self.lanes or self.lines

    # Data

    def read(
        self, table: Table, given: Mapping[str, str], *, asking: bool = False
    ) -> tuple[Self, list[Example]]:
        messages = columns.find(table, "messages", ("messages",), given)
        if messages is not None and "text" not in given:
            return self._read_messages(table, messages)
        column = columns.require(table, "text", TEXT_NAMES, given)
        texts = table.columns[column]
        table.note("text", column)
        if isinstance(texts, LongText):
            parts = enumerate(texts.stretches)
            return replace(self, lines=True), [Example(t, line=n, ends=False) for n, t in parts]
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise DataError(f"{table.where(row)}: {text!r} is not a text; give one.")
        if table.prose:
            examples = [Example(t, line=n, ends=False) for n, t in enumerate(passages.cut(texts))]
        else:
            examples = [Example(text, number) for number, text in enumerate(texts)]
        return replace(self, lines=table.prose), examples

    def _read_messages(self, table: Table, column: str) -> tuple[Self, list[Example]]:
        """Read each conversation as a text of its own, which the chat template writes."""
        task = replace(self, lines=False, chat_template=self.chat_template or chat.PLAIN)
        examples = []
        for row, messages in enumerate(table.columns[column]):
            try:
                chat.check(messages, asking=False)
            except DataError as error:
                raise DataError(f"{table.where(row)}: {error}") from error
            # Without the tokens that begin and end a text: the stream of all texts has them.
            text = chat.ChatTemplate(task.chat_template).render(messages, asking=False)
            examples.append(Example(text, row))
        return task, examples

    def ask(self, raw: Any) -> Example:
        if isinstance(raw, Example):
            return raw
        text = raw.get("text") if isinstance(raw, Mapping) else raw
        if text is None:
            raise DataError("There is no text to continue; give one, such as text=...")
        return Example(str(text), ALONE, ends=False)

    def keys(self, example: Example) -> Keys:
        """A repeated line is no duplicate, nor is a blank one in the same place of two texts."""
        text, _, line, _ = example
        if isinstance(text, Stretch):
            return Keys(text, time=line if self.lines else None)
        identity = (text, line) if text.strip() else id(example)
        return Keys(identity, time=line if self.lines else None)

    def prepare(
        self,
        examples: Sequence[Example],
        options: BackboneOptions | None = None,
        pretrained: Pretrained | None = None,
    ) -> Self:
        task = replace(self, writing=self.writing.prepare(self.raws(examples), pretrained))
        if pretrained and pretrained.tokenizer and not task.chat_template:
            task = replace(task, chat_template=chat.read_template(pretrained.tokenizer))
        if options is None or Trait.CARRIES in options.traits:
            return task
        return replace(task, lanes=False, chunk=options.context or self.chunk)

    @classmethod
    def from_published(cls, config: Mapping[str, Any], pretrained: Pretrained) -> Self | None:
        """Return the task of a published language model.

        Args:
            config: Its ``config.json``.
            pretrained: What it fixes.
        """
        writing = Writing().prepare([], pretrained)
        template = chat.read_template(pretrained.tokenizer) if pretrained.tokenizer else ""
        chunk = pretrained.length or cls.chunk
        return cls(writing=writing, chat_template=template, lanes=False, chunk=chunk)

    @property
    def published(self) -> PublishedTask:
        start, end = self.writing.special.start, self.writing.special.end
        return super().published._replace(start=start, end=end)

    def tokenizer_files(self) -> Mapping[str, str]:
        special = self.writing.special
        config = published_tokenizer(self.writing.tokenizer, special, self.chunk)
        return {
            TOKENIZER: self.writing.tokenizer,
            TOKENIZER_CONFIG: json.dumps(config, ensure_ascii=False),
        }

    @property
    def inputs(self) -> Inputs:
        return {"tokens": Tokens(self.writing.size, pad=self.writing.padding)}

    def items(self, examples: Sequence[Example], *, asking: bool = False) -> Sequence[Chunk]:
        before = self.chunk // 2 if asking else 0
        if not self.lanes and any(example.document == ALONE for example in examples):
            # Each begins a chunk, so that what it is cut into does not depend on the texts before.
            return [
                chunk._replace(examples=chunk.examples + number)
                for number, example in enumerate(examples)
                for chunk in Independent(self._stream([example]), self.chunk, before=before)
            ]
        stream = self._stream(examples)
        if self.lanes:
            return Chunks(stream, self.chunk)
        return Independent(stream, self.chunk, before=before)

    def length(self, item: Chunk) -> int:
        return len(item.tokens)

    def lengths(self, items: Sequence[Chunk]) -> NDArray[Any]:
        """Return the length of a whole chunk for all, unread; the last may be shorter."""
        return np.full(len(items), self.chunk)

    def _stream(self, examples: Sequence[Example]) -> Stream:
        """Return all documents one after another, still to be read."""
        documents = np.array([e.document for e in examples])
        begins = np.ones(len(examples), dtype=bool)
        over = np.array([e.ends for e in examples], dtype=bool)
        begins[1:] = over[:-1] | (documents[1:] != documents[:-1]) | (documents[1:] == ALONE)
        spelled = self.writing.spell([e.text for e in examples])
        return Stream(spelled, begins, bool(over[-1:].any()), self.writing.edges)

    def stream(self, examples: Sequence[Example]) -> Chunk:
        """Return all documents one after another, as one long chunk."""
        stream = self._stream(examples)
        return stream.read(0, len(stream))

    def order(
        self, items: Sequence[Chunk], size: int, epoch: int = 0, seed: int | None = None
    ) -> Sequence[list[int]]:
        """Give each lane a consecutive part of the stream; without lanes, chunks in random order.

        With a seed (training), each epoch starts at another chunk, and some chunks of one long
        text are read as its beginning, so that the model learns to start from an empty state.
        Without one, each lane but the first starts one chunk early, only to have a state; the
        output for that chunk is later replaced by that of the lane it belongs to.
        """
        count = len(items)
        if not count:
            return []
        if not self.lanes:
            return self._shuffled(count, size, epoch, seed)
        chunks = 2 if seed is not None else 10  # of a lane at least, so that few are read twice
        lanes = min(size, MOST_LANES, max(1, count // chunks))
        length = -(-count // lanes)
        starts = range(0, count, length)
        if seed is None:
            runs = [range(max(0, at - 1), min(at + length, count)) for at in starts]
        else:
            turn = int(np.random.default_rng((seed, epoch)).integers(count))
            runs = [range(turn + at, turn + min(at + length, count)) for at in starts]
        runs = sorted(runs, key=len, reverse=True)
        if seed is None or not self.lines:
            return Lanes(runs, count)
        random = np.random.default_rng((seed, epoch, 1))
        return Lanes(runs, count, random.random(sum(map(len, runs))) < BEGINS)

    def _shuffled(self, count: int, size: int, epoch: int, seed: int | None) -> Sequence[list[int]]:
        """Return chunks in random order, which start at other tokens in every epoch."""
        numbers = np.arange(count)
        if seed is not None:
            random = np.random.default_rng((seed, epoch))
            numbers = random.permutation(count) + count * int(random.integers(self.chunk))
        return [numbers[i : i + size].tolist() for i in range(0, count, size)]

    def collate(self, items: Sequence[Chunk], generator: torch.Generator | None = None) -> Batch:
        longest = max(len(chunk.tokens) for chunk in items)
        whole = all(len(chunk.tokens) == longest for chunk in items)

        def pad(columns: Sequence[Numbers], empty: int) -> torch.Tensor:
            if whole:
                return torch.from_numpy(np.stack(columns).astype(np.int64, copy=False))
            padded = np.full((len(items), longest), empty, dtype=np.int64)
            for row, column in enumerate(columns):
                padded[row, : len(column)] = column
            return torch.from_numpy(padded)

        empty = self.writing.special.pad or 0  # any id: the mask tells what is padding
        tokens, targets, documents = (
            pad([chunk[place] for chunk in items], fill)
            for place, fill in ((0, empty), (1, IGNORE), (2, 0))
        )
        lengths = torch.tensor([len(chunk.tokens) for chunk in items])
        return Batch(
            inputs={"tokens": tokens},
            mask=torch.arange(longest) < lengths[:, None],
            targets={"token": targets},
            counts={"token": sum(len(chunk.examples) for chunk in items)},
            documents=documents,
        )

    # Model

    def head(self, backbone: Backbone) -> nn.Module:
        return TokenHead(
            backbone.sequence_width, self.writing.size, cast(Any, backbone.token_embedding),
            bias=backbone.token_bias, rows=backbone.token_rows,
        )  # fmt: skip

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        return Loss({"token": Part(cross_entropy(outputs.values, batch.targets["token"]))})

    def predict_batches(self, model: Model, batches: Iterator[Batch]) -> Iterator[list[Numbers]]:
        carry: Carry | None = None
        for batch in batches:
            outputs = model(batch.after(carry))
            carry = outputs.states.carry
            yield self._bits(outputs, batch)

    def predict(self, model: Model, batch: Batch) -> list[Numbers]:
        return self._bits(model(batch), batch)

    def _bits(self, outputs: Outputs, batch: Batch) -> list[Numbers]:
        """Return, for each row, the cross-entropy of each of its targets in bits."""
        targets = batch.targets["token"]
        values, known = outputs.values.float(), targets.clamp(min=0)[..., None]
        bits = (values.logsumexp(-1) - values.gather(-1, known)[..., 0]) / math.log(2)
        counted = (targets != IGNORE).cpu().numpy()
        rows = zip(bits.cpu().numpy(), counted, strict=True)
        return [row[known].astype(np.float64) for row, known in rows]

    def merge(
        self, examples: Sequence[Example], items: Sequence[Chunk], pieces: Sequence[Numbers]
    ) -> list[Prediction]:
        """Add up the bits of the tokens of each example, and 8 for each byte of unknown tokens.

        The end of a text that is asked about does not count, though the next text begins there.
        """
        none = np.zeros(0, dtype=np.int64)
        owners = np.concatenate([none, *(chunk.examples for chunk in items)])
        pairs = zip(items, pieces, strict=True)
        costs = np.concatenate([none, *(own + 8 * chunk.unknown_bytes for chunk, own in pairs)])
        places = np.arange(len(owners)) - np.searchsorted(owners, owners)  # within the example
        asked = [number for number, each in enumerate(examples) if each.document == ALONE]
        lengths = np.full(len(examples), len(owners))
        lengths[asked] = self.writing.spell([examples[number].text for number in asked]).lengths
        counted = places < lengths[owners]
        owners, costs = owners[counted], costs[counted]
        bits = np.bincount(owners, costs, len(examples))
        tokens = np.bincount(owners, minlength=len(examples))
        triples = zip(bits.tolist(), tokens.tolist(), examples, strict=True)
        return [Prediction(cost, n, count_bytes(e.text)) for cost, n, e in triples]

    # Judgement

    def score(
        self, predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> dict[str, Score]:
        found = np.array(predictions, dtype=float).reshape(-1, 3)
        bits, perplexity = found[:, [0, 2]], found[:, [0, 1]]
        return {
            "bits_per_byte": Score(bits, ratio_of_two, higher_is_better=False),
            "perplexity": Score(perplexity, _perplexity, higher_is_better=False),
        }

    def blocks(self, examples: Sequence[Example]) -> Sequence[int] | None:
        """Return blocks of consecutive lines of one text; texts of their own are independent.

        Source:
            Hall, Horowitz & Jing (1995), https://doi.org/10.1093/biomet/82.3.561: of n dependent
            observations, blocks of the order of the cube root of n.
        """
        if not self.lines:
            return None
        length = math.ceil(len(examples) ** (1 / 3))
        return [number // length for number in range(len(examples))]

    def validation_subset(self, examples: Sequence[Example]) -> Sequence[Example]:
        """Return the beginning of the text, since a state is carried along."""
        sizes = np.cumsum([len(example.text) for example in examples])
        return examples[: 1 + int(np.searchsorted(sizes, VALIDATION_CHARACTERS))]

    # Generation

    def generator(self, model: LanguageModel, context: int | None = None) -> TextGenerator:
        """Return what continues prompts with a model of this task.

        Args:
            model: Gives the logits of the next token.
            context: Most positions that it reads at once; None: any number.
        """
        return TextGenerator(self.writing, self.prompt_ids, model, context)

    def converse(self, messages: Sequence[chat.Message]) -> chat.Asked:
        """Return a conversation as the prompt that the model continues with its answer.

        Raises:
            DataError: If the roles are not in order, or the user is not the last to speak.
            UsageError: If the model has no chat template, or its template refuses the messages.
        """
        if not self.chat_template:
            raise UsageError(
                "This language model has no chat template, as one has that was trained on a column "
                "`messages`; give one: --template FILE, a Jinja template as transformers reads it."
            )
        chat.check(messages, asking=True)
        template = chat.ChatTemplate(self.chat_template, *self.writing.edge_names)
        prompt = self.writing.encode_marked(template.render(messages, asking=True))
        return chat.Asked(prompt, template.stops(messages))

    def prompt_ids(self, prompt: str) -> list[int]:
        """Return the tokens of a prompt, after the beginning of a text."""
        # A line of a text follows another line.
        before, read = self.writing.encode(["\n" if self.lines else "", prompt])
        ids = [*before.tolist(), *read.tolist()]
        return [self.writing.start, *ids] if self.writing.opens or not ids else ids

    # Presentation

    @property
    def unit(self) -> str:
        return "line" if self.lines else "text"

    @property
    def pipeline(self) -> str:
        return "text-generation"

    def usage(self, run: str) -> str:
        return f'ensuite generate {shlex.quote(run)} "how it begins"'

    def truth(self, example: Example) -> str:
        return ""

    def check(self, parts: Mapping[str, Sequence[Example]]) -> list[Finding]:
        everything = [e for part in parts.values() for e in part]
        size = sum(count_bytes(e.text) for e in everything)
        texts = [[e.text for e in part] for part in parts.values()]
        tokens = sum(int(self.writing.encode(part).lengths.sum()) for part in texts)
        unit, chunks = self.writing.unit, len(self.items(parts["train"]))
        how = "in random order, each on its own"
        if self.lanes:
            how = (
                "in lanes: the state is handed from chunk to chunk and starts anew with a "
                "document, gradients stop where a chunk ends"
            )
        reading = f"{chunks:,} of {self.chunk} {unit} to learn from, {how}"
        return [
            Finding("text", f"{size:,} bytes, {tokens:,} {unit} of {self.writing.kinds:,} kinds"),
            Finding("chunks", reading),
        ]

    def show(self, example: Example) -> str:
        return str(example.text)[:MOST_SHOWN].rstrip("\n")

    def describe(self, prediction: Prediction) -> tuple[str, float | None]:
        return f"{prediction.bits / max(1, prediction.bytes):.3f} bits per byte", None

    def records(self, example: Example, prediction: Prediction) -> list[dict[str, Any]]:
        return [
            {"bits_per_byte": prediction.bits / max(1, prediction.bytes), **prediction._asdict()}
        ]

    def write_examples(self, fitted: Any, examples: Sequence[Example]) -> list[Written]:
        """Go on with the first half of each text, beside its second half."""
        halves = [halve(str(example.text)[: 2 * LONGEST_HALF]) for example in examples]
        generator = self.generator(fitted.language_model, fitted.context)
        written = []
        for seed, (source, truth) in enumerate(halves):
            sampling = Sampling(
                max_new_tokens=LONGEST_HALF, temperature=TEMPERATURE, seed=seed, slide=True
            )  # a text may be longer than the model reads at once
            pieces = generator.stream([source], sampling)
            answer = "".join(piece for _, piece in pieces)[:LONGEST_HALF].rstrip()
            written.append(Written(source, truth, answer))
        return written

    def error(self, prediction: Prediction, example: Example) -> float:
        # A blank line may cost 9 bits for its one byte, which says little.
        return prediction.bits / max(TELLING, prediction.bytes)


def halve(text: str) -> tuple[str, str]:
    """Divide a text at the last space of its first half, or in the middle where there is none.

    >>> halve("Once upon a time"), halve("word")
    (('Once ', 'upon a time'), ('wo', 'rd'))
    """
    middle = len(text) // 2
    place = text.rfind(" ", 0, middle) + 1 or middle
    return text[:place], text[place:].rstrip("\n")


def count_bytes(text: str | Stretch) -> int:
    """Return how many bytes a text has in UTF-8."""
    return len(text) if isinstance(text, Stretch) else len(text.encode())


def _perplexity(sums: Numbers) -> Numbers:
    return 2.0 ** np.minimum(ratio(sums[..., 0], sums[..., 1]), 1000.0)

"""Generate: causal language modelling."""

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
from ensuite.core.loss import Loss, Part
from ensuite.core.model import Model
from ensuite.core.presentation import Finding
from ensuite.core.score import Score, ratio, ratio_of_two
from ensuite.core.split import Keys
from ensuite.core.table import Table
from ensuite.core.task import Task
from ensuite.data import columns
from ensuite.data.processors.text import UNKNOWN
from ensuite.data.processors.writing import EDGE, Writing
from ensuite.decoding.beam import beam_search
from ensuite.decoding.sampling import Continued, Sampling, sample
from ensuite.decoding.telling import Telling, cut
from ensuite.decoding.written import Steps
from ensuite.nn.heads import TokenHead
from ensuite.nn.losses import cross_entropy

TEXT_NAMES = ("text", "content", "document", "sentence", "review")

BEGINS = 0.05
"""Share of the training chunks of one long text that are read as the beginning of a text."""

MOST_LANES = 64
"""Most rows of a batch, since each position holds a score for every token of the vocabulary."""

TELLING = 40
"""Bytes below which a text is too short to count as one that the model predicts badly."""

BARRED = (0, UNKNOWN)
"""Tokens that are never generated, since they stand for no text (padding, unknown)."""

Numbers = NDArray[Any]


class Example(NamedTuple):
    """A document, or one line of it."""

    text: str
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


class Chunk(NamedTuple):
    """A row of a batch: consecutive tokens of the stream of all documents."""

    tokens: Numbers  # (time,) input ids
    targets: Numbers  # (time,) the next token of each
    documents: Numbers  # (time,) number of the document of each input token
    examples: Numbers  # (time,) number of the example each target belongs to
    untold: Numbers  # (time,) bytes of each target that the id does not determine (unknown ones)


@dataclass(frozen=True)
class Chunks(Sequence[Chunk]):
    """The stream of all documents, cut every ``size`` tokens.

    Index ``i + len(chunks)`` is chunk ``i`` read as the beginning of a text: its first token is
    the start token, and its documents have other numbers, so that the state is reset.

    Args:
        stream: All documents as one long chunk.
        size: Tokens of a chunk; the last may have fewer.
    """

    stream: Chunk
    size: int

    def __len__(self) -> int:
        return -(-len(self.stream.tokens) // self.size)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        if not 0 <= number < 2 * len(self):
            raise IndexError(number)
        begins, number = divmod(number, len(self))
        part = slice(number * self.size, (number + 1) * self.size)
        chunk = Chunk(*(column[part] for column in self.stream))
        if not begins:
            return chunk
        tokens = np.concatenate([[EDGE], chunk.tokens[1:]])
        return chunk._replace(tokens=tokens, documents=-1 - chunk.documents)

    def __iter__(self) -> Iterator[Chunk]:
        return (self[number] for number in range(len(self)))


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

    Source:
        Mikolov et al. (2010), https://www.isca-archive.org/interspeech_2010/mikolov10_interspeech.html
    """

    writing: Writing = field(default_factory=Writing, metadata={"options": True})
    chunk: int = 64
    lines: bool = field(default=False, metadata={"learned": True})

    needs: ClassVar[frozenset[Trait]] = frozenset({Trait.SEQUENCE, Trait.CAUSAL, Trait.STEPS})
    carries: ClassVar[bool] = True
    roles: ClassVar[tuple[str, ...]] = ("text",)

    def __post_init__(self) -> None:
        if self.chunk < 1:
            raise ValueError("chunk must be 1 or more")

    # Data

    def read(
        self, table: Table, given: Mapping[str, str], *, asking: bool = False
    ) -> tuple[Self, list[Example]]:
        texts = table.columns[columns.require(table, "text", TEXT_NAMES, given)]
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise DataError(f"{table.where(row)}: {text!r} is not a text; give one.")
        if table.prose:
            examples = [Example(f"{t}\n", line=line, ends=False) for line, t in enumerate(texts)]
        else:
            examples = [Example(text, number) for number, text in enumerate(texts)]
        return replace(self, lines=table.prose), examples

    def ask(self, raw: Any) -> Example:
        if isinstance(raw, Example):
            return raw
        return Example(str(raw["text"] if isinstance(raw, Mapping) else raw), ends=False)

    def keys(self, example: Example) -> Keys:
        """A repeated line is no duplicate, nor is a blank one in the same place of two texts."""
        text, _, line, _ = example
        identity = (text, line) if text.strip() else id(example)
        return Keys(identity, time=line if self.lines else None)

    def prepare(
        self,
        examples: Sequence[Example],
        options: BackboneOptions | None = None,
        pretrained: Pretrained | None = None,
    ) -> Self:
        return replace(self, writing=self.writing.prepare(self.raws(examples), pretrained))

    @property
    def inputs(self) -> Inputs:
        return {"tokens": Tokens(self.writing.size)}

    def items(self, examples: Sequence[Example], *, asking: bool = False) -> Sequence[Chunk]:
        return Chunks(self.stream(examples), self.chunk)

    def stream(self, examples: Sequence[Example]) -> Chunk:
        """Return all documents one after another, as one long chunk."""
        spelled = self.writing.spell(self.raws(examples))
        parts: dict[str, list[Any]] = {"ids": [], "untold": [], "documents": [], "examples": []}

        def add(number: int, ids: Any, untold: Any) -> None:
            parts["ids"].append(ids)
            parts["untold"].append(untold)
            parts["documents"].append(np.full(len(ids), document))
            parts["examples"].append(np.full(len(ids), number))

        edge, document, over = np.array([EDGE]), -1, True
        for number, (example, (ids, untold)) in enumerate(zip(examples, spelled, strict=True)):
            if over or example.document != examples[number - 1].document:
                document += 1
                add(max(0, number - 1), edge, np.zeros(1, dtype=int))
            over = example.ends
            add(number, ids, untold)
        if over and examples:
            add(len(examples) - 1, edge, np.zeros(1, dtype=int))
        whole = {name: np.concatenate([*lists, np.zeros(0, int)]) for name, lists in parts.items()}
        return Chunk(
            whole["ids"][:-1].astype(np.int64),
            whole["ids"][1:].astype(np.int64),
            whole["documents"][:-1],
            whole["examples"][1:],
            whole["untold"][1:],
        )

    def order(
        self, items: Sequence[Chunk], size: int, epoch: int = 0, seed: int | None = None
    ) -> list[list[int]]:
        """Give each lane a consecutive part of the stream.

        With a seed (training), each epoch starts at another chunk, and some chunks of one long
        text are read as its beginning, so that the model learns to start from an empty state.
        Without one, each lane but the first starts one chunk early, only to have a state; the
        output for that chunk is later replaced by that of the lane it belongs to.
        """
        count = len(items)
        if not count:
            return []
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
        numbers = [
            [run[time] % count for run in runs if time < len(run)] for time in range(len(runs[0]))
        ]
        if seed is None or not self.lines:
            return numbers
        random = np.random.default_rng((seed, epoch, 1))
        return [[n + count * bool(random.random() < BEGINS) for n in row] for row in numbers]

    def collate(self, items: Sequence[Chunk], generator: torch.Generator | None = None) -> Batch:
        longest = max(len(chunk.tokens) for chunk in items)
        whole = all(len(chunk.tokens) == longest for chunk in items)

        def pad(columns: Sequence[Numbers], empty: int) -> torch.Tensor:
            if whole:
                return torch.from_numpy(np.stack(columns))
            padded = np.full((len(items), longest), empty, dtype=np.int64)
            for row, column in enumerate(columns):
                padded[row, : len(column)] = column
            return torch.from_numpy(padded)

        tokens, targets, documents = (
            pad([chunk[place] for chunk in items], empty)
            for place, empty in ((0, 0), (1, IGNORE), (2, 0))
        )
        return Batch(
            inputs={"tokens": tokens},
            mask=targets != IGNORE,
            targets={"token": targets},
            counts={"token": sum(len(chunk.tokens) for chunk in items)},
            documents=documents,
        )

    # Model

    def head(self, backbone: Backbone) -> nn.Module:
        return TokenHead(
            backbone.sequence_width, self.writing.size, cast(Any, backbone.token_embedding)
        )

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
        counts = (targets != IGNORE).sum(1).tolist()
        rows = zip(bits.cpu().numpy(), counts, strict=True)
        return [row[:count].astype(np.float64) for row, count in rows]

    def merge(
        self, examples: Sequence[Example], items: Sequence[Chunk], pieces: Sequence[Numbers]
    ) -> list[Prediction]:
        """Add up the bits of the tokens of each example, and 8 for each byte of unknown tokens."""
        bits, tokens = np.zeros(len(examples)), np.zeros(len(examples), dtype=int)
        for chunk, costs in zip(items, pieces, strict=True):
            np.add.at(bits, chunk.examples, costs + 8 * chunk.untold)
            np.add.at(tokens, chunk.examples, 1)
        triples = zip(bits.tolist(), tokens.tolist(), examples, strict=True)
        return [Prediction(cost, n, len(e.text.encode())) for cost, n, e in triples]

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

    # Writing

    def write(
        self,
        model: Steps,
        prompts: Sequence[str],
        sampling: Sampling,
        context: int | None = None,
    ) -> Iterator[tuple[int, str]]:
        """Continue prompts, and yield (number of the prompt, piece of its text) as they come.

        A text that is found by beam search comes in one piece.

        Args:
            model: Gives the logits of the next token.
            prompts: Texts to continue; empty for the beginning of a text.
            sampling: How the next token is chosen, and when a text ends.
            context: Most positions that the model reads; None: any number.

        Raises:
            UsageError: If a prompt is too long, or has characters that the model does not know.
        """
        read = [self._prompt(prompt, context) for prompt in prompts]
        longest = sampling.max_new_tokens
        most = [longest if context is None else min(longest, context - len(ids)) for ids in read]
        if sampling.beam is not None:
            return self._search(model, read, most, sampling)
        tell = [Telling(self.writing.tell, EDGE, longest, sampling.stop) for longest in most]
        return sample(model, read, tell, sampling, BARRED)

    def _prompt(self, prompt: str, context: int | None) -> list[int]:
        """Return the tokens of a prompt, after the start token."""
        (spelled,) = self.writing.spell([prompt])
        if self.writing.unit == "characters" and spelled.untold.any():
            unknown = ", ".join(f'"{each}"' for each in self.writing.unknown(prompt))
            raise UsageError(
                f"The prompt has {unknown}, which no training text has: a model of characters "
                "cannot read it; leave it out."
            )
        # A line of a text follows another line.
        (newline,) = self.writing.encode(["\n" if self.lines else ""])
        ids = [EDGE, *newline, *spelled.ids]
        if context is not None and len(ids) >= context:
            raise UsageError(
                f"The prompt has {len(ids):,} tokens, its beginning included, and the model reads "
                f"{context:,} at most; give a shorter one."
            )
        return [int(token) for token in ids]

    def _search(
        self,
        model: Steps,
        prompts: Sequence[Sequence[int]],
        longest: Sequence[int],
        sampling: Sampling,
    ) -> Iterator[tuple[int, str]]:
        """Find a probable text for each prompt by beam search."""
        assert sampling.beam is not None
        for number, (ids, most) in enumerate(zip(prompts, longest, strict=True)):
            batch = Batch(inputs={"tokens": torch.tensor([ids])})
            (found,) = beam_search(
                Continued(model, ids, BARRED), batch,
                start=ids[-1], end=EDGE, longest=most, beam=sampling.beam,
            )  # fmt: skip
            yield number, cut(self.writing.tell(found.tokens), sampling.stop, whole=True)[0]

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
        size = sum(len(e.text.encode()) for e in everything)
        tokens = sum(len(ids) for ids in self.writing.encode([e.text for e in everything]))
        unit, chunks = self.writing.unit, len(self.items(parts["train"]))
        reading = (
            f"{chunks:,} of {self.chunk} {unit} to learn from, in lanes: the state is handed from "
            "chunk to chunk and starts anew with a document, gradients stop where a chunk ends"
        )
        return [
            Finding("text", f"{size:,} bytes, {tokens:,} {unit} of {self.writing.size:,} kinds"),
            Finding("chunks", reading),
        ]

    def show(self, example: Example) -> str:
        return example.text.rstrip("\n")

    def describe(self, prediction: Prediction) -> tuple[str, float | None]:
        return f"{prediction.bits / max(1, prediction.bytes):.3f} bits per byte", None

    def records(self, example: Example, prediction: Prediction) -> list[dict[str, Any]]:
        return [
            {"bits_per_byte": prediction.bits / max(1, prediction.bytes), **prediction._asdict()}
        ]

    def error(self, prediction: Prediction, example: Example) -> float:
        # A blank line may cost 9 bits for its one byte, which says little.
        return prediction.bits / max(TELLING, prediction.bytes)


def _perplexity(sums: Numbers) -> Numbers:
    return 2.0 ** np.minimum(ratio(sums[..., 0], sums[..., 1]), 1000.0)

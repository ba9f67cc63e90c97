"""Tag: a tag for every word of a sentence (named entities, parts of speech)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ensuite.core.backbone import Backbone, BackboneOptions, Pretrained, Trait
from ensuite.core.batch import IGNORE, Batch, Characters, Outputs, States
from ensuite.core.display import Display
from ensuite.core.errors import DataError
from ensuite.core.keys import Keys
from ensuite.core.loss import Loss, Part
from ensuite.core.model import Model
from ensuite.core.presentation import Finding, Ledger
from ensuite.core.published import PublishedTask, output_names
from ensuite.core.score import Score, ratio_of_two
from ensuite.core.table import Table
from ensuite.core.task import Task, group
from ensuite.data import columns
from ensuite.data.inputs import TEXT_NAMES
from ensuite.data.labels import Labels
from ensuite.data.processors import Window, Words
from ensuite.data.processors.checkpoint import kept_tokenizer
from ensuite.data.processors.pieces import STARTS, Pieces, word_places
from ensuite.metrics import entities as metrics
from ensuite.nn import crf
from ensuite.nn.heads import SequenceHead
from ensuite.nn.losses import cross_entropy

TOKEN_NAMES = ("tokens", "words", "forms")
TAG_NAMES = ("tags", "ner_tags", "pos_tags", "upos", "labels", "ner", "pos")

SHARE = Display(points=100)

Strings = tuple[str, ...]


class Example(NamedTuple):
    """The words of a sentence, and the tag of each."""

    tokens: Strings
    tags: Strings | None = None  # None if they are asked for


class Item(NamedTuple):
    """A row of a batch: one window of an example."""

    example: int
    start: int  # its first word in the sentence
    window: Window
    tags: NDArray[np.int64]  # the number of each; IGNORE where it is not given


class Prediction(NamedTuple):
    """A tag for every word, and the probability of each."""

    tokens: Strings
    tags: Strings
    probabilities: tuple[float, ...]


class Piece(NamedTuple):
    """The output of a model for one window."""

    tags: NDArray[np.int64]  # (time,)
    probabilities: NDArray[np.float64]  # (time,)


class ChainHead(nn.Module):
    """Scores of the tags at each position, and a conditional random field (CRF) over them.

    Args:
        width: Size of the backbone's vectors.
        outputs: Number of tags.
    """

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.emissions = SequenceHead(width, outputs)
        self.crf = crf.CRF(outputs)

    def forward(self, states: States, batch: Batch) -> crf.Chain:
        """Return the scores of the tags at each position, and of the transitions between tags."""
        scores: crf.Chain = self.crf(self.emissions(states, batch))
        return scores


@dataclass(frozen=True, kw_only=True)
class Tag(Task[Example, Item, Prediction]):
    """Give every word of a sentence one tag of a fixed set.

    Args:
        crf: Whether the tags of a sentence are chosen jointly, by a conditional random field, or
            each on its own; auto: jointly if the tags mark entities (BIO, BIOES).
        processor: Turns words into tensors: each word an id and its characters, or the pieces of a
            checkpoint's tokenizer.
        labels: The tags, in the order of the outputs.
        entities: Whether the tags mark entities.

    Raises:
        UnknownLabelError: In ``items``, for a tag that is not among ``labels``.
    """

    crf: bool | None = None
    processor: Words | Pieces = field(default_factory=Words, metadata={"options": True})
    labels: Labels = field(default_factory=Labels, metadata={"learned": True})
    entities: bool = field(default=False, metadata={"learned": True})

    needs: ClassVar[frozenset[Trait]] = frozenset({Trait.SEQUENCE})
    optional: ClassVar[frozenset[str]] = frozenset({Characters.kind})
    roles: ClassVar[tuple[str, ...]] = ("tokens", "tags")
    usual_names: ClassVar[Mapping[str, Sequence[str]]] = {"tokens": TOKEN_NAMES, "tags": TAG_NAMES}

    # Data

    def read(
        self, table: Table, given: Mapping[str, str], *, asking: bool = False
    ) -> tuple[Self, list[Example]]:
        names = (*TOKEN_NAMES, *TEXT_NAMES)
        column = columns.require(table, "tokens", names, given)
        cells = table.columns[column]
        table.note("tokens", column)
        tokens = [self._words(table, row, cell, asking=asking) for row, cell in enumerate(cells)]
        find = columns.find if asking else columns.require
        named = find(table, "tags", TAG_NAMES, given)
        if named is None or asking:
            return self, [Example(each) for each in tokens]
        table.note("tags", named)
        tags = [
            strings(table.where(row), cell, "tags") for row, cell in enumerate(table.columns[named])
        ]
        for row, (words, own) in enumerate(zip(tokens, tags, strict=True)):
            if len(words) != len(own):
                raise DataError(
                    f"{table.where(row)}: the numbers of tokens ({len(words)}) and of tags "
                    f"({len(own)}) differ; give one tag for each token."
                )
        return self, [Example(*pair) for pair in zip(tokens, tags, strict=True)]

    def _words(self, table: Table, row: int, cell: Any, *, asking: bool) -> Strings:
        """Return the words of a cell; to be answered, a text is split as typed text is."""
        if asking and isinstance(cell, str):
            return self.processor.split(cell)
        return strings(table.where(row), cell, "tokens")

    def ask(self, raw: Any) -> Example:
        if isinstance(raw, Example):
            return raw
        if isinstance(raw, Mapping):
            raw = next((raw[n] for n in (*TOKEN_NAMES, *TEXT_NAMES) if n in raw), None)
        if raw is None:
            raise DataError("There are no words to tag; give a text, or a list of words.")
        if isinstance(raw, str):
            return Example(self.processor.split(raw))
        return Example(strings("The input", raw, "words"))

    def keys(self, example: Example) -> Keys:
        return super().keys(example)._replace(strata=tuple(sorted(set(example.tags or ()))))

    def prepare(
        self,
        examples: Sequence[Example],
        options: BackboneOptions | None = None,
        pretrained: Pretrained | None = None,
    ) -> Self:
        labels = Labels.learn(chain.from_iterable(e.tags or () for e in examples))
        if len(labels) < 2:
            only = f'the single tag "{labels.names[0]}"' if labels.names else "no tag"
            raise DataError(f"The training rows have {only}: at least two are needed to choose.")
        entities = metrics.is_bio(labels.names)
        processor = choose_processor(self.processor, pretrained)
        reads = None if options is None else options.reads
        if reads is not None and Characters.kind not in reads and isinstance(processor, Words):
            processor = replace(processor, letters=False)
        chosen = replace(self, processor=processor)
        return replace(
            super(Tag, chosen).prepare(examples, options, pretrained),
            crf=entities if self.crf is None else self.crf,
            labels=labels,
            entities=entities,
        )

    def verify(self, example: Example) -> None:
        for tag in set(example.tags or ()):
            self.labels.encode(tag)

    def items(self, examples: Sequence[Example], *, asking: bool = False) -> Sequence[Item]:
        cut = self.processor.windows(self.raws(examples))
        items = []
        for place, (example, windows) in enumerate(zip(examples, cut, strict=True)):
            tags = self.targets(example)
            spans = self.processor.spans(example.tokens)
            for (start, end), window in zip(spans, windows, strict=True):
                items.append(Item(place, start, window, tags[start:end]))
        return items

    def targets(self, example: Example) -> NDArray[np.int64]:
        """Return the number of each tag; an empty sentence is one word whose tag is not known."""
        if not example.tags:
            return np.full(max(1, len(example.tokens)), IGNORE)
        return np.array([self.labels.encode(tag) for tag in example.tags])

    def length(self, item: Item) -> int:
        return len(item.window)

    def collate(self, items: Sequence[Item], generator: torch.Generator | None = None) -> Batch:
        batch = self.processor.collate([item.window for item in items])
        lengths = torch.tensor([len(item.tags) for item in items])
        tags = torch.full((len(items), int(lengths.max())), IGNORE)
        real = torch.arange(tags.shape[1]) < lengths[:, None]
        tags[real] = torch.from_numpy(np.concatenate([item.tags for item in items]))
        return replace(batch, targets={"tag": tags}, counts={"tag": int((tags >= 0).sum())})

    # Model

    def head(self, backbone: Backbone) -> nn.Module:
        head = ChainHead if self.crf else SequenceHead
        return head(backbone.sequence_width, len(self.labels))

    def forward(self, model: Model, batch: Batch) -> Outputs:
        if model.training:
            batch = replace(batch, inputs=self.processor.hide(batch.inputs))
        outputs: Outputs = model(batch)
        return outputs

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        tags = batch.targets["tag"]
        values, mask = self.at_words(outputs.values, batch)
        if not self.crf:
            return Loss({"tag": Part(cross_entropy(values, tags))})
        scores: crf.Chain = values
        return Loss({"tag": Part(crf.negative_log_likelihood(*scores, tags, mask))})

    def at_words(self, values: Any, batch: Batch) -> tuple[Any, Tensor]:
        """Return the values at the first piece of each word, (batch, words, tag), and a mask.

        Where each position is a word they are as they were.
        """
        assert batch.mask is not None
        if STARTS not in batch.inputs:
            return values, batch.mask
        places, mask = word_places(batch.inputs[STARTS])
        emissions = values.emissions if self.crf else values
        index = places[..., None].expand(-1, -1, emissions.shape[-1])
        emissions = emissions.gather(1, index)
        return values._replace(emissions=emissions) if self.crf else emissions, mask

    def predict(self, model: Model, batch: Batch) -> list[Piece]:
        outputs: Outputs = model(batch)
        values, mask = self.at_words(outputs.values, batch)
        tags, shares = self.decode(values, mask)
        probabilities = shares.gather(1, tags[:, None])[:, 0]
        ends = np.cumsum(mask.sum(1).tolist())[:-1]
        each = (
            np.split(tensor.numpy(), ends) for tensor in (tags.cpu(), probabilities.cpu().double())
        )
        return [Piece(*pair) for pair in zip(*each, strict=True)]

    def decode(self, values: Any, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tag of every real word, (words,), and the probabilities, (words, tag)."""
        if not self.crf:
            shares = values[mask].softmax(-1)
            return shares.argmax(-1), shares
        scores: crf.Chain = values
        paths = chain.from_iterable(crf.viterbi(*scores, mask))
        return torch.tensor(list(paths), device=mask.device), crf.marginals(*scores, mask)[mask]

    def merge(
        self, examples: Sequence[Example], items: Sequence[Item], pieces: Sequence[Piece]
    ) -> list[Prediction]:
        """Take the tag of each word from the window in which it is farther from an edge."""
        predictions = []
        for example, places in group([item.example for item in items]).items():
            tokens = examples[example].tokens
            found = [(items[place].start, pieces[place]) for place in places]
            tags = join([(start, piece.tags) for start, piece in found])
            sure = join([(start, piece.probabilities) for start, piece in found])
            predictions.append(self.prediction(tokens, tags, sure))
        return predictions

    def prediction(
        self, tokens: Strings, tags: NDArray[Any], probabilities: NDArray[Any]
    ) -> Prediction:
        """Return the tags by name; none for an empty sentence."""
        names = [self.labels.names[tag] for tag in tags[: len(tokens)].tolist()]
        sure = probabilities[: len(tokens)].astype(float).tolist()
        return Prediction(tokens, tuple(names), tuple(sure))

    # Published checkpoints

    @property
    def published(self) -> PublishedTask:
        return super().published._replace(outputs=self.labels.names)

    @classmethod
    def from_published(cls, config: Mapping[str, Any], pretrained: Pretrained) -> Self | None:
        names = output_names(config)
        processor = choose_processor(Words(), pretrained).prepare([], pretrained)
        return cls(
            crf=False,
            processor=processor,
            labels=Labels(names),
            entities=metrics.is_bio(names),
        )

    # Judgement

    def score(
        self, predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> dict[str, Score]:
        pairs = [(p.tags, e.tags) for p, e in zip(predictions, examples, strict=True)]
        right = [
            (sum(a == b for a, b in zip(tags, true or (), strict=False)), len(true or ()))
            for tags, true in pairs
        ]
        shares = np.array(right, dtype=float)
        accuracy = {"accuracy": Score(shares, ratio_of_two, display=SHARE)}
        if not self.entities:
            return accuracy
        predicted, true = [tags for tags, _ in pairs], [tags for _, tags in pairs]
        return {
            "entity_f1": metrics.entity_f1(predicted, true),
            "entity_precision": metrics.entity_precision(predicted, true),
            "entity_recall": metrics.entity_recall(predicted, true),
            **accuracy,
        }

    # Presentation

    @property
    def unit(self) -> str:
        return "sentence"

    @property
    def pipeline(self) -> str:
        return "token-classification"

    def check(self, parts: Mapping[str, Sequence[Example]]) -> list[Finding]:
        everything = [e for part in parts.values() for e in part]
        counts = Counter(chain.from_iterable(e.tags or () for e in everything))
        total = counts.total()
        shown = ", ".join(f"{name} {100 * n / total:.1f} %" for name, n in counts.most_common(6))
        rest = f" and {len(counts) - 6} more" if len(counts) > 6 else ""
        findings = super().check(parts)
        findings.append(Finding("tags", f"{len(counts)} on {total:,} words: {shown}{rest}"))
        if orphans := sum(metrics.count_orphans(e.tags or ()) for e in everything):
            said = f"tags that go on with no entity: {orphans:,}; each begins one (conlleval)"
            findings.append(Finding("orphans", said))
        if parts.get("test") and isinstance(self.processor, Words):
            findings.append(Finding("unknown", self._unknown(parts["test"])))
        return findings

    def _unknown(self, examples: Sequence[Example]) -> str:
        words = np.concatenate(self.processor.encode(self.raws(examples)))[:, 0]
        share = float((words == self.processor.special.unknown).mean())
        nor = ", nor in the file of vectors" if self.processor.vectors else ""
        return f"{100 * share:.1f} % of the test words are in no training row{nor}"

    def ledger(self, examples: Sequence[Example]) -> Ledger:
        return Ledger(0, 0, sum(len(e.tokens) for e in examples))

    def truth(self, example: Example) -> str:
        return self.write(example.tokens, example.tags or ())

    def describe(self, prediction: Prediction) -> tuple[str, float | None]:
        """Return the entities, or words with their tags, and the lowest of the probabilities."""
        written = self.write(prediction.tokens, prediction.tags)
        return written, min(prediction.probabilities, default=1.0)

    def records(self, example: Example, prediction: Prediction) -> list[dict[str, Any]]:
        (record,) = super().records(example, prediction)
        return [record | prediction._asdict()]

    def write(self, tokens: Strings, tags: Strings) -> str:
        """Write the tags on one line: Marie PER, New York LOC; or She/PRON sings/VERB."""
        if not self.entities:
            return " ".join(f"{token}/{tag}" for token, tag in zip(tokens, tags, strict=True))
        found = metrics.entities(tags)
        named = (f"{' '.join(tokens[e.start : e.end])} {e.kind}" for e in found)
        return ", ".join(named) or "none"


def strings(where: str, cell: Any, role: str) -> Strings:
    """Return a cell's tokens or tags: those of a list, or of a text separated by white space.

    Args:
        where: Names the row, for messages.
        cell: What stands there.
        role: What they are called.

    Raises:
        DataError: If it is neither, or an entry of the list is neither a text nor a whole number.
    """
    if isinstance(cell, str):
        return tuple(cell.split())
    if not isinstance(cell, list | tuple | np.ndarray):
        raise DataError(f"{where} has no {role}; give a list of them, one for each word.")
    for number, each in enumerate(cell, 1):
        if not isinstance(each, str | int | np.integer):
            raise DataError(f"{where}: number {number} of the {role} is not a text; give one.")
    return tuple(str(each) for each in cell)


def join(windows: Sequence[tuple[int, NDArray[Any]]]) -> NDArray[Any]:
    """Join overlapping windows, each with its start; two are cut in the middle of their overlap.

    >>> join([(0, np.array([1, 1, 1, 1])), (2, np.array([2, 2, 2]))])
    array([1, 1, 1, 2, 2])
    """
    ends = [start + len(values) for start, values in windows]
    seams = [(end + start + 1) // 2 for end, (start, _) in zip(ends, windows[1:], strict=False)]
    bounds = pairwise([0, *seams, ends[-1]])
    return np.concatenate(
        [
            values[low - start : high - start]
            for (start, values), (low, high) in zip(windows, bounds, strict=True)
        ]
    )


def choose_processor(words: Words | Pieces, pretrained: Pretrained | None) -> Words | Pieces:
    """Return what reads sentences: pieces where a checkpoint brings a tokenizer of pieces."""
    kept = kept_tokenizer(pretrained or Pretrained(), "tokenizer.json")
    if kept is None or kept.unit != "pieces" or isinstance(words, Pieces):
        return words
    return Pieces(window=words.window)

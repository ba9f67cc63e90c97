"""Tag: one tag for every word of a sentence: names, parts of speech."""

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ensuite.core.backbone import Backbone, Pretrained, Trait
from ensuite.core.batch import IGNORE, Batch, Inputs, Outputs, States
from ensuite.core.errors import DataError
from ensuite.core.loss import Loss, Part
from ensuite.core.model import Model
from ensuite.core.score import Score, ratio_of_two
from ensuite.core.table import Table
from ensuite.core.task import Finding, Ledger, Task, group
from ensuite.data import columns
from ensuite.data.inputs import TEXT_NAMES
from ensuite.data.labels import Labels
from ensuite.data.processors import Window, Words
from ensuite.data.processors.text import UNKNOWN
from ensuite.metrics import entities as metrics
from ensuite.nn import crf
from ensuite.nn.heads import SequenceHead
from ensuite.nn.losses import cross_entropy

TOKEN_NAMES = ("tokens", "words", "forms")
TAG_NAMES = ("tags", "ner_tags", "pos_tags", "upos", "labels", "ner", "pos")

Strings = tuple[str, ...]


class Example(NamedTuple):
    """The words of a sentence, and the tag of each."""

    tokens: Strings
    tags: Strings | None = None  # given to learn from, left out to ask


class Item(NamedTuple):
    """A row of a batch: one window of an example."""

    example: int
    start: int  # its first word in the sentence
    window: Window
    tags: NDArray[np.int64]  # the number of each; IGNORE where it is not given


class Prediction(NamedTuple):
    """A tag for every word, and how probable each of them is."""

    tokens: Strings
    tags: Strings
    probabilities: tuple[float, ...]


class Piece(NamedTuple):
    """What one window says."""

    tags: NDArray[np.int64]  # (time,)
    probabilities: NDArray[np.float64]  # (time,)


class ChainHead(nn.Module):
    """Read every position, and leave the choice of tags to a CRF.

    Args:
        width: Size of the backbone's vectors.
        outputs: How many tags.
    """

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.emissions = SequenceHead(width, outputs)
        self.crf = crf.CRF(outputs)

    def forward(self, states: States, batch: Batch) -> crf.Chain:
        """Return the scores of each tag at each position, and of each tag after another."""
        scores: crf.Chain = self.crf(self.emissions(states, batch))
        return scores


@dataclass(frozen=True, kw_only=True)
class Tag(Task[Example, Item, Prediction]):
    """Give every word of a sentence one tag of a fixed set.

    Args:
        crf: Whether the tags of a sentence are chosen together, by a conditional random field, or
            each for itself; auto: together where they mark entities (BIO, BIOES).
        processor: How words become tensors.
        labels: The tags, in the order of the outputs.
        entities: Whether the tags mark entities.

    Raises:
        UnknownLabelError: In ``items``, for a tag that is not among ``labels``.
    """

    crf: bool | None = None
    processor: Words = field(default_factory=Words, metadata={"options": True})
    labels: Labels = field(default_factory=Labels, metadata={"learned": True})
    entities: bool = field(default=False, metadata={"learned": True})

    needs: ClassVar[frozenset[Trait]] = frozenset({Trait.SEQUENCE})

    # From data to tensors

    def read(
        self, table: Table, given: Mapping[str, str], *, asking: bool = False
    ) -> tuple[Self, list[Example]]:
        columns.only(given, ("tokens", "tags", "group", "time"))
        names = (*TOKEN_NAMES, *TEXT_NAMES)
        cells = table.columns[columns.require(table, "tokens", names, given)]
        tokens = [self._words(table, row, cell, asking=asking) for row, cell in enumerate(cells)]
        find = columns.find if asking else columns.require
        named = find(table, "tags", TAG_NAMES, given)
        if named is None or asking:
            return self, [Example(each) for each in tokens]
        tags = [strings(table, row, cell, "tags") for row, cell in enumerate(table.columns[named])]
        for row, (words, own) in enumerate(zip(tokens, tags, strict=True)):
            if len(words) != len(own):
                raise DataError(
                    f"{table.where(row)}: the numbers of tokens ({len(words)}) and of tags "
                    f"({len(own)}) differ; give one tag for each token."
                )
        return self, [Example(*pair) for pair in zip(tokens, tags, strict=True)]

    def _words(self, table: Table, row: int, cell: Any, *, asking: bool) -> Strings:
        """Return the words of a cell; a text that is asked about is split as what is typed."""
        if asking and isinstance(cell, str):
            return self.processor.split(cell)
        return strings(table, row, cell, "tokens")

    def ask(self, raw: Any) -> Example:
        if isinstance(raw, Example):
            return raw
        if isinstance(raw, Mapping):
            raw = next(iter(raw.values()))
        return Example(self.processor.split(raw) if isinstance(raw, str) else tuple(map(str, raw)))

    def prepare(self, examples: Sequence[Example], pretrained: Pretrained | None = None) -> Self:
        labels = Labels.learn(chain.from_iterable(e.tags or () for e in examples))
        if len(labels) < 2:
            only = f'the single tag "{labels.names[0]}"' if labels.names else "no tag"
            raise DataError(f"The training rows have {only}: at least two are needed to choose.")
        entities = metrics.is_bio(labels.names)
        return replace(
            self,
            crf=entities if self.crf is None else self.crf,
            processor=self.processor.prepare([e.tokens for e in examples], pretrained),
            labels=labels,
            entities=entities,
        )

    @property
    def inputs(self) -> Inputs:
        return self.processor.inputs

    def verify(self, example: Example) -> None:
        for tag in set(example.tags or ()):
            self.labels.encode(tag)

    def items(self, examples: Sequence[Example]) -> Sequence[Item]:
        cut = self.processor.windows([e.tokens for e in examples])
        items = []
        for place, (example, windows) in enumerate(zip(examples, cut, strict=True)):
            tags = self.targets(example)
            spans = self.processor.spans(len(tags))
            for (start, end), window in zip(spans, windows, strict=True):
                items.append(Item(place, start, window, tags[start:end]))
        return items

    def targets(self, example: Example) -> NDArray[np.int64]:
        """Return the number of each tag; an empty sentence is read as one word without a tag."""
        if not example.tags:
            return np.full(max(1, len(example.tokens)), IGNORE)
        self.verify(example)
        names = self.labels.names
        return np.array([names.index(tag) for tag in example.tags])

    def length(self, item: Item) -> int:
        return len(item.window)

    def collate(self, items: Sequence[Item], generator: torch.Generator | None = None) -> Batch:
        batch = self.processor.collate([item.window for item in items])
        assert batch.mask is not None
        tags = torch.full(batch.mask.shape, IGNORE)
        tags[batch.mask] = torch.from_numpy(np.concatenate([item.tags for item in items]))
        return replace(batch, targets={"tag": tags}, counts={"tag": int((tags >= 0).sum())})

    # From tensors to a loss

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
        if not self.crf:
            return Loss({"tag": Part(cross_entropy(outputs.values, tags))})
        scores: crf.Chain = outputs.values
        return Loss({"tag": Part(crf.negative_log_likelihood(*scores, tags, batch.mask))})

    # From outputs to answers

    def predict(self, model: Model, batch: Batch) -> list[Piece]:
        assert batch.mask is not None
        outputs: Outputs = model(batch)
        tags, shares = self.decode(outputs.values, batch.mask)
        probabilities = shares.gather(1, tags[:, None])[:, 0]
        ends = np.cumsum(batch.mask.sum(1).tolist())[:-1]
        each = (np.split(tensor.cpu().numpy(), ends) for tensor in (tags, probabilities.double()))
        return [Piece(*pair) for pair in zip(*each, strict=True)]

    def decode(self, values: Any, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tag of every real word, (words,), and how probable each is, (words, tag)."""
        if not self.crf:
            shares = values[mask].softmax(-1)
            return shares.argmax(-1), shares
        scores: crf.Chain = values
        paths = chain.from_iterable(crf.viterbi(*scores, mask))
        return torch.tensor(list(paths), device=mask.device), crf.marginals(*scores, mask)[mask]

    def merge(
        self, examples: Sequence[Example], items: Sequence[Item], pieces: Sequence[Piece]
    ) -> list[Prediction]:
        """Take each word's answer from the window in which it stands farther from an edge."""
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
        """Return tags by name; of an empty sentence, none."""
        names = [self.labels.names[tag] for tag in tags[: len(tokens)].tolist()]
        sure = probabilities[: len(tokens)].astype(float).tolist()
        return Prediction(tokens, tuple(names), tuple(sure))

    def score(
        self, predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> dict[str, Score]:
        pairs = [(p.tags, e.tags) for p, e in zip(predictions, examples, strict=True)]
        right = [
            (sum(a == b for a, b in zip(tags, true or (), strict=False)), len(true or ()))
            for tags, true in pairs
        ]
        accuracy = {"accuracy": Score(np.array(right, dtype=float), ratio_of_two)}
        if not self.entities:
            return accuracy
        predicted, true = [tags for tags, _ in pairs], [tags for _, tags in pairs]
        return {
            "entity_f1": metrics.entity_f1(predicted, true),
            "entity_precision": metrics.entity_precision(predicted, true),
            "entity_recall": metrics.entity_recall(predicted, true),
            **accuracy,
        }

    # For the data check, splits, tables and reports

    @property
    def unit(self) -> str:
        return "sentence"

    def key(self, example: Example) -> Hashable:
        return self.processor.key(example.tokens)

    def stratum(self, example: Example) -> Collection[str]:
        return frozenset(example.tags or ())

    def check(self, parts: Mapping[str, Sequence[Example]]) -> list[Finding]:
        everything = [e for part in parts.values() for e in part]
        counts = Counter(chain.from_iterable(e.tags or () for e in everything))
        total = counts.total()
        shown = ", ".join(f"{name} {100 * n / total:.1f} %" for name, n in counts.most_common(6))
        rest = f" and {len(counts) - 6} more" if len(counts) > 6 else ""
        findings = self.processor.check([e.tokens for e in everything])
        findings.append(Finding("tags", f"{len(counts)} on {total:,} words: {shown}{rest}"))
        if orphans := sum(metrics.count_orphans(e.tags or ()) for e in everything):
            said = f"tags that go on with no entity: {orphans:,}; each begins one (conlleval)"
            findings.append(Finding("orphans", said))
        if parts.get("test"):
            findings.append(Finding("unknown", self._unknown(parts["test"])))
        return findings

    def _unknown(self, examples: Sequence[Example]) -> str:
        words = np.concatenate(self.processor.encode([e.tokens for e in examples]))[:, 0]
        share = float((words == UNKNOWN).mean())
        nor = ", nor in the file of vectors" if self.processor.vectors else ""
        return f"{100 * share:.1f} % of the test words are in no training row{nor}"

    def ledger(self, examples: Sequence[Example]) -> Ledger:
        return Ledger(0, 0, sum(len(e.tokens) for e in examples))

    def show(self, example: Example) -> str:
        return self.processor.show(example.tokens)

    def truth(self, example: Example) -> str:
        return self.write(example.tokens, example.tags or ())

    def describe(self, prediction: Prediction) -> tuple[str, float | None]:
        """Return entities, or words with their tags; as sure as the least sure of the tags."""
        written = self.write(prediction.tokens, prediction.tags)
        return written, min(prediction.probabilities, default=1.0)

    def record(self, prediction: Prediction) -> dict[str, Any]:
        return super().record(prediction) | prediction._asdict()

    def write(self, tokens: Strings, tags: Strings) -> str:
        """Write what is tagged on one line: Marie PER, New York LOC; or She/PRON sings/VERB."""
        if not self.entities:
            return " ".join(f"{token}/{tag}" for token, tag in zip(tokens, tags, strict=True))
        found = metrics.entities(tags)
        named = (f"{' '.join(tokens[e.start : e.end])} {e.kind}" for e in found)
        return ", ".join(named) or "none"


def strings(table: Table, row: int, cell: Any, role: str) -> Strings:
    """Return a cell's tokens or tags: those of a list, or of a text between white space.

    Raises:
        DataError: If it is neither, or one of the list is nothing or a list itself.
    """
    if isinstance(cell, str):
        return tuple(cell.split())
    if not isinstance(cell, list | tuple | np.ndarray):
        raise DataError(
            f"{table.where(row)} has no {role}; give a list of them, one for each word."
        )
    for number, each in enumerate(cell, 1):
        if not isinstance(each, str | int | np.integer):
            raise DataError(f"{table.where(row)}: number {number} of the {role} is not a text.")
    return tuple(str(each) for each in cell)


def join(windows: Sequence[tuple[int, NDArray[Any]]]) -> NDArray[Any]:
    """Join windows, each with its start, in the middle of what two share.

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

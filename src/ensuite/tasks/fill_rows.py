"""The rows of fill: windows to learn from, hidden words to score, questions to answer."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, NamedTuple, overload

import numpy as np
import torch
from numpy.typing import NDArray

from ensuite.core.batch import IGNORE, Batch
from ensuite.core.errors import DataError
from ensuite.core.presentation import Finding
from ensuite.data import masks, pairs, prose
from ensuite.data.encoded import Encoded
from ensuite.data.masks import Shares
from ensuite.data.pairs import Pair, Pool
from ensuite.data.processors.documents import FLAGS, ID, SENTENCE, WORD, Documents
from ensuite.data.processors.text import SEGMENTS
from ensuite.tasks.fill_examples import Example

Numbers = NDArray[Any]


class Item(NamedTuple):
    """A row of a batch."""

    example: int
    first: Numbers  # (tokens, 3)
    second: Numbers | None = None
    answer: int = IGNORE  # whether the second follows the first
    hidden: NDArray[np.bool_] | None = None  # of the first, in evaluation: the tokens to predict
    document: int = 0
    pool: Pool | None = None  # where training draws a second text from


class TrainingRows(Sequence[Item]):
    """Windows of texts, as rows that are made when they are asked for.

    Args:
        pool: The windows.
        examples: (windows,), the number of the example of each.
        pairs: Whether the rows are pairs of texts.
    """

    def __init__(self, pool: Pool, examples: Numbers, *, pairs: bool) -> None:
        self.pool, self.examples, self.pairs = pool, examples, pairs

    def __len__(self) -> int:
        return len(self.examples)

    @overload
    def __getitem__(self, number: int) -> Item: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Item]: ...
    def __getitem__(self, number: int | slice) -> Item | Sequence[Item]:
        """Return a row, or some."""
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        return Item(
            int(self.examples[number]),
            self.pool.pieces[number],
            document=int(self.pool.documents[number]),
            pool=self.pool if self.pairs else None,
        )


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Makes the rows of examples, and batches of rows.

    Args:
        reading: Turns texts into tokens.
        hidden: Share of the tokens that are predicted.
        shares: What stands in place of these tokens in training.
        whole_words: Whether training hides all tokens of a word together.
        pairs: Whether rows are pairs of texts.
    """

    reading: Documents
    hidden: float
    shares: Shares
    whole_words: bool
    pairs: bool

    # Rows

    def to_learn(self, examples: Sequence[Example]) -> TrainingRows:
        """Return a row for each window of each text, from which hidden tokens are drawn."""
        found = self.reading.windows([e.text for e in examples], self.room)
        documents = found.documents
        if self.reading.borders == "none":
            documents = np.array([e.document for e in examples], dtype=np.int64)[found.texts]
        return TrainingRows(Pool(found.pieces, documents), found.texts, pairs=self.pairs)

    @property
    def room(self) -> int:
        """Tokens of text in a row of training."""
        return self.reading.room(pairs=self.pairs)

    def to_answer(self, examples: Sequence[Example]) -> list[Item]:
        """Return the rows of texts to be scored and of questions."""
        scored = [example for example in examples if not example.asked and example.pair is None]
        encoded = self._encode(scored)
        items: list[Item] = []
        for number, example in enumerate(examples):
            if example.asked:
                items += self._asked(number, str(example.text))
            elif example.pair is not None:
                items.append(self._asked_pair(number, str(example.text), example.pair))
            else:
                items += self._scored(number, *next(encoded))
        return items

    def _encode(self, examples: Sequence[Example]) -> Iterator[tuple[Encoded, Numbers]]:
        """Yield the windows of each text, and the text that its false pairs are made with.

        All are encoded by one call, which costs much less than one for each.
        """
        found = self.reading.windows([example.text for example in examples], self.reading.room())
        bounds = np.searchsorted(found.texts, np.arange(len(examples) + 1)).tolist()
        others = self.reading.encode([example.other for example in examples])
        for (start, end), other in zip(pairwise(bounds), others, strict=True):
            yield found.pieces[start:end], other

    def _asked(self, number: int, text: str) -> list[Item]:
        """Return a row for a question, or one for each of its mask tokens where it is long.

        A long text without one is read in windows, for its embedding.
        """
        rows, room = self.as_rows(self.reading.question(text)), self.reading.room()
        masked = rows[:, ID] == self.reading.mask_id
        if len(rows) <= room:
            return [Item(number, rows, hidden=masked)]
        if not masked.any():
            starts = range(0, len(rows), room)
            return [Item(number, rows[start : start + room]) for start in starts]
        items = []
        for place in np.flatnonzero(masked).tolist():
            start = min(max(0, place - room // 2), len(rows) - room)
            own = np.arange(start, start + room) == place
            items.append(Item(number, rows[start : start + room], hidden=own))
        return items

    def as_rows(self, ids: Numbers) -> Numbers:
        """Return ids as (tokens, 3), each token a word of its own."""
        rows = np.zeros((len(ids), 3), dtype=np.int32)
        rows[:, ID], rows[:, FLAGS] = ids, WORD
        return rows

    def _asked_pair(self, number: int, text: str, pair: str) -> Item:
        first, second = self.reading.encode([text, pair])
        return Item(number, *pairs.around(first, second, self.reading.room(pairs=True)))

    def _scored(self, number: int, windows: Encoded, other: Numbers) -> list[Item]:
        """Return a row for each group of words of each window, then pairs of its sentences."""
        items = []
        for window in windows:
            begins = (window[:, FLAGS] & WORD) > 0
            hidden = masks.groups(begins, self.hidden, seeded_by(window))
            items += [Item(number, window, hidden=each) for each in hidden]
        return [*items, *self._paired(number, windows, other)] if self.pairs else items

    def _paired(self, number: int, windows: Encoded, other: Numbers) -> list[Item]:
        """Return a true and a false pair of each window that has two sentences."""
        both = [pairs.both(each, other, self.room, seeded_by(each)) for each in windows]
        return [
            Item(number, pair.first, pair.second, pair.answer) for pair in chain.from_iterable(both)
        ]

    def require_pairs(self, examples: Sequence[Example]) -> None:
        """Refuse texts that no pairs can be made of.

        Raises:
            DataError: If there is one document, or none has two sentences.
        """
        pool = self.to_learn(examples).pool
        if len(np.unique(pool.documents)) < 2:
            raise DataError(
                "The training part has one document, and next_sentence=true needs several: put a "
                "blank line between documents, or leave next_sentence out."
            )
        if not any(len(pairs.borders(piece)) for piece in pool.pieces):
            raise DataError(
                "No document of the training part has two sentences, so none follows another: "
                "put several lines in a document, or leave next_sentence out."
            )

    # Batches

    def collate(self, items: Sequence[Item], generator: torch.Generator | None) -> Batch:
        """Make a batch; in training with pairs and hidden tokens drawn anew."""
        if generator is None:
            return self._batch(items, None)
        seed = int(torch.randint(2**62, (1,), generator=generator).item())
        random = np.random.default_rng(seed)
        return self._batch([self._drawn(item, random) for item in items], random)

    def _drawn(self, item: Item, random: np.random.Generator) -> Item:
        """Return a row of training as a pair of texts, where it has two sentences."""
        if item.pool is None:
            return item
        pair: Pair = pairs.draw(item.first, item.document, item.pool, self.room, random)
        return item._replace(first=pair.first, second=pair.second, answer=pair.answer)

    def _batch(self, items: Sequence[Item], random: np.random.Generator | None) -> Batch:
        reading = self.reading
        rows = [(i.first[:, ID], None if i.second is None else i.second[:, ID]) for i in items]
        layout = reading.lay_out(rows)
        inside = layout.places >= 0
        tokens, mask_id = layout.tokens, reading.mask_id
        if random is None:
            chosen = np.zeros_like(inside)
            chosen[inside] = np.concatenate([hidden_of(item) for item in items])
            read = np.where(chosen, mask_id, tokens)
        else:
            begins = np.zeros_like(inside)
            if self.whole_words:
                begins[inside] = np.concatenate([begins_of(item) for item in items])
            chosen = masks.draw(inside, begins, self.hidden, random, words=self.whole_words)
            read = masks.corrupt(tokens, chosen, self.shares, mask_id, reading.ordinary, random)
        # The mask tokens of a question have no target.
        targets = np.where(chosen & (tokens != mask_id), tokens, IGNORE)
        inputs = {"tokens": torch.from_numpy(read)}
        answers = np.array([item.answer for item in items], dtype=np.int64)
        given = {"token": targets}
        if self.pairs:
            given["follows"] = answers
            if SEGMENTS in reading.fields(pairs=True):
                inputs[SEGMENTS] = torch.from_numpy(layout.segments)
        return Batch(
            inputs=inputs,
            mask=torch.from_numpy(layout.mask),
            targets={name: torch.from_numpy(each) for name, each in given.items()},
            counts={name: int((each != IGNORE).sum()) for name, each in given.items()},
        )

    # Presentation

    def check(self, examples: Sequence[Example], rows: int) -> list[Finding]:
        """Return what the data check says.

        Args:
            examples: Of all parts.
            rows: How many rows of training there are.
        """
        encoded, reading = self.reading.encode([e.text for e in examples]), self.reading
        sentences = sum(int((ids[:, FLAGS] & SENTENCE > 0).sum()) for ids in encoded)
        size = sum(prose.count_bytes(example.text) for example in examples)
        mask, random, keep = (f"{share:.0%}".replace("%", " %") for share in self.shares)
        findings = [
            Finding(
                "text",
                f"{len(examples):,} texts, {sentences:,} sentences, {size:,} bytes, "
                f"{int(encoded.lengths.sum()):,} {reading.unit} of {reading.size:,} kinds",
            ),
            Finding(
                "windows",
                f"{rows:,} of at most {reading.window} {reading.unit} to learn from; longer texts "
                "become several, nothing is cut",
            ),
            Finding(
                "masks",
                f"{self.hidden * 100:g} % of the tokens are predicted, drawn anew in each epoch: "
                f"{mask} of them masked, {random} replaced at random, {keep} kept",
            ),
        ]
        if empty := int((encoded.lengths == 0).sum()):
            findings.append(Finding("empty", f"{empty:,} texts are empty or blank"))
        if self.pairs:
            said = "half of the pairs follow each other, half are of two documents"
            findings.append(Finding("pairs", said))
        return findings


def seeded_by(text: Numbers) -> np.random.Generator:
    """Return random numbers that depend on a text alone."""
    return np.random.default_rng(zlib.crc32(np.ascontiguousarray(text[:, ID], "<i4").tobytes()))


def hidden_of(item: Item) -> NDArray[np.bool_]:
    """Return for each token of a row's texts whether it is to be predicted."""
    first = np.zeros(len(item.first), dtype=bool) if item.hidden is None else item.hidden
    return first if item.second is None else np.append(first, np.zeros(len(item.second), bool))


def begins_of(item: Item) -> NDArray[np.bool_]:
    """Return for each token of a row's texts whether a word begins at it."""
    found = []
    for text in (item.first, item.second):
        if text is not None:
            begins = (text[:, FLAGS] & WORD) > 0
            begins[:1] = True  # a window may begin within a word
            found.append(begins)
    return np.concatenate(found)

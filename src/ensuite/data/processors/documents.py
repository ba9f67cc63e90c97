"""Documents as token ids, each with whether a word, a sentence or a document begins at it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ensuite.core.backbone import Pretrained
from ensuite.core.errors import UsageError
from ensuite.core.special import Special
from ensuite.data.encoded import Encoded, Ids, cut, encode
from ensuite.data.processors.framed import LEARNED, Framed
from ensuite.data.processors.tokenizer import fingerprint, load_tokenizer
from ensuite.data.prose import Borders, is_border, sentence_starts

WORD, SENTENCE, DOCUMENT = 1, 2, 4
"""Flags of a token: what begins at it."""

ID, FLAGS, UNTOLD = range(3)
"""Columns of an encoded token: its id, its flags, and the bytes of the text that it leaves out."""


@dataclass(frozen=True)
class DocumentCoder:
    """Turns texts into (tokens, 3): ids, flags and unknown bytes; blank lines leave no token.

    A word is a run of letters and digits, or any other single character, with the blanks before
    it, whatever the tokenizer: so that the words of two tokenizers are the same.

    Args:
        tokenizer: As JSON.
        unknown: The token that leaves text out; None: there is none.
        borders: What parts the documents within a text.
    """

    tokenizer: str
    unknown: int | None
    borders: Borders

    columns: ClassVar[tuple[int, ...]] = (3,)

    @property
    def key(self) -> str:
        """What the ids depend on."""
        return f"documents {self.unknown} {self.borders} {fingerprint(self.tokenizer)}"

    def __call__(self, texts: Sequence[str]) -> list[Ids]:
        tokenizer = load_tokenizer(self.tokenizer)
        lines = [self._lines(text) for text in texts]
        every = [line for each in lines for line, _ in each]
        encoded = iter(tokenizer.encode_batch(every, add_special_tokens=False))
        nothing = np.empty((0, 3), dtype=np.int32)
        found = []
        for each in lines:
            parts = [self._describe(line, next(encoded), border) for line, border in each]
            found.append(np.concatenate([nothing, *parts]))
        return found

    def _lines(self, text: str) -> list[tuple[str, bool]]:
        """Return the lines that are not blank, and whether a document begins with each."""
        found, begins = list[tuple[str, bool]](), False
        for line in text.split("\n"):
            begins |= is_border(line, self.borders)
            if stripped := line.strip():
                found.append((stripped, begins))
                begins = False
        return found

    def _describe(self, line: str, encoded: Any, border: bool) -> Ids:
        """Return the three columns of a line's tokens."""
        ids = np.array(encoded.ids, dtype=np.int32)
        offsets = np.array(encoded.offsets, dtype=np.int64).reshape(-1, 2)
        first, sentence = word_starts(line, offsets[:, 0]), np.zeros(len(line) + 1, dtype=bool)
        sentence[sentence_starts(line)] = True
        begins = first >= 0
        rows = np.zeros((len(ids), 3), dtype=np.int32)
        rows[:, ID] = ids
        rows[:, FLAGS] = WORD * begins + SENTENCE * (begins & sentence[first])
        rows[:1, FLAGS] |= WORD | SENTENCE | (DOCUMENT if border else 0)
        for place in np.flatnonzero(ids == self.unknown):
            start, end = offsets[place]
            rows[place, UNTOLD] = len(line[start:end].encode())
        return rows


def word_starts(line: str, starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each token where the word that begins at it begins in the line, -1 if none does.

    >>> word_starts("a bc, d", np.array([0, 1, 3, 4, 5])).tolist()
    [0, 2, -1, 4, 6]
    """
    size = len(line)
    blank = np.fromiter(map(str.isspace, line), dtype=bool, count=size)
    letter = np.fromiter(map(str.isalnum, line), dtype=bool, count=size)
    begins = np.ones(size + 1, dtype=bool)
    begins[1:size] = ~(letter[1:] & letter[:-1])
    places = np.where(np.append(blank, False), size, np.arange(size + 1))
    visible = np.minimum.accumulate(places[::-1])[::-1][starts]  # the blanks before it are its own
    new = np.diff(visible, prepend=-1) > 0
    return np.where(begins[visible] & new, visible, -1)


class Windows(NamedTuple):
    """The windows of texts.

    Attributes:
        pieces: (tokens, 3) of each.
        texts: (windows,), the number of its text.
        documents: (windows,), the number of its document, over all texts.
    """

    pieces: Encoded
    texts: NDArray[np.int64]
    documents: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Documents(Framed):
    """Read texts of one or more lines as ids; windows do not cross the border of a document.

    Args:
        borders: What parts the documents within a text.
    """

    borders: Borders = field(default="none", metadata=LEARNED)

    def prepare(self, texts: Sequence[Any], pretrained: Pretrained | None = None) -> Self:
        """Learn a vocabulary from texts, or keep that of a checkpoint or run.

        Raises:
            UsageError: If that one has no mask token.
        """
        prepared = self.learn(texts, pretrained)
        if prepared.special.mask is None:
            raise UsageError(
                "The tokenizer that the model starts from has no mask token, so no word can be "
                "hidden from it; start from a masked language model, or from new weights."
            )
        return prepared

    @property
    def mask_id(self) -> int:
        """Id of the token in place of one that is to be predicted."""
        assert self.special.mask is not None
        return self.special.mask

    @property
    def mask_name(self) -> str:
        """The mask token as it is written in a text."""
        return str(load_tokenizer(self.tokenizer).id_to_token(self.mask_id))

    @property
    def ordinary(self) -> NDArray[np.int64]:
        """The ids of all tokens but the special ones."""
        return ordinary_tokens(self.size, self.special)

    def room(self, *, pairs: bool = False) -> int:
        """Return how many tokens of text a window has."""
        frame = self.pair if pairs else self.single
        return self.window - frame.size - (len(frame.between) if pairs else 0)

    @property
    def coder(self) -> DocumentCoder:
        """What encodes a text."""
        return DocumentCoder(self.tokenizer, self.special.unknown, self.borders)

    def encode(self, texts: Sequence[Any]) -> Encoded:
        """Return (tokens, 3) of each text: ids, flags and unknown bytes."""
        return encode(self.coder, texts)

    def windows(self, texts: Sequence[Any], room: int) -> Windows:
        """Cut texts into windows of at most ``room`` tokens, each of one document."""
        encoded = self.encode(texts)
        numbers = np.arange(len(encoded))
        if self.borders != "none":
            encoded, numbers = at_borders(encoded)
        found = cut(encoded, room, 0)
        documents = found.texts
        filled = np.flatnonzero(found.pieces.lengths > 0)
        return Windows(found.pieces.pick(filled), numbers[documents][filled], documents[filled])

    def question(self, text: str) -> Ids:
        """Return the ids of a text with mask tokens, which stand for the blanks before them too."""
        parts = text.split(self.mask_name)
        if self.unit != "characters":  # there a blank is a token of its own
            parts = [*(part.rstrip() for part in parts[:-1]), parts[-1]]
        found = [np.empty(0, dtype=np.int32)]
        tokenizer = load_tokenizer(self.tokenizer)
        for part in parts:
            ids = tokenizer.encode(part, add_special_tokens=False).ids if part else []
            found += [np.array(ids, dtype=np.int32), np.array([self.mask_id], dtype=np.int32)]
        return np.concatenate(found[:-1])

    def to_tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the text of each token, without blanks around it."""
        decoded = load_tokenizer(self.tokenizer).decode_batch([[int(each)] for each in ids])
        return [each.strip() for each in decoded]


@lru_cache(maxsize=8)
def ordinary_tokens(size: int, special: Special) -> NDArray[np.int64]:
    """Return the ids of a vocabulary but the special ones, which every batch asks for."""
    found = np.setdiff1d(np.arange(size), [token for token in special if token is not None])
    found.flags.writeable = False
    return found


def at_borders(encoded: Encoded) -> tuple[Encoded, NDArray[np.int64]]:
    """Return the documents within texts, and the number of the text of each."""
    starts, ends, texts = list[int](), list[int](), list[int]()
    pairs = zip(encoded.starts.tolist(), encoded.ends.tolist(), strict=True)
    for number, (start, end) in enumerate(pairs):
        flags = encoded.ids[start:end, FLAGS]
        inner = start + np.flatnonzero(flags & DOCUMENT)
        bounds = np.unique([start, *inner.tolist(), end])
        starts += bounds[:-1].tolist()
        ends += bounds[1:].tolist()
        texts += [number] * (len(bounds) - 1)
    places = (np.array(each, dtype=np.int64) for each in (starts, ends))
    return Encoded(encoded.ids, *places), np.array(texts, dtype=np.int64)

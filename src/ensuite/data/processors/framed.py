"""What masked language models and question answering share: texts between [CLS] and [SEP]."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ensuite.core.backbone import Pretrained
from ensuite.core.batch import Inputs, Tokens
from ensuite.core.special import Special
from ensuite.data.processors.checkpoint import (
    Frame,
    Token,
    kept_tokenizer,
    published_tokenizer,
    read_frames,
)
from ensuite.data.processors.text import SEGMENTS
from ensuite.data.processors.tokenizer import (
    FRAMED,
    Recipe,
    Unit,
    choose_unit,
    learn_tokenizer,
    vocabulary_size,
)

Numbers = NDArray[Any]

LEARNED = {"learned": True}


class Layout(NamedTuple):
    """Rows of a batch, each one text or two with the special tokens around and between them.

    Attributes:
        tokens: (batch, time), ids.
        segments: (batch, time), the segment of each.
        mask: (batch, time), True at tokens, False at padding.
        places: (batch, time), the number of each token in its row of texts, joined; -1 at special
            tokens and padding.
    """

    tokens: NDArray[np.int64]
    segments: NDArray[np.int64]
    mask: NDArray[np.bool_]
    places: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Framed:
    """A tokenizer with [CLS], [SEP] and [MASK], or those of a checkpoint.

    Args:
        unit: What a token stands for; auto takes characters where texts have fewer than four
            words, else byte-pair pieces, which spell every text.
        vocabulary_size: Most tokens that are learned.
        min_frequency: Words seen fewer times than this in training are unknown.
        lowercase: Whether upper and lower case are the same.
        window: Most tokens that are read at once, special tokens included.
        segments: Whether an input field of its own tells the two texts of a pair apart, where the
            tokenizer does.
        tokenizer: The learned tokenizer, as its library writes it.
        special: Its special tokens.
    """

    unit: Literal["auto", "words", "characters", "pieces"] = "auto"
    vocabulary_size: int = 8000
    min_frequency: int = 2
    lowercase: bool = False
    window: int = 128
    segments: bool = True
    tokenizer: str = field(default="", metadata={**LEARNED, "file": "tokenizer.json"})
    special: Special = field(default=FRAMED, metadata=LEARNED)

    def __post_init__(self) -> None:
        if self.vocabulary_size <= len(Special._fields) or self.min_frequency < 1:
            raise ValueError("vocabulary_size must be 8 or more, min_frequency 1 or more")
        if self.window < 8:
            raise ValueError("window must be 8 or more: it has up to 4 special tokens")

    def learn(self, texts: Sequence[Any], pretrained: Pretrained | None) -> Self:
        """Learn a vocabulary from texts, or keep that of a checkpoint or run."""
        length = pretrained.length if pretrained else None
        window = min(self.window, length or self.window)
        if pretrained and (kept := kept_tokenizer(pretrained, "tokenizer.json")):
            segments = self.segments and pretrained.segments not in (0, 1)
            return replace(self, **kept._asdict(), window=window, segments=segments)
        unit: Unit = "pieces"
        if self.unit != "auto":
            unit = self.unit
        elif choose_unit(texts) == "characters":
            unit = "characters"
        recipe = Recipe(unit, self.vocabulary_size, self.min_frequency, self.lowercase, framed=True)
        learned = learn_tokenizer(recipe, texts)
        return replace(self, unit=unit, tokenizer=learned, special=FRAMED, window=window)

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return vocabulary_size(self.tokenizer)

    @property
    def single(self) -> Frame:
        """The special tokens around one text."""
        return read_frames(self.tokenizer).single

    @property
    def pair(self) -> Frame:
        """The special tokens around two texts and, at least one, between them."""
        frame = read_frames(self.tokenizer).pair
        if frame.between:
            return frame
        usual = (self.special.separator, self.special.end, self.special.cls)
        middle = tuple(Token(token) for token in usual if token is not None)[:1]
        return frame._replace(between=middle or (Token(self.special.unknown or 0),))

    def tokenizer_config(self) -> dict[str, Any]:
        """Return the ``tokenizer_config.json`` by which transformers opens the tokenizer."""
        segments = SEGMENTS in self.fields(pairs=True)
        return published_tokenizer(self.tokenizer, self.special, self.window, segments=segments)

    def fields(self, *, pairs: bool) -> Inputs:
        """Return the input fields of a backbone; pairs have segments where the frame tells them."""
        fields = {"tokens": Tokens(self.size, pad=self.special.pad)}
        if pairs and self.segments and self.pair.tells_segments:
            fields[SEGMENTS] = Tokens(1 + max(self.pair.segments))
        return fields

    def lay_out(self, rows: Sequence[tuple[Numbers, Numbers | None]]) -> Layout:
        """Put the ids of texts, or of pairs of texts, between their special tokens."""
        parts = [self._parts(*row) for row in rows]
        lengths = np.array([sum(len(ids) for ids, _, _ in row) for row in parts])
        mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
        columns = [np.concatenate([part[k] for row in parts for part in row]) for k in range(3)]
        empty = (self.special.pad or 0, 0, -1)  # any id: the mask tells what is padding
        filled = [np.full(mask.shape, each, dtype=np.int64) for each in empty]
        for array, column in zip(filled, columns, strict=True):
            array[mask] = column
        return Layout(filled[0], filled[1], mask, filled[2])

    def _parts(
        self, first: Numbers, second: Numbers | None
    ) -> list[tuple[Numbers, Numbers, Numbers]]:
        """Return the parts of a row: ids, segments and places of each."""
        frame = self.single if second is None else self.pair
        texts = [first] if second is None else [first, second]
        specials = [frame.before, frame.between, frame.after]
        if second is None:
            specials = [frame.before, frame.after]
        parts, start = [special_part(specials[0])], 0
        for ids, segment, after in zip(texts, frame.segments, specials[1:], strict=False):
            places = np.arange(start, start + len(ids))
            parts += [(ids, np.full(len(ids), segment), places), special_part(after)]
            start += len(ids)
        return parts


def special_part(tokens: Sequence[Token]) -> tuple[Numbers, Numbers, Numbers]:
    """Return the ids and segments of special tokens, which have no place in a text."""
    ids = np.array([token.id for token in tokens], dtype=np.int64)
    segments = np.array([token.segment for token in tokens], dtype=np.int64)
    return ids, segments, np.full(len(ids), -1)

"""Texts that a model is to write: to ids, and back to the letter."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ensuite.core.backbone import Pretrained
from ensuite.data.processors.text import (
    SEPARATOR,
    UNKNOWN,
    Text,
    choose_unit,
    each_token,
    kept_tokenizer,
    learn_tokenizer,
    load_tokenizer,
)

EDGE = SEPARATOR
"""The token before the first and after the last: a text that is to come begins as one ends."""

Ids = NDArray[np.int32]


class Spelled(NamedTuple):
    """A text as ids, and how many bytes of each are not told by its id: those of the unknown."""

    ids: Ids
    untold: Ids


@dataclass(frozen=True, kw_only=True)
class Writing:
    """Read the texts a model learns to write, and write those it makes.

    Args:
        unit: What a token stands for; auto takes characters where texts have fewer than four
            words, else byte-pair pieces. Words bring the space before them along, so that whatever
            is written can be read again as it was.
        vocabulary_size: Most tokens that are learned.
        min_frequency: Words seen fewer times than this in training are unknown.
        longest: Tokens after which a text is cut off; None: not while training, and twice the
            longest of training where the model writes.
        most: The longest of training, learned.
        tokenizer: The learned tokenizer, as its library writes it.
    """

    unit: Literal["auto", "words", "characters", "pieces"] = "auto"
    vocabulary_size: int = 4000
    min_frequency: int = 1
    longest: int | None = None
    most: int = field(default=0, metadata={"learned": True})
    tokenizer: str = field(default="", metadata={"learned": True, "file": "written-tokenizer.json"})

    def __post_init__(self) -> None:
        if self.longest is not None and self.longest < 1:
            raise ValueError("longest must be 1 or more")
        if self.vocabulary_size < 4 or self.min_frequency < 1:
            raise ValueError("vocabulary_size must be 4 or more, min_frequency 1 or more")

    def prepare(self, texts: Sequence[str], pretrained: Pretrained | None = None) -> Self:
        """Learn a vocabulary from the texts to be written, or keep that of a checkpoint or run."""
        if pretrained and (kept := kept_tokenizer(pretrained, "written-tokenizer.json")):
            return replace(self, **kept._asdict())._measured(texts)
        unit = self.unit
        if unit == "auto":
            unit = "characters" if choose_unit(texts) == "characters" else "pieces"
        return replace(self, unit=unit, tokenizer=self._learn(unit, texts))._measured(texts)

    def _measured(self, texts: Sequence[str]) -> Self:
        return replace(self, most=max(map(len, self.encode(texts)), default=0))

    def _learn(self, unit: Literal["words", "characters", "pieces"], texts: Sequence[str]) -> str:
        options = Text(
            unit=unit,
            vocabulary_size=self.vocabulary_size,
            min_frequency=self.min_frequency,
            lowercase=False,
        )
        return learn_tokenizer(options, texts, spaced=True).to_str()

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return load_tokenizer(self.tokenizer).get_vocab_size()

    @property
    def limit(self) -> int:
        """After how many tokens a text that is written is cut off."""
        return self.longest or 2 * max(1, self.most)

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Return the ids of each text, without its edges, cut off at ``longest`` if that is set."""
        encoded = load_tokenizer(self.tokenizer).encode_batch_fast(list(texts))
        return [np.array(each.ids[: self.longest], dtype=np.int32) for each in encoded]

    def spell(self, texts: Sequence[str]) -> list[Spelled]:
        """Return the ids of each whole text, and what they leave out of it, in bytes."""
        encoded = load_tokenizer(self.tokenizer).encode_batch(list(texts))
        spelled = []
        for text, each in zip(texts, encoded, strict=True):
            ids = np.array(each.ids, dtype=np.int32)
            untold = np.zeros(len(ids), dtype=np.int32)
            for place in np.flatnonzero(ids == UNKNOWN):
                first, last = each.offsets[place]
                untold[place] = len(text[first:last].encode())
            spelled.append(Spelled(ids, untold))
        return spelled

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Return the text of each sequence of ids."""
        return load_tokenizer(self.tokenizer).decode_batch([list(each) for each in ids])

    def tell(self, ids: Sequence[int]) -> str:
        """Return the text of one sequence of ids."""
        return self.decode([ids])[0]

    def each(self, ids: Sequence[int]) -> tuple[str, ...]:
        """Return the text of each token."""
        return each_token(self.tokenizer, ids)

    def unknown(self, text: str) -> list[str]:
        """Return what of a text no token stands for, each once."""
        encoded = load_tokenizer(self.tokenizer).encode(text)
        parts = zip(encoded.ids, encoded.offsets, strict=True)
        return list(
            dict.fromkeys(text[slice(*place)] for token, place in parts if token == UNKNOWN)
        )

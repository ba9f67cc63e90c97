"""Texts that a model is to write: to ids, and back to the letter."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np

from ensuite.core.backbone import Pretrained
from ensuite.core.special import Special
from ensuite.data.encoded import Encoded, Ids, encode
from ensuite.data.processors.checkpoint import Kept, kept_tokenizer, read_frames
from ensuite.data.processors.text import TextCoder
from ensuite.data.processors.tokenizer import (
    LEARNED,
    Recipe,
    Unit,
    byte_ids,
    choose_unit,
    each_token,
    fingerprint,
    joinable,
    learn_tokenizer,
    leaves_out,
    load_tokenizer,
    token_bytes,
    vocabulary_size,
)


@dataclass(frozen=True)
class UnknownBytesCoder:
    """Turns texts into ids and, beside each, how many bytes of the text it leaves out.

    Args:
        tokenizer: As JSON.
        unknown: The token that leaves them out.
    """

    tokenizer: str
    unknown: int

    columns: ClassVar[tuple[int, ...]] = (2,)

    @property
    def key(self) -> str:
        """What the ids depend on."""
        return f"unknown bytes {self.unknown} {fingerprint(self.tokenizer)}"

    def __call__(self, texts: Sequence[str]) -> list[Ids]:
        encoded = load_tokenizer(self.tokenizer).encode_batch(list(texts), add_special_tokens=False)
        return [self._beside(*pair) for pair in zip(texts, encoded, strict=True)]

    def _beside(self, text: str, encoded: Any) -> Ids:
        """Return (time, 2): the ids of a text, and the bytes that each leaves out."""
        ids = np.array(encoded.ids, dtype=np.int32)
        both = np.stack([ids, np.zeros_like(ids)], axis=1)
        if (places := np.flatnonzero(ids == self.unknown)).size:
            offsets = encoded.offsets
            for place in places:
                first, last = offsets[place]
                both[place, 1] = len(text[first:last].encode())
        return both


@dataclass(frozen=True, kw_only=True)
class Writing:
    """Read the texts a model learns to write, and write those it makes.

    Args:
        unit: What a token stands for; auto takes characters where texts have fewer than four
            words, else byte-pair pieces. A word includes the space before it, so that whatever is
            written can be read again as it was.
        vocabulary_size: Most tokens that are learned, besides the 256 bytes.
        min_frequency: Words seen fewer times than this in training are unknown.
        byte_fallback: Whether a character that was not learned is spelled in the bytes of its
            UTF-8, 256 more tokens; else it is unknown. Pieces spell every text anyway.
        longest: Tokens after which a text is cut off; None: not while training, and twice the
            longest of training where the model writes.
        most: Tokens of the longest text of training, learned.
        spelled: Whether a training text has a character that is spelled in bytes, learned.
        tokenizer: The learned tokenizer, as its library writes it.
        special: Its special tokens.
        opens: Whether the start token stands before a prompt, learned: a published tokenizer says
            so itself.
    """

    unit: Literal["auto", "words", "characters", "pieces"] = "auto"
    vocabulary_size: int = 4000
    min_frequency: int = 1
    byte_fallback: bool = True
    longest: int | None = None
    most: int = field(default=0, metadata={"learned": True})
    spelled: bool = field(default=False, metadata={"learned": True})
    tokenizer: str = field(default="", metadata={"learned": True, "file": "written-tokenizer.json"})
    special: Special = field(default=LEARNED, metadata={"learned": True})
    opens: bool = field(default=True, metadata={"learned": True})

    def __post_init__(self) -> None:
        if self.longest is not None and self.longest < 1:
            raise ValueError("longest must be 1 or more")
        if self.vocabulary_size < 4 or self.min_frequency < 1:
            raise ValueError("vocabulary_size must be 4 or more, min_frequency 1 or more")

    def prepare(self, texts: Sequence[Any], pretrained: Pretrained | None = None) -> Self:
        """Learn a vocabulary from the texts to be written, or keep that of a checkpoint or run."""
        if pretrained and (kept := kept_tokenizer(pretrained, "written-tokenizer.json")):
            return self._kept(kept)._measured(texts)
        unit: Unit = "pieces"
        if self.unit != "auto":
            unit = self.unit
        elif choose_unit(texts) == "characters":
            unit = "characters"
        recipe = Recipe(
            unit, self.vocabulary_size, self.min_frequency, False, True, self.byte_fallback
        )
        learned = learn_tokenizer(recipe, texts)
        own = replace(self, unit=unit, tokenizer=learned, special=LEARNED, opens=True)
        return own._measured(texts)

    def _kept(self, kept: Kept) -> Self:
        """Keep a tokenizer that was learned elsewhere."""
        ours = kept.special.start is not None and kept.special.start == kept.special.separator
        opens = ours or bool(read_frames(kept.tokenizer).single.before)
        return replace(self, **kept._asdict(), opens=opens)

    def _measured(self, texts: Sequence[Any]) -> Self:
        encoded = self.encode(texts)
        longest = int(encoded.lengths.max(initial=0))
        is_byte = np.zeros(self.size, dtype=bool)
        is_byte[list(byte_ids(self.tokenizer))] = True
        # Where others learned pieces, they learned their bytes too.
        spelled = self.unit != "characters" or any(is_byte[ids].any() for ids in encoded)
        return replace(self, most=longest, spelled=spelled)

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return vocabulary_size(self.tokenizer)

    @property
    def kinds(self) -> int:
        """How many tokens there are besides the bytes that spell what was not learned."""
        return self.size - (len(byte_ids(self.tokenizer)) if self.unit == "characters" else 0)

    @property
    def start(self) -> int:
        """The token before the first."""
        return self._first(self.special.start, self.special.cls, self.special.end)

    @property
    def end(self) -> int:
        """The token after the last."""
        return self._first(self.special.end, self.special.separator, self.special.start)

    def _first(self, *tokens: int | None) -> int:
        """Return the first token that there is; of a vocabulary without any, the last id."""
        return next((token for token in tokens if token is not None), self.size - 1)

    @property
    def padding(self) -> int | None:
        """The token that only padding has; None where it is the end too, as in chat models."""
        others = self.special._replace(pad=None)
        return None if self.special.pad in others else self.special.pad

    @property
    def edges(self) -> tuple[int, ...]:
        """What stands between two texts: the end of one and the start of the next, or one token."""
        return (self.end,) if self.start == self.end else (self.end, self.start)

    @property
    def suppressed(self) -> tuple[int, ...]:
        """The tokens that are never written: those that stand for no text.

        So are single bytes where training had none: their vectors were never learned.
        """
        silent = {token for token in self.special if token is not None} - {self.end}
        return tuple(sorted(silent | set(() if self.spelled else byte_ids(self.tokenizer))))

    @property
    def limit(self) -> int:
        """After how many tokens a text that is written is cut off."""
        return self.longest or 2 * max(1, self.most)

    @property
    def coder(self) -> TextCoder | UnknownBytesCoder:
        """What encodes a text; where some are unknown, with the bytes that they leave out."""
        if leaves_out(self.tokenizer) and self.special.unknown is not None:
            return UnknownBytesCoder(self.tokenizer, self.special.unknown)
        return TextCoder(self.tokenizer)

    def spell(self, texts: Sequence[Any]) -> Encoded:
        """Return the ids of each whole text.

        Where some may be unknown that is (time, 2): each id, and the bytes that it leaves out.
        """
        return encode(self.coder, texts)

    def encode(self, texts: Sequence[Any]) -> Encoded:
        """Return the ids of each text, without its edges, cut off at ``longest`` if that is set."""
        spelled = self.spell(texts)
        ids = spelled.ids if spelled.ids.ndim == 1 else spelled.ids[:, 0]
        lengths = spelled.lengths
        if self.longest is not None:
            lengths = np.minimum(lengths, self.longest)
        return Encoded(ids, spelled.starts, spelled.starts + lengths)

    def encode_marked(self, text: str) -> list[int]:
        """Return the ids of a text in which special tokens stand by their names."""
        tokenizer = load_tokenizer(self.tokenizer, special=True)
        return list(tokenizer.encode(text, add_special_tokens=False).ids)

    @property
    def spelled_tokens(self) -> tuple[bytes, ...]:
        """The bytes of each token by id; none for those that are never written."""
        spelled = list(token_bytes(self.tokenizer))
        for token in (*self.suppressed, self.end):
            spelled[token] = b""
        return tuple(spelled)

    @property
    def edge_names(self) -> tuple[str, str]:
        """The names of the tokens before the first and after the last of a text."""
        name = load_tokenizer(self.tokenizer).id_to_token
        return name(self.start) or "", name(self.end) or ""

    def decode_batch(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Return the text of each sequence of ids."""
        return load_tokenizer(self.tokenizer).decode_batch([list(each) for each in ids])

    def decode_piece(self, ids: Sequence[int]) -> str:
        """Return the text of one sequence of ids, a part of a text: a space before it is kept."""
        return load_tokenizer(joinable(self.tokenizer)).decode(list(ids))

    def to_tokens(self, ids: Sequence[int]) -> tuple[str, ...]:
        """Return the text of each token."""
        return each_token(self.tokenizer, ids)

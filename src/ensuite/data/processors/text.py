"""Texts to ids: words, characters or byte-pair pieces, by the tokenizers library."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch

from ensuite.core.backbone import Pretrained
from ensuite.core.batch import Batch, Inputs, Tokens
from ensuite.core.errors import UsageError
from ensuite.core.presentation import Finding, Ledger
from ensuite.core.special import Special
from ensuite.data.encoded import Encoded, Ids, Windows, cut, encode, flat
from ensuite.data.processors.checkpoint import (
    Frame,
    Token,
    kept_tokenizer,
    published_tokenizer,
    read_frames,
)
from ensuite.data.processors.processor import Processor, Window
from ensuite.data.processors.tokenizer import (
    LEARNED,
    Recipe,
    choose_unit,
    each_token,
    fingerprint,
    learn_tokenizer,
    load_tokenizer,
    vocabulary_size,
)

RawText = str | tuple[str, str]

ALONE = -1
"""Stands in place of the segment at the tokens of a text that is no pair, among pairs."""

SEGMENTS = "segments"
"""The input field that tells the first text of a pair, 0, from the second, 1."""


@dataclass(frozen=True)
class TextCoder:
    """Turns single texts into the ids of their tokens, without special tokens.

    Args:
        tokenizer: As JSON.
        empty: The token that stands for a text without any; None: it has none.
    """

    tokenizer: str
    empty: int | None = None

    columns: ClassVar[tuple[int, ...]] = ()

    @property
    def key(self) -> str:
        """What the ids depend on."""
        return f"text {self.empty} {fingerprint(self.tokenizer)}"

    def __call__(self, texts: Sequence[str]) -> list[Ids]:
        tokenizer = load_tokenizer(self.tokenizer)
        encoded = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        nothing = [] if self.empty is None else [self.empty]
        return [np.array(each.ids or nothing, dtype=np.int32) for each in encoded]


@dataclass(frozen=True, kw_only=True)
class Text(Processor):
    """Read texts, or pairs of texts, as ids.

    A published checkpoint's tokenizer says how a text is framed ([CLS] ... [SEP]); every window is
    framed so, and has as much less of the text.

    Args:
        unit: What an id stands for; auto takes characters where texts have fewer than four words.
        vocabulary_size: Most ids that are learned; rarer words become one, "unknown". None: 25,000
            words or characters, 4,000 pieces.
        min_frequency: Words seen fewer times than this in training are unknown.
        lowercase: Whether upper and lower case are the same; auto: yes for words alone.
        window: Most tokens that are read at once, special tokens included.
        overlap: How many tokens of the text two neighbouring windows share: at most half of them.
        truncation: How texts longer than the window are read: windows reads everything in several
            windows and merges the answers; head and tail keep one window and report what is cut.
        tokenizer: The learned tokenizer, as its library writes it.
        special: Its special tokens.
        pairs: Whether inputs were pairs of texts in training; of a checkpoint that is used as it
            is, whether it has segments for them.
        segments: Whether the two texts of a pair are told apart by an input field of their own,
            where the tokenizer does.
    """

    unit: Literal["auto", "words", "characters", "pieces"] = "auto"
    vocabulary_size: int | None = None
    min_frequency: int = 2
    lowercase: bool | None = None
    window: int = 512
    overlap: int = 64
    truncation: Literal["windows", "head", "tail"] = "windows"
    tokenizer: str = field(default="", metadata={"learned": True, "file": "tokenizer.json"})
    special: Special = field(default=LEARNED, metadata={"learned": True})
    pairs: bool = field(default=False, metadata={"learned": True})
    segments: bool = field(default=True, metadata={"learned": True})

    kind: ClassVar[str] = "text"

    def __post_init__(self) -> None:
        if self.window < 1 or self.overlap < 0:
            raise ValueError("window must be 1 or more, and overlap 0 or more")
        fewest = 1 + max(number for number in LEARNED if number is not None)
        if self.vocabulary_size is not None and self.vocabulary_size <= fewest:
            raise ValueError(f"vocabulary_size must be more than {fewest}")

    def prepare(self, raws: Sequence[RawText], pretrained: Pretrained | None = None) -> Self:
        pairs = any(isinstance(raw, tuple) for raw in raws)
        if pretrained and (kept := kept_tokenizer(pretrained, "tokenizer.json")):
            segments = pretrained.segments not in (0, 1)
            if not raws and segments:
                frames = read_frames(kept.tokenizer)
                pairs = frames.pair.tells_segments and frames.alike
            kept_as_it_is = replace(self, **kept._asdict(), pairs=pairs, segments=segments)
            return kept_as_it_is._within(pretrained.length)
        unit = self.unit if self.unit != "auto" else choose_unit(raws)
        lowercase = unit == "words" if self.lowercase is None else self.lowercase
        most = self.vocabulary_size or (4_000 if unit == "pieces" else 25_000)
        learned = learn_tokenizer(Recipe(unit, most, self.min_frequency, lowercase), raws)
        prepared = replace(
            self, unit=unit, lowercase=lowercase, vocabulary_size=most, tokenizer=learned
        )
        length = None if pretrained is None else pretrained.length
        return replace(prepared, special=LEARNED, pairs=pairs)._within(length)

    def _within(self, longest: int | None) -> Self:
        """Return the processor with windows that a checkpoint can read.

        Raises:
            UsageError: If the special tokens around a text leave no room for it.
        """
        window = min(self.window, longest or self.window)
        room = window - self.frame.size
        if room < 1:
            raise UsageError(
                f"A window of {window} tokens has no room for a text beside the special tokens "
                f"of this tokenizer; give --set window={self.frame.size + 1} or more."
            )
        return replace(self, window=window, overlap=min(self.overlap, room // 2))

    @property
    def frame(self) -> Frame:
        """The special tokens around a text, or around and between two."""
        return read_frames(self.tokenizer)[self.pairs]

    @property
    def room(self) -> int:
        """How many tokens of a text a window has room for."""
        return self.window - self.frame.size

    @property
    def segmented(self) -> bool:
        """Whether the two texts of a pair are told apart by an input field of their own."""
        return self.pairs and self.segments and self.frame.tells_segments

    @property
    def inputs(self) -> Inputs:
        tokens = Tokens(vocabulary_size(self.tokenizer), pad=self.special.pad)
        if not self.segmented:
            return {"tokens": tokens}
        return {"tokens": tokens, SEGMENTS: Tokens(1 + max(self.frame.segments))}

    # From texts to tensors

    @property
    def coder(self) -> TextCoder:
        """What encodes a single text; one without a token has a stand-in if nothing frames it."""
        return TextCoder(self.tokenizer, None if self.frame.size else self._stand_in)

    @property
    def _stand_in(self) -> int:
        """The token of a text without tokens."""
        special = self.special
        usual = (special.unknown, special.end, special.start, special.separator, special.pad)
        return next((token for token in usual if token is not None), 0)

    def encode(self, raws: Sequence[RawText]) -> Encoded:
        """Return the ids of each whole text, or pair of texts with what stands between them.

        What frames a window is not among them. Among pairs whose segments are told apart, each
        token has two numbers: its id, and its segment or ``ALONE``.
        """
        if not any(isinstance(raw, tuple) for raw in raws):
            return encode(self.coder, raws)
        pairs = [raw for raw in raws if isinstance(raw, tuple)]
        coder = TextCoder(self.tokenizer)
        first, second = (encode(coder, [pair[side] for pair in pairs]) for side in (0, 1))
        joined = (self._join(*each) for each in zip(first, second, strict=True))
        single = iter(encode(self.coder, [raw for raw in raws if isinstance(raw, str)]))
        if not self.segmented:
            return flat([next(joined if isinstance(raw, tuple) else single) for raw in raws], ())
        alone = (np.stack([ids, np.full_like(ids, ALONE)], axis=1) for ids in single)
        return flat([next(joined if isinstance(raw, tuple) else alone) for raw in raws], (2,))

    def _join(self, first: Ids, second: Ids) -> Ids:
        """Return the ids of two texts with what stands between them."""
        frame = read_frames(self.tokenizer).pair
        usual = (self.special.separator, self.special.end)
        middle = frame.between or tuple(Token(token) for token in usual if token is not None)[:1]
        ids = np.concatenate([first, np.array([t.id for t in middle], dtype=np.int32), second])
        if not self.segmented:
            return ids
        segments = np.repeat(
            np.array([frame.segments[0], *(t.segment for t in middle), frame.segments[1]]),
            [len(first), *[1] * len(middle), len(second)],
        )
        return np.stack([ids, segments.astype(np.int32)], axis=1)

    def offsets(self, raws: Sequence[str]) -> list[Window]:
        """Return where each token of each text begins and ends in it, in characters: (time, 2).

        The tokens are those of ``encode``; a stand-in, where a text has none, is at (0, 0).
        """
        encoded = load_tokenizer(self.tokenizer).encode_batch(list(raws), add_special_tokens=False)
        none = [] if self.coder.empty is None else [(0, 0)]
        places = [np.array(each.offsets or none, dtype=np.int64) for each in encoded]
        return [each.reshape(-1, 2) for each in places]

    def windows(self, raws: Sequence[RawText]) -> Windows:
        """Return the windows of each text without their frame, which ``collate`` adds."""
        encoded = self.encode(raws)
        if self.truncation == "windows":
            return cut(encoded, self.room, self.overlap)
        lengths = np.minimum(encoded.lengths, self.room)
        starts, ends = encoded.starts, encoded.starts + lengths
        if self.truncation == "tail":
            starts, ends = encoded.ends - lengths, encoded.ends
        return Windows(Encoded(encoded.ids, starts, ends), np.arange(len(encoded) + 1))

    def collate(self, windows: Sequence[Window]) -> Batch:
        before, after = len(self.frame.before), len(self.frame.after)
        lengths = np.array([len(ids) for ids in windows]) + before + after
        mask = np.arange(lengths.max()) < lengths[:, None]
        inside = mask.copy()
        inside[:, :before] = False
        if after:
            places = lengths[:, None] - np.arange(after, 0, -1)
            inside[np.arange(len(windows))[:, None], places] = False
        whole = np.concatenate(windows)
        inputs = {"tokens": self._filled(mask, inside, whole if whole.ndim == 1 else whole[:, 0])}
        if self.segmented:
            inputs[SEGMENTS] = self._segments(mask, inside, windows)
        tensors = {name: torch.from_numpy(values) for name, values in inputs.items()}
        return Batch(inputs=tensors, mask=torch.from_numpy(mask))

    def _segments(self, mask: Window, inside: Window, windows: Sequence[Window]) -> Window:
        """Return the segment of each position, (batch, time); that of padding is 0."""
        told = [w[:, 1] if w.ndim == 2 else np.full(len(w), ALONE) for w in windows]
        values = np.concatenate(told)
        single = read_frames(self.tokenizer).single
        values = np.where(values == ALONE, single.segments[0], values)
        filled = self._filled(mask, inside, values, "segment", 0)
        alone = np.array([not len(each) or each[0] == ALONE for each in told])
        ends = mask.sum(1)
        for place, token in enumerate(reversed(single.after), 1):
            filled[alone, ends[alone] - place] = token.segment
        return filled

    def _filled(
        self, mask: Window, inside: Window, values: Window, part: str = "id", pad: int | None = None
    ) -> Window:
        """Return one field of a batch, (batch, time): the frame, the text, and what fills the end.

        Args:
            mask: (batch, time), True at real positions.
            inside: (batch, time), True at those of the text.
            values: The numbers of all texts, one after another.
            part: Which number of a frame's token is meant.
            pad: What fills the end; None: the token for it.
        """
        empty = self.special.pad or 0 if pad is None else pad  # any id: the mask tells
        filled = np.full(mask.shape, empty, dtype=np.int64)
        filled[inside] = values
        for place, token in enumerate(self.frame.before):
            filled[:, place] = getattr(token, part)
        rows, lengths = np.arange(len(mask)), mask.sum(1)
        for place, token in enumerate(reversed(self.frame.after), 1):
            filled[rows, lengths - place] = getattr(token, part)
        return filled

    # What a person sees

    def key(self, raw: RawText) -> Hashable:
        return raw

    def show(self, raw: RawText) -> str:
        return raw if isinstance(raw, str) else " | ".join(raw)

    def to_tokens(self, window: Window) -> tuple[str, ...]:
        """Return the token at each position of a window, those of its frame included."""
        ids = window if window.ndim == 1 else window[:, 0]
        around = [[token.id for token in side] for side in (self.frame.before, self.frame.after)]
        return each_token(self.tokenizer, [*around[0], *ids.tolist(), *around[1]])

    def tokenizer_config(self) -> dict[str, Any]:
        return published_tokenizer(
            self.tokenizer, self.special, self.window, segments=self.segmented
        )

    def check(self, raws: Sequence[RawText]) -> list[Finding]:
        lengths = self.encode(raws).lengths
        middle, most = np.quantile(lengths, [0.5, 0.95], method="higher")
        sentence = (
            f"median {middle:,} {self.unit}, 95 % within {most:,}, longest {lengths.max():,}; "
            f"{self._fate(lengths)}"
        )
        findings = [Finding("text", sentence)]
        if empty := sum(map(_is_blank, raws)):
            findings.append(Finding("empty", f"{empty:,} texts are empty or blank"))
        return findings

    def _fate(self, lengths: Any) -> str:
        """Say what becomes of texts that are longer than a window."""
        long = int((lengths > self.room).sum())
        if not long:
            return "nothing will be cut"
        share = f"{long:,} ({long / len(lengths):.1%})".replace("%", " %")
        if self.truncation == "windows":
            return f"{share} are read in windows of {self.window}, nothing is cut"
        lost = int((lengths - self.room).clip(0).sum()) / int(lengths.sum())
        return (
            f"{share} are cut to the {self.truncation} {self.room}: {lost * 100:.1f} % of all text"
        )

    def ledger(self, raws: Sequence[RawText]) -> Ledger:
        lengths = self.encode(raws).lengths
        if self.truncation == "windows":
            return Ledger(0, 0, int(lengths.sum()))
        over = (lengths - self.room).clip(0)
        return Ledger(int((over > 0).sum()), int(over.sum()), int(lengths.sum()))


def _is_blank(raw: RawText) -> bool:
    """Say whether an input has nothing but white space."""
    return not any(
        text and not text.isspace() for text in ((raw,) if isinstance(raw, str) else raw)
    )

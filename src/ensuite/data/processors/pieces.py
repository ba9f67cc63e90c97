"""Sentences, split into words, as the pieces of a checkpoint's tokenizer: one state per word."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from ensuite.core.backbone import Pretrained
from ensuite.core.batch import Batch, Inputs, Tokens
from ensuite.core.errors import UsageError
from ensuite.core.presentation import Finding
from ensuite.core.special import Special
from ensuite.data.encoded import Encoded, Ids, encode
from ensuite.data.processors.checkpoint import (
    Frame,
    kept_tokenizer,
    published_tokenizer,
    read_frames,
)
from ensuite.data.processors.processor import Processor, Window
from ensuite.data.processors.tokenizer import fingerprint, load_tokenizer
from ensuite.data.processors.words import Sentence, split_typed

STARTS = "starts"
"""The field that is 1 at the first piece of each word, whose state is that of the word."""

LEARNED = {"learned": True}


@dataclass(frozen=True)
class PieceCoder:
    """Turns sentences into (pieces, 2): the id of each piece, and 1 where a word begins.

    A word of which the tokenizer leaves nothing is one unknown piece, so that no word is lost.

    Args:
        tokenizer: As JSON.
        unknown: The id of an unknown piece.
    """

    tokenizer: str
    unknown: int

    columns: ClassVar[tuple[int, ...]] = (2,)

    @property
    def key(self) -> str:
        """What the ids depend on."""
        return f"pieces {self.unknown} {fingerprint(self.tokenizer)}"

    def __call__(self, sentences: Sequence[Sentence]) -> list[Ids]:
        tokenizer = load_tokenizer(self.tokenizer)
        words = [list(sentence) or [""] for sentence in sentences]
        encoded = tokenizer.encode_batch(words, is_pretokenized=True, add_special_tokens=False)
        pairs = zip(words, encoded, strict=True)
        return [self._mark(len(own), each.ids, each.word_ids) for own, each in pairs]

    def _mark(self, words: int, ids: Sequence[int], places: Sequence[int | None]) -> Ids:
        """Return each piece with whether it begins a word, and a stand-in for each lost word."""
        numbers, pieces = np.array(places, dtype=np.int64), np.array(ids, dtype=np.int32)
        lost = np.setdiff1d(np.arange(words), numbers)
        order = np.argsort(np.concatenate([numbers, lost]), kind="stable")
        numbers = np.concatenate([numbers, lost])[order]
        pieces = np.concatenate([pieces, np.full(len(lost), self.unknown, np.int32)])[order]
        begins = np.diff(numbers, prepend=-1) > 0
        return np.stack([pieces, begins.astype(np.int32)], axis=1)


@dataclass(frozen=True, kw_only=True)
class Pieces(Processor):
    """Read sentences that are split into words by the tokenizer of a checkpoint.

    The state of a word is that of its first piece, as in Devlin et al. (2019), section 5.3.

    Args:
        window: Most pieces that are read at once, special tokens included.
        overlap: How many words two windows of one sentence share.
        tokenizer: Of the checkpoint, as the tokenizers library writes it.
        special: Its special tokens.
    """

    window: int = 512
    overlap: int = 16
    tokenizer: str = field(default="", metadata={"learned": True, "file": "tokenizer.json"})
    special: Special = field(default=Special(), metadata=LEARNED)

    kind: ClassVar[str] = "tokens"
    vectors: ClassVar[None] = None

    def __post_init__(self) -> None:
        if self.overlap < 0 or self.window < 1:
            raise ValueError("window must be 1 or more, overlap 0 or more")

    def prepare(self, raws: Sequence[Sentence], pretrained: Pretrained | None = None) -> Self:
        kept = kept_tokenizer(pretrained or Pretrained(), "tokenizer.json")
        if kept is None:
            return self
        length = pretrained.length if pretrained and pretrained.length else self.window
        prepared = replace(
            self,
            tokenizer=kept.tokenizer,
            special=kept.special,
            window=min(self.window, length),
        )
        if prepared.room < 1:
            raise UsageError(
                f"A window of {prepared.window} has no room for a piece beside the "
                f"{prepared.frame.size} special tokens of this tokenizer; give a larger one."
            )
        return prepared

    @property
    def frame(self) -> Frame:
        """The special tokens around a window."""
        return read_frames(self.tokenizer).single

    @property
    def room(self) -> int:
        """How many pieces a window has, without its special tokens."""
        return self.window - self.frame.size

    @property
    def inputs(self) -> Inputs:
        size = load_tokenizer(self.tokenizer).get_vocab_size()
        return {
            "tokens": Tokens(size, pad=self.special.pad),
            STARTS: Tokens(2, pad=0, reader="head"),
        }

    def encode(self, raws: Sequence[Sentence]) -> Encoded:
        """Return (pieces, 2) of each sentence: ids, and 1 where a word begins."""
        coder = PieceCoder(self.tokenizer, self.special.unknown or 0)
        return encode(coder, list(map(tuple, raws)))

    def windows(self, raws: Sequence[Sentence]) -> list[list[Window]]:
        """Return the pieces of each window; a word is cut only if it alone fills the window."""
        found = []
        for raw, rows in zip(raws, self.encode(raws), strict=True):
            begins = self._begins(rows)
            spans = self._spans(begins, len(raw))
            found.append([rows[begins[a] : begins[b]][: self.room] for a, b in spans])
        return found

    def spans(self, raw: Sentence) -> list[tuple[int, int]]:
        """Return the first word of each window of a sentence, and the one after its last."""
        (rows,) = self.encode([raw])
        return self._spans(self._begins(rows), len(raw))

    def _begins(self, rows: Ids) -> list[int]:
        """Return where each word begins, and where the last one ends."""
        return [*np.flatnonzero(rows[:, 1]).tolist(), len(rows)]

    def _spans(self, begins: Sequence[int], words: int) -> list[tuple[int, int]]:
        words, spans, first = max(1, words), list[tuple[int, int]](), 0
        while True:
            last = first + 1
            while last < words and begins[last + 1] - begins[first] <= self.room:
                last += 1
            spans.append((first, last))
            if last == words:
                return spans
            first = max(first + 1, last - self.overlap)

    def collate(self, windows: Sequence[Window]) -> Batch:
        before = [token.id for token in self.frame.before]
        after = [token.id for token in self.frame.after]
        rows = [np.concatenate([before, window[:, 0], after]) for window in windows]
        lengths = np.array([len(row) for row in rows])
        mask = np.arange(lengths.max()) < lengths[:, None]
        tokens = np.full(mask.shape, self.special.pad or 0, dtype=np.int64)
        tokens[mask] = np.concatenate(rows)
        starts = np.zeros(mask.shape, dtype=np.int64)
        for row, window in zip(starts, windows, strict=True):
            row[len(before) : len(before) + len(window)] = window[:, 1]
        inputs = {"tokens": torch.from_numpy(tokens), STARTS: torch.from_numpy(starts)}
        return Batch(inputs=inputs, mask=torch.from_numpy(mask))

    def hide(self, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the inputs of training: as they are, since pieces spell unknown words."""
        return inputs

    def split(self, text: str) -> Sentence:
        """Split a typed text at white space and punctuation marks."""
        return split_typed(text)

    def key(self, raw: Sentence) -> Hashable:
        return raw

    def show(self, raw: Sentence) -> str:
        return " ".join(raw)

    def tokenizer_config(self) -> dict[str, Any]:
        return published_tokenizer(self.tokenizer, self.special, self.window)

    def check(self, raws: Sequence[Sentence]) -> list[Finding]:
        lengths = np.array([len(rows) for rows in self.encode(raws)])
        middle, most = np.quantile(lengths, [0.5, 0.95], method="higher")
        long = int((lengths > self.room).sum())
        windows = f"; {long:,} are read in windows of {self.window}" if long else ""
        sentence = f"median {middle:,} pieces, 95 % within {most:,}, longest {lengths.max():,}"
        return [Finding("sentences", f"{sentence}{windows}")]


def word_places(starts: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the words of each row begin, (batch, words), and which of them are there.

    Args:
        starts: (batch, time), 1 where a word begins.
    """
    counts = starts.sum(1)
    words = int(counts.max())
    places = torch.argsort(1 - starts, dim=1, stable=True)[:, :words]
    return places, torch.arange(words, device=starts.device) < counts[:, None]

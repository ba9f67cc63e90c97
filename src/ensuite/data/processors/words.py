"""Sentences, split into words, to ids of the words and of the characters that spell them."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Self
from unicodedata import normalize

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ensuite.core.backbone import Pretrained
from ensuite.core.batch import Batch, Characters, Inputs, Tokens
from ensuite.core.presentation import Finding
from ensuite.data.processors.processor import Processor, Window
from ensuite.data.processors.text import UNKNOWN, load_tokenizer
from ensuite.data.vectors import read_vectors

Sentence = tuple[str, ...]

SPECIAL = ("[PAD]", "[UNK]")

LONGEST_WORD = 30
"""Characters of a word that are read: enough for all but addresses and other odd strings."""

HIDDEN = 0.5
"""How often a word that training has once is unknown in training (Lample et al. 2016)."""

PIECE = r"\d+(?:[.,]\d+)*|\w+|[^\w\s]"  # in the words of Oniguruma: \w has combining marks
"""What a typed text is split into where no longer stretch is known: numbers, words, marks."""

MOST_PIECES = 12
"""Pieces that one known word may span, as U.S.A. does six."""

LEARNED = {"learned": True}


@dataclass(frozen=True, kw_only=True)
class Words(Processor):
    """Read sentences that are split into words: an id for each word, and for each of its letters.

    A word is looked up as it stands, else in lower case; else it is unknown.

    Args:
        vocabulary_size: Most words that are learned, the most frequent.
        lowercase: Whether upper and lower case are the same word; their letters still tell them.
        letters: Whether the characters that spell each word are read too.
        vectors: File of pretrained vectors (GloVe's or word2vec's text format) to start from. Its
            words join the vocabulary, its first ones first.
        window: Longest stretch of words that is read at once.
        overlap: How much two windows of one sentence share.
        tokenizer: The words, as the tokenizers library writes them.
        alphabet: The characters, in the order of their ids.
        once: First id of the words that training has once, and the first after them.
        covered: How many of the training words the file of vectors has.
        width: Of the pretrained vectors.
        matrix: (vocabulary, width), the vectors; a saved run holds them in its weights.
    """

    vocabulary_size: int = 50_000
    lowercase: bool = False
    letters: bool = True
    vectors: Path | None = None
    window: int = 512
    overlap: int = 64
    tokenizer: str = field(default="", metadata={"learned": True, "file": "tokenizer.json"})
    alphabet: str = field(default="", metadata=LEARNED)
    once: tuple[int, int] = field(default=(0, 0), metadata=LEARNED)
    covered: int = field(default=0, metadata=LEARNED)
    width: int | None = field(default=None, metadata=LEARNED)
    matrix: Tensor | None = field(
        default=None, compare=False, repr=False, metadata={"learned": True, "saved": False}
    )

    kind: ClassVar[str] = "tokens"

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.window:
            raise ValueError("window must be 1 or more, and overlap from 0 to less than window")
        if self.vocabulary_size <= len(SPECIAL):
            raise ValueError(f"vocabulary_size must be more than {len(SPECIAL)}")

    # Learning from the training sentences

    def prepare(self, raws: Sequence[Sentence], pretrained: Pretrained | None = None) -> Self:
        counts = Counter(chain.from_iterable(raws))
        letters = sorted({letter for word in counts for letter in composed(word)})
        words: Counter[str] = Counter()
        for word, count in counts.items():
            words[self._form(word)] += count
        ordered = sorted(words.keys() - {*SPECIAL}, key=lambda word: (-words[word], word))
        ordered = ordered[: self.vocabulary_size - len(SPECIAL)]
        repeated = sum(words[word] > 1 for word in ordered)
        prepared = replace(
            self,
            alphabet="".join(letters),
            once=(len(SPECIAL) + repeated, len(SPECIAL) + len(ordered)),
        )
        return prepared._with_words(ordered) if self.vectors is None else prepared._join(ordered)

    def _form(self, word: str) -> str:
        return composed(word).lower() if self.lowercase else composed(word)

    def _with_words(self, words: Sequence[str]) -> Self:
        return replace(self, tokenizer=write_tokenizer(words, lowercase=self.lowercase))

    def _join(self, words: Sequence[str]) -> Self:
        """Add the words of the file of vectors, and start every word from its vector there."""
        assert self.vectors is not None
        room = self.vocabulary_size - len(SPECIAL) - len(words)
        wanted = {form for word in words for form in (word, word.lower())}
        found = read_vectors(self.vectors, wanted, first=self.vocabulary_size)
        theirs = {self._form(word): row for row, word in enumerate(found.words)}
        known = {*words, *SPECIAL}
        every = [*words, *[word for word in theirs if word not in known][:room]]
        place = theirs | {word: row for row, word in enumerate(found.words)}
        rows = [place.get(word, place.get(word.lower(), -1)) for word in every]
        return replace(
            self._with_words(every),
            covered=sum(row >= 0 for row in rows[: len(words)]),
            width=found.matrix.shape[1],
            matrix=start_vectors(found.matrix, np.array(rows, dtype=np.intp)),
        )

    @property
    def size(self) -> int:
        """How many ids of words there are, padding and "unknown" among them."""
        size: int = load_tokenizer(self.tokenizer).get_vocab_size()
        return size

    @property
    def inputs(self) -> Inputs:
        tokens: Inputs = {"tokens": Tokens(self.size, self.width, self.matrix)}
        if not self.letters:
            return tokens
        return {**tokens, "characters": Characters(len(self.alphabet) + len(SPECIAL))}

    # From sentences to tensors

    def encode(self, raws: Sequence[Sentence]) -> list[Window]:
        """Return (time, 1 + letters) of each sentence: a word's id, then those of its characters.

        An empty sentence is a single unknown word.
        """
        sentences = [raw or ("",) for raw in raws]
        numbers: dict[str, int] = {}
        places = [numbers.setdefault(w, len(numbers)) for w in chain.from_iterable(sentences)]
        table = self._spell(list(numbers))[places]
        ends = np.cumsum([len(sentence) for sentence in sentences])
        return list(np.split(table, ends))[:-1]

    def _spell(self, words: Sequence[str]) -> NDArray[np.int32]:
        """Return a row for each word: its id, then those of its characters."""
        known = read_vocabulary(self.tokenizer)
        numbers = {letter: number for number, letter in enumerate(self.alphabet, len(SPECIAL))}
        longest = LONGEST_WORD if self.letters else 0
        table = np.zeros((len(words), 1 + longest), dtype=np.int32)
        for row, word in zip(table, map(composed, words), strict=True):
            row[0] = known.get(word) or known.get(word.lower(), UNKNOWN)
            spelled = [numbers.get(letter, UNKNOWN) for letter in word[:longest]]
            row[1 : 1 + len(spelled)] = spelled
        return table

    def windows(self, raws: Sequence[Sentence]) -> list[list[Window]]:
        encoded = self.encode(raws)
        return [[rows[start:end] for start, end in self.spans(len(rows))] for rows in encoded]

    def spans(self, length: int) -> list[tuple[int, int]]:
        """Return where the windows of a sentence start and end."""
        if length <= self.window:
            return [(0, length)]
        stride = self.window - self.overlap
        starts = range(0, length - self.overlap, stride)
        return [(start, min(start + self.window, length)) for start in starts]

    def collate(self, windows: Sequence[Window]) -> Batch:
        lengths = np.array([len(rows) for rows in windows])
        mask = np.arange(lengths.max()) < lengths[:, None]
        padded = np.zeros((*mask.shape, windows[0].shape[1]), dtype=np.int64)
        padded[mask] = np.concatenate(windows)
        inputs = {"tokens": torch.from_numpy(np.ascontiguousarray(padded[..., 0]))}
        if self.letters:
            longest = max(1, int(padded[..., 1:].any((0, 1)).sum()))
            letters = np.ascontiguousarray(padded[..., 1 : 1 + longest])
            inputs["characters"] = torch.from_numpy(letters)
        return Batch(inputs=inputs, mask=torch.from_numpy(mask))

    def hide(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Make half of the words that training has once unknown, so that "unknown" is learned.

        Sources:
            Lample et al. (2016), https://arxiv.org/abs/1603.01360, section 4.1
        """
        tokens, (first, end) = inputs["tokens"], self.once
        drawn = torch.rand(tokens.shape, device=tokens.device) < HIDDEN
        hidden = drawn & (tokens >= first) & (tokens < end)
        return {**inputs, "tokens": tokens.masked_fill(hidden, UNKNOWN)}

    # What a person types and sees

    def split(self, text: str) -> Sentence:
        """Split a typed text into words, as the training sentences were split.

        Between white space, the longest stretch that is a word of the vocabulary is one word
        (``U.S.``, ``n't``); where none is, a run of letters, a number or a single mark.
        """
        known = read_vocabulary(self.tokenizer)
        cut = load_tokenizer(self.tokenizer).pre_tokenizer
        words: list[str] = []
        for stretch in composed(text).split():
            pieces = [piece for piece, _ in cut.pre_tokenize_str(stretch)]
            start = 0
            while start < len(pieces):
                ends = range(min(start + MOST_PIECES, len(pieces)), start, -1)
                joined = ((end, "".join(pieces[start:end])) for end in ends)
                found = (pair for pair in joined if pair[1] in known or pair[1].lower() in known)
                start, word = next(found, (start + 1, pieces[start]))
                words.append(word)
        return tuple(words)

    def key(self, raw: Sentence) -> Hashable:
        return raw

    def show(self, raw: Sentence) -> str:
        return " ".join(raw)

    def check(self, raws: Sequence[Sentence]) -> list[Finding]:
        lengths = np.array([len(raw) for raw in raws])
        middle, most = np.quantile(lengths, [0.5, 0.95], method="higher")
        long = int((lengths > self.window).sum())
        fate = f"{long:,} are read in windows of {self.window}, " if long else ""
        sentence = (
            f"median {middle:,} words, 95 % within {most:,}, longest {lengths.max():,}; "
            f"{fate}nothing will be cut"
        )
        findings = [Finding("sentences", sentence)]
        if empty := int((lengths == 0).sum()):
            findings.append(Finding("empty", f"sentences without a word: {empty:,}"))
        if self.letters and (odd := sum(len(w) > LONGEST_WORD for w in set().union(*raws))):
            longer = f"{odd:,} words are longer"
            said = f"only the first {LONGEST_WORD} characters of a word are read ({longer})"
            findings.append(Finding("characters", said))
        if self.vectors is not None:
            words = self.once[1] - len(SPECIAL)
            said = f"{self.vectors.name} has {self.covered:,} of the {words:,} training words"
            findings.append(Finding("vectors", f"{said}; {self.width} numbers each"))
        return findings


def composed(word: str) -> str:
    """Return a word with its accents composed, so that é is one character however it was typed."""
    return normalize("NFC", word).encode("utf-8", "replace").decode()  # half a surrogate pair: "?"


def start_vectors(matrix: NDArray[np.float32], rows: NDArray[np.intp]) -> Tensor:
    """Return the vectors of the special words and then of every row; small noise where it is -1."""
    generator = torch.Generator().manual_seed(0)
    size = len(SPECIAL) + len(rows)
    vectors = torch.randn(size, matrix.shape[1], generator=generator) * float(matrix.std())
    found = np.flatnonzero(rows >= 0)
    vectors[found + len(SPECIAL)] = torch.from_numpy(matrix[rows[found]])
    return vectors


def write_tokenizer(words: Sequence[str], *, lowercase: bool) -> str:
    """Return a tokenizer of these words as JSON: [PAD] is 0, [UNK] is 1, then they come."""
    from tokenizers import Regex, Tokenizer, models, normalizers
    from tokenizers import pre_tokenizers as cut

    vocabulary = {word: number for number, word in enumerate((*SPECIAL, *words))}
    tokenizer = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token=SPECIAL[UNKNOWN]))
    steps: list[Any] = [normalizers.NFC(), *([normalizers.Lowercase()] if lowercase else [])]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = cut.Sequence(
        [cut.WhitespaceSplit(), cut.Split(Regex(PIECE), "isolated")]
    )
    return tokenizer.to_str()


@lru_cache(maxsize=8)
def read_vocabulary(tokenizer: str) -> dict[str, int]:
    """Return the number of every word; a word written like [PAD] or [UNK] is none."""
    vocabulary: dict[str, int] = load_tokenizer(tokenizer).get_vocab()
    return {word: number for word, number in vocabulary.items() if word not in SPECIAL}

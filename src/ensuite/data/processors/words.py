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
from ensuite.core.special import Special
from ensuite.data.encoded import Encoded, Windows, cut, encode
from ensuite.data.processors.processor import Processor, Window
from ensuite.data.processors.tokenizer import fingerprint, load_tokenizer
from ensuite.data.vectors import read_vectors

Sentence = tuple[str, ...]

NAMES = ("[PAD]", "[UNK]")
"""The special tokens of words and of their characters, in the order of their ids."""

PAD, UNKNOWN = range(len(NAMES))

LONGEST_WORD = 30
"""Characters of a word that are read: enough for all but addresses and other odd strings."""

HIDDEN = 0.5
"""Probability that a word that occurs once in training is replaced by "unknown" while training."""

PIECE = r"\d+(?:[.,]\d+)*|\w+|[^\w\s]"  # in the words of Oniguruma: \w has combining marks
"""Pattern of the pieces that a typed text is split into: numbers, words, punctuation marks."""

MOST_PIECES = 12
"""Pieces that one known word may span, as U.S.A. does six."""

LEARNED = {"learned": True}


@dataclass(frozen=True)
class WordCoder:
    """Turns sentences into the ids of their words and of the characters that spell them.

    Args:
        tokenizer: The words, as JSON.
        alphabet: The characters, in the order of their ids.
        longest: Characters of a word that are read.
    """

    tokenizer: str
    alphabet: str
    longest: int

    @property
    def columns(self) -> tuple[int, ...]:
        """How many numbers each word has: its id, and those of its characters."""
        return (1 + self.longest,)

    @property
    def key(self) -> str:
        """What the ids depend on."""
        return f"words {self.longest} {self.alphabet} {fingerprint(self.tokenizer)}"

    def __call__(self, sentences: Sequence[Sentence]) -> list[Window]:
        sentences = [sentence or ("",) for sentence in sentences]
        numbers: dict[str, int] = {}
        places = [numbers.setdefault(w, len(numbers)) for w in chain.from_iterable(sentences)]
        table = self._spell(list(numbers))[places]
        ends = np.cumsum([len(sentence) for sentence in sentences])
        return list(np.split(table, ends))[:-1]

    def _spell(self, words: Sequence[str]) -> NDArray[np.int32]:
        """Return a row for each word: its id, then those of its characters."""
        known = read_vocabulary(self.tokenizer)
        numbers = {letter: number for number, letter in enumerate(self.alphabet, len(NAMES))}
        table = np.full((len(words), 1 + self.longest), PAD, dtype=np.int32)
        for row, word in zip(table, map(composed, words), strict=True):
            row[0] = known.get(word) or known.get(word.lower(), UNKNOWN)
            spelled = [numbers.get(letter, UNKNOWN) for letter in word[: self.longest]]
            row[1 : 1 + len(spelled)] = spelled
        return table


@dataclass(frozen=True, kw_only=True)
class Words(Processor):
    """Read sentences that are split into words: an id for each word, and for each of its letters.

    A word is looked up as it stands, else in lower case; else it is unknown.

    Args:
        vocabulary_size: Most words that are learned, the most frequent.
        lowercase: Whether words are looked up in lower case; their characters keep their case.
        letters: Whether the characters of each word are an input field of their own.
        vectors: File of pretrained vectors (GloVe's or word2vec's text format) to start from. Its
            words join the vocabulary, its first ones first.
        window: Longest stretch of words that is read at once.
        overlap: How much two windows of one sentence share.
        tokenizer: The words, as the tokenizers library writes them.
        alphabet: The characters, in the order of their ids.
        once: First id of the words that occur once in training, and the first after them.
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
    special: ClassVar[Special] = Special(pad=PAD, unknown=UNKNOWN)

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.window:
            raise ValueError(
                f"window ({self.window}) must be 1 or more, and overlap ({self.overlap}) from 0 to "
                "less than window"
            )
        if self.vocabulary_size <= len(NAMES):
            raise ValueError(f"vocabulary_size must be more than {len(NAMES)}")

    # Learning from the training sentences

    def prepare(self, raws: Sequence[Sentence], pretrained: Pretrained | None = None) -> Self:
        counts = Counter(chain.from_iterable(raws))
        letters = sorted({letter for word in counts for letter in composed(word)})
        words: Counter[str] = Counter()
        for word, count in counts.items():
            words[self._form(word)] += count
        ordered = sorted(words.keys() - {*NAMES}, key=lambda word: (-words[word], word))
        ordered = ordered[: self.vocabulary_size - len(NAMES)]
        repeated = sum(words[word] > 1 for word in ordered)
        prepared = replace(
            self,
            alphabet="".join(letters),
            once=(len(NAMES) + repeated, len(NAMES) + len(ordered)),
        )
        return prepared._with_words(ordered) if self.vectors is None else prepared._join(ordered)

    def _form(self, word: str) -> str:
        return composed(word).lower() if self.lowercase else composed(word)

    def _with_words(self, words: Sequence[str]) -> Self:
        return replace(self, tokenizer=write_tokenizer(words, lowercase=self.lowercase))

    def _join(self, words: Sequence[str]) -> Self:
        """Add the words of the file of vectors, and start every word from its vector there."""
        assert self.vectors is not None
        room = self.vocabulary_size - len(NAMES) - len(words)
        wanted = {form for word in words for form in (word, word.lower())}
        found = read_vectors(self.vectors, wanted, first=self.vocabulary_size)
        theirs = {self._form(word): row for row, word in enumerate(found.words)}
        known = {*words, *NAMES}
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
        tokens: Inputs = {"tokens": Tokens(self.size, self.width, self.matrix, pad=PAD)}
        if not self.letters:
            return tokens
        return {**tokens, "characters": Characters(len(self.alphabet) + len(NAMES))}

    # From sentences to tensors

    def encode(self, raws: Sequence[Sentence]) -> Encoded:
        """Return (time, 1 + letters) of each sentence: a word's id, then those of its characters.

        An empty sentence is a single unknown word.
        """
        longest = LONGEST_WORD if self.letters else 0
        return encode(WordCoder(self.tokenizer, self.alphabet, longest), list(map(tuple, raws)))

    def windows(self, raws: Sequence[Sentence]) -> Windows:
        return cut(self.encode(raws), self.window, self.overlap)

    def spans(self, raw: Sentence) -> list[tuple[int, int]]:
        """Return where the windows of a sentence start and end."""
        length = max(1, len(raw))
        if length <= self.window:
            return [(0, length)]
        stride = self.window - self.overlap
        starts = range(0, length - self.overlap, stride)
        return [(start, min(start + self.window, length)) for start in starts]

    def collate(self, windows: Sequence[Window]) -> Batch:
        lengths = np.array([len(rows) for rows in windows])
        mask = np.arange(lengths.max()) < lengths[:, None]
        padded = np.full((*mask.shape, windows[0].shape[1]), PAD, dtype=np.int64)
        padded[mask] = np.concatenate(windows)
        inputs = {"tokens": torch.from_numpy(np.ascontiguousarray(padded[..., 0]))}
        if self.letters:
            longest = max(1, int(padded[..., 1:].any((0, 1)).sum()))
            letters = np.ascontiguousarray(padded[..., 1 : 1 + longest])
            inputs["characters"] = torch.from_numpy(letters)
        return Batch(inputs=inputs, mask=torch.from_numpy(mask))

    def hide(self, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Replace half of the words that occur once in training, so that "unknown" is learned.

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
            words = self.once[1] - len(NAMES)
            said = f"{self.vectors.name} has {self.covered:,} of the {words:,} training words"
            findings.append(Finding("vectors", f"{said}; {self.width} numbers each"))
        return findings


def split_typed(text: str) -> Sentence:
    """Split a text into numbers, words and punctuation marks.

    >>> split_typed("It's 3,5 km.")
    ('It', "'", 's', '3,5', 'km', '.')
    """
    from tokenizers import Regex
    from tokenizers import pre_tokenizers as cut

    steps = cut.Sequence([cut.WhitespaceSplit(), cut.Split(Regex(PIECE), "isolated")])
    return tuple(word for word, _ in steps.pre_tokenize_str(composed(text)))


def composed(word: str) -> str:
    """Return a word with its accents composed, so that é is one character however it was typed."""
    return normalize("NFC", word).encode("utf-8", "replace").decode()  # half a surrogate pair: "?"


def start_vectors(matrix: NDArray[np.float32], rows: NDArray[np.intp]) -> Tensor:
    """Return the vectors of the special words and then of every row; small noise where it is -1."""
    generator = torch.Generator().manual_seed(0)
    size = len(NAMES) + len(rows)
    vectors = torch.randn(size, matrix.shape[1], generator=generator) * float(matrix.std())
    found = np.flatnonzero(rows >= 0)
    vectors[found + len(NAMES)] = torch.from_numpy(matrix[rows[found]])
    return vectors


def write_tokenizer(words: Sequence[str], *, lowercase: bool) -> str:
    """Return a tokenizer of these words as JSON: [PAD] is 0, [UNK] is 1, then they come."""
    from tokenizers import Regex, Tokenizer, models, normalizers
    from tokenizers import pre_tokenizers as cut

    vocabulary = {word: number for number, word in enumerate((*NAMES, *words))}
    tokenizer = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token=NAMES[UNKNOWN]))
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
    return {word: number for word, number in vocabulary.items() if word not in NAMES}

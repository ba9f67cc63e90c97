"""Pretrained word vectors from a text file, as GloVe, word2vec and fastText write them."""

import gzip
import io
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ensuite.core.errors import DataError
from ensuite.data.header import is_number
from ensuite.data.walk import unreadable

BLOCK = 2000
"""Lines whose numbers are parsed by one call; of width 300 they are 5 MB of text."""


class Vectors(NamedTuple):
    """Words in the order of the file, and the vector of each: (words, width), float32."""

    words: list[str]
    matrix: NDArray[np.float32]


class Line(NamedTuple):
    """A word and its numbers, still as text; ``number`` is that of the line, from 1."""

    number: int
    word: bytes
    numbers: bytes


def read_vectors(
    path: str | Path, wanted: Collection[str] | None = None, *, first: int = 0
) -> Vectors:
    """Read the vectors of words; where a word stands twice, its first one.

    Args:
        path: A text file, also as ``.gz``: each line is a word, which may contain spaces, and its
            numbers. word2vec and fastText begin with how many words there are and how wide.
        wanted: The words to keep; None: all. The numbers of others are not looked at.
        first: How many from the top of the file are kept besides: the most frequent words.

    Raises:
        DataError: If the file cannot be read or has no vectors, two lines differ in width, a
            number is none, or a word is not UTF-8; names the line.

    Sources:
        Pennington, Socher & Manning (2014), https://aclanthology.org/D14-1162
        Mikolov, Chen, Corrado & Dean (2013), https://arxiv.org/abs/1301.3781
    """
    path = Path(path)
    lines = split_lines(path)
    top = next(lines, None)
    if top is None:
        raise DataError(f"{path.name} has no vectors; give a word and its numbers in each line.")
    words: list[str] = []
    blocks = [np.empty((0, len(top.numbers.split())), np.float32)]
    chosen = choose(chain([top], lines), wanted, first)
    while block := list(islice(chosen, BLOCK)):
        words += [decode(line, path.name) for line in block]
        blocks.append(parse(block, path.name))
    return Vectors(words, np.concatenate(blocks))


def choose(lines: Iterable[Line], wanted: Collection[str] | None, first: int) -> Iterator[Line]:
    """Yield the lines of the words to keep, each word once."""
    keep = None if wanted is None else {word.encode(errors="replace") for word in wanted}
    seen: set[bytes] = set()
    for rank, line in enumerate(lines):
        if (keep is None or rank < first or line.word in keep) and line.word not in seen:
            seen.add(line.word)
            yield line


def split_lines(path: Path) -> Iterator[Line]:
    """Yield the word and the numbers of each line; empty lines and a header have none."""
    width = None
    for number, content in enumerate(read_lines(path), 1):
        word, _, numbers = content.partition(b" ")
        if width is None or not numbers or numbers.count(b" ") != width - 1:
            fields = content.split()  # a header, a word with spaces, or an error
            if not fields or (number == 1 and is_header(fields)):
                continue
            width = check_width(count_numbers(fields), width, f"Line {number:,} of {path.name}")
            word, numbers = b" ".join(fields[:-width]), b" ".join(fields[-width:])
        yield Line(number, word, numbers)


def check_width(found: int, expected: int | None, where: str) -> int:
    """Return how many numbers a line has, if that is as many as the lines before it have."""
    if found == 0:
        raise DataError(
            f"{where} is not a word and its numbers; give a text file of vectors, as GloVe or "
            "word2vec write them."
        )
    if expected not in (None, found):
        raise DataError(
            f"{where} has {found:,} numbers where the lines before have {expected:,}; the vectors "
            "of a file are all of one width."
        )
    return found


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, without the spaces that word2vec puts at their ends."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for line in file:
                yield line.rstrip(b" \r\n")
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise DataError(f"{path} is cut short or damaged; fetch or write it again.") from None
    except OSError as error:
        raise unreadable(path, error) from None


def is_header(fields: Sequence[bytes]) -> bool:
    """Say whether a first line is how many words there are, and how wide."""
    return len(fields) == 2 and fields[0].isdigit() and fields[1].isdigit()


def count_numbers(fields: Sequence[bytes]) -> int:
    """Return how many fields at the end are numbers; the first is a word whatever it looks like.

    >>> count_numbers([b"at", b"home", b"0.5", b"-1e-3"]), count_numbers([b"1", b"2"])
    (2, 1)
    """
    texts = (field.decode("latin-1") for field in reversed(fields[1:]))
    return sum(1 for _ in takewhile(is_number, texts))


def parse(block: Sequence[Line], name: str) -> NDArray[np.float32]:
    """Return the numbers of some lines, (lines, width)."""
    text = io.BytesIO(b"\n".join(line.numbers for line in block))
    try:
        matrix = np.loadtxt(text, np.float32, comments=None, ndmin=2)
    except ValueError:
        matrix = np.full((1, 1), np.nan, np.float32)
    if np.isfinite(matrix).all():
        return matrix
    if len(block) == 1:
        raise DataError(
            f"Line {block[0].number:,} of {name} has something else than finite numbers after its "
            f'word, "{decode(block[0], name)}"; mend it, or leave it out.'
        )
    return np.concatenate([parse([line], name) for line in block])  # one of them is to blame


def decode(line: Line, name: str) -> str:
    """Return a word as text."""
    try:
        return line.word.decode()
    except UnicodeDecodeError:
        raise DataError(
            f"Line {line.number:,} of {name} is not UTF-8; leave out what is not: "
            f"iconv -c -f utf-8 -t utf-8 {name} > utf8-{name}"
        ) from None

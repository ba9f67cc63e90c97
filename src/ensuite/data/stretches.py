"""A large text file, read stretch by stretch: it never stands in memory as a whole."""

import codecs
import hashlib
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ensuite.core.errors import DataError

LARGE = 64_000_000
"""Bytes from which a text file is read stretch by stretch."""

STRETCH = 128 * 1024
"""Bytes after which a stretch ends, at the end of the line that they reach into."""

LONGEST_LINE = 8 * STRETCH
"""Bytes after which a stretch ends even within a line."""

BLOCK = 8 * 1024 * 1024
"""Bytes that are read at once."""

MARK = codecs.BOM_UTF8


@dataclass(frozen=True)
class Stretch:
    """Some lines of a large text file, which are read from the disk each time they are needed.

    Args:
        fingerprint: SHA-256 of the whole file: two stretches are equal where their content is.
        start: Byte of the file at which it begins.
        stop: Byte after its last.
        path: Of the file.
    """

    fingerprint: str
    start: int
    stop: int
    path: Path = field(compare=False, repr=False)

    def __len__(self) -> int:
        """Count its bytes."""
        return self.stop - self.start

    def read(self) -> str:
        """Return its text, with the line ends of Unix.

        Raises:
            DataError: If the file cannot be read, or is shorter than it was.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self.start)
                content = file.read(len(self))
        except OSError as error:
            raise DataError(f"{self.path} cannot be read ({error.strerror}).") from None
        if len(content) < len(self):
            raise DataError(f"{self.path} was cut short while it was read; start again.")
        return content.decode(errors="replace").replace("\r\n", "\n")

    def __str__(self) -> str:
        return self.read()


class LongText(Sequence[str]):
    """The lines of a large text file, as a column of a table.

    A task that reads prose asks for ``stretches``; to any other it is a sequence of lines.

    Args:
        path: The file; UTF-8.
        fingerprint: SHA-256 of its content.
        start: Bytes of the mark at its beginning that are no text.
        lines: How many lines it has.
        bounds: Bytes at which its stretches begin, and the last one ends.
    """

    def __init__(
        self, path: Path, fingerprint: str, start: int, lines: int, bounds: Sequence[int]
    ) -> None:
        self.path, self.fingerprint = path, fingerprint
        self.start, self.lines, self.bounds = start, lines, list(bounds)
        self._starts: NDArray[np.int64] | None = None

    @property
    def stretches(self) -> list[Stretch]:
        """The text in the order of the file, in pieces that end where a line does."""
        pairs = zip(self.bounds, self.bounds[1:], strict=False)
        return [Stretch(self.fingerprint, *pair, self.path) for pair in pairs]

    def __len__(self) -> int:
        """Count the lines."""
        return self.lines

    def __iter__(self) -> Iterator[str]:
        with self.path.open("rb") as file:
            file.seek(self.start)
            for line in file:
                yield _line(line)

    @overload
    def __getitem__(self, number: int) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> list[str]: ...
    def __getitem__(self, number: int | slice) -> str | list[str]:
        """Return a line, or some, without what ends it."""
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        if self._starts is None:
            self._starts = _find_lines(self.path, self.start)
        number = range(len(self))[number]
        with self.path.open("rb") as file:
            file.seek(int(self._starts[number]))
            return _line(file.readline())


def _line(content: bytes) -> str:
    return content.removesuffix(b"\n").removesuffix(b"\r").decode(errors="replace")


def _find_lines(path: Path, start: int) -> NDArray[np.int64]:
    """Return the byte at which each line begins."""
    found = [np.array([start], dtype=np.int64)]
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for at in range(start, len(content), BLOCK):
            block = np.frombuffer(content[at : at + BLOCK], dtype=np.uint8)
            found.append(np.flatnonzero(block == ord("\n")) + at + 1)
    return np.concatenate(found)


class Scan:
    """What is learned of a text file in one pass: its hash, its lines and where stretches end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hash = hashlib.sha256()
        self.decoder: Any = codecs.getincrementaldecoder("utf-8")()
        self.read = self.lines = self.start = 0
        self.last = b""
        self.bounds: list[int] = []

    def take(self, block: bytes) -> None:
        """Take the next bytes of the file.

        Raises:
            DataError: If they are no UTF-8 text; names the byte and the line.
        """
        if not self.read:
            self.start = len(MARK) if block.startswith(MARK) else 0
            self.bounds = [self.start]
        pending = len(self.decoder.getstate()[0])
        self._check(block, self.read - pending)
        self.hash.update(block)
        self._cut(block)
        self.lines += block.count(b"\n")
        self.read += len(block)
        self.last = block[-1:]

    def _check(self, block: bytes, before: int, *, final: bool = False) -> None:
        if b"\0" in block:
            at = self.read + block.index(0)
            raise DataError(f"{self.path.name} is not a text file (byte {at:,} is zero).")
        try:
            self.decoder.decode(block, final)
        except UnicodeDecodeError as error:
            line = self.lines + block.count(b"\n", 0, error.start) + 1
            name = self.path.name
            raise DataError(
                f"{name} is not UTF-8: byte {before + error.start:,}, on line {line:,}. Convert "
                f"it, for example: iconv -f windows-1252 -t utf-8 {name} > utf8-{name}"
            ) from None

    def _cut(self, block: bytes) -> None:
        """Find where stretches end within a block."""
        end = self.read + len(block)
        while (place := self.bounds[-1] + STRETCH) < end:
            found = block.find(b"\n", max(0, place - self.read))
            if found >= 0 and self.read + found - self.bounds[-1] < LONGEST_LINE:
                self.bounds.append(self.read + found + 1)
                continue
            place = self.bounds[-1] + LONGEST_LINE
            if place >= end:  # the next block may have the end of this line
                return
            inside = max(0, place - self.read)
            while inside < len(block) and block[inside] & 0xC0 == 0x80:  # within a character
                inside += 1
            if inside == len(block):
                return
            inside += block[inside] == ord("\n")  # \r and \n stay together
            self.bounds.append(self.read + inside)

    def finish(self) -> LongText:
        """Return the text, when all of it was taken."""
        self._check(b"", self.read - len(self.decoder.getstate()[0]), final=True)
        if self.bounds[-1] < self.read:
            self.bounds.append(self.read)
        lines = self.lines + (self.last != b"\n")
        return LongText(self.path, self.hash.hexdigest(), self.start, lines, self.bounds)


def scan(path: Path) -> LongText:
    """Read a text file once, block by block, and return where its stretches lie.

    Raises:
        DataError: If it is not UTF-8, or not a text; names the byte and the line.
        OSError: If it cannot be read.
    """
    found = Scan(path)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            found.take(block)
    return found.finish()

"""Running text: its documents, their lines, and where sentences begin in a line."""

import re
from collections.abc import Sequence
from typing import Literal

from ensuite.data import passages
from ensuite.data.stretches import Stretch

Borders = Literal["none", "blank", "heading"]
"""What parts the documents of a text: nothing, blank lines, or headings of the first level."""

HEADING = re.compile(r"\s*= [^=\s][^=]* =\s*")
"""A heading of the first level as WikiText writes it; those of sections are = = Name = =."""

SENTENCE = re.compile(r"[.!?…](?:\s?[»”’'\")\]])*\s+(?=['\"«“‘(\[]?\s?[A-ZÀ-ÖØ-Þ0-9])")
"""The end of a sentence: a mark of punctuation and a blank before a capital or a digit."""


def lines_of(text: str) -> list[str]:
    """Return the lines of a text that are not blank, without the blanks around them."""
    return [stripped for line in text.split("\n") if (stripped := line.strip())]


def count_bytes(text: str | Stretch) -> int:
    """Return the bytes of the lines of a text in UTF-8, without what is between lines."""
    return sum(len(line.encode()) for line in lines_of(str(text)))


def sentence_starts(line: str) -> list[int]:
    """Return where the sentences of a line begin, in characters.

    >>> sentence_starts("It rains. Why? 3 days."), sentence_starts("at 3.5 m")
    ([0, 10, 15], [0])
    """
    return [0, *(found.end() for found in SENTENCE.finditer(line))]


def find_borders(lines: Sequence[str]) -> Borders:
    """Return what parts the documents of a text: headings where it has some, else blank lines."""
    return "heading" if any(map(HEADING.fullmatch, lines)) else "blank"


def is_border(line: str, borders: Borders) -> bool:
    """Say whether a document ends before a line."""
    if borders == "heading":
        return HEADING.fullmatch(line) is not None
    return borders == "blank" and not line.strip()


def documents(lines: Sequence[str]) -> list[list[str]]:
    """Return the lines of each document, without those that are blank.

    >>> documents(["one", "two", "", "three"])
    [['one', 'two'], ['three']]
    >>> documents([" = A = ", "", "one", "", " = B = "])
    [[' = A = ', 'one'], [' = B = ']]
    """
    borders = find_borders(lines)
    found: list[list[str]] = [[]]
    for line in lines:
        if is_border(line, borders):
            found.append([])
        if line.strip():
            found[-1].append(line)
    return [document for document in found if document]


def parts_of(document: Sequence[str], size: int) -> list[str]:
    """Return the parts of a document, each of several lines and ``size`` characters or more."""
    found: list[list[str]] = []
    written = size
    for passage in passages.cut(document):
        if written >= size:
            found.append([])
            written = 0
        found[-1].append(passage)
        written += len(passage)
    return ["".join(part) for part in found]

"""Sentences with one token a line, as CoNLL's shared tasks and Universal Dependencies write them.

A line has columns: the token, annotations of it, and last its tag; an empty line ends a sentence.
Before them a column may number the tokens. Then a line that begins with # is a comment, and one
numbered 3-4 or 3.1 repeats words as they are contracted, or adds one that nobody wrote: these are
left out. In a file without numbers a # is a token.

Sources:
    Tjong Kim Sang & De Meulder (2003), https://aclanthology.org/W03-0419
    CoNLL-U: https://universaldependencies.org/format.html
"""

import re
from collections.abc import Sequence
from sys import intern
from typing import NamedTuple

from ensuite.core.errors import DataError
from ensuite.data.delimited import Parsed, lines

CONLLU = ("", "tokens", "lemma", "tags", "xpos", "feats", "head", "deprel", "deps", "misc")
"""What the ten columns of CoNLL-U are called here; the tags are its UPOS."""

DOCUMENT = "-DOCSTART-"
"""The token that stands for the beginning of a document."""

NO_TOKEN = re.compile(r"#|\d+[-.]\d+$")
"""How the first cell of a comment, a range of words or an empty node begins, among numbers."""

SEEN = 1000
"""Sentences by which it is decided whether tokens are numbered."""


class Line(NamedTuple):
    """The cells of a line; ``number`` counts the lines of the file from 1."""

    number: int
    cells: list[str]


class Block(NamedTuple):
    """The lines between two empty ones; ``start`` is the number of the first."""

    start: int
    lines: list[str]


def parse(text: str, name: str) -> Parsed:
    """Split a file's text into columns of lists, a list for each sentence; no cell is changed.

    They are called ``tokens``, ``tags`` where there is more than one column, and by their number
    in the file what stands between. Those of CoNLL-U: ``tokens``, ``lemma``, ``tags``, ``xpos``,
    ``feats``, ``head``, ``deprel``, ``deps``, ``misc``. A column of nothing but _ is left out.

    Args:
        text: The whole file.
        name: What messages call it.

    Raises:
        DataError: If a line has another number of columns, a token or a tag is empty, or there
            are no sentences.
    """
    blocks, separator = split(text)
    numbered = is_numbered(blocks, separator)
    places: dict[str, int] = {}
    columns: dict[str, list[list[str]]] = {}
    starts: list[int] = []
    for block in blocks:
        if sentence := read(block, separator, numbered):
            if not starts:
                width = len(sentence[0].cells)
                places = find_places(width, numbered)
                columns = {column: [] for column in places}
            check(sentence, width, places, name)
            starts.append(sentence[0].number)
            for column, place in places.items():
                columns[column].append([intern(cells[place]) for _, cells in sentence])
    if not starts:
        raise DataError(f"{name} has no sentences; give one token a line, and its tag beside it.")
    notes = missing_tags(columns, starts) if numbered and width == len(CONLLU) else ()
    return Parsed(filled(columns), has_header=False, starts=starts, notes=notes)


def split(text: str) -> tuple[list[Block], str]:
    """Return the sentences, with all that stands in them, and what separates cells.

    That is a tab if the first line has any, comments aside; or else a space.
    """
    everything = lines(text)
    first = next((line for line in everything if line.strip() and line[0] != "#"), "")
    blocks = [Block(1, [])]
    for number, line in enumerate(everything, 1):
        if line.strip(" \t"):
            blocks[-1].lines.append(line)
        else:
            blocks.append(Block(number + 1, []))
    return blocks, "\t" if "\t" in first else " "


def read(block: Block, separator: str, numbered: bool) -> list[Line]:
    """Return the lines that are tokens."""
    rows = [line.split(separator) for line in block.lines]
    if separator == " ":  # not split(): there are other spaces, and tokens that are one
        rows = [[cell for cell in cells if cell] for cells in rows]
    return [
        Line(number, cells)
        for number, cells in enumerate(rows, block.start)
        if cells[0] != DOCUMENT and not (numbered and NO_TOKEN.match(cells[0]))
    ]


def is_numbered(blocks: Sequence[Block], separator: str) -> bool:
    """Say whether the first column counts the tokens of each sentence, mistakes aside."""
    right = wrong = 0
    for block in blocks[:SEEN]:
        expected = {"0", "1"}
        for _, (first, *others) in read(block, separator, numbered=True):
            counts = first in expected and len(others) > 1  # two columns: a token and its tag
            right, wrong = right + counts, wrong + (not counts)
            expected = {str(int(first) + 1)} if first.isdecimal() and len(first) < 9 else set()
    return right > wrong


def find_places(width: int, numbered: bool) -> dict[str, int]:
    """Return where each column stands, by its name."""
    if numbered and width == len(CONLLU):
        return {column: place for place, column in enumerate(CONLLU) if column}
    first, last = int(numbered), width - 1
    places = {"tokens": first, **{str(place): place for place in range(first + 1, last)}}
    return {**places, "tags": last} if last > first else places


def filled(columns: dict[str, list[list[str]]]) -> dict[str, list[list[str]]]:
    """Return the columns, without the annotations that are _ everywhere: not given, in CoNLL-U."""
    return {
        column: sentences
        for column, sentences in columns.items()
        if column == "tokens" or any(cell != "_" for cells in sentences for cell in cells)
    }


def missing_tags(columns: dict[str, list[list[str]]], starts: Sequence[int]) -> tuple[str, ...]:
    """Tell of tags that are _: where others are given, that is a tag like them, and is learned."""
    without = [row for row, tags in enumerate(columns["tags"]) if "_" in tags]
    count = sum(tags.count("_") for tags in columns["tags"])
    if not count or count == sum(map(len, columns["tags"])):
        return ()
    return (
        f"{count:,} of its tags are _, which CoNLL-U writes where none is given (the first in the "
        f"sentence at line {starts[without[0]]:,}): it is learned as a tag of its own; give them "
        "their tags, or leave such sentences out",
    )


def check(sentence: Sequence[Line], width: int, places: dict[str, int], name: str) -> None:
    """Refuse a line of another width, or without its token or tag."""
    for number, cells in sentence:
        if len(cells) != width:
            plural = "column" if len(cells) == 1 else "columns"
            raise DataError(
                f"Line {number:,} of {name} has {len(cells)} {plural} where the first token has "
                f"{width}; give each token a line of as many, and an empty line between sentences."
            )
        for column in ("tokens", "tags"):
            if column in places and not cells[places[column]]:
                raise DataError(
                    f"Line {number:,} of {name} has an empty cell in column {places[column]} (its "
                    f"{column}, counted from 0); fill it in."
                )

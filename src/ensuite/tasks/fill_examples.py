"""What fill reads: documents, parts of a long text, and questions about a text."""

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from ensuite.data import prose
from ensuite.data.stretches import LongText, Stretch

FEWEST_DOCUMENTS = 10
"""Documents from which on a text is divided between them, rather than by position."""

PARTS = 100
"""Into about how many parts a text of fewer documents is divided."""

SAMPLE = 100_000
"""Lines of a large text that are looked at for headings."""

Text = str | Stretch


class Example(NamedTuple):
    """A document, or a part of one; or a question about a text."""

    text: Text
    pair: str | None = None  # asked: whether it follows the text
    asked: bool = False  # asked: what stands in place of the mask tokens
    document: int = 0
    place: int | None = None  # of a part of a text, in their order; None of a whole document
    other: Text = ""  # of another document, for the false pair of the evaluation


def read_prose(lines: Sequence[str]) -> list[Example]:
    """Return the documents of a text; where they are few, their parts in order."""
    documents = prose.documents(lines)
    if len(documents) >= FEWEST_DOCUMENTS:
        return [Example("\n".join(each), document=n) for n, each in enumerate(documents)]
    size = sum(len(line) for document in documents for line in document) // PARTS
    parts = [(n, part) for n, each in enumerate(documents) for part in prose.parts_of(each, size)]
    return [Example(part, document=n, place=place) for place, (n, part) in enumerate(parts)]


def read_long(text: LongText) -> tuple[list[Example], prose.Borders]:
    """Return the stretches of a large text, and what parts the documents in them."""
    borders = prose.find_borders(list(islice(text, SAMPLE)))
    return [Example(each, place=place) for place, each in enumerate(text.stretches)], borders


def with_others(examples: Sequence[Example]) -> list[Example]:
    """Return the examples, each with the text of another document if there is one.

    Which one depends on the number of the example alone.
    """
    stretches = any(isinstance(example.text, Stretch) for example in examples)
    keys = [n if stretches else example.document for n, example in enumerate(examples)]
    if len(set(keys)) < 2:
        return list(examples)
    random, found = np.random.default_rng(0), list[Example]()
    for key, example in zip(keys, examples, strict=True):
        place = int(random.integers(len(examples)))
        while keys[place] == key:
            place = (place + 1) % len(examples)
        found.append(example._replace(other=examples[place].text))
    return found

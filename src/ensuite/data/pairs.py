"""Pairs of texts of which the second follows the first, or is of another document.

A text is (tokens, 3), as :mod:`ensuite.data.processors.documents` encodes it: a pair is divided
where a sentence begins.

Source:
    Devlin et al. (2019), https://arxiv.org/abs/1810.04805, section 3.1
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ensuite.core.batch import IGNORE
from ensuite.data.encoded import Encoded
from ensuite.data.processors.documents import FLAGS, SENTENCE

Text = NDArray[Any]

FOLLOWS, OTHER = 0, 1
"""The two answers, in the order of the published head."""

TRIES = 8
"""Draws of a text of another document, of which one is nearly always found."""


class Pair(NamedTuple):
    """Two texts, or one that cannot be divided, and whether the second follows the first.

    Attributes:
        first: (tokens, 3).
        second: (tokens, 3); None where there is one text alone.
        answer: ``FOLLOWS``, ``OTHER``, or ``IGNORE`` for one text.
    """

    first: Text
    second: Text | None
    answer: int


class Pool(NamedTuple):
    """Windows that the second texts are drawn from.

    Attributes:
        pieces: (tokens, 3) of each.
        documents: (windows,), the number of the document of each.
    """

    pieces: Encoded
    documents: NDArray[np.int64]

    def other(self, document: int, random: np.random.Generator) -> Text | None:
        """Draw a window of another document; None where there hardly is one."""
        for number in random.integers(len(self.pieces), size=TRIES).tolist():
            if self.documents[number] != document:
                found: Text = self.pieces[number]
                return found
        return None


def borders(text: Text) -> NDArray[np.int64]:
    """Return where sentences begin in a text, but for its beginning."""
    return 1 + np.flatnonzero(text[1:, FLAGS] & SENTENCE)


def draw(window: Text, document: int, pool: Pool, room: int, random: np.random.Generator) -> Pair:
    """Divide a window between two of its sentences; half of the time take another second text.

    The text that follows and one of another document are drawn for either answer and cut to the
    length of the shorter, so that the length of a pair does not tell which of the two it is.

    Args:
        window: Consecutive sentences of a document, at most ``room`` tokens.
        document: Its number.
        pool: Windows of all documents.
        room: Most tokens of the pair.
        random: What is drawn from.
    """
    places = borders(window)
    if not len(places):
        return Pair(window, None, IGNORE)
    place = int(random.choice(places))
    other = pool.other(document, random)
    if other is None:
        return Pair(window, None, IGNORE)
    first = window[:place]
    true, false = alike(window[place:], later(other, random), room - place)
    if random.random() < 0.5:
        return Pair(first, true, FOLLOWS)
    return Pair(first, false, OTHER)


def later(text: Text, random: np.random.Generator) -> Text:
    """Return a text from one of its sentences on, but for the first if it has another."""
    places = borders(text)
    return text[int(random.choice(places)) :] if len(places) else text


def alike(one: Text, other: Text, room: int) -> tuple[Text, Text]:
    """Return the beginnings of two texts that have the same length, at most ``room`` tokens."""
    size = min(len(one), len(other), room)
    return one[:size], other[:size]


def both(text: Text, other: Text, room: int, random: np.random.Generator) -> list[Pair]:
    """Return a true and a false pair with one first text and of one length.

    There are none where the text has one sentence.

    Args:
        text: Of one document.
        other: Of another.
        room: Most tokens of a pair.
        random: What is drawn from; seeded by the text.
    """
    places = borders(text)
    if not len(places) or not len(other):
        return []
    place, half = int(random.choice(places)), room // 2
    sentences = np.append(0, places)
    start = int(sentences[sentences >= place - half].min())
    first = text[start:place] if start < place else text[place - half : place]
    true, false = alike(text[place:], later(other, random), room - len(first))
    return [Pair(first, true, FOLLOWS), Pair(first, false, OTHER)]


def around(first: Text, second: Text, room: int) -> tuple[Text, Text]:
    """Return the end of the first text and the beginning of the second that have room together."""
    half = room // 2
    before = min(len(first), max(half, room - len(second)))
    return first[len(first) - before :], second[: room - before]

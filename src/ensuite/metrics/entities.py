"""Entity-level F1, precision and recall of BIO tags (also BIOES and BILOU).

An entity is correct if its kind, its start and its end are (strict matching, as in the CoNLL shared
tasks). Tags are interpreted as by their script ``conlleval``: an I- tag that does not follow a tag
of its own kind begins an entity, like a B- tag, so every sequence of tags is valid.

Sources:
    Tjong Kim Sang & De Meulder (2003), https://aclanthology.org/W03-0419
    Tjong Kim Sang & Buchholz (2000), https://aclanthology.org/W00-0726: ``conlleval``
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ensuite.core.display import Display
from ensuite.core.score import Numbers, Score, ratio

NEXT = frozenset("IEL")
"""Prefixes of a tag that continues an entity: inside (BIO), end (BIOES), last (BILOU)."""

LAST = frozenset("ESLU")
"""Prefixes of a tag that ends an entity: end, single, last, unit."""

LETTERS = NEXT | LAST | {"B"}

Tags = Sequence[str]


class Entity(NamedTuple):
    """A kind, and the tokens from ``start`` to before ``end``, counted from 0."""

    kind: str
    start: int
    end: int


def entities(tags: Tags) -> list[Entity]:
    """Return the entities that tags mark, in order; a tag without a known prefix marks none.

    >>> entities(["B-PER", "I-PER", "O", "I-LOC", "I-ORG"])[1:]
    [Entity(kind='LOC', start=3, end=4), Entity(kind='ORG', start=4, end=5)]
    """
    found: list[Entity] = []
    goes_on = False
    for place, tag in enumerate(tags):
        letter, _, kind = tag.partition("-")
        if letter not in LETTERS:
            goes_on = False
            continue
        if goes_on and letter in NEXT and kind == found[-1].kind:
            found[-1] = found[-1]._replace(end=place + 1)
        else:
            found.append(Entity(kind, place, place + 1))
        goes_on = letter not in LAST
    return found


def count_orphans(tags: Tags) -> int:
    """Count the tags that continue an entity where there is none; they begin one.

    >>> count_orphans(["I-PER", "I-PER", "O", "B-LOC", "I-PER"])
    2
    """
    return sum(tags[entity.start].partition("-")[0] in NEXT for entity in entities(tags))


def is_bio(tags: Iterable[str]) -> bool:
    """Return whether tags mark entities: at least one does, and all others are O.

    >>> is_bio({"O", "B-PER", "I-PER"}), is_bio({"NOUN", "X"}), is_bio({"O"})
    (True, False, False)
    """
    letters = {tag.partition("-")[0] for tag in tags}
    return bool(letters - {"O"}) and letters <= LETTERS | {"O"}


def entity_f1(predicted: Sequence[Tags], true: Sequence[Tags | None]) -> Score:
    """Return the micro-averaged F1 of the entities of all sentences.

    Args:
        predicted: The tags of each sentence.
        true: The correct tags; None for a sentence whose tags are not known, which is left out.
    """
    return Score(_count(predicted, true), _f1, display=Display(name="entity F1", points=100))


def entity_precision(predicted: Sequence[Tags], true: Sequence[Tags | None]) -> Score:
    """Return the share of the predicted entities that are right."""
    return Score(_count(predicted, true), _precision, display=Display(points=100))


def entity_recall(predicted: Sequence[Tags], true: Sequence[Tags | None]) -> Score:
    """Return the share of the true entities that are found."""
    return Score(_count(predicted, true), _recall, display=Display(points=100))


def _pairs(
    predicted: Sequence[Tags], true: Sequence[Tags | None]
) -> Iterator[tuple[set[Entity], set[Entity]]]:
    """Yield the predicted and true entities of each sentence; none if the truth is not known."""
    for guess, truth in zip(predicted, true, strict=True):
        yield (set(), set()) if truth is None else (set(entities(guess)), set(entities(truth)))


def _count(predicted: Sequence[Tags], true: Sequence[Tags | None]) -> Numbers:
    """Return the number of correct, predicted and true entities of each sentence."""
    counts = [(len(a & b), len(a), len(b)) for a, b in _pairs(predicted, true)]
    return np.array(counts, float).reshape(-1, 3)


def _f1(sums: Numbers) -> Numbers:
    return ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


def _precision(sums: Numbers) -> Numbers:
    return ratio(sums[..., 0], sums[..., 1])


def _recall(sums: Numbers) -> Numbers:
    return ratio(sums[..., 0], sums[..., 2])

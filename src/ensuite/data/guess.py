"""Which task a file is for, where the user does not say: by the columns it has."""

from collections.abc import Sequence
from typing import NamedTuple

from ensuite.core.table import Table
from ensuite.data import columns, images, inputs, roles

TAGS = ("tags", "ner_tags", "pos_tags", "upos")
PAIRS = (("source", "src"), ("target", "tgt", "translation"))
CAPTIONS = ("text", "caption", "description")
LABELS = ("label", "labels", "class", "category", "sentiment", "language")
TARGETS = ("target", "targets", "y", "value", "score", "rating")

FEW = 20
"""Distinct numbers up to which a column of whole numbers is taken for classes."""


class Guess(NamedTuple):
    """A task, and what in the file speaks for it."""

    task: str
    reason: str


def guess_task(table: Table) -> Guess:
    """Return the task that a file looks to be for."""
    if table.starts is not None:
        return Guess("tag", "it has a token on each line")
    if table.prose:
        return Guess("generate", "it is plain text")
    found = _by_name(table)
    if found is not None:
        return found
    words = [name for name in table.columns if columns.is_words(table, name)]
    if len(table.columns) == 1 and words:
        return Guess("generate", "it has one column, of texts")
    if len(table.columns) == 2 and len(words) == 2 and all(_differ(table, n) for n in words):
        return Guess("translate", "it has two columns of texts")
    return Guess("classify", "no other task fits its columns better")


def _by_name(table: Table) -> Guess | None:
    """Return the task that the names of the columns tell; None where they tell none."""
    tags, label = _find(table, TAGS), _find(table, LABELS)
    if tags:
        return Guess("tag", f"it has the column {tags}")
    if label:
        return _by_numbers(table, label) or Guess("classify", f"it has the column {label}")
    source, target = (_find(table, names) for names in PAIRS)
    if source and target:
        return Guess("translate", f"it has the columns {source} and {target}")
    picture, text = _find(table, inputs.IMAGE_NAMES), _find(table, CAPTIONS)
    if picture and text and images.is_picture(table.columns[picture][0]):
        return Guess("caption", f"it has the columns {picture} and {text}")
    time = _find(table, roles.TIME_NAMES)
    others = [name for name in table.columns if name != time]
    if time and any(columns.is_numeric(table, name) for name in others):
        return Guess("forecast", f"it has times, in the column {time}, and numbers")
    number = _find(table, TARGETS)
    return _by_numbers(table, number) if number else None


def _differ(table: Table, column: str) -> bool:
    """Return whether most cells of a column are different, as those of texts are."""
    cells = list(map(str, table.columns[column]))
    return 2 * len(set(cells)) > len(cells)


def _find(table: Table, names: Sequence[str]) -> str | None:
    return columns.find(table, "", names, {})


def _by_numbers(table: Table, column: str) -> Guess | None:
    """Return ``regress`` for a column of many numbers, or of numbers that are not whole."""
    if not columns.is_numeric(table, column):
        return None
    numbers = columns.parse(table.columns[column]).numbers.reshape(-1)
    numbers = numbers[numbers == numbers]
    whole = bool((numbers == numbers.round()).all())
    if whole and len(set(numbers.tolist())) <= FEW:
        return None
    return Guess("regress", f"the column {column} holds numbers")

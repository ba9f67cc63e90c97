"""The examples of answer: a context, a question, and the offsets of its answers."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ensuite.core.errors import DataError
from ensuite.core.table import Table
from ensuite.data import columns

CONTEXT_NAMES = ("context", "paragraph", "passage")
QUESTION_NAMES = ("question", "query")
ANSWER_NAMES = ("answers", "answer")
ARTICLE_NAMES = ("article", "title")
START = "answer_start"
"""The column of the places of answers that are texts, and the key of those that are mappings."""

FIELDS = ("context", "question")


class Span(NamedTuple):
    """An answer, and its first character in the context."""

    text: str
    start: int


class Example(NamedTuple):
    """A question about a text."""

    context: str
    question: str
    article: str | None = None  # questions about one article stay in one part
    answers: tuple[Span, ...] | None = None  # empty: there is none; None: it is asked for

    @property
    def truths(self) -> tuple[str, ...] | None:
        """The texts of the answers."""
        return None if self.answers is None else tuple(each.text for each in self.answers)


def read_examples(table: Table, given: Mapping[str, str], *, asking: bool) -> list[Example]:
    """Return an example for each row.

    Raises:
        DataError: If a column is absent, or a row has no context or question, or an answer that is
            not in its context.
    """
    contexts = table.columns[columns.require(table, "context", CONTEXT_NAMES, given)]
    questions = table.columns[columns.require(table, "question", QUESTION_NAMES, given)]
    named = columns.find(table, "article", ARTICLE_NAMES, given)
    articles = table.columns[named] if named else [None] * table.rows
    find = columns.find if asking else columns.require
    column = find(table, "answers", ANSWER_NAMES, given)
    cells: Sequence[Any] = [None] * table.rows
    if column is not None and not asking:
        cells = list(map(with_start, table.columns[column], table.columns.get(START, cells)))
    ids = table.columns.get("id", [None] * table.rows)
    examples = []
    for row in range(table.rows):
        texts = {"context": contexts[row], "question": questions[row]}
        article = None if articles[row] is None else str(articles[row])
        try:
            check(texts)
            answers = None if asking else read_answers(cells[row], contexts[row])
        except DataError as error:
            called = "" if ids[row] is None else f" (id {ids[row]})"  # rows of SQuAD are nested
            raise DataError(f"{table.where(row)}{called}: {error}") from None
        examples.append(Example(contexts[row], questions[row], article, answers))
    return examples


def with_start(cell: Any, start: Any) -> Any:
    """Return the answers of a cell with the place that a column beside it gives; as in CSV, text.

    >>> with_start("324 m", "20"), with_start("324 m", ""), with_start("", "20")
    ({'text': '324 m', 'answer_start': 20}, '324 m', '')
    """
    texts = as_list(cell)
    if not texts or not all(isinstance(text, str) and text for text in texts):
        return cell
    if start is None or (isinstance(start, str) and not start.strip()):
        return cell
    if isinstance(start, str) and re.fullmatch(r"\s*-?[0-9]+\s*", start):
        start = int(start)
    return {"text": cell, START: start}


def check(texts: Mapping[str, Any]) -> None:
    """Refuse a context or question that is not a text, or is blank.

    Raises:
        DataError: Says which.
    """
    for name, text in texts.items():
        if not isinstance(text, str):
            raise DataError(f"the {name} is not a text; give one.")
        if not text.strip():
            raise DataError(f"the {name} is empty; give its text.")


def read_answers(cell: Any, context: str) -> tuple[Span, ...]:
    """Return the answers of a cell; none of an empty one.

    It is a text, a list of texts, a list of {"text": ..., "answer_start": ...}, or one such mapping
    whose values are lists, as the datasets library has it.

    Raises:
        DataError: If it is something else, or an answer does not stand in the context.
    """
    if cell is None or (isinstance(cell, str) and not cell):
        return ()
    if isinstance(cell, Mapping):
        if "text" not in cell:
            raise DataError("its answers are missing; give a list, an empty one if there is none.")
        texts, starts = as_list(cell["text"]), as_list(cell.get(START))
        starts = starts or [None] * len(texts)
        if len(starts) != len(texts):
            raise DataError(
                f"there are {len(texts)} answers and {len(starts)} places of them; give one each."
            )
        pairs = list(zip(texts, starts, strict=True))
    elif isinstance(cell, str | list | tuple | np.ndarray):
        pairs = [
            (each.get("text"), each.get(START)) if isinstance(each, Mapping)
            else (each, None)
            for each in as_list(cell)
        ]  # fmt: skip
    else:
        raise DataError(f"{cell!r} is no answer; give its text.")
    return tuple(place(text, start, context) for text, start in pairs)


def as_list(value: Any) -> list[Any]:
    """Return the members of a list, or of one of its kind; a single value alone."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple | np.ndarray) else [value]


def place(text: Any, start: Any, context: str) -> Span:
    """Return an answer with its offset; without one, that of its first occurrence.

    Raises:
        DataError: If it does not stand there.
    """
    if not isinstance(text, str) or not text.strip():
        raise DataError("an answer is empty or no text; leave it out if there is no answer.")
    if start is None:
        found = context.find(text)
        if found < 0:
            raise DataError(f'the answer "{text[:60]}" is not in the context; mend one of them.')
        return Span(str(text), found)
    if isinstance(start, bool) or not isinstance(start, int | np.integer):
        raise DataError(f"the place of an answer, {start!r}, is not a whole number; mend it.")
    if not 0 <= start < len(context):
        raise DataError(
            f'the answer "{text[:60]}" is to start at character {start:,} of a context of '
            f"{len(context):,} characters; mend answer_start, or leave it out to have the answer "
            "searched for."
        )
    there = context[start : start + len(text)]
    if there != text:
        raise DataError(
            f'the answer "{text[:60]}" does not stand at character {start:,} of the context, where '
            f'"{there[:60]}" stands; mend answer_start, or leave it out to have it searched for.'
        )
    return Span(str(text), int(start))


def ask(raw: Any) -> Example:
    """Make an example of what is asked: a mapping, or a context and a question.

    Raises:
        DataError: If one of the two is missing.
    """
    if isinstance(raw, Example):
        return raw
    if isinstance(raw, tuple) and len(raw) == 2:
        raw = dict(zip(FIELDS, raw, strict=True))
    if not isinstance(raw, Mapping) or any(name not in raw for name in FIELDS):
        raise DataError(
            'Give a text and a question about it: context=@FILE.txt question="Who wrote it?"'
        )
    texts = {name: raw[name] for name in FIELDS}
    try:
        check(texts)
    except DataError as error:
        raise DataError(f"There is nothing to answer: {error}") from None
    return Example(**texts)

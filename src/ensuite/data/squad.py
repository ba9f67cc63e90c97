"""SQuAD's JSON: articles of paragraphs of questions, as one row for each question.

Source:
    Rajpurkar et al. (2016), https://arxiv.org/abs/1606.05250; version 2 with questions that have no
    answer: Rajpurkar, Jia & Liang (2018), https://arxiv.org/abs/1806.03822
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ensuite.core.errors import DataError

KEYS = ("id", "article", "context", "question", "answers")


def is_squad(value: Any) -> bool:
    """Say whether a JSON value has the articles and paragraphs of SQuAD."""
    articles = value.get("data") if isinstance(value, Mapping) else None
    if not isinstance(articles, list) or not articles:
        return False
    return all(isinstance(each, Mapping) and "paragraphs" in each for each in articles)


def flatten(value: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return a row for each question.

    Args:
        value: What the file holds.
        name: Of the file, for messages.

    Raises:
        DataError: If a part is missing; says which and where.
    """
    rows = []
    for number, article in enumerate(value["data"], 1):
        where = f"article {number} of {name}"
        for place, paragraph in enumerate(each(article, "paragraphs", where), 1):
            inner = f"paragraph {place} of {where}"
            for question in each(paragraph, "qas", inner):
                if not isinstance(question, Mapping) or "question" not in question:
                    raise DataError(f'A question in {inner} has no "question"; mend the file.')
                rows.append(row(article, paragraph, question))
    if not rows:
        raise DataError(f"{name} has articles and no question; give some under qas.")
    return rows


def each(part: Any, key: str, where: str) -> Iterator[Any]:
    """Return the members of a list that a part holds.

    Raises:
        DataError: If it holds none.
    """
    found = part.get(key) if isinstance(part, Mapping) else None
    if not isinstance(found, list):
        raise DataError(f'{where} has no list "{key}"; mend the file.')
    return iter(found)


def row(
    article: Mapping[str, Any], paragraph: Mapping[str, Any], question: Mapping[str, Any]
) -> dict[str, Any]:
    """Return one question with its paragraph; answers that are only plausible are left out.

    Those of a question without the key are an empty mapping: it is not known whether there are any.
    """
    impossible = question.get("is_impossible") is True
    answers = [] if impossible else question.get("answers")
    answers = {} if answers is None else answers
    values = (question.get("id"), article.get("title"), paragraph.get("context"))
    return dict(zip(KEYS, (*values, question["question"], answers), strict=True))

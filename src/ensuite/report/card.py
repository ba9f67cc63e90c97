"""The model card of a run or a comparison: README.md, with the metadata that model hubs read."""

import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ensuite.report import words
from ensuite.report.page import leaderboard_of, ledger
from ensuite.report.table import columns, facts
from ensuite.report.values import ComparisonPage, Leaderboard, RunPage
from ensuite.report.verdict import too_short


def comparison_card(page: ComparisonPage) -> str:
    """Return the README.md of a comparison's folder, about its winner."""
    board = page.leaderboard
    table = columns(board, page.unit)
    return _render(
        page,
        board,
        compared=True,
        sentences=page.verdict,
        table=_grid(
            [column.title for column in table],
            zip(*(column.cells for column in table), strict=True),
        ),
        limits=[f"{topic}: {found}." for topic, found in ledger(board.rows, page.unit)],
    )


def run_card(page: RunPage) -> str:
    """Return the README.md of a run's folder."""
    board = leaderboard_of(page)
    row, examples = page.row, words.counted(page.test_examples, page.unit)
    short = row.converged is False
    limits = [too_short([row.name], page.budget, page.higher_is_better)] if short else []
    return _render(
        page,
        board,
        compared=False,
        sentences=[f"Its scores were taken on {examples} that it had not seen."],
        table=_grid(["", row.name], facts(columns(board, page.unit), 0)),
        limits=limits + [f"{topic}: {found}." for topic, found in ledger([row], page.unit)],
    )


def _render(page: ComparisonPage | RunPage, board: Leaderboard, **more: Any) -> str:
    """Fill the template with what both kinds of card have, and ``more``."""
    row = next((row for row in board.rows if row.name == board.winner), None)
    scores = {} if row is None else {**row.metrics}
    if row is not None and board.metric is not None:
        scores = {board.metric: row.score, **scores}
    return (
        _templates()
        .get_template("card.md.jinja")
        .render(
            **more,
            board=board,
            name=f"{board.task} models" if row is None else row.name,
            pipeline_tag=page.pipeline,
            tags=["ensuite", board.task, *([] if row is None else [row.kind])],
            metrics={key: value for key, value in scores.items() if value is not None},
            use=page.use,
            folder=page.folder,
            check=page.check,
            capsule=page.capsule,
        )
    )


@cache
def _templates() -> Environment:
    """Return the templates beside this file; Markdown and YAML escape by filter, not by rule."""
    templates = Environment(
        loader=PackageLoader("ensuite.report", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {"quoted": _quoted, "plain": _plain}
    return templates


def _quoted(value: str | float) -> str:
    r"""Write a value so that YAML and Python both read it, as JSON without escapes.

    >>> print(_quoted('say "hi"\n'), _quoted(0.5))
    "say \"hi\" " 0.5
    """
    if isinstance(value, str):
        value = "".join(letter if letter.isprintable() else " " for letter in value)
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _plain(text: str) -> str:
    r"""Write text so that Markdown shows it as it is, on one line.

    >>> print(_plain("a|b <script>\n# c"))
    a\|b \<script\> \# c
    """
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))


def _grid(headings: Sequence[str], bodies: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [[_plain(cell) for cell in line] for line in (headings, *bodies)]
    lines.insert(1, ["---"] * len(headings))
    return [f"| {' | '.join(line)} |" for line in lines]

"""A self-contained HTML page about a comparison or a run: loads nothing, escapes everything."""

import base64
import gzip
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from ensuite.core.presentation import Figure
from ensuite.core.printable import printable
from ensuite.report import words
from ensuite.report.cost import score_against_cost
from ensuite.report.figures import confusion_matrix, learning_curves, reliability_diagram
from ensuite.report.marks import advice, mark
from ensuite.report.table import columns, facts, metrics_first
from ensuite.report.values import ComparisonPage, Leaderboard, Row, RunPage

MOST_FACTS = 5
"""Number of the winner's figures that are shown above a comparison's table."""


def comparison_html(page: ComparisonPage) -> str:
    """Return the page of a comparison: the recommendation, the table, then the evidence."""
    board = page.leaderboard
    table = columns(board, page.unit)
    names = [row.name for row in board.rows]
    figures = (
        score_against_cost(board, page.unit),
        learning_curves(page.curves, page.curve_title, board.winner, board.budget),
        *page.figures,
    )
    return _render(
        page,
        title=f"{board.task} · {board.data}",
        headline=page.verdict[0],
        so_far=bool(advice(board.rows, board.budget, board.higher_is_better)),
        sentences=page.verdict[1:],
        facts=facts(table, names.index(board.winner))[:MOST_FACTS] if board.winner else [],
        terms=_terms(board),
        figures=figures,
        only_right=page.only_right,
        **_table(board, page.unit),
    )


def leaderboard_html(board: Leaderboard, unit: str, verdict: str = "") -> str:
    """Return the table of a comparison's page, to be shown within another page, as in a notebook.

    Args:
        board: All rows.
        unit: What one input is called.
        verdict: What is said about them, above the table.
    """
    template = _templates().get_template("notebook.html.jinja")
    return template.render(verdict=verdict, terms=_terms(board), **_table(board, unit))


def run_html(page: RunPage) -> str:
    """Return the page of one trained run, in the same order and style as a comparison's."""
    row = page.row
    board = leaderboard_of(page)
    figures = facts(columns(board, page.unit), 0)
    examples = words.counted(page.test_examples, page.unit)
    curve = learning_curves(page.curves, page.curve_title, row.name, page.budget)
    scored = f"{row.name} has no score."
    if page.metric is None:
        scored = f"{row.name} on {examples}."
    elif row.score is not None:
        scored = f"{row.name}: {' '.join(figures[0])} on {examples}."
    return _render(
        page,
        title=f"{page.task} · {page.data}",
        headline=scored,
        so_far=False,
        sentences=list(filter(None, [advice([row], page.budget, page.higher_is_better)])),
        facts=figures,
        table=(),
        rows=(row,),
        winner=row.name,
        figures=(curve, *page.figures),
        only_right=(),
    )


def leaderboard_of(page: RunPage) -> Leaderboard:
    """Return a run as a leaderboard of one row."""
    return Leaderboard(
        task=page.task,
        data=page.data,
        metric=page.metric,
        higher_is_better=page.higher_is_better,
        budget=page.budget,
        seeds=len(page.capsule.seeds),
        winner=page.row.name,
        smallest_visible_difference=None,
        rows=(page.row,),
        displays=page.displays,
    )


def ledger(rows: Sequence[Row], unit: str) -> list[tuple[str, str]]:
    """Return the lines about truncated inputs, for each row where truncation is known."""
    known = [row for row in rows if row.truncated_rows is not None]
    cut = [row for row in known if row.truncated_rows]
    if known and not cut:
        return [("cut", f"nothing: every {unit} was read whole")]
    return [(f"cut for {row.name}", _cut(row, unit)) for row in cut]


def _table(board: Leaderboard, unit: str) -> dict[str, Any]:
    """Return what the template of the table reads; notes stand below the names of the rows."""
    table = metrics_first(columns(board, unit))
    return {
        "table": [column for column in table if column.title != "note"],
        "notes": [mark(row, board.higher_is_better) for row in board.rows],
        "rows": board.rows,
        "winner": board.winner,
    }


def _render(page: ComparisonPage | RunPage, figures: Sequence[Figure | None], **more: Any) -> str:
    """Render the template with the fields that both kinds of page share, and ``more``."""
    drawn = [figure for figure in figures if figure]
    reliable = reliability_diagram(page.reliability, more["winner"])
    text = (
        _templates()
        .get_template("page.html.jinja")
        .render(
            **more,
            figures=drawn,
            confusions=[confusion_matrix(confusion) for confusion in page.confusions],
            not_confused=page.not_confused,
            classes=page.classes,
            reliability=reliable,
            outputs=page.outputs,
            places=words.decimals(each.score for out in page.outputs for each in out.answers),
            mistakes=page.mistakes,
            check=page.check,
            ledger=ledger(more["rows"], page.unit),
            capsule=page.capsule,
            folders=[(row.name, row.folder) for row in more["rows"] if row.folder],
            unit=page.unit,
            plotly=_packed_plotly() if drawn or page.confusions or reliable else "",
        )
    )
    return printable(text)


@cache
def _templates() -> Environment:
    """Return the templates beside this file, with their filters."""
    templates = Environment(
        loader=PackageLoader("ensuite.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.policies["json.dumps_kwargs"] = {"allow_nan": False}
    templates.filters |= {
        "shorten": words.shorten,
        "counted": words.counted,
        "plural": words.plural,
        "embedded": _embedded,
        "score": words.score,
        "opinions": _opinions,
        "typed": _typed,
    }
    return templates


@cache
def _packed_plotly() -> str:
    packed = gzip.compress(
        get_plotlyjs().encode(), mtime=0
    )  # without a time stamp, equal pages have equal bytes
    return base64.b64encode(packed).decode()


def _terms(board: Leaderboard) -> str:
    """Say under which terms the candidates met."""
    runs = words.counted(board.folds or board.seeds, "fold" if board.folds else "seed")
    terms = f"{runs}, {f'budget {board.budget} each' if board.budget else 'equal budgets'}."
    if board.metric is None:
        return terms
    better = "Higher" if board.higher_is_better else "Lower"
    metric = board.title(board.metric)
    tied = any(row.tie_group for row in board.rows)
    grouped = " Rows of one group cannot be told apart." if tied else ""
    return f"{better} {metric} is better. {terms}{grouped}"


def _cut(row: Row, unit: str) -> str:
    tokens = f", {words.counted(row.truncated_tokens, 'token')}" if row.truncated_tokens else ""
    return f"{words.counted(row.truncated_rows or 0, unit)}{tokens} not read"


def _embedded(picture: bytes) -> str:
    """Return a PNG as a data URL.

    >>> _embedded(b"PNG")
    'data:image/png;base64,UE5H'
    """
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def _opinions(others: Mapping[str, str]) -> str:
    """Return the predictions of the other candidates; a single one if they agree.

    >>> _opinions({"gru": "positive", "rnn": "positive"}), _opinions({"gru": "a", "rnn": "b"})
    ('positive', 'gru: a, rnn: b')
    """
    said = list(dict.fromkeys(others.values()))
    return said[0] if len(said) == 1 else ", ".join(f"{n}: {it}" for n, it in others.items())


def _typed(sentence: str) -> Markup:
    """Format command-line options in a sentence as code.

    >>> print(_typed("It was <still> rising (--budget 3m)."))
    It was &lt;still&gt; rising (<code>--budget 3m</code>).
    """
    return Markup(re.sub(r"--[a-z-]+( [\w,]+)?", r"<code>\g<0></code>", str(escape(sentence))))

"""Figures as plotly's JSON, each with the same in words for whoever cannot see it.

They are plain dictionaries: importing plotly's own classes costs more than the page does. Colours
of text, axes and grid are left to the page's style sheet, which knows light, dark and print.
"""

import html
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ensuite.report import words
from ensuite.report.values import Confusion, Curve, Leaderboard, Row

ACCENT = "#0072B2"
"""Okabe & Ito's blue, https://jfly.uni-koeln.de/color/: what the page wants seen first."""

COLOURS = ("#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""The rest of their palette, less yellow (too faint on white) and black."""

GREY = "#808890"
DASHES = ("solid", "dash", "dot", "dashdot")

MOST_LABELS_WITH_COUNTS = 12
"""A confusion matrix with more labels has cells too small for a number on a telephone."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure.

    Args:
        title: Its heading.
        caption: How to read it, in a sentence or two.
        words: The same without seeing it, a line for each thing it shows.
        data: plotly's traces.
        layout: plotly's layout.
    """

    title: str
    caption: str
    words: tuple[str, ...]
    data: tuple[Mapping[str, Any], ...]
    layout: Mapping[str, Any]


def paints(names: Iterable[str], winner: str, plain: Iterable[str] = ()) -> dict[str, str]:
    """Give each name its colour: the accent to the winner, grey to the ``plain`` ones."""
    grey = set(plain)
    others = [name for name in dict.fromkeys(names) if name != winner and name not in grey]
    paint = {name: COLOURS[turn % len(COLOURS)] for turn, name in enumerate(others)}
    return paint | dict.fromkeys(grey, GREY) | {winner: ACCENT}


def pareto_front(rows: Sequence[tuple[float, float]]) -> list[int]:
    """Return which (cost, goodness) no other beats in both, from the cheapest on.

    >>> pareto_front([(1.0, 0.7), (0.3, 0.8), (1.1, 0.9), (2.0, 0.9)])
    [1, 2]
    """
    front: list[int] = []
    for place in sorted(range(len(rows)), key=lambda place: (rows[place][0], -rows[place][1])):
        if not front or rows[place][1] > rows[front[-1]][1]:
            front.append(place)
    return front


def score_against_cost(leaderboard: Leaderboard, unit: str) -> Figure | None:
    """Draw score over latency (or over training, where fewer than two rows have a latency)."""
    for field, title, write in (
        ("latency_ms", f"time for one {unit} (ms)", words.latency),
        ("train_seconds", "time to train (s)", words.duration),
    ):
        rows = [row for row in leaderboard.rows if row.score is not None and getattr(row, field)]
        if len(rows) > 1:
            break
    else:
        return None
    sign = 1 if leaderboard.higher_is_better else -1
    costs = [float(getattr(row, field)) for row in rows]
    front = pareto_front([(cost, sign * (row.score or 0)) for cost, row in zip(costs, rows)])
    metric = words.metric_name(leaderboard.metric)
    return Figure(
        title="What the score costs",
        caption=f"Each row's {metric} over its {title}, on a logarithmic scale. The line joins the "
        "rows that no other beats in both; the bars are the spread over seeds.",
        words=tuple(
            f"{row.name}: {metric} {row.score:.3g}, {write(cost)}"
            + (", on the front." if place in front else ".")
            for place, (row, cost) in enumerate(zip(rows, costs, strict=True))
        ),
        data=(_front(rows, costs, front), *_dots(leaderboard, rows, costs, front)),
        layout=_layout(height=380)
        | {"showlegend": False}
        | {"xaxis": _axis(title, type="log", dtick="D2", range=_around(costs))}
        | {"yaxis": _axis(metric)},
    )


def learning_curves(
    curves: Sequence[Curve], metric: str, *, winner: str, budget: str
) -> Figure | None:
    """Draw the validation score of every seed over the share of the budget spent."""
    drawn = [curve for curve in curves if curve.points]
    if not drawn:
        return None
    paint = paints((curve.name for curve in drawn), winner)
    name = words.metric_name(metric)
    return Figure(
        title="How they learned",
        caption=f"Validation {name}, a line for each seed. The upright line is where the budget "
        f"({budget}) ends: a curve that still climbs there had too little.",
        words=tuple(map(_told, drawn)),
        data=tuple(
            _line(curve, paint[curve.name], first=curve.seed == _seeds(drawn, curve.name)[0])
            for curve in drawn
        ),
        layout=_layout(height=380)
        | {"shapes": [_upright(100)], "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"}}
        | {"xaxis": _axis("share of the budget", ticksuffix=" %", range=[0, 103])}
        | {"yaxis": _axis(f"validation {name}")},
    )

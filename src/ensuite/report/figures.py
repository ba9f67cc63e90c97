"""Figures as plotly JSON, each with a description in words for accessibility.

They are plain dictionaries, because importing plotly's classes takes longer than writing the page.
The page's style sheet sets the colours of text, axes and grid for light mode, dark mode and print.
"""

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

from ensuite.core.presentation import Figure, Part
from ensuite.report import words
from ensuite.report.values import Confusion, Curve, Leaderboard, Row

ACCENT = "#0072B2"
"""The blue of Okabe & Ito's palette, https://jfly.uni-koeln.de/color/; marks the winner."""

COLOURS = ("#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""The rest of the palette, without yellow (too faint on white) and black."""

GREY = "#808890"

DASHES = ("solid", "dash", "dot")
"""Line styles, used in turn when there are more lines than colours."""

MOST_COUNTS = 10
"""With more labels, the cells of a confusion matrix are too small for counts on a phone."""

MOST_LABELS = 30
"""With more labels, their names beside the confusion matrix are unreadable."""

MOST_CONFUSIONS_TOLD = 3

MANY_POWERS = 6
"""With this many powers of ten on a logarithmic axis, only the powers themselves get a tick."""


def line_styles(names: Iterable[str], winner: str | None) -> dict[str | None, Part]:
    """Return the colour and dash of each name's line; the winner has the accent colour."""
    others = [name for name in dict.fromkeys(names) if name != winner]
    styles: dict[str | None, Part] = {
        name: {
            "color": COLOURS[turn % len(COLOURS)],
            "dash": DASHES[turn // len(COLOURS) % len(DASHES)],
        }
        for turn, name in enumerate(others)
    }
    return {winner: {"color": ACCENT, "dash": "solid"}, **styles}


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the Pareto-optimal (cost, score) points, cheapest first.

    >>> pareto_front([(1.0, 0.7), (0.3, 0.8), (1.1, 0.9), (2.0, 0.9)])
    [1, 2]
    """
    front: list[int] = []
    for place in sorted(range(len(points)), key=lambda it: (points[it][0], -points[it][1])):
        if not front or points[place][1] > points[front[-1]][1]:
            front.append(place)
    return front


def score_against_cost(leaderboard: Leaderboard, unit: str) -> Figure | None:
    """Plot score against latency; None if fewer than two rows have both."""
    rows = sorted(
        (row for row in leaderboard.rows if row.score is not None and row.latency_ms),
        key=lambda row: row.latency_ms or 0,
    )
    if len(rows) < 2:
        return None
    sign = 1 if leaderboard.higher_is_better else -1
    places = pareto_front([(row.latency_ms or 0, sign * (row.score or 0)) for row in rows])
    front = [rows[place] for place in places]
    metric = leaderboard.title(leaderboard.metric or "")
    return Figure(
        title="Score against cost",
        caption=f"{'Higher' if leaderboard.higher_is_better else 'Lower'} and further left is "
        "better. The dotted line is the Pareto front: no other row is better in both score and "
        "latency. Error bars are the standard deviation over seeds."
        + _left_out(leaderboard.rows, rows),
        words=tuple(_priced(row, on_front=row in front) for row in rows),
        data=(
            _steps(front, until=rows[-1]),
            _dots(rows, front, leaderboard.winner),
            _names(rows),
        ),
        layout=_layout(380, _latencies(rows, unit), _axis(metric)),
    )


def learning_curves(
    curves: Sequence[Curve], metric: str, winner: str | None, budget: str
) -> Figure | None:
    """Plot the validation score of every seed against the share of the budget spent."""
    curves = [curve for curve in curves if curve.points]
    if not curves:
        return None
    names = [curve.name for curve in curves]
    styles = line_styles(names, winner)
    return Figure(
        title="Learning curves",
        caption=f"Validation {metric}, one line per seed. The vertical line marks the end of the "
        f"budget{f' ({budget})' if budget else ''}.",
        words=tuple(map(_told, curves)),
        data=tuple(
            _line(curve, styles[curve.name], legend=names.index(curve.name) == place)
            for place, curve in enumerate(curves)
        ),
        layout=_layout(
            400,
            _axis("share of the budget", ticksuffix=" %", range=[0, 103], dtick=25),
            _axis(f"validation {metric}"),
            showlegend=len(set(names)) > 1,
            shapes=[_upright(100)],
        ),
    )


def confusion_matrix(confusion: Confusion) -> Figure:
    """Draw a confusion matrix whose rows (true labels) are shaded by their share."""
    few = len(confusion.labels) <= MOST_COUNTS
    ticks = _ticks(confusion.labels, size=12 if few else 9)
    return Figure(
        title=confusion.name,
        caption="" if few else "Hover over or tap a cell to see its labels and counts.",
        words=tuple(_confused(confusion)),
        data=(_cells(confusion, few),),
        layout=_layout(
            320 if few else 480,
            _axis("predicted", showgrid=False, **ticks),
            _axis("true", showgrid=False, autorange="reversed", **ticks),
        ),
    )


def _ticks(labels: Sequence[str], size: int) -> Part:
    return {
        "tickvals": list(range(len(labels))),
        "ticktext": [_label(label, 14) for label in labels],
        "tickfont": {"size": size},
        "showticklabels": len(labels) <= MOST_LABELS,
        "ticks": "",
    }


def _cells(confusion: Confusion, counted: bool) -> Part:
    """Return the matrix as a heatmap, with counts in the cells if they fit."""
    names = [_label(label, 40) for label in confusion.labels]
    return {
        "type": "heatmap",
        "z": [[count / (sum(row) or 1) for count in row] for row in confusion.counts],
        "zmin": 0,
        "zmax": 1,
        "text": [[f"{count:,}" for count in row] for row in confusion.counts],
        "texttemplate": "%{text}" if counted else "",
        "colorscale": [[0, "rgba(86,180,233,0)"], [1, "rgba(86,180,233,0.7)"]],
        "showscale": False,
        "xgap": 1 if counted else 0,
        "ygap": 1 if counted else 0,
        "customdata": [[[true, taken] for taken in names] for true in names],
        "hovertemplate": "%{customdata[0]} predicted as %{customdata[1]}: %{text} (%{z:.0%})"
        "<extra></extra>",
    }


def _layout(height: int, xaxis: Part, yaxis: Part, **more: Any) -> Part:
    return {
        "height": height,
        "xaxis": xaxis,
        "yaxis": yaxis,
        "margin": {"l": 8, "r": 20, "t": 8, "b": 8},  # the axes' automargin adds to this
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "dragmode": False,  # so that dragging on a touch screen scrolls the page
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "showlegend": False,
        **more,
    }


def _axis(title: str, **more: Any) -> Part:
    return {"title": {"text": title}, "automargin": True, "zeroline": False, **more}


def _latencies(rows: Sequence[Row], unit: str) -> Part:
    """Return a log axis in milliseconds, with room for the names beside the outermost points."""
    first, last = (math.log10(row.latency_ms or 1) for row in (rows[0], rows[-1]))
    room = 0.25 * (last - first) + 0.1
    powers = range(math.floor(first - room), math.ceil(last + room))
    digits = (1, 2, 5) if len(powers) < MANY_POWERS else (1,)
    ticks = [digit * 10.0**power for power in powers for digit in digits]
    return _axis(
        f"one {unit}, in ms",
        type="log",
        range=[first - room, last + room],
        tickvals=ticks,
        ticktext=[f"{tick:g}" for tick in ticks],
    )


def _priced(row: Row, on_front: bool) -> str:
    place = "on the Pareto front" if on_front else "not on the Pareto front"
    return f"{row.name}: {row.score:.3g} at {words.latency(row.latency_ms)}; {place}."


def _left_out(rows: Sequence[Row], drawn: Sequence[Row]) -> str:
    names = [row.name for row in rows if row not in drawn]
    return f" Not drawn, for lack of a score or a latency: {words.listed(names)}." if names else ""


def _steps(front: Sequence[Row], until: Row) -> Part:
    """Return the Pareto front as a step line, up to the latency of the slowest row."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [row.latency_ms for row in (*front, until)],
        "y": [row.score for row in (*front, front[-1])],
        "line": {"color": ACCENT, "width": 1.5, "shape": "hv", "dash": "dot"},
        "hoverinfo": "skip",
    }


def _dots(rows: Sequence[Row], front: Sequence[Row], winner: str | None) -> Part:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [row.latency_ms for row in rows],
        "y": [row.score for row in rows],
        "error_y": {
            "array": [row.spread or 0 for row in rows],
            "color": GREY,
            "width": 3,
            "thickness": 1.2,
        },
        "marker": {
            "size": [14 if row.name == winner else 9 for row in rows],
            "color": [ACCENT if row in front else GREY for row in rows],
            "opacity": 1,
            "line": {"width": 0},
        },
        "customdata": [_label(row.name) for row in rows],
        "hovertemplate": "%{customdata}: %{y:.4~g} at %{x:.3~g} ms<extra></extra>",
    }


def _names(rows: Sequence[Row]) -> Part:
    """Place names alternately above and below the error bars, so that neighbours do not overlap."""
    sides = [1 if place % 2 == 0 else -1 for place in range(len(rows))]
    return {
        "type": "scatter",
        "mode": "markers+text",
        "marker": {
            "size": 14,
            "opacity": 0,
        },  # invisible; keeps the name away from the visible marker
        "x": [row.latency_ms for row in rows],
        "y": [
            (row.score or 0) + side * (row.spread or 0)
            for row, side in zip(rows, sides, strict=True)
        ],
        "text": [_label(row.name) for row in rows],
        "textposition": ["top center" if side > 0 else "bottom center" for side in sides],
        "cliponaxis": False,
        "hoverinfo": "skip",
    }


def _label(name: str, length: int = 24) -> str:
    """Shorten and escape a name, because plotly interprets HTML tags in text."""
    return html.escape(words.shorten(name, length))


def _line(curve: Curve, style: Part, legend: bool) -> Part:
    shares, seconds, scores = zip(*curve.points, strict=True)
    name = _label(curve.name)
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(scores) < 3 else "lines",
        "x": [100 * share for share in shares],
        "y": scores,
        "customdata": seconds,
        "line": {**style, "width": 2},
        "name": name,
        "legendgroup": name,
        "showlegend": legend,
        "hovertemplate": f"seed {curve.seed}: %{{y:.4~g}} after %{{customdata:.3~s}}s",
    }


def _upright(x: float) -> Part:
    ends = {"x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper"}
    return {"type": "line", **ends, "line": {"color": GREY, "width": 1.5, "dash": "dash"}}


def _told(curve: Curve) -> str:
    (first, _, start), (last, _, end) = curve.points[0], curve.points[-1]
    scores = [score for _, _, score in curve.points]
    return (
        f"{curve.name}, seed {curve.seed}: from {start:.3g} at {words.percent(first)} of the "
        f"budget to {end:.3g} at {words.percent(last)}; "
        f"between {min(scores):.3g} and {max(scores):.3g}."
    )


def _confused(confusion: Confusion) -> list[str]:
    """Return the number of correct predictions, then the most frequent confusions."""
    counts, labels = confusion.counts, confusion.labels
    right = sum(row[place] for place, row in enumerate(counts))
    total = sum(map(sum, counts))
    wrong = [
        (count, labels[true], labels[taken])
        for true, row in enumerate(counts)
        for taken, count in enumerate(row)
        if count and taken != true
    ]
    most = sorted(wrong, key=lambda it: -it[0])[:MOST_CONFUSIONS_TOLD]
    return [f"{right:,} of {total:,} correct."] + [
        f"{true} predicted as {taken}: {count:,}." for count, true, taken in most
    ]

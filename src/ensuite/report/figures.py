"""Figures as plotly JSON, each with a description in words for accessibility.

They are plain dictionaries, because importing plotly's classes takes longer than writing the page.
The page's style sheet sets the colours of text, axes and grid for light mode, dark mode and print.
"""

import html
from collections.abc import Iterable, Sequence
from typing import Any

from ensuite.core.presentation import Figure, Part
from ensuite.report import words
from ensuite.report.values import Confusion, Curve, Reliability

ACCENT = "#0072B2"
"""The blue of Okabe & Ito's palette, https://jfly.uni-koeln.de/color/; marks the winner."""

COLOURS = ("#D55E00", "#009E73", "#C2608F", "#8F6BD6")
"""Colours of the other lines: vermilion and green of the palette, its purple made darker, and a
violet. Each has a contrast of 3 or more with the page's light and dark background."""

GREY = "#808890"

DASHES = ("solid", "dash", "dot", "dashdot")
"""Line styles, used in turn when there are more lines than colours."""

MOST_COUNTS = 10
"""With more labels, the cells of a confusion matrix are too small for counts on a phone."""

MOST_LABELS = 30
"""With more labels, their names beside the confusion matrix are unreadable."""

MOST_CONFUSIONS_TOLD = 3

DIAGONAL: Part = {
    "type": "scatter",
    "mode": "lines",
    "x": [0, 1],
    "y": [0, 1],
    "line": {"color": GREY, "width": 1, "dash": "dash"},
    "hoverinfo": "skip",
    "showlegend": False,
}
"""The line on which answers are correct as often as their probability says."""


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


def reliability_diagram(found: Sequence[Reliability], winner: str | None) -> Figure | None:
    """Plot the share of correct answers against how sure they are; None without probabilities."""
    found = [each for each in found if each.bins]
    if not found:
        return None
    styles = line_styles([each.name for each in found], winner)
    return Figure(
        title="Reliability",
        caption="How often the answers are correct, by their probability, in bins of equal width. "
        "On the dashed line, answers of 80 % are right 8 times in 10; below it they are too sure.",
        words=tuple(map(_told_reliability, found)),
        data=(DIAGONAL, *(_reliable(each, styles[each.name]) for each in found)),
        layout=layout(
            400,
            axis("probability of the answer", range=[0, 1.03], dtick=0.2, tickformat=".0%"),
            axis("correct", range=[0, 1.03], dtick=0.2, tickformat=".0%"),
            showlegend=len(found) > 1,
        ),
    )


def _told_reliability(found: Reliability) -> str:
    points = [
        f"{words.percent(right)} correct at {words.percent(sure)} ({count:,})"
        for sure, right, count in found.bins
    ]
    return f"{found.name}: {', '.join(points)}."


def _reliable(found: Reliability, style: Part) -> Part:
    sure, right, counts = zip(*found.bins, strict=True)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": sure,
        "y": right,
        "customdata": counts,
        "line": {**style, "width": 2},
        "name": label(found.name),
        "hovertemplate": "%{y:.0%} correct at %{x:.0%} (%{customdata:,})",
    }


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
        layout=layout(
            400,
            axis("share of the budget", ticksuffix=" %", range=[0, 103], dtick=25),
            axis(f"validation {metric}"),
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
        layout=layout(
            320 if few else 480,
            axis("predicted", showgrid=False, **ticks),
            axis("true", showgrid=False, autorange="reversed", **ticks),
        ),
    )


def _ticks(names: Sequence[str], size: int) -> Part:
    return {
        "tickvals": list(range(len(names))),
        "ticktext": [label(name, 14) for name in names],
        "tickfont": {"size": size},
        "showticklabels": len(names) <= MOST_LABELS,
        "ticks": "",
    }


def _cells(confusion: Confusion, counted: bool) -> Part:
    """Return the matrix as a heatmap, with counts in the cells if they fit."""
    names = [label(name, 40) for name in confusion.labels]
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


def layout(height: int, xaxis: Part, yaxis: Part, **more: Any) -> Part:
    """Return a layout that all figures share: without a background, as high as is given."""
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


def axis(title: str, **more: Any) -> Part:
    """Return an axis that makes room for its labels."""
    return {"title": {"text": title}, "automargin": True, "zeroline": False, **more}


def label(name: str, length: int = 24) -> str:
    """Shorten and escape a name, because plotly interprets HTML tags in text."""
    return html.escape(words.shorten(name, length))


def _line(curve: Curve, style: Part, legend: bool) -> Part:
    shares, seconds, scores = zip(*curve.points, strict=True)
    name = label(curve.name)
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
    counts, names = confusion.counts, confusion.labels
    right = sum(row[place] for place, row in enumerate(counts))
    total = sum(map(sum, counts))
    wrong = [
        (count, names[true], names[taken])
        for true, row in enumerate(counts)
        for taken, count in enumerate(row)
        if count and taken != true
    ]
    most = sorted(wrong, key=lambda it: -it[0])[:MOST_CONFUSIONS_TOLD]
    return [f"{right:,} of {total:,} correct."] + [
        f"{true} predicted as {taken}: {count:,}." for count, true, taken in most
    ]

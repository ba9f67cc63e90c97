"""Score against cost: a dot for each row, its name, and the Pareto front."""

import math
from collections.abc import Sequence

from ensuite.core.presentation import Figure, Part
from ensuite.report import labels, words
from ensuite.report.figures import ACCENT, GREY, axis, label, layout
from ensuite.report.values import Leaderboard, Row

FAR = 5.0
"""A row is drawn at the edge of the figure if its score is farther from the best one than this
multiple of the median distance: the axis would show nothing of the others."""

FURNITURE = 76
"""Height in pixels of a figure that is not its plot: margins, ticks and the title of the axis."""

LOWEST, HIGHEST = 380, 640
"""Height in pixels of a figure of few and of many rows."""

ROOM = 24
"""Height in pixels that a row adds to the plot, so that its name has a place."""

MANY_POWERS = 6
"""With this many powers of ten on a logarithmic axis, only the powers themselves get a tick."""


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
    height = min(max(LOWEST, ROOM * len(rows) + FURNITURE), HIGHEST)
    xaxis, yaxis = _latencies(rows, unit), _scores(leaderboard, rows)
    names, unnamed = _names(rows, leaderboard, xaxis, yaxis, height - FURNITURE)
    return Figure(
        title="Score against cost",
        caption=f"{'Higher' if leaderboard.higher_is_better else 'Lower'} and further left is "
        "better. The dotted line is the Pareto front: no other row is better in both score and "
        "latency. Error bars are the standard deviation over seeds."
        + _edge(rows, yaxis)
        + _said("Not drawn, for lack of a score or a latency", leaderboard.rows, rows)
        + _said("Not named, for lack of room", rows, [row for row in rows if row not in unnamed]),
        words=tuple(_priced(row, on_front=row in front) for row in rows),
        data=(_steps(front, until=rows[-1]), _dots(rows, front, leaderboard.winner, yaxis)),
        layout=layout(height, xaxis, yaxis, annotations=names),
    )


def _latencies(rows: Sequence[Row], unit: str) -> Part:
    """Return a log axis in milliseconds."""
    first, last = (math.log10(row.latency_ms or 1) for row in (rows[0], rows[-1]))
    room = 0.08 * (last - first) + 0.1
    powers = range(math.floor(first - room), math.ceil(last + room))
    digits = (1, 2, 5) if len(powers) < MANY_POWERS else (1,)
    ticks = [digit * 10.0**power for power in powers for digit in digits]
    return axis(
        f"one {unit}, in ms",
        type="log",
        range=[first - room, last + room],
        tickvals=ticks,
        ticktext=[f"{tick:g}" for tick in ticks],
    )


def _scores(leaderboard: Leaderboard, rows: Sequence[Row]) -> Part:
    """Return an axis of the scores that a row far behind the others does not stretch."""
    scores = [row.score or 0.0 for row in rows]
    best = max(scores) if leaderboard.higher_is_better else min(scores)
    apart = sorted(abs(score - best) for score in scores)[1:]
    limit = FAR * apart[(len(apart) - 1) // 2]
    near = [row for row in rows if abs((row.score or 0.0) - best) <= limit]
    extent = max(abs((row.score or 0.0) - best) for row in near) or 0.05 * abs(best) or 1.0
    room = max(0.15 * extent, *(min(row.spread or 0.0, extent) for row in near))
    low, high = (pick(row.score or 0.0 for row in near) for pick in (min, max))
    return axis(leaderboard.title(leaderboard.metric or ""), range=[low - room, high + room])


def _inside(score: float, scale: Part) -> float:
    """Return where a score is drawn: at the edge if it is beyond the axis."""
    low, high = scale["range"]
    return float(min(max(score, low), high))


def _edge(rows: Sequence[Row], scale: Part) -> str:
    """Say which rows are drawn at the edge, and their scores."""
    beyond = [row for row in rows if _inside(row.score or 0.0, scale) != row.score]
    if not beyond:
        return ""
    told = words.listed([f"{row.name} ({row.score:.3g})" for row in beyond])
    return f" Far behind, and so drawn at the edge: {told}."


def _priced(row: Row, on_front: bool) -> str:
    place = "on the Pareto front" if on_front else "not on the Pareto front"
    return f"{row.name}: {row.score:.3g} at {words.latency(row.latency_ms)}; {place}."


def _said(what: str, rows: Sequence[Row], but: Sequence[Row]) -> str:
    """Say what holds for the rows that are not among others; empty where there are none."""
    names = [row.name for row in rows if row not in but]
    return f" {what}: {words.listed(names)}." if names else ""


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


def _dots(rows: Sequence[Row], front: Sequence[Row], winner: str | None, yaxis: Part) -> Part:
    scores = [row.score or 0.0 for row in rows]
    drawn = [_inside(score, yaxis) for score in scores]
    pairs = list(zip(scores, drawn, strict=True))
    symbols = {-1: "triangle-down", 0: "circle", 1: "triangle-up"}
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [row.latency_ms for row in rows],
        "y": drawn,
        "error_y": {
            "array": [
                (row.spread or 0) if score == shown else 0
                for row, (score, shown) in zip(rows, pairs, strict=True)
            ],
            "color": GREY,
            "width": 3,
            "thickness": 1.2,
        },
        "marker": {
            "size": [14 if row.name == winner else 9 for row in rows],
            "color": [ACCENT if row in front else GREY for row in rows],
            "symbol": [symbols[(score > shown) - (score < shown)] for score, shown in pairs],
            "opacity": 1,
            "line": {"width": 0},
        },
        "cliponaxis": False,
        "customdata": [
            [label(row.name), f"{score:.4g}"] for row, score in zip(rows, scores, strict=True)
        ],
        "hovertemplate": "%{customdata[0]}: %{customdata[1]} at %{x:.3~g} ms<extra></extra>",
    }


def _names(
    rows: Sequence[Row], leaderboard: Leaderboard, xaxis: Part, yaxis: Part, height: float
) -> tuple[list[Part], list[Row]]:
    """Return annotations that name the rows, none over another, and the rows without one.

    The front comes to a point from where scores are worse, so its name stands on the other side.
    """
    first = sorted(rows, key=lambda row: row.name != leaderboard.winner)
    (left, right), (low, high) = xaxis["range"], yaxis["range"]
    xs = [math.log10(row.latency_ms or 1) for row in first]
    ys = [_inside(row.score or 0.0, yaxis) for row in first]
    shares = [
        ((x - left) / (right - left), (y - low) / (high - low)) for x, y in zip(xs, ys, strict=True)
    ]
    texts = [words.shorten(row.name, 24) for row in first]
    bars = [(row.spread or 0.0) / (high - low) for row in first]
    below = not leaderboard.higher_is_better
    offsets = labels.place(shares, texts, height, bars=bars, below=below)
    named = [
        _annotation(row.name, x, y, offset)
        for row, x, y, offset in zip(first, xs, ys, offsets, strict=True)
        if offset is not None
    ]
    pairs = zip(first, offsets, strict=True)
    return named, [row for row, offset in pairs if offset is None]


def _annotation(name: str, x: float, y: float, offset: labels.Offset) -> Part:
    """Return a name beside its point; a line leads to one that is not next to it."""
    about = {"x": x, "y": y, "text": label(name), "font": {"size": 13}}
    if abs(offset.up) < labels.MARKER + labels.LINE / 2:
        return about | {"showarrow": False, "xshift": offset.right, "yshift": offset.up}
    leader = {"arrowhead": 0, "arrowwidth": 1, "arrowcolor": GREY, "standoff": 6}
    return about | {"showarrow": True, "ax": offset.right, "ay": -offset.up, **leader}

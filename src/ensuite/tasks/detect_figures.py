"""Figures of a report on detectors: scores and threshold, anomalies on the time line."""

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ensuite.core.presentation import Figure, Part
from ensuite.data.readings import Readings, Track
from ensuite.tasks.detect_words import percent
from ensuite.tasks.forecast_figures import BLUE, GREY, ORANGE, layout

if TYPE_CHECKING:
    from ensuite.tasks.detect_steps import DetectSteps
    from ensuite.tasks.detector import Detector, Prediction

Numbers = NDArray[Any]

BINS = 40
"""Bars of a histogram."""

MOST_LINES = 3
"""Series that are drawn, those with the most anomalies."""

MOST_POINTS = 1500
"""Steps of a line; of more, each bar of steps shows its highest score."""

MOST_TOLD = 12
"""Alarms and anomalies that are listed in words below the figure."""

SMALLEST = 1e-12
"""Score that stands for 0 on a logarithmic axis."""


def scores(
    task: "Detector", predictions: Sequence["Prediction"], truths: NDArray[np.int64]
) -> Figure:
    """Draw how the scores of normal examples, anomalies and unlabelled ones are spread."""
    values = np.array([each.score for each in predictions], dtype=float)
    logs = np.log10(np.maximum(values, SMALLEST))
    kinds = {"normal": (truths == 0, BLUE), "anomalies": (truths == 1, ORANGE)}
    if not (truths >= 0).any():
        kinds = {"not labelled": (truths < 0, GREY)}
    known = logs[~np.isnan(logs)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    edges = np.linspace(low, max(high, low + 0.1), BINS + 1)
    bars = [
        _bars(edges, logs[rows & ~np.isnan(logs)], colour, name)
        for name, (rows, colour) in kinds.items()
        if rows.any()
    ]
    drawn = layout(320, "score (logarithmic)", "share of each kind")
    limit = task.threshold
    if limit is not None:
        drawn["shapes"] = [_threshold(float(np.log10(max(limit.value, SMALLEST))))]
    ticks = np.arange(np.floor(low), np.ceil(high) + 1)
    drawn["xaxis"] |= {"tickvals": ticks.tolist(), "ticktext": [f"{10.0**t:g}" for t in ticks]}
    drawn |= {"barmode": "overlay", "bargap": 0}
    drawn["yaxis"] |= {"ticksuffix": " %"}
    return Figure(
        title="Scores",
        caption="How badly the test examples are reconstructed. Those to the right of the dashed "
        "line, the threshold, raise an alarm.",
        words=tuple(_say_scores(values, kinds, limit.value if limit else None)),
        data=tuple(bars),
        layout=drawn,
    )


def _bars(edges: Numbers, logs: Numbers, colour: str, name: str) -> Part:
    counts, _ = np.histogram(logs, edges)
    return {
        "type": "bar",
        "x": ((edges[1:] + edges[:-1]) / 2).tolist(),
        "y": (100 * counts / max(1, counts.sum())).round(3).tolist(),
        "width": float(edges[1] - edges[0]),
        "name": name,
        "marker": {"color": colour},
        "opacity": 0.6,
        "hovertemplate": f"{name}: %{{y:.1f}} %<extra></extra>",
    }


def _threshold(place: float) -> Part:
    return {
        "type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": place, "x1": place,
        "line": {"color": GREY, "width": 1.5, "dash": "dash"},
    }  # fmt: skip


def _say_scores(
    values: Numbers, kinds: dict[str, tuple[NDArray[np.bool_], str]], limit: float | None
) -> list[str]:
    said = []
    for name, (rows, _) in kinds.items():
        known = values[rows & ~np.isnan(values)]
        if len(known):
            low, middle, high = np.quantile(known, [0.05, 0.5, 0.95])
            said.append(f"{name}: median {middle:.3g}, 90 % between {low:.3g} and {high:.3g}.")
            if limit is not None:
                said[-1] += f" {percent(float((known > limit).mean()))} are above {limit:.3g}."
    return said


# Steps of a series


def time_lines(
    task: "DetectSteps", predictions: Sequence["Prediction"], found: Readings
) -> list[Figure]:
    """Draw the series with the most anomalies: values, scores, alarms and anomalies."""
    marks = found.marks
    odd = np.bincount(found.numbers[marks == 1], minlength=len(found.tracks))
    chosen = np.argsort(-odd, kind="stable")[:MOST_LINES].tolist()
    figures = []
    for number in chosen:
        mine = np.flatnonzero(found.numbers == number)
        if len(mine):
            some = [predictions[place] for place in mine.tolist()]
            track = found.tracks[number]
            figures.append(_time_line(task, some, track, found.steps[mine], marks[mine]))
    return figures


def _time_line(
    task: "DetectSteps",
    predictions: Sequence["Prediction"],
    track: Track,
    steps: NDArray[np.int64],
    marks: NDArray[np.int64],
) -> Figure:
    values = np.array([each.score for each in predictions], dtype=float)
    alarms = np.array([each.alarm for each in predictions], dtype=bool)
    stamps = np.array(task.clock.write(track.series.start, steps), dtype=object)
    shown = thinned(values)
    name = track.series.name or task.names[0]
    column = track.values[steps - track.begin, 0]
    at = stamps[shown].tolist()
    traces: list[Part] = [
        _line(at, column[shown], GREY, task.names[0], "y"),
        _line(at, values[shown], BLUE, "score", "y2"),
    ]
    if alarms.any():
        traces.append(_alarms(stamps[shown][alarms[shown]], values[shown][alarms[shown]]))
    limit = np.nan if task.threshold is None else task.threshold.value
    drawn = layout(420, "", html.escape(task.names[0]))
    drawn["yaxis"] |= {"domain": [0.55, 1.0]}
    drawn["yaxis2"] = {"title": {"text": "score"}, "automargin": True, "domain": [0.0, 0.45]}
    drawn["xaxis"] |= {"anchor": "y2"}
    drawn["shapes"] = [*_bands(stamps, marks), *_level(limit)]
    return Figure(
        title=f"Anomalies in {html.escape(name)}",
        caption="The test part of the series above, its scores below. Shaded: steps that are "
        "marked as anomalies. Points: alarms, above the dashed threshold.",
        words=tuple(_say_events(stamps, alarms, marks)),
        data=tuple(traces),
        layout=drawn,
    )


def thinned(values: Numbers) -> NDArray[np.int64]:
    """Return the places of the highest value in each of at most 1,500 runs of equal length.

    >>> thinned(np.array([1.0, 3.0, 2.0])).tolist()
    [0, 1, 2]
    """
    if len(values) <= MOST_POINTS:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), MOST_POINTS + 1).astype(int)
    known = np.nan_to_num(values, nan=-np.inf)
    pairs = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    return np.array([low + int(known[low:high].argmax()) for low, high in pairs])


def _line(x: Sequence[Any], y: Numbers, colour: str, name: str, axis: str) -> Part:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(x),
        "y": [None if np.isnan(value) else float(value) for value in y],
        "yaxis": axis,
        "line": {"color": colour, "width": 1.3},
        "name": html.escape(name),
        "hovertemplate": "%{y:.4~g}<extra></extra>",
    }


def _alarms(x: Numbers, y: Numbers) -> Part:
    return {
        "type": "scatter", "mode": "markers", "x": x.tolist(), "y": y.tolist(), "yaxis": "y2",
        "marker": {"color": ORANGE, "size": 5}, "name": "alarm",
        "hovertemplate": "alarm: %{y:.4~g}<extra></extra>",
    }  # fmt: skip


def _bands(stamps: Numbers, marks: NDArray[np.int64]) -> list[Part]:
    return [
        {
            "type": "rect", "yref": "paper", "y0": 0, "y1": 1, "x0": stamps[first],
            "x1": stamps[last], "fillcolor": ORANGE, "opacity": 0.18, "line": {"width": 0},
        }
        for first, last in runs(marks == 1)
    ]  # fmt: skip


def _level(limit: float) -> list[Part]:
    if not np.isfinite(limit):
        return []
    return [
        {
            "type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y2", "y0": limit,
            "y1": limit, "line": {"color": GREY, "width": 1.2, "dash": "dash"},
        }
    ]  # fmt: skip


def runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the first and the last place of each run of True.

    >>> runs(np.array([True, True, False, True]))
    [(0, 1), (3, 3)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2)]


def _say_events(stamps: Numbers, alarms: NDArray[np.bool_], marks: NDArray[np.int64]) -> list[str]:
    events, raised = runs(marks == 1), runs(alarms)
    found = [alarms[first : last + 1].any() for first, last in events]
    told = [
        f"Anomaly from {stamps[first]} to {stamps[last]}: {'found' if hit else 'missed'}."
        for (first, last), hit in zip(events, found, strict=True)
    ]
    false = [pair for pair in raised if not (marks[pair[0] : pair[1] + 1] == 1).any()]
    told += [f"Alarm from {stamps[first]} to {stamps[last]}, outside." for first, last in false]
    more = len(told) - MOST_TOLD
    return [*told[:MOST_TOLD], *([f"And {more:,} more."] if more > 0 else [])]

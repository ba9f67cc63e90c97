"""Figures of a report on codes: a map of them, and inputs beside their reconstructions."""

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ensuite.core.presentation import Figure, Part
from ensuite.tasks.forecast_figures import BLUE, GREY, ORANGE, layout

if TYPE_CHECKING:
    from ensuite.tasks.reduce import Example, Prediction, Reduce

Numbers = NDArray[Any]

COLOURS = (
    BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#A08020", "#6A3D9A",
)  # fmt: skip
"""Colours of labels that the colour-blind tell apart (Okabe & Ito 2008), and two more."""

MARKS = ("circle", "diamond", "cross", "triangle-up")
"""Marks of labels; another for the labels that find no colour of their own."""

MOST_POINTS, MOST_LABELS = 2000, 20
"""Codes that the map shows, and labels that it tells apart."""

PICTURES, SERIES, COLUMNS = 10, 3, 30
"""Pictures and series that are shown with their reconstructions, and columns with their errors."""

LARGEST = 64
"""Pixels along the longer side of a picture that is shown; of larger ones some are left out."""

PIXELS = 560
"""Width of a row of pictures, in pixels of the page."""


def figures(
    task: "Reduce", predictions: Sequence["Prediction"], examples: Sequence["Example"]
) -> list[Figure]:
    """Return the figures of a report."""
    if not predictions:
        return []
    drawn = {"image": pictures, "series": series, "row": columns}[task.unit]
    return [*code_map(predictions, examples), *drawn(task, predictions, examples)]


# A map of the codes


def plane(codes: Numbers) -> tuple[Numbers, float]:
    """Return codes in two dimensions, and the share of their variance that these hold.

    Those of two units are their own map; others are seen along their two principal components.
    """
    centred = codes - codes.mean(0)
    if codes.shape[1] <= 2:
        return codes, 1.0
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    total = np.square(sizes).sum()
    return centred @ axes[:2].T, float(np.square(sizes[:2]).sum() / total) if total else 1.0


def code_map(predictions: Sequence["Prediction"], examples: Sequence["Example"]) -> list[Figure]:
    """Draw the code of each example, in the colour of its label."""
    codes = np.array([prediction.code for prediction in predictions[:MOST_POINTS]])
    places, share = plane(codes)
    if places.shape[1] < 2:
        places = np.stack([places[:, 0], np.zeros(len(places))], axis=1)
    given = [example.label for example in examples[:MOST_POINTS]]
    names = sorted({label for label in given if label is not None})
    known = names if len(names) <= MOST_LABELS else []
    groups = [(name, [label == name for label in given]) for name in known]
    rest = [label not in known for label in given]
    groups += [("" if known else "examples", rest)] if any(rest) else []
    traces = [
        _points(places[np.array(chosen)], name, number)
        for number, (name, chosen) in enumerate(groups)
    ]
    units = codes.shape[1]
    seen = "its two units" if units == 2 else "its two principal components"
    held = "" if units <= 2 else f", which hold {100 * share:.0f} % of its variance"
    along = "along its single unit" if units == 1 else f"along {seen}{held}"
    centres = [
        f"{name or 'without label'}: {len(places[np.array(chosen)]):,} codes around "
        f"({', '.join(f'{each:.2g}' for each in places[np.array(chosen)].mean(0))})."
        for name, chosen in groups
    ]
    return [
        Figure(
            title="Map of the codes",
            caption=f"The code of {len(codes):,} test examples, {along}.",
            words=tuple(centres),
            data=tuple(traces),
            layout={**layout(460, "", ""), "hovermode": "closest", "showlegend": len(groups) > 1},
        )
    ]


def _points(places: Numbers, name: str, number: int) -> Part:
    return {
        "type": "scattergl" if len(places) > MOST_POINTS else "scatter",
        "mode": "markers",
        "x": np.round(places[:, 0], 5).tolist(),
        "y": np.round(places[:, 1], 5).tolist(),
        "name": html.escape(name) or "without label",
        "marker": {
            "size": 6,
            "opacity": 0.75,
            "color": COLOURS[number % len(COLOURS)],
            "symbol": MARKS[number // len(COLOURS) % len(MARKS)],
        },
        "hovertemplate": f"{html.escape(name)}<extra></extra>",
    }


# Inputs beside their reconstructions


def spread_out(count: int, most: int) -> list[int]:
    """Return the places of so many examples, from the first to the last.

    >>> spread_out(9, 3), spread_out(2, 3)
    ([0, 4, 8], [0, 1])
    """
    places: list[int] = np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()
    return places


def pictures(
    task: "Reduce", predictions: Sequence["Prediction"], examples: Sequence["Example"]
) -> list[Figure]:
    """Draw pictures, and below each what its code is decoded to."""
    processor: Any = task.processor
    if processor.shape[2] not in (1, 3):
        return []
    chosen = spread_out(len(predictions), PICTURES)
    windows = processor.windows(task.raws([examples[place] for place in chosen]))
    before = [processor.shades(window).reshape(processor.shape) for (window,) in windows]
    after = [processor.shades(predictions[place].reconstruction) for place in chosen]
    return [
        picture_rows(
            "Pictures and their reconstructions",
            "Pictures of the test part, and below each what its code is decoded to.",
            [before, after],
            tuple(
                f"{task.show(examples[place])}: mean squared error {predictions[place].error:.4f}."
                for place in chosen
            ),
        )
    ]


def picture_rows(
    title: str, caption: str, rows: Sequence[Sequence[Numbers]], words: tuple[str, ...]
) -> Figure:
    """Draw rows of pictures, all of one size.

    Args:
        title: Of the figure.
        caption: Likewise.
        rows: Pictures (height, width, channels) as bytes, of 1 or 3 channels.
        words: A line for each column.
    """
    lines = [np.concatenate([framed(each) for each in row], axis=1) for row in rows]
    whole = np.concatenate(lines)
    grey = whole.shape[2] == 1
    trace: Part = {"hoverinfo": "skip", "type": "heatmap" if grey else "image"}
    if grey:
        trace |= {"z": whole[..., 0].tolist(), "showscale": False, "zmin": 0, "zmax": 255,
                  "colorscale": [[0, "black"], [1, "white"]]}  # fmt: skip
    else:
        trace["z"] = whole.tolist()
    height = round(PIXELS * whole.shape[0] / whole.shape[1]) + 16
    plain = {"visible": False}
    base = layout(height, "", "")
    return Figure(
        title=title,
        caption=caption,
        words=words,
        data=(trace,),
        layout={
            **base,
            "xaxis": {**plain, "constrain": "domain"},
            "yaxis": {**plain, "autorange": "reversed", "scaleanchor": "x", "constrain": "domain"},
            "showlegend": False,
            "hovermode": False,
        },
    )


def framed(picture: Numbers) -> Numbers:
    """Return a picture with a frame of a pixel."""
    step = -(-max(picture.shape[:2]) // LARGEST)
    frame = ((1, 1), (1, 1), (0, 0))
    return np.pad(picture[::step, ::step].astype(np.uint8), frame, constant_values=128)


def series(
    task: "Reduce", predictions: Sequence["Prediction"], examples: Sequence["Example"]
) -> list[Figure]:
    """Draw the first column of some series, and what their codes are decoded to."""
    found = []
    for place in spread_out(len(predictions), SERIES):
        actual = np.asarray(examples[place].input, dtype=float)[:, 0]
        decoded = predictions[place].reconstruction[:, 0]
        steps = list(range(1, len(actual) + 1))
        names = getattr(task.processor, "names", ())
        found.append(
            Figure(
                title=f"Series {place + 1:,} of the test part",
                caption="Its values, and what its code is decoded to.",
                words=(f"The mean squared error is {predictions[place].error:.4f}.",),
                data=(
                    line(steps, actual, GREY, "solid", "series"),
                    line(steps, decoded, BLUE, "solid", "reconstruction"),
                ),
                layout=layout(280, "step", html.escape(names[0]) if names else "", step=True),
            )
        )
    return found


def line(x: Sequence[int], y: Numbers, colour: str, dash: str, name: str) -> Part:
    """Return a line of plotly."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(x),
        "y": [float(value) if np.isfinite(value) else None for value in y],
        "line": {"color": colour, "width": 2, "dash": dash},
        "name": name,
        "hovertemplate": f"{name}: %{{y:.4~g}}<extra></extra>",
    }


def columns(
    task: "Reduce", predictions: Sequence["Prediction"], examples: Sequence["Example"]
) -> list[Figure]:
    """Draw how much of each column the reconstruction misses."""
    rows = np.array(task.raws(examples), dtype=float)
    decoded = np.array([prediction.reconstruction for prediction in predictions])
    missed = np.square(decoded - rows).mean(0)
    variance = rows.var(0)
    share = np.divide(missed, variance, out=np.zeros_like(missed), where=variance > 0)
    names = getattr(task.processor, "names", ()) or [f"column {at + 1}" for at in range(len(share))]
    order = np.argsort(-share, kind="stable")[:COLUMNS][::-1]  # the largest is drawn on top
    shown = [names[at] for at in order]
    height = 90 + 22 * len(order)
    return [
        Figure(
            title="What is lost of each column",
            caption="Mean squared error of each column, as a share of its variance in the test "
            "part: 0 % is exact, 100 % no better than its mean.",
            words=tuple(f"{names[at]}: {100 * share[at]:.1f} %." for at in order[::-1]),
            data=(
                {
                    "type": "bar",
                    "orientation": "h",
                    "x": np.round(100 * share[order], 3).tolist(),
                    "y": [html.escape(name) for name in shown],
                    "marker": {"color": BLUE},
                    "hovertemplate": "%{y}: %{x:.3~g} %<extra></extra>",
                },
            ),
            layout={
                **layout(height, "share of the variance that is lost (%)", ""),
                "showlegend": False,
                "hovermode": "closest",
            },
        )
    ]

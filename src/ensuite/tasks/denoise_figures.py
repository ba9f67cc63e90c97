"""Figures of a report on denoising: the original, the noisy input, and what was made of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ensuite.core.presentation import Figure, Part
from ensuite.metrics.restoration import decibels
from ensuite.tasks.forecast_figures import BLUE, GREY, ORANGE, layout

if TYPE_CHECKING:
    from ensuite.tasks.denoise import Denoise, Example, Prediction

Array = NDArray[Any]

PICTURES = 6
"""Pictures that are shown."""

SERIES = 2
"""Series that are drawn."""

GAP = 2
"""Pixels between two pictures."""

LARGEST = 96
"""Pixels of the longer side of a picture that is shown; larger ones are thinned out."""


def before_and_after(
    task: "Denoise", predictions: Sequence["Prediction"], examples: Sequence["Example"]
) -> list[Figure]:
    """Return figures of a few examples; none of rows, which are numbers to be read."""
    if not len(predictions) or task.processor.kind == "row":
        return []
    most = PICTURES if task.processor.kind == "image" else SERIES
    chosen = np.unique(np.linspace(0, len(examples) - 1, min(most, len(examples))).astype(int))
    some = [examples[place] for place in chosen]
    triples = [
        (task.original(example), noisy, predictions[place].values)
        for example, noisy, place in zip(some, task.noisy(some), chosen, strict=True)
    ]
    if task.processor.kind == "image":
        return [_pictures(task, triples)]
    return [_lines(task, *triple, task.show(e)) for e, triple in zip(some, triples, strict=True)]


def _say(task: "Denoise", name: str, clean: Array, noisy: Array, cleaned: Array) -> str:
    """Say the signal-to-noise ratios before and after."""
    truth = task.scaled(clean)
    before, after = (decibels(task.scaled(each), truth, task.peak) for each in (noisy, cleaned))
    return f"{name}: {before:.1f} dB noisy, {after:.1f} dB cleaned."


def _pictures(task: "Denoise", triples: Sequence[tuple[Array, Array, Array]]) -> Figure:
    rows = [[_bytes(task.scaled(triple[part])) for triple in triples] for part in range(3)]
    height, width = rows[0][0].shape[:2]
    sheet = np.full(
        (3 * (height + GAP) - GAP, len(triples) * (width + GAP) - GAP, 3), 255, dtype=np.uint8
    )
    for row, pictures in enumerate(rows):
        for place, picture in enumerate(pictures):
            top, left = row * (height + GAP), place * (width + GAP)
            sheet[top : top + height, left : left + width] = picture
    drawn = layout(420, "", "")
    hidden = {"visible": False}
    drawn |= {"xaxis": hidden, "yaxis": hidden, "showlegend": False}
    return Figure(
        title="Before, noisy, after",
        caption="Test pictures: above the original, in the middle with noise, below what the model "
        "makes of the noisy one.",
        words=tuple(
            _say(task, f"Picture {number}", *triple) for number, triple in enumerate(triples, 1)
        ),
        data=({"type": "image", "z": sheet.tolist(), "hoverinfo": "skip"},),
        layout=drawn,
    )


def _bytes(shades: Array) -> NDArray[np.uint8]:
    """Return a picture, (height, width, channels) from 0 to 1, as bytes of three channels."""
    step = -(-max(shades.shape[:2]) // LARGEST)
    thinned = shades[::step, ::step]
    colours = thinned if thinned.shape[2] == 3 else np.repeat(thinned[..., :1], 3, axis=2)
    return (255 * colours.clip(0, 1)).round().astype(np.uint8)


def _lines(task: "Denoise", clean: Array, noisy: Array, cleaned: Array, name: str) -> Figure:
    """Draw the first column of a series."""
    styles = (("noisy", noisy, GREY, "dot"), ("original", clean, ORANGE, "solid"),
              ("cleaned", cleaned, BLUE, "solid"))  # fmt: skip
    return Figure(
        title="Before, noisy, after",
        caption=f"The first column of the test series {name}.",
        words=(_say(task, name, clean, noisy, cleaned),),
        data=tuple(_line(each[:, 0], colour, dash, label) for label, each, colour, dash in styles),
        layout=layout(320, "step", "", step=True),
    )


def _line(values: Array, colour: str, dash: str, name: str) -> Part:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(range(1, len(values) + 1)),
        "y": values.astype(float).tolist(),
        "line": {"color": colour, "width": 1.5, "dash": dash},
        "name": name,
        "hovertemplate": f"{name}: %{{y:.4~g}}<extra></extra>",
    }

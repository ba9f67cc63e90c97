"""Figures of a report on forecasts: history and intervals, error and coverage by horizon."""

import html
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ensuite.core.presentation import Figure, Part
from ensuite.data.seasonal import seasonal_naive
from ensuite.data.windows import Window, Windows

if TYPE_CHECKING:
    from ensuite.tasks.forecast import Forecast
    from ensuite.tasks.forecast_answers import Prediction

Numbers = NDArray[np.float64]

MOST_FORECASTS = 3
"""Forecasts that are drawn, each of another series or column."""

HISTORY = 3
"""Length of the history that is drawn, in horizons."""

AT_ONCE = 256
"""Windows whose errors are computed together."""

MODEL, LAST = "this model", "last value"

MISSED = 0.03
"""Difference between promised and actual coverage from which the report warns."""

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#808890"
SHADES = ("rgba(0,114,178,0.16)", "rgba(0,114,178,0.3)")
"""Fill of the wider interval, and of the narrower one on top of it."""


# One forecast


def forecasts(
    task: "Forecast",
    predictions: Sequence["Prediction"],
    windows: Windows,
    shares: Sequence[float],
) -> list[Figure]:
    """Draw the last forecast of the first series and columns."""
    last = {int(number): place for place, number in enumerate(windows.numbers)}
    chosen = [(place, column) for place in last.values() for column in range(len(task.columns))]
    return [
        forecast(task, predictions[place], windows[place], shares, column)
        for place, column in chosen[:MOST_FORECASTS]
    ]


def forecast(
    task: "Forecast",
    prediction: "Prediction",
    example: Window,
    shares: Sequence[float],
    column: int = 0,
) -> Figure:
    """Draw history, truth, median and intervals of one column."""
    series, origin = example.series, example.origin
    first = max(0, origin - HISTORY * task.horizon)
    past, ahead = np.arange(first, origin), np.arange(origin, origin + task.horizon)
    before, after = (_stamps(task, series.start, part) for part in (past, ahead))
    name = task.columns[column]
    titled = f"{series.name}: {name}" if series.name else name
    truths = task.truths([example])[0, :, column]
    bands = [
        trace
        for place in reversed(range(len(prediction.lower)))  # the widest first
        for trace in _band(
            after,
            prediction.lower[place, :, column],
            prediction.upper[place, :, column],
            SHADES[len(prediction.lower) - 1 - place],
            f"{100 * shares[place]:.0f} % interval",
        )
    ]
    lines = [
        _line(before, series.values[past, column], GREY, "solid", "history"),
        _line(after, truths, ORANGE, "dot", "actual"),
        _line(after, prediction.point[:, column], BLUE, "solid", "median"),
    ]
    return Figure(
        title=f"Forecast of {titled}",
        caption=f"The last forecast of the test part, from {after[0]} on: the median, and the "
        "intervals that promise to hold 80 % and 95 % of the values.",
        words=tuple(_told(task, prediction, truths, after, column)),
        data=(*bands, *lines),
        layout=layout(380, "", html.escape(name), step=not task.clock.dated),
    )


def _stamps(task: "Forecast", start: int, steps: NDArray[np.int64]) -> list[Any]:
    """Return time stamps, or numbers where steps are counted."""
    written = task.clock.write(start, steps)
    return list(written) if task.clock.dated else [int(each) for each in written]


def _band(x: Sequence[Any], lower: Numbers, upper: Numbers, shade: str, name: str) -> list[Part]:
    """Return an interval as two lines with the area between them filled."""
    edge = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "x": list(x)}
    rounded = [np.round(part, 10).tolist() for part in (lower, upper)]
    return [
        {**edge, "y": rounded[0], "hoverinfo": "skip", "showlegend": False},
        {**edge, "y": rounded[1], "fill": "tonexty", "fillcolor": shade, "name": name,
         "hoverinfo": "skip"},
    ]  # fmt: skip


def _line(x: Sequence[Any], y: Numbers, colour: str, dash: str, name: str) -> Part:
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(x) < 2 else "lines",
        "x": list(x),
        "y": [None if np.isnan(value) else float(value) for value in y],
        "line": {"color": colour, "width": 2, "dash": dash},
        "name": name,
        "hovertemplate": f"{name}: %{{y:.4~g}}<extra></extra>",
    }


def _told(
    task: "Forecast", prediction: "Prediction", truths: Numbers, stamps: Sequence[Any], column: int
) -> Iterator[str]:
    for step in shown_steps(task.horizon):
        lower, upper = (part[-1, step, column] for part in (prediction.lower, prediction.upper))
        came = "" if np.isnan(truths[step]) else f"; it was {truths[step]:.4g}"
        yield (
            f"{stamps[step]}: {prediction.point[step, column]:.4g}, 95 % between {lower:.4g} and "
            f"{upper:.4g}{came}."
        )


# All forecasts, by horizon


ByHorizon = dict[str, Numbers]


def errors(task: "Forecast", predictions: Sequence["Prediction"], windows: Windows) -> ByHorizon:
    """Return the mean absolute error of each step, of the model and of two naive forecasts.

    Errors are in standard deviations of the series, so that all columns and series count alike.
    """
    flat = task.history.flat(windows)
    seasons = {"seasonal naive": task.season} if task.season > 1 else {}
    rules, sums, counts = {**seasons, LAST: 1}, ByHorizon(), np.zeros(task.horizon)
    for at, truths in _parts(task, windows):
        starts, origins = flat.starts[windows.numbers[at]], windows.origins[at]
        deviation = flat.deviation[windows.numbers[at]][:, None]
        found = {MODEL: np.stack([each.point for each in predictions[at]])} | {
            name: seasonal_naive(flat.values, starts, origins, season=span, horizon=task.horizon)
            for name, span in rules.items()
        }
        for name, values in found.items():
            error = np.nansum(np.abs(values - truths) / deviation, axis=(0, 2))
            sums[name] = sums.get(name, 0) + error
        counts += (~np.isnan(truths)).sum((0, 2))
    return {name: total / counts.clip(1) for name, total in sums.items()}


def say_errors(model: str, errors: ByHorizon) -> str:
    """Say the errors of a model at some steps, and those of the naive forecasts."""
    steps = shown_steps(len(errors[MODEL]))
    by_name = {name: words([f"{by[step]:.2f}" for step in steps]) for name, by in errors.items()}
    own = by_name.pop(MODEL)
    others = [f"{name} by {found}" for name, found in by_name.items() if found != own]
    first = f"On average {model} is off by {own} deviations of the series {ahead(steps)}"
    return "; ".join([first, *others]) + "."


def ahead(steps: Sequence[int]) -> str:
    """Name steps, which are counted from 0.

    >>> ahead([0]), ahead([0, 11, 23])
    ('1 step ahead', '1, 12 and 24 steps ahead')
    """
    unit = "step" if list(steps) == [0] else "steps"
    return f"{words([f'{step + 1:,}' for step in steps])} {unit} ahead"


def errors_by_horizon(
    task: "Forecast", predictions: Sequence["Prediction"], windows: Windows
) -> Figure:
    """Draw the mean absolute error of each step beside those of two naive forecasts."""
    found = errors(task, predictions, windows)
    steps = list(range(1, task.horizon + 1))
    styles = {MODEL: (BLUE, "solid"), LAST: (GREY, "dot")}
    return Figure(
        title="Error by horizon",
        caption="Mean absolute error of each step ahead, in standard deviations of the series.",
        words=(say_errors(MODEL, found),),
        data=tuple(
            _line(steps, by, *styles.get(name, (ORANGE, "dash")), name)
            for name, by in found.items()
        ),
        layout=layout(340, "steps ahead", "mean absolute error", step=True, from_zero=True),
    )


def coverage(task: "Forecast", predictions: Sequence["Prediction"], windows: Windows) -> Numbers:
    """Return the share of the true values that each interval holds, (intervals, horizon)."""
    held, counts = 0.0, np.zeros(task.horizon)
    for at, truths in _parts(task, windows):
        known = ~np.isnan(truths)
        counts += known.sum((0, 2))
        lower, upper = (
            np.stack([getattr(each, end) for each in predictions[at]]) for end in ("lower", "upper")
        )
        inside = (lower <= truths[:, None]) & (truths[:, None] <= upper)
        held = held + (inside & known[:, None]).sum((0, 3))
    return np.asarray(held / counts.clip(1))


def say_coverage(model: str, covered: Numbers, shares: Sequence[float]) -> list[str]:
    """Say what the intervals of a model hold at some steps, and why if it is not enough."""
    steps = shown_steps(covered.shape[1])
    pairs = [(f"{100 * share:.0f} %", by) for share, by in zip(shares, covered, strict=True)][::-1]
    held = [
        f"the {name} intervals hold {words([f'{100 * by[step]:.0f}' for step in steps])} %"
        for name, by in pairs
    ]
    return [
        f"Of {model}, {words(held)} of the values {ahead(steps)}.",
        *_say_missed(covered.mean(1), shares),
    ]


def _say_missed(held: Numbers, shares: Sequence[float]) -> Iterator[str]:
    """Say which intervals hold less than they promise, or more, and why; (intervals,) shares."""
    pairs = list(zip(shares, held - shares, strict=True))[::-1]
    less = [f"{100 * share:.0f} %" for share, apart in pairs if apart < -MISSED]
    more = [f"{100 * share:.0f} %" for share, apart in pairs if apart > MISSED]
    if less:
        yield (
            f"They hold less than the promised {words(less)}: the validation part, by which they "
            "were calibrated, is small or differs from the test part."
        )
    if more:
        yield (
            f"They hold more than the promised {words(more)}, and are wider than they need to be: "
            "the validation part, by which they were calibrated, was harder to forecast."
        )


def coverage_by_horizon(
    task: "Forecast",
    predictions: Sequence["Prediction"],
    windows: Windows,
    shares: Sequence[float],
) -> Figure:
    """Draw the share of the true values that each interval holds, for each step."""
    covered = coverage(task, predictions, windows)
    steps = list(range(1, task.horizon + 1))
    colours = (ORANGE, BLUE)
    promised = [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 100 * share, "y1": 100 * share,
         "line": {"color": colours[place], "width": 1.2, "dash": "dot"}}
        for place, share in enumerate(shares)
    ]  # fmt: skip
    lowest = 5 * np.floor(100 * min(covered.min(), *shares) / 5) - 5
    return Figure(
        title="Coverage by horizon",
        caption="Share of the true values within each interval, for each step ahead. The dotted "
        "lines are the promised shares.",
        words=tuple(say_coverage(MODEL, covered, shares)),
        data=tuple(
            _line(steps, 100 * by, colours[place], "solid", f"{100 * shares[place]:.0f} % interval")
            for place, by in enumerate(covered)
        ),
        layout=layout(
            320, "steps ahead", "values within", step=True, shapes=promised,
            span=(max(0.0, float(lowest)), 101.0),
        ),
    )  # fmt: skip


def words(parts: Sequence[str]) -> str:
    """Join as in a sentence.

    >>> words(["1", "12", "24"])
    '1, 12 and 24'
    """
    return " and ".join([part for part in (", ".join(parts[:-1]), parts[-1]) if part])


def _parts(task: "Forecast", windows: Windows) -> Iterator[tuple[slice, Numbers]]:
    """Yield some windows at a time, and their true values."""
    for start in range(0, len(windows), AT_ONCE):
        at = slice(start, start + AT_ONCE)
        yield at, task.truths(windows[at])


def shown_steps(horizon: int) -> list[int]:
    """Return the first, the middle and the last step, counted from 0.

    >>> shown_steps(24), shown_steps(1)
    ([0, 11, 23], [0])
    """
    return sorted({0, (horizon + 1) // 2 - 1, horizon - 1})


def layout(
    height: int,
    x: str,
    y: str,
    *,
    step: bool = False,
    from_zero: bool = False,
    span: tuple[float, float] | None = None,
    shapes: Sequence[Part] = (),
) -> Part:
    """Return a layout of plotly in the style of the page.

    Args:
        height: In pixels.
        x: Title of the horizontal axis.
        y: Title of the vertical axis.
        step: Whether the horizontal axis counts whole steps.
        from_zero: Whether the vertical axis begins at 0.
        span: The vertical axis from and to, in per cent.
        shapes: Drawn over the traces.
    """
    axis = {"automargin": True, "zeroline": False}
    ticks = {"tickformat": ",d"} if step else {}
    scale: Part = {"rangemode": "tozero"} if from_zero else {}
    if span is not None:
        scale = {"range": list(span), "ticksuffix": " %"}
    return {
        "height": height,
        "xaxis": {"title": {"text": x}, **axis, **ticks},
        "yaxis": {"title": {"text": y}, **axis, **scale},
        "margin": {"l": 8, "r": 20, "t": 8, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "dragmode": False,
        "hovermode": "x unified",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "showlegend": True,
        "shapes": list(shapes),
    }

import json
from importlib.resources import files

import plotly.graph_objects as plotly
import pytest

from ensuite.report.figures import (
    ACCENT,
    COLOURS,
    GREY,
    Figure,
    confusion_matrix,
    learning_curves,
    line_styles,
    reliability_diagram,
)
from ensuite.report.values import Confusion, Curve, Reliability
from report.invented import confusion, curves, page


def square(size: int) -> Confusion:
    counts = tuple(tuple(9 * (i == j) + (i > j) for j in range(size)) for i in range(size))
    return Confusion(name="lstm", labels=tuple(f"<b>{i}" for i in range(size)), counts=counts)


def every_figure() -> list[Figure | None]:
    return [
        reliability_diagram(page().reliability, "lstm"),
        learning_curves(curves(), "accuracy", "lstm", "60s"),
        *(confusion_matrix(square(size)) for size in (2, 10, 11, 50)),
    ]


@pytest.mark.parametrize("figure", every_figure())
def test_plotly_knows_every_word_of_it_and_it_is_told_in_words(figure):
    assert figure is not None
    plotly.Figure(data=figure.data, layout=figure.layout)  # raises on an unknown property
    json.dumps([figure.data, figure.layout], allow_nan=False)
    assert figure.words


def test_no_points_are_no_figure():
    assert learning_curves((), "accuracy", "lstm", "60s") is None
    empty = Curve(name="lstm", seed=0, points=())
    assert learning_curves((empty,), "accuracy", "lstm", "60s") is None


def test_each_model_is_in_the_legend_once_and_each_seed_is_drawn():
    figure = learning_curves(curves(), "accuracy", "lstm", "60s")
    assert figure is not None
    assert len(figure.data) == 9
    assert [line["name"] for line in figure.data if line["showlegend"]] == ["lstm", "gru", "rnn"]


def test_a_curve_of_one_point_can_be_seen():
    single = Curve(name="lstm", seed=0, points=((0.5, 30.0, 0.7),))
    figure = learning_curves((single,), "accuracy", "lstm", "60s")
    assert figure is not None
    assert "markers" in figure.data[0]["mode"]


def test_sixteen_models_have_sixteen_lines():
    styles = line_styles((f"model {i}" for i in range(16)), "model 3")
    assert len({tuple(style.values()) for style in styles.values()}) == 16


def test_a_confusion_is_told_from_the_most_frequent_on():
    assert confusion_matrix(confusion("lstm", ((284, 62), (70, 276)))).words == (
        "560 of 692 correct.",
        "positive predicted as negative: 70.",
        "negative predicted as positive: 62.",
    )


def test_a_truth_that_never_occurs_has_no_share():
    assert confusion_matrix(confusion("lstm", ((0, 0), (1, 3)))).data[0]["z"] == [
        [0, 0],
        [1 / 4, 3 / 4],
    ]


def test_plotly_reads_no_tags_in_a_name():
    assert "<b>" not in json.dumps(confusion_matrix(square(3)).data)


def test_without_probabilities_there_is_no_reliability():
    assert reliability_diagram((), "lstm") is None
    assert reliability_diagram((Reliability(name="lstm", bins=()),), "lstm") is None


def test_a_reliability_diagram_tells_every_bin():
    figure = reliability_diagram(page().reliability[:1], None)
    assert figure is not None
    assert len(figure.data) == 2
    assert "58 % correct at 55 % (90)" in figure.words[0]


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2.1, 1.4.3."""
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("paper", ["#ffffff", "#14171a"])
@pytest.mark.parametrize("colour", [ACCENT, *COLOURS, GREY])
def test_every_line_stands_out_from_the_page(colour, paper):
    style = (files("ensuite.report") / "page.css").read_text(encoding="utf-8")
    assert f"--paper: {paper}" in style
    dark, light = sorted((luminance(colour), luminance(paper)))
    assert (light + 0.05) / (dark + 0.05) >= 3

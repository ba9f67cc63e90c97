import json
from dataclasses import replace

import plotly.graph_objects as plotly
import pytest

from ensuite.report.figures import (
    Figure,
    confusion_matrix,
    learning_curves,
    line_styles,
    pareto_front,
    score_against_cost,
)
from ensuite.report.values import Confusion, Curve
from report.invented import LSTM, TFIDF, confusion, curves, leaderboard


def square(size: int) -> Confusion:
    counts = tuple(tuple(9 * (i == j) + (i > j) for j in range(size)) for i in range(size))
    return Confusion(name="lstm", labels=tuple(f"<b>{i}" for i in range(size)), counts=counts)


def every_figure() -> list[Figure | None]:
    return [
        score_against_cost(leaderboard(), "text"),
        score_against_cost(leaderboard(higher_is_better=False), "text"),
        learning_curves(curves(), "accuracy", "lstm", "60s"),
        *(confusion_matrix(square(size)) for size in (2, 10, 11, 50)),
    ]


@pytest.mark.parametrize("figure", every_figure())
def test_plotly_knows_every_word_of_it_and_it_is_told_in_words(figure):
    assert figure is not None
    plotly.Figure(data=figure.data, layout=figure.layout)  # raises on an unknown property
    json.dumps([figure.data, figure.layout], allow_nan=False)
    assert figure.words


def test_the_front_holds_what_no_other_beats():
    assert pareto_front([(1, 5), (1, 6), (2, 6), (3, 7)]) == [1, 3]


def test_a_row_without_a_time_is_named_not_drawn():
    figure = score_against_cost(leaderboard(), "text")
    assert figure is not None
    assert len(figure.words) == 4
    assert figure.caption.endswith("Not drawn, for lack of a score or a latency: most frequent.")


def test_lower_scores_are_on_the_front_where_lower_is_better():
    figure = score_against_cost(leaderboard(higher_is_better=False), "text")
    assert figure is not None
    assert "rnn: 0.771 at 0.9 ms; on the Pareto front." in figure.words
    assert "lstm: 0.809 at 1.1 ms; not on the Pareto front." in figure.words


def test_one_dot_is_no_figure():
    assert score_against_cost(leaderboard(LSTM, replace(TFIDF, latency_ms=None)), "text") is None


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
    row = replace(LSTM, name='<a href="x">')
    figure = score_against_cost(leaderboard(row, TFIDF), "text")
    assert "<a" not in json.dumps(figure.data if figure else "<a")
    assert "<b>" not in json.dumps(confusion_matrix(square(3)).data)

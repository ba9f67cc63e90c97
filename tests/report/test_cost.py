import json
from dataclasses import replace

import plotly.graph_objects as plotly
import pytest

from ensuite.core.presentation import Figure
from ensuite.report.cost import pareto_front, score_against_cost
from report.invented import GRU, LSTM, MOST_FREQUENT, RNN, TFIDF, crowd, leaderboard


def drawn(*rows, **changes) -> Figure:
    figure = score_against_cost(leaderboard(*rows, **changes), "text")
    assert figure is not None
    return figure


@pytest.mark.parametrize(
    "figure",
    [
        drawn(),
        drawn(higher_is_better=False),
        score_against_cost(crowd().leaderboard, "text"),
        drawn(replace(LSTM, score=0.0, spread=0.0), replace(GRU, score=0.0, spread=None)),
    ],
)
def test_plotly_knows_every_word_of_it_and_it_is_told_in_words(figure):
    plotly.Figure(data=figure.data, layout=figure.layout)  # raises on an unknown property
    json.dumps([figure.data, figure.layout], allow_nan=False)
    assert figure.words


def test_the_front_holds_what_no_other_beats():
    assert pareto_front([(1, 5), (1, 6), (2, 6), (3, 7)]) == [1, 3]


def test_a_row_without_a_time_is_told_not_drawn():
    figure = drawn()
    assert len(figure.words) == 4
    assert figure.caption.endswith("Not drawn, for lack of a score or a latency: most frequent.")


def test_lower_scores_are_on_the_front_where_lower_is_better():
    figure = drawn(higher_is_better=False)
    assert "rnn: 0.771 at 0.9 ms; on the Pareto front." in figure.words
    assert "lstm: 0.809 at 1.1 ms; not on the Pareto front." in figure.words


def test_one_dot_is_no_figure():
    assert score_against_cost(leaderboard(LSTM, replace(TFIDF, latency_ms=None)), "text") is None


@pytest.mark.parametrize("higher", [True, False])
def test_the_weakest_row_does_not_stretch_the_axis(higher):
    rows = [TFIDF, LSTM, GRU, RNN, replace(MOST_FREQUENT, latency_ms=0.01)]
    if not higher:
        rows = [replace(row, score=1 - row.score) for row in rows]
    figure = drawn(*rows, higher_is_better=higher)
    low, high = figure.layout["yaxis"]["range"]
    assert high - low < 0.2
    dots = figure.data[1]
    place = dots["x"].index(0.01)
    assert dots["y"][place] == (low if higher else high)
    assert dots["marker"]["symbol"][place] == ("triangle-down" if higher else "triangle-up")
    assert f"drawn at the edge: most frequent ({rows[-1].score:.3g})." in figure.caption
    assert set(dots["marker"]["symbol"]) - {"circle"} == {dots["marker"]["symbol"][place]}


def test_every_row_is_named():
    assert {each["text"] for each in drawn().layout["annotations"]} == {
        "TF-IDF + logistic", "lstm", "gru", "rnn",
    }  # fmt: skip


def test_a_name_that_has_no_room_is_told():
    rows = [replace(LSTM, name=f"a model with a long name {n}", score=0.8) for n in range(40)]
    figure = drawn(*rows, winner=rows[0].name)
    named = len(figure.layout["annotations"])
    assert 5 < named < 40
    assert "Not named, for lack of room: " in figure.caption


def test_plotly_reads_no_tags_in_a_name():
    figure = drawn(replace(LSTM, name='<a href="x">'), TFIDF)
    assert "<a" not in json.dumps([figure.data, figure.layout])

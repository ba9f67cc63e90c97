from dataclasses import replace

import pytest

from ensuite.report.values import Row
from ensuite.report.verdict import verdict
from report.invented import GRU, LSTM, MOST_FREQUENT, RNN, TFIDF, leaderboard

ALONE = replace(LSTM, score=0.86, converged=True)
BEATEN = replace(TFIDF, tie_group="B")


def said(*rows: Row, **changes: object) -> list[str]:
    taken = min((row for row in rows if row.tie_group == "A"), key=lambda row: row.latency_ms)
    return verdict(leaderboard(*rows, winner=taken.name, **changes), 692, "text")


def test_without_a_score_nothing_is_said():
    assert verdict(leaderboard(replace(LSTM, score=None)), 692, "text") == []


def test_without_a_metric_that_ranks_nothing_is_recommended():
    board = leaderboard(replace(LSTM, truncated_rows=7), GRU, metric=None, winner=None)
    assert verdict(board, 692, "text") == [
        "No metric ranks these rows, so none is recommended; to rank by one of the metrics, give "
        "--metric accuracy.",
        "lstm did not read every text whole (7 texts cut).",
    ]


def test_a_difference_has_the_unit_of_its_metric():
    found = said(*(replace(row, score=100 * row.score) for row in (ALONE, BEATEN)), metric="mae")
    assert "lstm beats the best baseline, TF-IDF + logistic, by 4.4 mg." in found


def test_a_baseline_that_ties_is_taken():
    assert said(TFIDF, LSTM, GRU, RNN, MOST_FREQUENT) == [
        "Take TF-IDF + logistic: as good as any here, and the cheapest.",
        "Group A (TF-IDF + logistic, lstm and gru) cannot be told apart on 692 texts: "
        "they show differences of 2.8 points or more.",
        "No model beats TF-IDF + logistic: a simple baseline is enough here, so far.",
        "lstm was still rising when its time was up (--budget 3m).",
    ]


def test_a_model_that_leads_alone_is_taken():
    assert said(ALONE, BEATEN) == [
        "Take lstm: the best here.",
        "lstm is better than every other row by more than chance on 692 texts: "
        "they show differences of 2.8 points or more.",
        "lstm beats the best baseline, TF-IDF + logistic, by 4.4 points.",
    ]


def test_the_lead_over_a_baseline_is_that_of_the_best_row_not_of_the_cheapest():
    cheap = replace(GRU, score=0.85, latency_ms=0.2)
    found = said(ALONE, cheap, BEATEN)
    assert found[0].startswith("Take gru:")
    assert "lstm beats the best baseline, TF-IDF + logistic, by 4.4 points." in found


def test_where_lower_is_better_the_best_baseline_is_the_lowest():
    rows = [replace(ALONE, score=1.0), replace(BEATEN, score=1.5), replace(MOST_FREQUENT, score=4)]
    found = said(*rows, metric="mae", higher_is_better=False)
    assert "lstm beats the best baseline, TF-IDF + logistic, by 0.5 mg." in found


def test_a_dearer_baseline_that_ties_is_named():
    dear = replace(TFIDF, latency_ms=9.0)
    assert "A simple baseline does as well, only not as cheaply: TF-IDF + logistic." in said(
        LSTM, dear
    )


def test_baselines_alone_ask_for_a_model():
    assert said(TFIDF, MOST_FREQUENT)[-1] == (
        "Only baselines have a score: name models to set beside them (--models lstm,gru)."
    )


def test_models_alone_are_compared_with_each_other():
    assert said(replace(LSTM, converged=True), GRU, smallest_visible_difference=None) == [
        "Take lstm: as good as any here, and the cheapest.",
        "All rows cannot be told apart on 692 texts.",
    ]


def test_one_row_was_no_choice():
    assert said(ALONE) == ["Take lstm: there was nothing else to choose from."]


@pytest.mark.parametrize(
    ("budget", "higher", "sentence"),
    [
        ("60s", True, "lstm was still rising when its time was up (--budget 3m)."),
        ("60s", False, "lstm was still falling when its time was up (--budget 3m)."),
        ("2epochs", True, "lstm was still rising when its budget was spent (--budget 6epochs)."),
        ("", True, "lstm was still rising when its budget was spent (give a larger --budget)."),
    ],
)
def test_a_budget_that_was_too_short_says_what_to_type(budget, higher, sentence):
    assert sentence in said(LSTM, GRU, budget=budget, higher_is_better=higher)


def test_several_under_trained_rows_share_a_sentence():
    assert "lstm and gru were still rising when their time was up (--budget 3m)." in said(
        LSTM, replace(GRU, converged=False)
    )


def test_what_was_not_read_is_said():
    cut = replace(LSTM, truncated_rows=412)
    assert "lstm did not read every text whole (412 texts cut)." in said(cut, GRU)
    both = said(cut, replace(GRU, truncated_rows=1))
    assert "lstm and gru did not read every text whole (up to 412 texts cut)." in both


def test_a_row_without_a_score_is_said_to_have_none():
    assert "rnn has no score and cannot be judged." in said(LSTM, GRU, replace(RNN, score=None))


def test_a_limit_wider_than_all_scores_is_not_a_number() -> None:
    sentences = said(replace(LSTM, spread=0.6), GRU, smallest_visible_difference=3.1, seeds=2)
    assert "with other seeds they differ too much to show anything (--seeds 4)" in sentences[1]

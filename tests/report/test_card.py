import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensuite.report.card import comparison_card, run_card
from report.invented import LSTM, TFIDF, leaderboard, page, run, unranked

header = re.compile(r"\A---\n(?:.+\n)+?---\n\n# ")


@pytest.mark.parametrize("card", [comparison_card(page()), run_card(run())])
def test_a_card_has_what_hubs_and_people_look_for(card):
    assert header.match(card)
    for line in (
        "library_name: ensuite",
        'pipeline_tag: "text-classification"',
        '    - type: "accuracy"',
        "## Use",
        "## Scores",
        "## Data",
        "## Limits",
        "import ensuite",
    ):
        assert line in card.splitlines()


def test_the_comparison_is_about_its_winner_and_shows_all():
    card = comparison_card(page())
    assert "# TF-IDF + logistic for reviews.csv" in card
    assert "      value: 0.816" in card
    assert all(f"| {row.name} |" in card for row in page().leaderboard.rows)


def test_a_run_tells_its_limits():
    cut = replace(run(), row=replace(LSTM, truncated_rows=7))
    card = run_card(cut)
    assert (
        "- Give --budget 3m before you decide: lstm was still rising when its time was up." in card
    )
    assert "- cut for lstm: 7 texts not read." in card


def test_a_task_that_hubs_have_no_word_for_keeps_its_own():
    card = run_card(replace(run(), task="detect", pipeline=""))
    assert "pipeline_tag" not in card
    assert '      type: "detect"' in card


def test_a_metric_without_a_value_is_left_out():
    card = run_card(replace(run(), row=replace(LSTM, metrics={"log_loss": float("nan")})))
    assert "log_loss" not in card


def test_a_comparison_that_nothing_ranks_has_a_card_without_a_winner():
    card = comparison_card(unranked())
    assert "# classify models for reviews.csv" in card
    assert "No metric ranks these rows" in card
    assert "| lstm |" in card
    assert "model-index" not in card
    assert "## Use" not in card


def test_a_run_that_nothing_ranks_shows_its_metrics():
    card = run_card(replace(run(), metric=None, row=replace(LSTM, score=None)))
    assert '    - type: "macro_f1"' in card
    assert '      name: "macro F1"' in card


def test_a_folder_with_spaces_can_be_typed():
    use = "ensuite predict 'my runs/a' --file FILE"
    assert use in run_card(replace(run(), use=use))


@given(text=st.text(min_size=1).filter(str.strip))
def test_any_name_keeps_the_header_and_the_table_whole(text):
    board = leaderboard(replace(LSTM, name=text), TFIDF, winner=text, data=text)
    card = comparison_card(replace(page(), leaderboard=board, check=((text, text),)))
    assert header.match(card)
    rows = [line for line in card.split("\n") if line.startswith("|")]
    assert len(rows) == 4
    assert len({len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows}) == 1

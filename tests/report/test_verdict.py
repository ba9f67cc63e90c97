import re
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensuite.core.display import Display
from ensuite.report.values import Leaderboard, Row
from ensuite.report.verdict import verdict
from report.invented import (
    GRU,
    LSTM,
    MOST_FREQUENT,
    RNN,
    TFIDF,
    leaderboard,
    limits_of,
    told_apart,
)

SETTLED = replace(LSTM, still_rising=False)
ALONE = replace(SETTLED, score=0.86)
BEATEN = replace(TFIDF, tie_group="B")


def said(*rows: Row, **changes: object) -> list[str]:
    """Return the sentences about some rows, of which the fastest in group A is taken."""
    leaders = [row for row in rows if row.tie_group == "A" and row.score is not None]
    winner = min(leaders, key=lambda row: row.latency_ms or 0).name
    return verdict(leaderboard(*rows, **{"winner": winner, **changes}), 692, "text")


def test_without_a_score_nothing_is_taken():
    board = leaderboard(replace(SETTLED, score=None, failed="out of memory"), winner=None)
    assert verdict(board, 692, "text") == [
        "No row has a score, so none can be taken.",
        "lstm failed: out of memory.",
    ]


def test_without_a_metric_that_ranks_nothing_is_recommended():
    board = leaderboard(replace(SETTLED, truncated_rows=7), GRU, metric=None, winner=None)
    assert verdict(board, 692, "text") == [
        "No metric ranks these rows, so none is recommended; to rank by one of the metrics, give "
        "--metric accuracy.",
        "lstm did not read every text whole (7 texts cut).",
    ]


def test_a_difference_has_the_unit_of_its_metric():
    found = said(*(replace(row, score=100 * row.score) for row in (ALONE, BEATEN)), metric="mae")
    assert "lstm beats the best baseline, TF-IDF + logistic, by 4.4 mg." in found


def test_a_baseline_that_ties_is_taken_and_it_is_said_why():
    assert said(TFIDF, SETTLED, GRU, RNN, MOST_FREQUENT) == [
        "Take TF-IDF + logistic: no row beats it, and it is the cheapest of those within one "
        "standard error of the best score.",
        "Group A (TF-IDF + logistic, lstm and gru) cannot be told apart on 692 texts: a "
        "difference of 2.8 points would have shown.",
        "No model beats TF-IDF + logistic: a simple baseline is enough here.",
    ]


def test_a_model_that_beats_every_other_row_is_taken():
    assert said(ALONE, BEATEN) == [
        "Take lstm: it is better than every other row, by more than chance.",
        "Differences of 2.8 points or more show on 692 texts.",
        "lstm beats the best baseline, TF-IDF + logistic, by 4.4 points.",
    ]


def test_a_row_that_others_beat_is_not_beaten_by_the_winner_unless_it_is():
    found = said(
        ALONE, BEATEN, replace(GRU, tie_group="C"),
        beats=(("lstm", BEATEN.name), (BEATEN.name, "gru")),
    )  # fmt: skip
    assert found[:2] == [
        "Take lstm: it is the only row that no other row beats.",
        "gru cannot be told apart from lstm, but is beaten by another row.",
    ]


def test_a_limit_that_a_shown_difference_is_below_is_not_told():
    near = replace(BEATEN, score=0.83)
    limits = {"TF-IDF + logistic|lstm": 0.028, "lstm|rnn": 0.096, "TF-IDF + logistic|rnn": 0.028}
    found = said(ALONE, near, replace(RNN, tie_group="C", score=0.6), limits=limits)
    assert found[0] == "Take lstm: it is better than every other row, by more than chance."
    assert not [sentence for sentence in found if "or more" in sentence]


def test_a_pair_without_a_limit_makes_none():
    assert (
        said(SETTLED, GRU, limits={})[1]
        == "Group A (lstm and gru) cannot be told apart on 692 texts."
    )


def test_where_lower_is_better_the_best_baseline_is_the_lowest():
    rows = [replace(ALONE, score=1.0), replace(BEATEN, score=1.5), replace(MOST_FREQUENT, score=4)]
    found = said(*rows, metric="mae", higher_is_better=False)
    assert "lstm beats the best baseline, TF-IDF + logistic, by 0.5 mg." in found


def test_a_baseline_that_ties_but_is_not_taken_is_named():
    dear = replace(TFIDF, latency_ms=9.0)
    assert "No row beats the baseline TF-IDF + logistic either." in said(SETTLED, dear)


def test_baselines_alone_ask_for_a_model():
    assert said(TFIDF, MOST_FREQUENT)[-1] == (
        "Only baselines have a score: name models to set beside them (--models lstm,gru)."
    )


def test_one_row_was_no_choice():
    assert said(ALONE) == ["Take lstm: there was nothing else to choose from."]
    failed = replace(GRU, score=None, failed="out of memory.")
    assert said(ALONE, failed) == [
        "Take lstm: no other row has a score.", "gru failed: out of memory.",
    ]  # fmt: skip


def test_one_seed_is_said():
    assert any("trained with one seed" in each for each in said(ALONE, BEATEN, one_seed=True))
    assert not any("one seed" in each for each in said(ALONE, BEATEN))


def test_what_the_time_left_out_is_said():
    assert said(ALONE, BEATEN, left_out="Seed 2 was left out.")[-1] == "Seed 2 was left out."


def test_few_test_rows_make_no_groups_and_name_folds():
    rows = [replace(row, tie_group="") for row in (TFIDF, SETTLED)]
    few = leaderboard(*rows, items=12, beats=(), limits={})
    assert verdict(few, 12, "text") == [
        "So far: take TF-IDF + logistic: its score is the best, but 12 texts are too few to tell "
        "rows apart (--folds 5 tests on more texts).",
    ]
    (sentence,) = verdict(replace(few, folds=5), 3, "text")
    assert "12 texts are too few" in sentence
    assert "--folds" not in sentence
    (sentence,) = verdict(replace(few, items=1), 7, "window")
    assert "7 windows, which count as 1 independent one, are too few" in sentence
    (sentence,) = verdict(few, 480, "text")
    assert "480 texts, which count as 12 independent ones, are too few" in sentence


def test_blocks_are_told():
    assert "on 692 texts, which count as 40 independent" in said(SETTLED, GRU, items=40)[1]
    assert "on 3,460 texts of all folds" in said(SETTLED, GRU, items=3460, folds=5)[1]


@pytest.mark.parametrize(
    ("budget", "higher", "give", "why"),
    [
        ("60s", True, "--budget 3m", "rising when its time was up"),
        ("60s", False, "--budget 3m", "falling when its time was up"),
        ("2 epochs", True, "--budget 6epochs", "rising when its budget was spent"),
        ("", True, "a larger --budget", "rising when its budget was spent"),
    ],
)
def test_a_budget_that_was_too_short_comes_first_and_says_what_to_type(budget, higher, give, why):
    found = said(LSTM, GRU, budget=budget, higher_is_better=higher)
    assert found[0] == f"Give {give} before you decide: lstm was still {why}."
    assert found[1].startswith("So far: take ")


def test_several_reasons_share_the_first_sentence():
    busy = replace(GRU, busy=True, epochs=0.1, promised_epochs=4.4)
    short = replace(RNN, epochs=0.3)
    assert said(LSTM, busy, short)[0] == (
        "Give --budget 44m, or run it again while the machine is quiet, before you decide: the "
        "machine was busy, and gru trained for 0.1 of 4.4 epochs; rnn trained for 0.3 epochs; lstm "
        "was still rising when its time was up."
    )


def test_several_rows_share_a_reason():
    assert (
        "lstm and gru were still rising when their time was up"
        in said(LSTM, replace(GRU, still_rising=True))[0]
    )
    rows = [replace(row, epochs=0.3) for row in (LSTM, GRU)]
    assert "lstm and gru trained for less than one epoch each" in said(*rows)[0]
    rows = [replace(row, busy=True) for row in (LSTM, GRU)]
    assert "and lstm and gru were stopped early" in said(*rows)[0]


def test_what_was_not_read_is_said():
    cut = replace(SETTLED, truncated_rows=412)
    assert "lstm did not read every text whole (412 texts cut)." in said(cut, GRU)
    both = said(cut, replace(GRU, truncated_rows=1))
    assert "lstm and gru did not read every text whole (up to 412 texts cut)." in both


def test_a_row_without_a_score_is_said_to_have_none():
    assert "rnn has no score and cannot be judged." in said(SETTLED, GRU, replace(RNN, score=None))


def test_a_class_that_is_never_found_is_named():
    rare = {"lstm": ("spam",), "gru": ("spam",), TFIDF.name: ("a", "b", "c", "d", "e")}
    found = said(SETTLED, GRU, TFIDF, never_found=rare)
    assert 'lstm and gru never find the class "spam".' in found
    assert f'{TFIDF.name} never finds the classes "a", "b", "c" and 2 more.' in found


def test_a_limit_wider_than_all_scores_asks_for_seeds_or_rows() -> None:
    rows = SETTLED, replace(GRU, score=0.71)
    sentences = said(*rows, limits=limits_of(*rows, limit=0.15), seeds=2)
    assert "only a difference of 15 points would have shown" in sentences[1]
    assert "--seeds 4 or more test rows would show smaller ones" in sentences[1]
    sentences = said(*rows, limits=limits_of(*rows, limit=1e9), seeds=2)
    assert sentences[1].endswith("apart on 692 texts: give --seeds 4 or more test rows.")
    rows = SETTLED, replace(GRU, score=0.1)
    sentences = said(*rows, limits=limits_of(*rows, limit=1.05), seeds=2)
    assert sentences[1].endswith("apart on 692 texts: give --seeds 4 or more test rows.")


@st.composite
def boards(draw: st.DrawFn) -> Leaderboard:
    """Draw a leaderboard as a comparison makes it: groups follow from pairs, pairs from limits."""
    count = draw(st.integers(1, 6))
    names = draw(st.permutations(["lstm", "gru", "rnn", "conv", "a|b", "TF-IDF"]))[:count]
    scores = draw(st.lists(st.floats(0.0, 1.0), min_size=count, max_size=count))
    higher, few = draw(st.booleans()), draw(st.sampled_from([False, False, False, True]))
    signed = dict(zip(names, scores if higher else [-s for s in scores], strict=True))
    limits = {pair: draw(st.floats(1e-4, 0.6)) for pair in combinations(sorted(names), 2)}
    beats = set()
    for (one, other), limit in limits.items():
        if not few and abs(signed[one] - signed[other]) >= limit:
            beats.add((one, other) if signed[one] > signed[other] else (other, one))
    groups, left = dict.fromkeys(names, ""), list(names)
    for letter in "ABCDEF":
        unbeaten = [n for n in left if not any((m, n) in beats for m in left)]
        groups |= dict.fromkeys(unbeaten, "" if few else letter)
        left = [n for n in left if n not in unbeaten]
    best = max(signed.values())
    near = [n for n in names if groups[n] in ("A", "") and (not few or signed[n] == best)]
    rows = tuple(
        Row(
            name=name, score=score, tie_group=groups[name],
            kind=draw(st.sampled_from(["baseline", "trained"])),
            epochs=draw(st.sampled_from([None, 0.3, 5.0])), promised_epochs=4.0,
            still_rising=draw(st.sampled_from([None, False, False, True])),
            busy=draw(st.sampled_from([None, False, False, True])),
        )
        for name, score in zip(names, scores, strict=True)
    )  # fmt: skip
    known = draw(st.sampled_from([True, True, False]))
    return Leaderboard(
        task="classify", data="d", metric="accuracy", higher_is_better=higher,
        budget=draw(st.sampled_from(["60 s", "3 epochs", "2e+06 tokens", "until 5 evaluations "
                                     "bring no gain, 10 m at most"])),
        seeds=draw(st.integers(1, 3)), winner=draw(st.sampled_from(near)),
        smallest_visible_difference=None,
        rows=tuple(sorted(rows, key=lambda row: -signed[row.name])),
        displays={"accuracy": Display(points=100)}, items=12 if few else 400,
        beats=tuple(beats),
        limits={"|".join(pair): limit for pair, limit in limits.items()} if known else {},
    )  # fmt: skip


@settings(max_examples=400)
@given(boards())
def test_no_sentence_contradicts_the_table(board):
    found = verdict(board, 400 if board.items == 400 else 12, "text")
    text, scores = " ".join(found), {row.name: row.score for row in board.rows}
    assert board.winner is not None
    sign = 1 if board.higher_is_better else -1
    others = set(scores) - {board.winner}

    # What is claimed of the winner.
    assert not any((other, board.winner) in board.beats for other in others)
    if "better than every other row" in text:
        assert all((board.winner, other) in board.beats for other in others)
    if "its score is the best" in text:
        assert all(sign * scores[board.winner] > sign * scores[other] for other in others)
    if "no score is better" in text:
        assert all(sign * scores[board.winner] >= sign * scores[other] for other in others)
    if beaten := re.search(r"beats the best baseline, (.+), by ([\d.]+) point", text):
        assert (board.winner, beaten[1]) in board.beats
        gap = 100 * abs(scores[board.winner] - scores[beaten[1]])
        assert float(beaten[2]) == pytest.approx(gap, rel=0.06, abs=0.051)

    # What is claimed of differences.
    ties = {row.name for row in board.rows if row.tie_group == "A"}
    tied = [100 * abs(scores[a] - scores[b]) for a, b in combinations(sorted(ties), 2)]
    if hidden := re.search(r"a difference of ([\d.]+) points? would have shown", text):
        assert max(tied) < float(hidden[1]) + 1e-9
    if shown := re.search(r"Differences of ([\d.]+) points? or more show", text):
        gaps = [100 * abs(scores[board.winner] - scores[other]) for other in others]
        assert min(gaps) >= float(shown[1]) - 1e-9
    for one, other in board.beats:
        assert f"({one} and {other}) cannot" not in text
        assert f"({other} and {one}) cannot" not in text
    if "All rows cannot be told apart" in text:
        assert not board.beats

    # The order of the sentences.
    unsettled = any(
        row.still_rising or row.busy or (row.epochs is not None and row.epochs < 1)
        for row in board.rows
    )
    assert bool(re.match(r"Give --budget \d", found[0])) == unsettled
    assert found[unsettled].startswith("So far: take" if unsettled or not ties else "Take")
    if not ties and len(others) > 0:
        assert "--folds 5" in text
        assert "cannot be told apart" not in text
    assert "as good as" not in text


def test_pairs_of_the_invented_rows_agree_with_their_limits():
    rows = leaderboard().rows
    for better, worse in told_apart(*rows):
        one, other = (next(row for row in rows if row.name == name) for name in (better, worse))
        assert one.score - other.score >= leaderboard().limits["|".join(sorted((better, worse)))]

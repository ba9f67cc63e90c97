from dataclasses import replace
from io import StringIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from ensuite.report.table import columns, facts, lines, terminal_table
from ensuite.report.values import Row
from report.invented import GRU, LSTM, MOST_FREQUENT, TFIDF, leaderboard, unranked

names = st.text(min_size=1, max_size=60).filter(str.strip)
figures = st.none() | st.floats(min_value=0, max_value=1e15)
counts = st.none() | st.integers(min_value=0, max_value=10**15)
candidates = st.builds(
    Row,
    name=names,
    kind=st.sampled_from(["baseline", "trained"]),
    score=st.none() | st.floats(),
    spread=figures,
    tie_group=st.sampled_from(["", "A", "B"]),
    parameters=counts,
    train_seconds=figures,
    latency_ms=figures,
    disk_bytes=counts,
    converged=st.none() | st.booleans(),
    truncated_rows=counts,
    metrics=st.dictionaries(st.sampled_from(["accuracy", "macro_f1", "mae"]), st.floats()),
)


def test_the_table_reads_as_promised():
    headings, *bodies = lines(leaderboard(), "text")
    assert headings.split()[:4] == ["model", "accuracy", "group", "parameters"]
    assert bodies[1].split("  ")[0] == "lstm"
    for cell in ("0.809 ± 0.006", "1.3 M", "60 s", "310 MB", "1.1 ms", "5.2 MB", "still rising"):
        assert cell in bodies[1]
    assert "±" not in bodies[0]  # one run has no spread


def test_without_a_metric_that_ranks_all_metrics_stand_at_the_end():
    headings, *bodies = lines(unranked().leaderboard, "text", width=400)
    assert headings.split()[:2] == ["model", "parameters"]
    assert "accuracy" in headings
    assert "group" not in headings
    assert "0.809" in bodies[0]


def test_a_metric_may_fix_its_decimals():
    rows = [replace(row, metrics={"mae": 3.14159}) for row in (LSTM, GRU)]
    (column,) = [each for each in columns(leaderboard(*rows), "text") if each.title == "MAE"]
    assert column.cells == ("3.1", "3.1")


def test_a_column_with_nothing_to_say_is_left_out():
    titles = {column.title for column in columns(leaderboard(MOST_FREQUENT), "text")}
    assert "parameters" in titles
    assert not titles & {"memory", "one text", "size", "texts cut", "note"}


def test_truncation_is_shown_where_there_is_some():
    cut = replace(LSTM, truncated_rows=412, truncated_tokens=31_000)
    found = {column.title: column.cells for column in columns(leaderboard(TFIDF, cut), "text")}
    assert found["texts cut"] == ("0", "412")
    assert found["tokens cut"] == ("0", "31,000")


@pytest.mark.parametrize("higher", [True, False])
def test_the_note_says_which_way_the_score_was_going(higher):
    note = columns(leaderboard(LSTM, higher_is_better=higher), "text")[-1]
    assert note.cells == ("still rising" if higher else "still falling",)


def test_scores_stand_below_each_other():
    rows = (replace(GRU, score=123.4, spread=1.5), replace(LSTM, score=9.87, spread=None))
    score = columns(leaderboard(*rows), "text")[1]
    assert score.cells == ("123.4 ± 1.5", "  9.9")


def test_a_narrow_terminal_keeps_what_matters_most():
    headings = lines(leaderboard(), "text", width=50)[0]
    assert headings.split() == ["model", "accuracy", "group"]


@given(rows=st.lists(candidates, min_size=1, max_size=4), width=st.integers(60, 140))
@example(  # the carriage return is a space on the line, which takes one cell more
    rows=[
        *(Row(name="0", kind="baseline", score=None, parameters=n, spread=0.0) for n in (None, 0)),
        Row(name="0", kind="baseline", score=None, converged=False),
        Row(name="000000\r0", kind="baseline", score=-0.0, truncated_rows=1),
    ],
    width=60,
)
def test_lines_fit_and_no_row_is_lost(rows, width):
    found = lines(leaderboard(*rows, winner=rows[0].name), "text", width)
    assert len(found) == len(rows) + 1
    assert all(cell_len(line) <= width for line in found)


def test_the_terminal_shows_the_same_lines_with_markup_as_it_is():
    board = leaderboard(replace(LSTM, name="[red]lstm"), winner="[red]lstm")
    console = Console(file=StringIO(), width=100, color_system=None)
    console.print(terminal_table(board, "text"))
    assert console.file.getvalue().rstrip("\n").split("\n") == lines(board, "text")


def test_facts_leave_out_what_does_not_apply():
    assert facts(columns(leaderboard(), "text"), 4) == [
        ("accuracy", "0.499"),
        ("parameters", "0"),
        ("trained", "0 s"),
        ("macro F1", "0.333"),
        ("log loss", "0.693"),
    ]

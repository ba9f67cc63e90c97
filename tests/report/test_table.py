from dataclasses import replace
from io import StringIO
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from ensuite.report.marks import mark, unsettled
from ensuite.report.table import (
    LONGEST_NOTE,
    columns,
    facts,
    lines,
    metrics_first,
    terminal_table,
)
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
    epochs=figures,
    promised_epochs=figures,
    still_rising=st.none() | st.booleans(),
    busy=st.none() | st.booleans(),
    failed=st.sampled_from(["", "", "out of memory", "its loss was not finite " * 9]),
    truncated_rows=counts,
    metrics=st.dictionaries(st.sampled_from(["accuracy", "macro_f1", "mae"]), st.floats()),
)


def test_the_table_reads_as_promised():
    headings, *bodies = lines(leaderboard(), "text", width=120)
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


def test_columns_are_dropped_from_the_right_and_marks_stay():
    settled = leaderboard(replace(LSTM, still_rising=False), GRU)
    widths = (50, 60, 70, 80, 130)
    shown = [lines(settled, "text", width)[0].split() for width in widths]
    for narrow, wide in pairwise(shown):
        assert wide[: len(narrow)] == narrow
    assert [len(headings) for headings in shown] == sorted({len(each) for each in shown})
    assert shown[0][:3] == ["model", "accuracy", "group"]
    assert lines(leaderboard(), "text", width=50)[2].endswith("A      still rising")


def test_a_metric_that_rare_classes_need_stands_beside_the_one_that_ranks():
    board = leaderboard(beside=("macro_f1",))
    assert lines(board, "text", width=50)[0].split() == [
        "model", "accuracy", "macro", "F1", "group",
    ]  # fmt: skip
    titles = [column.title for column in columns(board, "text")]
    assert titles.count("macro F1") == 1


def test_the_page_has_the_metrics_first_and_loses_no_column():
    table = columns(leaderboard(), "text")
    found = metrics_first(table)
    assert sorted(found, key=id) == sorted(table, key=id)
    titles = [column.title for column in found if column.title != "note"]
    assert titles[:5] == ["model", "accuracy", "group", "macro F1", "log loss"]


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"failed": "out of memory", "score": None}, "failed: out of memory"),
        (
            {"busy": True, "epochs": 0.1, "promised_epochs": 4.4},
            "the machine was busy: 0.1 of 4.4 epochs",
        ),
        (
            {"busy": True, "epochs": 0.1, "promised_epochs": 1.0},
            "the machine was busy: 0.1 of 1 epoch",
        ),
        ({"busy": True, "epochs": None}, "the machine was busy"),
        ({"busy": True, "epochs": 27.0, "promised_epochs": 22.0}, "the machine was busy"),
        ({"epochs": 0.3}, "0.3 epochs"),
        ({"epochs": 0.9999}, "0.99 epochs"),
        ({"still_rising": True}, "still rising"),
        ({"still_rising": False, "converged": False, "epochs": 1.0}, ""),
        ({"still_rising": None, "converged": False}, "still rising"),
    ],
)
def test_a_row_is_marked_by_what_is_uncertain(changes, note):
    row = replace(GRU, **changes)
    assert mark(row, True) == note
    assert bool(unsettled([row])) == (bool(note) and not row.failed)


def test_a_long_mark_stands_below_its_row():
    busy = replace(LSTM, busy=True, epochs=0.1, promised_epochs=4.4)
    found = lines(leaderboard(busy, GRU), "text", width=80)
    assert found[2] == "  the machine was busy: 0.1 of 4.4 epochs"
    assert found[3].startswith("gru ")


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
    board = leaderboard(*rows, winner=rows[0].name)
    found = lines(board, "text", width)
    marks = [mark(row, True) for row in rows]
    below = sum(cell_len(each) > LONGEST_NOTE for each in marks)
    assert 1 + len(rows) + below <= len(found) <= 1 + len(rows) + sum(map(bool, marks))
    assert all(cell_len(line) <= width for line in found)


def test_the_terminal_shows_the_same_lines_with_markup_as_it_is():
    board = leaderboard(replace(LSTM, name="[red]lstm"), winner="[red]lstm")
    console = Console(file=StringIO(), width=100, color_system=None)
    console.print(terminal_table(board, "text"))
    assert console.file.getvalue().rstrip("\n").split("\n") == lines(board, "text")


def test_a_terminal_obeys_no_name():
    board = leaderboard(replace(LSTM, name="\x1b[2Jlstm"), winner=None)
    assert "\x1b" not in "".join(lines(board, "text"))


def test_facts_leave_out_what_does_not_apply():
    assert facts(columns(leaderboard(), "text"), 4) == [
        ("accuracy", "0.499"),
        ("parameters", "0"),
        ("trained", "0 s"),
        ("macro F1", "0.333"),
        ("log loss", "0.693"),
    ]

"""What ``ensuite.compare`` returns: the table, the winner, the verdict."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars
import pytest

import ensuite
from ensuite.core.errors import RunError, UsageError

ROWS = [
    {"text": f"a {word} film, number {n}", "label": label}
    for n in range(30)
    for word, label in (("good", "positive"), ("bad", "negative"))
]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> ensuite.Leaderboard:
    """Return the result of a small comparison."""
    return ensuite.compare(
        "classify", ROWS, models=["gru"], seeds=1, budget="2steps", settings={"width": 4},
        threads=1, out=tmp_path_factory.mktemp("board") / "out",
    )  # fmt: skip


def test_the_winner_is_loaded_when_it_is_asked_for(board: ensuite.Leaderboard) -> None:
    assert board.folder.name == "out"
    assert board.winner == "TF-IDF + logistic"
    assert board.best.predict(["a good film"])[0].label == "positive"
    assert board.best is board.best


def test_a_table_without_a_winner_has_no_best(board: ensuite.Leaderboard) -> None:
    from dataclasses import replace

    with pytest.raises(RunError, match=r"No row of .*out is recommended; open the run of one"):
        _ = replace(board, winner=None).best


def test_the_verdict_is_what_the_command_prints(board: ensuite.Leaderboard) -> None:
    assert "take TF-IDF + logistic" in board.verdict
    assert board.verdict.endswith(".")


def test_it_prints_as_the_table(board: ensuite.Leaderboard) -> None:
    assert repr(board) == str(board)
    assert str(board).splitlines()[0].split()[:2] == ["model", "accuracy"]
    assert "one text" in str(board)


def test_a_notebook_shows_the_table_of_the_page(board: ensuite.Leaderboard) -> None:
    shown = board._repr_html_()
    page = (board.folder / "report.html").read_text(encoding="utf-8")
    start, end = (shown.index(mark) for mark in ("<table", "</table>"))
    assert shown[start:end] in page
    assert "before you decide" in shown
    assert "<script" not in shown
    assert "<html" not in shown


def test_a_frame_has_a_row_for_each_candidate(board: ensuite.Leaderboard) -> None:
    frame = board.to_frame()
    assert isinstance(frame, polars.DataFrame)
    assert frame["name"].to_list() == [row.name for row in board.rows]
    assert frame["macro_f1"].to_list() == [row.metrics["macro_f1"] for row in board.rows]


def test_pandas_makes_the_frame_where_it_is_asked_for(
    board: ensuite.Leaderboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=list))  # type: ignore[arg-type]
    found: Any = board.to_frame("pandas")
    assert [row["name"] for row in found] == [row.name for row in board.rows]
    monkeypatch.setitem(sys.modules, "pandas", None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="pip install pandas"):
        board.to_frame("pandas")
    with pytest.raises(UsageError, match="give polars or pandas"):
        board.to_frame("spark")  # type: ignore[call-overload]


def test_the_json_is_that_of_the_folder(board: ensuite.Leaderboard) -> None:
    import json

    saved = json.loads((board.folder / "leaderboard.json").read_text(encoding="utf-8"))
    assert saved == json.loads(json.dumps(board.to_json()))


def test_a_predictor_is_told_in_three_lines(board: ensuite.Leaderboard) -> None:
    lines = repr(board.best).splitlines()
    assert lines[0] == "Predictor: TF-IDF + logistic, trained to classify (text)"
    assert lines[1].endswith("parameters; answers: negative, positive")
    assert lines[2] == f"  {board.folder / 'best'}"
    assert Path(lines[2].strip()).is_dir()

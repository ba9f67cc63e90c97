"""The main job: compare on a file, and everything that is written and printed then."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ensuite.predictor import Predictor
from ensuite.tasks.classify import Classify

from .conftest import Command

FAST = "--budget 4steps --seeds 1 --set width=4 --threads 1"

BOARD = {
    "task", "data", "metric", "higher_is_better", "budget", "seeds", "winner",
    "smallest_visible_difference", "rows", "items", "one_seed", "threads", "total", "folds",
    "beats", "limits", "left_out",
}  # fmt: skip

ROW = {
    "name", "kind", "score", "spread", "tie_group", "parameters", "train_seconds",
    "peak_memory_bytes", "latency_ms", "throughput", "disk_bytes", "budget_used", "converged",
    "truncated_rows", "truncated_tokens", "epochs", "promised_epochs", "still_rising", "busy",
    "failed", "metrics",
}  # fmt: skip

Compare = Callable[[str], dict[str, Any]]


@pytest.fixture
def compare(works: Command) -> Compare:
    """Return a function that runs a quick comparison into the folder out."""

    def call(line: str) -> dict[str, Any]:
        board: dict[str, Any] = json.loads(works(f"compare classify {line} {FAST} --json").out)
        return board

    return call


def rows_of(board: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in board["rows"]}


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_a_comparison_writes_its_leaderboard_report_and_winner(
    reviews: Path, tmp_path: Path, works: Command
) -> None:
    line = "compare classify reviews.csv --models lstm,gru --budget 4steps --seeds 2 --set width=4"
    done = works(f"{line} --out out --json")
    board, out = json.loads(done.out), tmp_path / "out"
    assert board == json.loads((out / "leaderboard.json").read_text(encoding="utf-8"))
    assert board.keys() == BOARD
    assert all(row.keys() == ROW for row in board["rows"])
    assert (board["task"], board["data"], board["metric"]) == (
        "classify",
        "reviews.csv",
        "accuracy",
    )
    assert (board["seeds"], board["budget"]) == (2, "4 steps")
    rows = rows_of(board)
    assert rows.keys() == {"lstm", "gru", "TF-IDF + logistic", "most frequent"}
    assert rows["lstm"]["budget_used"] == 1.0
    assert rows["TF-IDF + logistic"]["budget_used"] is None
    assert board["winner"] == "TF-IDF + logistic"  # one word decides
    assert "reviews.csv" in done.err
    trials = sorted(path.relative_to(out).as_posix() for path in out.glob("trials/*/*"))
    assert trials == [
        "trials/gru/0", "trials/gru/1", "trials/lstm/0", "trials/lstm/1",
        "trials/most-frequent/0", "trials/tf-idf-logistic/0",
    ]  # fmt: skip
    for trial in trials:
        assert Predictor.load(out / trial).predict(["a good film"])[0].label in (
            "positive",
            "negative",
        )
    assert "TF-IDF + logistic" in (out / "report.html").read_text(encoding="utf-8")
    assert (out / "README.md").read_text(encoding="utf-8").startswith("---\n")
    assert not list(out.rglob("*.pkl")) + list(out.rglob("*.pt"))


def test_scores_are_those_of_the_saved_runs_on_the_same_rows(
    reviews: Path, tmp_path: Path, compare: Compare
) -> None:
    rows = rows_of(compare("reviews.csv --models lstm,gru --test reviews.csv --out out"))
    for name in ("lstm", "gru"):
        scores = Predictor.load(tmp_path / f"out/trials/{name}/0").evaluate(str(reviews))
        assert scores == rows[name]["metrics"]


def test_a_baseline_that_wins_is_kept_and_answers(
    reviews: Path, works: Command, compare: Compare
) -> None:
    assert compare("reviews.csv --models rnn --out out")["winner"] == "TF-IDF + logistic"
    (answer,) = json.loads(works('predict out "a bad film" --json').out)
    assert (answer["input"], answer["answer"]) == ("a bad film", "negative")
    assert 0.5 < answer["probability"] <= 1


def test_without_names_all_that_fit_compete(reviews: Path, compare: Compare) -> None:
    trained = [row["name"] for row in compare("reviews.csv")["rows"] if row["kind"] == "trained"]
    assert sorted(trained) == ["conv", "gpt", "gru", "lstm", "rnn", "transformer"]


def test_without_a_folder_each_comparison_has_its_own(
    reviews: Path, tmp_path: Path, compare: Compare
) -> None:
    compare("reviews.csv --models rnn")
    compare("reviews.csv --models rnn")
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == [
        "classify-reviews-1", "classify-reviews-2",
    ]  # fmt: skip


def test_variants_are_named_by_what_differs(reviews: Path, compare: Compare) -> None:
    rows = rows_of(
        compare("reviews.csv --model lstm --model lstm:bidirectional=true --model lstm:layers=2")
    )
    assert {"lstm", "lstm bidirectional", "lstm layers=2"} < rows.keys()
    counts = [rows[name]["parameters"] for name in ("lstm", "lstm bidirectional", "lstm layers=2")]
    assert len(set(counts)) == 3


def test_a_saved_run_competes_as_it_is(reviews: Path, works: Command, compare: Compare) -> None:
    works("train classify reviews.csv --model lstm --budget 4steps --set width=4 --out run")
    rows = rows_of(compare("reviews.csv --models run,lstm --out out"))
    assert rows["run"]["kind"] == "saved"
    assert rows["run"]["train_seconds"] is rows["run"]["budget_used"] is None
    assert rows["run"]["metrics"] == rows["lstm"]["metrics"]  # the same seed, budget and rows


def test_a_comparison_s_winner_competes_too(reviews: Path, compare: Compare) -> None:
    compare("reviews.csv --models rnn --out first")
    rows = rows_of(compare("reviews.csv --models first,rnn --out second"))
    assert rows["first"]["metrics"] == rows["TF-IDF + logistic"]["metrics"]


def test_a_run_that_was_trained_anew_is_judged_anew(
    reviews: Path, works: Command, compare: Compare, tmp_path: Path
) -> None:
    train = "train classify reviews.csv --model lstm --set width=4 --out run --budget"
    works(f"{train} 1steps")
    first = rows_of(compare("reviews.csv --models run,rnn --out out"))["run"]
    (tmp_path / "run").rename(tmp_path / "old")
    works(f"{train} 30steps")
    assert (
        rows_of(compare("reviews.csv --models run,rnn --out out"))["run"]["metrics"]
        != first["metrics"]
    )


def test_init_from_starts_where_a_run_ended(reviews: Path, tmp_path: Path, works: Command) -> None:
    line = "train classify reviews.csv --model lstm --set width=4 --set learning_rate=1e-12"
    works("train classify reviews.csv --model lstm --set width=4 --budget 20steps --out old")
    works(f"{line} --budget 1steps --init-from old --out new")
    old, new = (Predictor.load(tmp_path / name).model.state_dict() for name in ("old", "new"))
    for name in old:
        same = np.allclose(old[name], new[name], atol=1e-9)
        assert same == name.startswith("backbone."), name


def test_another_metric_ranks(reviews: Path, compare: Compare) -> None:
    board = compare("reviews.csv --models rnn --metric log_loss")
    assert (board["metric"], board["higher_is_better"]) == ("log_loss", False)
    scores = [row["score"] for row in board["rows"]]
    assert scores == sorted(scores) == [row["metrics"]["log_loss"] for row in board["rows"]]


def test_imbalance_ranks_by_balanced_accuracy(tmp_path: Path, compare: Compare) -> None:
    rows = [f"a film number {n},{'spam' if n % 10 == 0 else 'ham'}" for n in range(100)]
    (tmp_path / "mail.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    board = compare("mail.csv --models rnn --set class_weight=balanced")
    assert board["metric"] == "balanced_accuracy"
    assert rows_of(board)["most frequent"]["score"] == 0.5
    assert rows_of(board)["most frequent"]["metrics"]["accuracy"] >= 0.8


def test_several_labels(tmp_path: Path, compare: Compare, works: Command) -> None:
    animals = [
        [name for name, bit in (("cat", n % 2), ("dog", n // 2 % 2)) if bit] for n in range(48)
    ]
    rows = [{"text": f"we saw {' '.join(a)} at {n}", "labels": a} for n, a in enumerate(animals)]
    write_lines(tmp_path / "lists.jsonl", rows)
    lines = [f"{row['text']},{'|'.join(row['labels'])}" for row in rows]
    (tmp_path / "cells.csv").write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    for data in ("lists.jsonl", "cells.csv --set separator=|"):
        board = compare(f"{data} --models rnn --out {data[:5]}")
        assert board["rows"][0]["metrics"].keys() == {
            "accuracy",
            "macro_f1",
            "micro_f1",
            "log_loss",
        }
    assert works('predict lists "we saw cat dog here"').out.startswith("cat, dog ")
    assert works('predict cells "we saw nothing here"').out.startswith("none ")


def test_pairs_of_texts(tmp_path: Path, compare: Compare, works: Command) -> None:
    rows = [
        f"the man {n} sleeps,he {verb},{label}"
        for n in range(25)
        for verb, label in (("rests", "yes"), ("runs", "no"))
    ]
    (tmp_path / "pairs.csv").write_text("\n".join(["premise,hypothesis,label", *rows]))
    assert compare("pairs.csv --models lstm --out out")["winner"] == "TF-IDF + logistic"
    assert works('predict out text="the man sleeps" text_pair="he runs"').out.split()[0] == "no"


def test_series_and_rows(tmp_path: Path, compare: Compare, works: Command) -> None:
    lengths = [3 + n % 4 for n in range(40)]
    write_lines(
        tmp_path / "steps.jsonl",
        [{"series": [[n / 9, n % 2]] * length, "label": n % 2} for n, length in enumerate(lengths)],
    )
    np.savez(tmp_path / "cube.npz", X=np.random.rand(40, 5, 2), y=np.arange(40) % 2)
    lines = [f"{n},{n % 3},{'ab'[n % 2]}" for n in range(40)]
    (tmp_path / "table.csv").write_text("\n".join(["size,rest,label", *lines]), encoding="utf-8")
    for data, model in (("steps.jsonl", "gru"), ("cube.npz", "gru"), ("table.csv", "mlp")):
        board = compare(f"{data} --models {model} --out {model}{data[:4]}")
        assert rows_of(board).keys() == {model, "logistic regression", "most frequent"}
        answers = works(f"predict {model}{data[:4]} --file {data} --json").out
        assert len(json.loads(answers)) == 40


def test_columns_without_a_header_are_numbered(tmp_path: Path, compare: Compare) -> None:
    lines = [f"{n % 2},{n},{n * n % 7}" for n in range(40)]
    (tmp_path / "plain.csv").write_text("\n".join(lines), encoding="utf-8")
    compare("plain.csv --models mlp --column label=0 --out out")
    assert Predictor.load(tmp_path / "out").task.labels.names == ("0", "1")


def test_long_texts_are_read_whole_or_the_loss_is_told(
    tmp_path: Path, compare: Compare, works: Command
) -> None:
    rows = [f"{'so ' * 30}{'good' if n % 2 else 'bad'} at {n},{n % 2}" for n in range(40)]
    (tmp_path / "long.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    short = "long.csv --models rnn --set window=16 --set overlap=4"
    row = rows_of(compare(f"{short} --out windows"))["rnn"]
    assert (row["truncated_rows"], row["truncated_tokens"]) == (0, 0)
    row = rows_of(compare(f"{short} --set truncation=head --out head"))["rnn"]
    assert (row["truncated_rows"], row["truncated_tokens"]) == (4, 4 * (33 - 16))
    assert "40 rows, 40 truncated" in works("evaluate head/trials/rnn/0 long.csv").out
    assert (
        "cut to the head 16"
        in works("data long.csv --set window=16 --set overlap=4 --set truncation=head").out
    )


def test_a_group_stays_together_and_is_no_input(
    tmp_path: Path, compare: Compare, works: Command
) -> None:
    lines = [f"{n % 8},{n},{-n},{'ab'[n % 2]}" for n in range(80)]
    (tmp_path / "people.csv").write_text("\n".join(["person,x,z,label", *lines]), encoding="utf-8")
    compare("people.csv --models mlp --split group:person --out out")
    assert len(Predictor.load(tmp_path / "out/trials/mlp/0").task.processor.mean) == 2
    assert "group, seed 0" in works("data people.csv --split group:person").out


def test_later_rows_judge(tmp_path: Path, works: Command) -> None:
    lines = [f"2026-01-{1 + n % 20:02d},{n},{'ab'[n % 2]}" for n in range(60)]
    (tmp_path / "days.csv").write_text("\n".join(["date,x,label", *lines]), encoding="utf-8")
    assert "48 train, 6 valid, 6 test (in order" in works("data days.csv --split time").out


def test_given_parts_are_used_as_they_are(reviews: Path, tmp_path: Path, works: Command) -> None:
    for part, count in (("valid", 4), ("test", 6)):
        lines = [f"another {part} {n},{'positive' if n % 2 else 'negative'}" for n in range(count)]
        (tmp_path / f"{part}.csv").write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    said = works("data reviews.csv --test test.csv --valid valid.csv").out
    assert "60 train, 4 valid, 6 test (all given)" in said
    assert "valid drawn from train" in works("data reviews.csv --test test.csv").out


def test_half_precision_trains(reviews: Path, tmp_path: Path, compare: Compare) -> None:
    compare("reviews.csv --models gru --set precision=bfloat16 --out out")
    tensors = Predictor.load(tmp_path / "out/trials/gru/0").model.state_dict().values()
    assert {str(tensor.dtype) for tensor in tensors} == {"torch.float32"}


def test_a_log_gets_plain_lines(
    reviews: Path, works: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    done = works(f"compare classify reviews.csv --models rnn {FAST} --out out")
    assert "\x1b" not in done.out + done.err
    assert "ensuite predict out" in done.out
    assert "out/report.html" in done.out


def test_what_is_finished_is_not_trained_again(
    reviews: Path, tmp_path: Path, compare: Compare
) -> None:
    first = compare("reviews.csv --models rnn --out out")
    runs = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/trials").rglob("*.*")}
    again = compare("reviews.csv --models rnn,gru --out out")
    assert {path: path.stat().st_mtime_ns for path in runs} == runs
    assert rows_of(again)["rnn"]["metrics"] == rows_of(first)["rnn"]["metrics"]
    assert "gru" in rows_of(again)


def test_a_task_without_a_metric_that_ranks_makes_a_table_without_a_winner(
    reviews: Path, tmp_path: Path, works: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Classify, "ranks_by", property(lambda task: None))
    monkeypatch.setattr(Classify, "selects", property(lambda task: "log_loss"))
    line = f"compare classify reviews.csv --models lstm {FAST} --out out"
    board = json.loads(works(f"{line} --json").out)
    assert (board["winner"], board["metric"]) == (None, None)
    rows = rows_of(board)
    assert {row["score"] for row in rows.values()} == {None}
    assert rows["lstm"]["metrics"].keys() >= {"accuracy", "log_loss"}
    assert not (tmp_path / "out/best").exists()
    assert "No metric ranks these rows" in (tmp_path / "out/report.html").read_text("utf-8")
    done = works(line)  # again, as a table to read
    assert "No metric ranks these rows, so none is recommended" in done.err + done.out
    assert "Winner" not in done.err + done.out
    ranked = json.loads(works(f"{line[:-3]}ranked --metric accuracy --json").out)
    assert ranked["winner"] is not None
    works(f"train classify reviews.csv --model lstm {FAST.replace('--seeds 1', '')} --out run")
    assert "No metric" not in (tmp_path / "run/README.md").read_text("utf-8")


def test_folds_test_every_row_once(reviews: Path, tmp_path: Path, works: Command) -> None:
    line = "compare classify reviews.csv --models rnn --budget 4steps --set width=4 --threads 1"
    board = json.loads(works(f"{line} --folds 3 --out out --json").out)
    assert (board["folds"], board["items"], board["winner"]) == (3, 60, "TF-IDF + logistic")
    trials = sorted(
        path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("out/trials/rnn/*")
    )
    assert trials == [f"out/trials/rnn/fold-{n}" for n in (1, 2, 3)]
    (answer,) = json.loads(works('predict out "a bad film" --json').out)
    assert answer["answer"] == "negative"
    (tmp_path / "leaderboard.json").unlink(missing_ok=True)
    assert json.loads(works(f"{line} --folds 3 --out out --json").out) == board


def test_without_a_budget_there_is_a_total(reviews: Path, tmp_path: Path, works: Command) -> None:
    line = "compare classify reviews.csv --models rnn --seeds 1 --set width=4 --threads 1"
    done = works(f"{line} --total 6s --out out --json")
    board = json.loads(done.out)
    assert board["total"] == "6 s"
    assert "budget       6 s at most in all" in done.err
    (row,) = (row for row in board["rows"] if row["kind"] == "trained")
    assert row["promised_epochs"] > 0
    kept = json.loads((tmp_path / "out/comparison.json").read_text(encoding="utf-8"))
    assert kept["total"] == 6
    assert 0 < kept["seconds_of_each"] < 6
    works(f"{line} --total 6s --out out --json")  # opened again
    assert json.loads((tmp_path / "out/comparison.json").read_text("utf-8"))[
        "seconds_of_each"
    ] == kept["seconds_of_each"]  # fmt: skip

"""Detectors from the command line: a promise asked for, kept, and changed when predicting."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from .conftest import Command


@pytest.fixture
def pump(tmp_path: Path) -> Path:
    """Return a file of two sensors, whose relation is broken at some steps."""
    random, lines = np.random.default_rng(0), ["time,pressure,flow,label"]
    for step in range(500):
        odd = step in range(400, 410)
        pressure = 10 + 3 * np.sin(step / 5) + random.normal(0, 0.2)
        flow = 2 * pressure + random.normal(0, 0.2) - 6 * odd
        stamp = np.datetime64("2024-01-01T00:00") + step
        lines.append(f"{stamp},{pressure},{flow},{int(odd)}")
    path = tmp_path / "pump.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def run(pump: Path, works: Command) -> str:
    done = works(
        "train detect pump.csv --model autoencoder:width=16 --set window=8 --set live=true "
        "--set false_alarms=0.05 --budget 100steps --out run"
    )
    assert "raises an alarm above" in done.out + done.err
    assert "as many alarms at random" in done.out + done.err
    return "run"


def test_steps_are_answered_with_time_score_and_cause(
    run: str, tmp_path: Path, works: Command
) -> None:
    shown = works("predict run --file pump.csv").out.splitlines()
    assert shown[0].split() == ["time", "answer", "score", "threshold", "because"]
    works("predict run --file pump.csv --out wide.csv --set task.false_alarms=0.2")
    works("predict run --file pump.csv --out narrow.csv")
    wide, narrow = (
        list(csv.DictReader((tmp_path / name).read_text().splitlines()))
        for name in ("wide.csv", "narrow.csv")
    )
    assert len(wide) == len(narrow) == 500
    alarms = [sum(row["answer"] == "anomaly" for row in rows) for rows in (wide, narrow)]
    assert alarms[0] > alarms[1] > 0
    assert float(wide[0]["threshold"]) < float(narrow[0]["threshold"])
    assert "flow" in narrow[405]["because"]


def test_it_is_evaluated_with_its_remarks(run: str, works: Command) -> None:
    shown = works("evaluate run pump.csv")
    assert "raises an alarm above" in shown.out
    metrics = json.loads(works("evaluate run pump.csv --json").out)["metrics"]
    assert list(metrics) == [
        "auroc", "average_precision", "false_alarm_rate", "recall", "event_f1",
    ]  # fmt: skip
    assert metrics["auroc"] > 0.9


def test_a_promise_that_cannot_be_kept_is_one_sentence(
    run: str, pump: Path, refused: Callable[..., None]
) -> None:
    refused(
        "predict run --file pump.csv --set task.false_alarms=0.0001", 2,
        "can be promised from 9,999 held-out", "ask for",
    )  # fmt: skip
    refused(
        "train detect pump.csv --model autoencoder --set window=8 --set false_alarms=0.001", 1,
        "999 held-out normal rows, and there are", "give about",
    )  # fmt: skip
    refused("predict run --file pump.csv --set task.false_alarms=2", 2, "less than 1")
    refused("compare detect pump.csv --set window=1", 2, "window must be 2 or more")


def test_a_report_draws_the_time_line(pump: Path, tmp_path: Path, works: Command) -> None:
    works(
        "compare detect pump.csv --models autoencoder:width=16 --seeds 1 --budget 60steps "
        "--set window=8 --out out"
    )
    board = json.loads((tmp_path / "out" / "leaderboard.json").read_text())
    names = {row["name"].split()[0] for row in board["rows"]}
    assert {"autoencoder", "PCA", "isolation", "position", "random", "constant"} <= names
    assert "Anomalies in pressure" in (tmp_path / "out" / "report.html").read_text()

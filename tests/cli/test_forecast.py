"""Forecasts from the command line: rows of the future, errors and coverage by horizon."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from .conftest import Command


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    """Return a file of two daily series with a column known ahead, and four days to forecast."""
    random, lines = np.random.default_rng(0), ["shop,day,sold,open"]
    for shop, level in (("north", 100), ("<south>", 10)):
        for step in range(84):
            value = level + 5 * (step % 7) + random.normal() if step < 80 else ""
            lines.append(f"{shop},{np.datetime64('2024-01-01') + step},{value},{int(step % 7 > 0)}")
    path = tmp_path / "sales.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


COLUMNS = "--column series=shop --column value=sold --set future=open --set horizon=4"
MODEL = "gru:width=4 --budget 5steps"


@pytest.fixture
def run(sales: Path, works: Command) -> str:
    done = works(f"train forecast sales.csv {COLUMNS} --model {MODEL} --out run")
    assert "coverage_95_h4" in done.out
    assert "On average gru is off by" in done.err + done.out
    return "run"


def test_the_future_is_written_one_row_a_step_and_series(
    run: str, tmp_path: Path, works: Command
) -> None:
    shown = works("predict run --file sales.csv").out.splitlines()
    assert shown[0].split() == [
        "series",
        "time",
        "forecast",
        "lower_80",
        "upper_80",
        "lower_95",
        "upper_95",
    ]
    assert len(shown) == 1 + 2 * 4
    assert shown[1].split()[:2] == ["north", "2024-03-21"]
    done = works("predict run --file sales.csv --out future.csv")
    assert "8 answers in future.csv" in done.err
    rows = list(csv.DictReader((tmp_path / "future.csv").read_text().splitlines()))
    assert [row["time"] for row in rows[:4]] == [f"2024-03-{day}" for day in range(21, 25)]
    printed = json.loads(works("predict run --file sales.csv --json").out)
    assert [row["series"] for row in printed[::4]] == ["north", "<south>"]
    assert float(rows[0]["forecast"]) == pytest.approx(printed[0]["forecast"])


def test_evaluate_and_check(run: str, works: Command) -> None:
    metrics = json.loads(works("evaluate run sales.csv --json").out)["metrics"]
    assert list(metrics)[:4] == ["mase", "smape", "coverage_95", "mae"]


def test_a_comparison_reports_errors_and_coverage_by_horizon(
    sales: Path, tmp_path: Path, works: Command
) -> None:
    done = works(f"compare forecast sales.csv {COLUMNS} --model {MODEL} --seeds 1 --out o")
    printed = done.out + done.err
    for words in ("seasonal naive", "linear layer", "steps ahead", "95 % intervals hold"):
        assert words in printed
    page = (tmp_path / "o/report.html").read_text(encoding="utf-8")
    for title in ("Forecast of ", "Error by horizon", "Coverage by horizon"):
        assert title in page
    assert "<south>" not in page.replace('"<south>"', "")


def test_folds_are_a_backtest(sales: Path, tmp_path: Path, works: Command) -> None:
    done = works(f"compare forecast sales.csv {COLUMNS} --model {MODEL} --folds 2 --out o")
    printed = done.out + done.err
    assert "fold 1 of 2" in printed
    assert " fold 1: " in printed
    assert " fold 2: " in printed
    assert " seed " not in printed
    assert "test at 2024-03-05" in printed
    assert "the test parts begin at 2024-03-05, 2024-03-13" in printed
    assert "Fold 1: On average" in printed
    assert "of all folds" in printed or "are too few" in printed
    assert "lower_80" in works("predict o --file sales.csv").out
    assert len(list((tmp_path / "o").glob("**/fold-*/run.json"))) == 2 * 6


def test_the_data_check(sales: Path, works: Command) -> None:
    said = works(f"data sales.csv --task forecast {COLUMNS}").out
    assert "2 series of 80 steps, daily: sold; known in the future: open" in said
    assert "by time within each series" in said


def test_what_is_refused(
    sales: Path, run: str, tmp_path: Path, refused: Callable[..., None]
) -> None:
    whole = sales.read_text().splitlines()
    (tmp_path / "past.csv").write_text("\n".join(row for row in whole if ",," not in row))
    refused("predict run --file past.csv", 1, "gives open for 0 of the 4 steps to forecast")
    refused("predict run --file sales.csv --set horizon=9", 2, "cannot be set after training")
    refused(f"compare forecast sales.csv {COLUMNS} --split random", 2, "see the future")
    refused("predict run 5", 2, "give it a file, --file FILE")

"""Regression from the command line: numbers are typed, told and written as numbers."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Command

ROWS = [(f"n{n}", n % 7, n % 5, 100 + 3 * (n % 7) - 2 * (n % 5), n % 7 / 100) for n in range(60)]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Return a file whose price and share follow from width and height."""
    lines = [
        ",".join(map(str, row)) for row in [("id", "width", "height", "price", "share"), *ROWS]
    ]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def run(rows: Path, works: Command) -> str:
    works(
        "train regress rows.csv --column target=price,share --column ignore=id --model mlp "
        "--budget 60steps --out run"
    )
    return "run"


def test_answers_are_numbers_under_the_names_of_the_targets(
    run: str, rows: Path, tmp_path: Path, works: Command
) -> None:
    assert works('predict run "3 2"').out.startswith("price ")
    (typed,) = json.loads(works('predict run "3 2" --json').out)
    assert isinstance(typed["price"], float)
    works("predict run --file rows.csv --out answers.csv")  # what is no input may stand there
    answers = list(csv.DictReader((tmp_path / "answers.csv").read_text().splitlines()))
    assert list(answers[0])[-2:] == ["predicted_price", "predicted_share"]  # beside what was true
    same = next(n for n, row in enumerate(ROWS) if row[1:3] == (3, 2))
    assert float(answers[same]["predicted_price"]) == pytest.approx(typed["price"], rel=1e-4)


def test_evaluate_and_check_know_the_columns_again(run: str, works: Command) -> None:
    metrics = json.loads(works("evaluate run rows.csv --json").out)["metrics"]
    assert list(metrics) == ["mae", "rmse", "r2", "mae_price", "mae_share"]
    assert metrics["mae"] == pytest.approx((metrics["mae_price"] + metrics["mae_share"]) / 2)
    assert all(law["holds"] for law in json.loads(works("check run rows.csv --json").out))


def test_a_comparison_tells_numbers_from_words(rows: Path, tmp_path: Path, works: Command) -> None:
    said = works(
        "compare regress rows.csv --column target=price --column ignore=id,share --models mlp "
        "--budget 4steps --seeds 1 --out out"
    ).out
    assert "always guessing that is" in said
    assert "take ridge: its score is the best" in said  # of six test rows
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "Largest errors" in page
    assert "Confusion matrices" not in page


def test_a_score_below_zero_is_told_as_it_is(rows: Path, works: Command) -> None:
    done = works(
        "train regress rows.csv --column target=price --column ignore=id --model mlp "
        "--set recipe.learning_rate=1e-9 --budget 2steps --metric r2"
    )
    assert "valid R² -" in done.out
    assert "best -" in done.out


def test_a_set_is_checked_for_its_own_task(works: Command) -> None:
    assert "always guessing that is" in works("data adding:steps=4,rows=50").out


def test_what_is_no_number_is_told(rows: Path, refused: Callable[..., None]) -> None:
    line = "train regress rows.csv --model mlp --column target="
    refused(line + "id", 1, 'row 1 of rows.csv: "n0" in the column id is not a number')
    refused(line + "price", 1, "words in the column id", "--column ignore=id")
    refused(line + "prize", 1, "did you mean price?")

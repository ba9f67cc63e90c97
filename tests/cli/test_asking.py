"""Asking a run: typed lines, files, paths by mistake, and what is written of the answers."""

import csv
import io
import json
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import polars
import pytest

import ensuite as package
from ensuite.cli.predict import to_csv

from .conftest import Command

Refused = Callable[..., None]
Typed = Callable[[str], None]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a trained run; one of its labels begins as a formula does, one clears the screen."""
    rows = [
        {"text": f"a {word} film, number {n}", "label": label}
        for n in range(20)
        for word, label in (("good", "=1+1"), ("bad", "\x1b[2J"))
    ]
    folder = tmp_path_factory.mktemp("trained") / "run"
    settings = {"width": 4, "embedding": 4}
    package.train("classify", rows, model="lstm", budget="2steps", settings=settings, out=folder)
    return str(folder)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Return what types lines on standard input."""

    def type_(lines: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))

    return type_


@pytest.mark.parametrize(
    ("lines", "texts"),
    [
        ("a good film\nbad one\nlovely plot\n", ["a good film", "bad one", "lovely plot"]),
        ("a film", ["a film"]),
        ("a good, long film\nbad\n", ["a good, long film", "bad"]),
        ("one, two\nthree, four\n", ["one, two", "three, four"]),
        ("text,n\na film,1\n", ["a film"]),
        ("Review\na film\n", ["a film"]),
        ('{"text": "a film"}\n', ["a film"]),
    ],
)
def test_typed_lines_are_inputs_unless_the_first_names_columns(
    lines: str, texts: list[str], run: str, typed: Typed, works: Command
) -> None:
    typed(lines)
    answers = json.loads(works(f"predict {run} --file - --json").out)
    assert [next(iter(answer.values())) for answer in answers] == texts


def test_a_line_that_is_no_input_is_told(
    tmp_path: Path, typed: Typed, refused: Refused, works: Command
) -> None:
    rows = [{"a": n, "b": n * n % 7, "label": "xy"[n % 2]} for n in range(30)]
    package.train("classify", rows, model="mlp", budget="1steps", out=tmp_path / "numbers")
    typed("1 2\n3,4\n")
    assert works("predict numbers --file -").out.count("\n") == 2
    typed("1 2\n3 four\n")
    refused("predict numbers --file -", 1, "Line 2 of standard input", "is not numbers")


def test_a_path_is_not_read_as_a_text(
    run: str, reviews: Path, tmp_path: Path, refused: Refused, works: Command
) -> None:
    (tmp_path / "films").mkdir()
    refused(f"predict {run} reviews.csv", 2, "to answer its rows, --file reviews.csv")
    refused(f"predict {run} 'a film' ./reviews.csv", 2, "--file ./reviews.csv")
    refused(f"predict {run} films", 2, "films is a folder", "--file films")
    assert works(f"predict {run} reviews").out.endswith("reviews\n")


def test_fields_are_of_one_example(run: str, refused: Refused, works: Command) -> None:
    assert works(f"predict {run} text='a film'").out.endswith("  a film\n")
    refused(f"predict {run} text=a txt=b", 2, "txt=b is none of the fields", "text, text_pair")
    refused(f"predict {run} text=a text=b", 2, "A field is given twice")
    assert works(f"predict {run} x=1 'a film'").out.endswith("a film\n")
    refused(f"predict {run} @none.txt", 2, "none.txt cannot be read as text (No such file")


def test_half_a_character_is_told(run: str, refused: Refused) -> None:
    refused(f"predict {run} '\udcff'", 1, "half of a surrogate pair")


def test_answers_never_replace_what_was_asked(
    run: str, reviews: Path, tmp_path: Path, refused: Refused
) -> None:
    before = reviews.read_bytes()
    (tmp_path / "same.csv").symlink_to("reviews.csv")
    for out in ("reviews.csv", "./reviews.csv", "same.csv"):
        refused(f"predict {run} --file reviews.csv --out {out}", 2, "is the input reviews.csv")
    refused("train classify reviews.csv --model lstm --out reviews.csv", 2, "is the input")
    assert reviews.read_bytes() == before


def test_the_columns_of_a_file_are_kept(run: str, tmp_path: Path, works: Command) -> None:
    (tmp_path / "a.csv").write_text("id,text,answer\n7,a good film,mine\n", encoding="utf-8")
    works(f"predict {run} --file a.csv --out b.csv --top 1")
    (row,) = csv.DictReader(io.StringIO((tmp_path / "b.csv").read_text(encoding="utf-8")))
    assert list(row)[:5] == ["id", "text", "answer", "predicted_answer", "probability"]
    assert (row["id"], row["answer"]) == ("7", "mine")
    assert sum(name.startswith("probability ") for name in row) == 1


def test_the_most_probable_answers_are_shown(run: str, works: Command, refused: Refused) -> None:
    assert works(f"predict {run} film --top 2").out.count("0.") == 2
    answers = json.loads(works(f"predict {run} film --top 1 --json").out)
    assert list(answers[0]["probabilities"].values()) == [answers[0]["probability"]]


def test_top_is_for_what_chooses(tmp_path: Path, refused: Refused) -> None:
    rows = [{"a": n, "y": n / 2} for n in range(30)]
    package.train("regress", rows, model="mlp", budget="1steps", out=tmp_path / "numbers")
    refused("predict numbers 1 --top 2", 2, "--top", "fixed answers")


def test_no_spreadsheet_runs_a_cell(run: str, tmp_path: Path, works: Command) -> None:
    content = to_csv([{"=a": "=1+2", "n": -3.5, "m": "-3.5", "t": "@x", "l": ["=1"], "p": "+a"}])
    names, row = csv.reader(io.StringIO(content))
    assert names == ["'=a", "n", "m", "t", "l", "p"]
    assert row == ["'=1+2", "-3.5", "-3.5", "'@x", '["=1"]', "'+a"]
    works(f"predict {run} '=cmd()' --out b.csv")
    for row in csv.reader(io.StringIO((tmp_path / "b.csv").read_text(encoding="utf-8"))):
        assert not any(cell.startswith("=") for cell in row)


def test_control_codes_of_labels_and_texts_reach_no_terminal(
    run: str, tmp_path: Path, works: Command
) -> None:
    said = works(f"predict {run} 'a\x1b[31m film' 'b\x9b2J' --top 2").out
    assert "\\x1b[2J" in said
    assert not {"\x1b", "\x9b"} & set(said)
    rows = "".join(f'"a {n}\x1b[31m film","\x1b[{n % 2}J"\n' for n in range(40))
    (tmp_path / "a.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    for line in (
        "data a.csv", "data a.csv --json",
        "train classify a.csv --model rnn --budget 1steps --set width=4 --out one",
    ):  # fmt: skip
        done = works(line)
        assert "\x1b" not in done.out + done.err
    assert "\x1b" not in (tmp_path / "one/README.md").read_text(encoding="utf-8")


def test_labels_in_a_file_to_answer_are_not_asked_for(
    run: str, reviews: Path, works: Command, refused: Refused
) -> None:
    assert works(f"predict {run} --file reviews.csv").out.count("\n") == 60
    refused(
        f"evaluate {run} reviews.csv",
        1,
        "row 1 of reviews.csv",
        "is none that the model has learned",
    )


def test_arrays_are_answered_without_their_columns(tmp_path: Path, works: Command) -> None:
    x = np.random.default_rng(0).normal(size=(30, 3))
    np.savez(tmp_path / "a.npz", X=x, y=np.arange(30) % 2)
    works("train classify a.npz --model mlp --budget 1steps --out run")
    works("predict run --file a.npz --out b.jsonl")
    lines = (tmp_path / "b.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[1])["y"] == 1
    assert len(lines) == 30


def test_days_and_gaps_of_a_file_are_kept(run: str, tmp_path: Path, works: Command) -> None:
    columns = {"text": ["a film", "b"], "day": [date(2024, 3, 1), None], "n": [float("nan"), 1.5]}
    polars.DataFrame(columns).write_parquet(tmp_path / "a.parquet")
    works(f"predict {run} --file a.parquet --out b.jsonl")
    lines = (tmp_path / "b.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert [(row["day"], row["n"]) for row in rows] == [("2024-03-01", None), (None, 1.5)]
    works(f"predict {run} --file a.parquet --out b.csv")
    assert json.loads(works(f"predict {run} --file a.parquet --json").out) == rows


def test_one_text_is_a_list_of_one(run: str) -> None:
    predictor = package.load(run)
    assert predictor.predict("a good film") == predictor.predict(["a good film"])


def test_lines_with_a_mask_are_filled_and_others_scored_whether_typed_or_in_a_file(
    tmp_path: Path, typed: Typed, works: Command
) -> None:
    rows = [{"text": f"le chat numéro {n} dort"} for n in range(20)]
    settings = {"model.width": 8, "heads": 2, "task.unit": "words"}
    package.train(
        "fill", rows, model="bert", budget="1steps", settings=settings, out=tmp_path / "fill"
    )
    lines = "le [MASK] dort\nil dort\nun [MASK]\n"
    (tmp_path / "a.txt").write_text(lines, encoding="utf-8")
    read = json.loads(works("predict fill --file a.txt --json").out)
    assert ["masks" in row for row in read] == [True, False, True]
    typed(lines)
    answered = json.loads(works("predict fill --file - --json").out)
    assert [row["answer"] for row in answered if "masks" in row] == [
        row["answer"] for row in read if "masks" in row
    ]
    works("predict fill --file a.txt --out a.csv")
    (names, *cells) = csv.reader(io.StringIO((tmp_path / "a.csv").read_text(encoding="utf-8")))
    assert not any(name.startswith("probability ") for name in names)
    assert json.loads(cells[0][names.index("masks")]) == read[0]["masks"]

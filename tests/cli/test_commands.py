"""The smaller commands: predict, evaluate, check, models, data."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ensuite.api import train
from ensuite.catalog import backbones
from ensuite.cli.predict import records
from ensuite.core.presentation import Presentation
from ensuite.data.sets import SETS
from ensuite.laws import Verdict
from ensuite.problem import open_problem

from .conftest import Command


@pytest.fixture
def run(reviews: Path, works: Command) -> str:
    works("train classify reviews.csv --model lstm --budget 30steps --set width=8 --out run")
    return "run"


def test_train_prints_one_document(reviews: Path, works: Command) -> None:
    done = works("train classify reviews.csv --model rnn --budget 2steps --out run --json")
    document = json.loads(done.out)
    assert document.keys() == {"task", "data", "run", "metrics"}
    assert next(iter(document["metrics"])) == "accuracy"
    assert "changes nothing" in done.err


def test_answers_come_in_order_and_in_three_forms(
    run: str, reviews: Path, tmp_path: Path, works: Command
) -> None:
    lines = works('predict run "a good film" "a bad film"').out.splitlines()
    assert [line.split(maxsplit=2)[2] for line in lines] == ["a good film", "a bad film"]
    done = works("predict run --file reviews.csv --out answers.csv")
    assert (done.out, done.err) == ("", "60 answers in answers.csv\n")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "answers.csv").read_text())))
    works("predict run --file reviews.csv --out answers.jsonl")
    texts = (tmp_path / "answers.jsonl").read_text().splitlines()
    objects = [json.loads(line) for line in texts]
    given = [row["text"] for row in csv.DictReader(io.StringIO(reviews.read_text()))]
    assert [row["text"] for row in rows] == [each["text"] for each in objects] == given
    assert [row["answer"] for row in rows] == [each["answer"] for each in objects]
    assert list(rows[0])[:4] == ["text", "label", "answer", "probability"]
    for row, each in zip(rows, objects, strict=True):
        known = {name: float(row[f"probability {name}"]) for name in ("negative", "positive")}
        assert known == pytest.approx(each["probabilities"])
        assert max(known.values()) == pytest.approx(each["probability"])
    assert json.loads(works("predict run --file reviews.csv --json").out) == objects


def test_an_input_can_be_a_file_of_text(run: str, tmp_path: Path, works: Command) -> None:
    (tmp_path / "letter.txt").write_text("a good film", encoding="utf-8")
    typed, named = (
        works('predict run "a good film" --json'),
        works("predict run @letter.txt --json"),
    )
    assert json.loads(typed.out) == json.loads(named.out)


def test_evaluate_agrees_with_the_answers(run: str, reviews: Path, works: Command) -> None:
    document = json.loads(works("evaluate run reviews.csv --json").out)
    assert document.keys() == {"task", "data", "metrics"}
    answers = json.loads(works("predict run --file reviews.csv --json").out)
    truths = [row["label"] for row in csv.DictReader(io.StringIO(reviews.read_text()))]
    right = sum(a["answer"] == truth for a, truth in zip(answers, truths, strict=True))
    assert document["metrics"]["accuracy"] == pytest.approx(right / 60)
    assert "lstm on 60 rows, 0 truncated" in works("evaluate run reviews.csv").out


def test_evaluate_writes_answers_beside_truths(
    run: str, reviews: Path, tmp_path: Path, works: Command
) -> None:
    done = works("evaluate run reviews.csv --out answers.jsonl")
    assert "60 answers in answers.jsonl" in done.err
    lines = (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert list(rows[0])[:3] == ["input", "truth", "answer"]
    right = sum(row["truth"] == row["answer"] for row in rows) / len(rows)
    document = json.loads(works("evaluate run reviews.csv --json --out answers.csv").out)
    assert document["metrics"]["accuracy"] == right
    head = (tmp_path / "answers.csv").read_text(encoding="utf-8").splitlines()[0]
    assert head.startswith("input,truth,answer")


def test_evaluate_says_which_rows_the_run_was_trained_on(
    run: str, reviews: Path, tmp_path: Path, works: Command
) -> None:
    count = len(open_problem("classify", str(reviews)).parts["train"])
    done = works("evaluate run reviews.csv --json")
    assert f"{count} of the 60 rows were trained on" in done.err
    lines = [f"another film {n},{'positive' if n % 2 else 'negative'}" for n in range(4)]
    (tmp_path / "new.csv").write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    assert "trained on" not in works("evaluate run new.csv --json").err


def test_evaluate_writes_no_file_of_another_kind(
    run: str, reviews: Path, refused: Callable[..., None]
) -> None:
    refused("evaluate run reviews.csv --out a.txt", 2, "end its name in .csv or .jsonl")
    refused("evaluate run reviews.csv --out reviews.csv", 2, "is the input")


def test_evaluate_tells_short_inputs_from_long_ones(run: str, works: Command) -> None:
    lines = works("evaluate run reviews.csv --by-length 2").out.splitlines()
    stretches = json.loads(works("evaluate run reviews.csv --by-length 2 --json").out)["stretches"]
    assert len(lines) == 1 + len(stretches)
    assert sum(stretch["rows"] for stretch in stretches) == 60


def test_check_holds_for_a_run(run: str, works: Command) -> None:
    laws = json.loads(works("check run reviews.csv --json").out)
    assert [law["law"] for law in laws] == [
        "padding changes nothing", "alone = in a batch", "saved = loaded",
        "one answer each", "same answer in any batch", "saved answers = loaded",
    ]  # fmt: skip
    assert all(law["holds"] for law in laws)
    assert "FAILS" not in works("check run").out


def test_check_fails_where_a_law_is_broken(
    run: str, ensuite: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ensuite import laws

    broken = Verdict("padding changes nothing", False, "largest difference 0.5")
    monkeypatch.setattr(laws, "padding_changes_nothing", lambda *_: broken)
    done = ensuite("check run")
    assert done.code == 1
    assert "padding changes nothing      FAILS  largest difference 0.5" in done.out


def test_check_works_on_a_baseline(reviews: Path, works: Command) -> None:
    works("compare classify reviews.csv --models rnn --budget 1steps --seeds 1 --out out")
    assert works("check out reviews.csv").out.count("ok") == 4
    assert works("check out").out.startswith("saved = loaded               ok")


def test_models_are_listed_oldest_first(works: Command) -> None:
    listed = json.loads(works("models --json").out)
    assert {each["name"] for each in listed} == set(backbones)
    years = [each["year"] for each in listed]
    assert years == sorted(years)
    lines = works("models").out.partition("\n\n")[0].splitlines()
    assert [line[:4] for line in lines if line[0] != " "] == [str(year) for year in years]


def test_models_of_a_task_are_those_that_fit(works: Command) -> None:
    def named(task: str) -> set[str]:
        return {each["name"] for each in json.loads(works(f"models --task {task} --json").out)}

    assert {"mlp", "rnn", "transformer"} < named("classify")
    assert "seq2seq" not in named("classify")  # it only writes
    assert named("caption") == {"seq2seq"}
    assert {"seq2seq", "transformer"} == named("translate")
    assert {"rnn", "lstm", "gru", "gpt"} < named("generate")


def test_sets_are_listed_with_source_and_licence(works: Command) -> None:
    listed = json.loads(works("data --json").out)
    assert [each["name"] for each in listed] == list(SETS)
    assert all(each["source"] and each["licence"] for each in listed)
    assert all(each.licence in works("data").out for each in SETS.values())


def test_data_checks_a_file_before_it_costs_anything(
    reviews: Path, tmp_path: Path, works: Command
) -> None:
    with reviews.open("a", encoding="utf-8") as file:
        file.write('"a good film, number 0 of them",positive\n')
    found = {f["topic"]: f["sentence"] for f in json.loads(works("data reviews.csv --json").out)}
    assert found["reviews.csv"] == "61 rows: text, label"
    assert "positive 31, negative 30" in found["label"]
    assert 'always guessing "positive" is right 50.8 %' in found["label"]
    assert found["duplicates"].startswith("1 inputs repeat one of their own part")
    assert "nothing will be cut" in found["text"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reviews.csv"]


def test_the_program_and_the_library_train_the_same(
    run: str, reviews: Path, tmp_path: Path
) -> None:
    again = train(
        "classify", str(reviews), model="lstm", budget="30steps", settings={"width": 8},
        out=tmp_path / "again",
    )  # fmt: skip
    assert again.folder is not None
    name = "model.safetensors"
    assert (again.folder / name).read_bytes() == (tmp_path / run / name).read_bytes()


def test_an_example_may_be_several_rows_of_answers() -> None:
    class Steps(Presentation[str, list[float]]):
        def show(self, example: str) -> str:
            return example

        def records(self, example: str, prediction: list[float]) -> list[dict[str, float]]:
            return [{"step": step, "value": value} for step, value in enumerate(prediction)]

    class Asked:
        task = Steps()

    found = records(Asked(), ["a", "b"], [[1.0, 2.0], [3.0]])  # type: ignore[arg-type]
    assert found == [
        {"input": "a", "step": 0, "value": 1.0},
        {"input": "a", "step": 1, "value": 2.0},
        {"input": "b", "step": 0, "value": 3.0},
    ]

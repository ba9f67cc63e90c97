"""`ensuite models NAME`, `ensuite tasks NAME` and `ensuite data FILE`, as text and as JSON."""

import json
from pathlib import Path

import pytest

import ensuite as package
from ensuite import catalog
from ensuite.cli import pages

from .conftest import Command


@pytest.mark.parametrize("name", list(catalog.backbones))
def test_a_model_tells_all_its_options(name: str, works: Command) -> None:
    said = works(f"models {name}").out
    row = catalog.backbones[name]
    assert [line for line in said.splitlines() if len(line) > 80] == []
    assert said.startswith(f"{name:12s} ")
    assert row.paper.split(",")[0] in said
    found = json.loads(works(f"models {name} --json").out)
    assert set(found) >= {"name", "traits", "reads", "paper", "options", "recipe", "tasks"}
    for option in (*found["options"], *found["recipe"]):
        assert set(option) == {"name", "default", "values", "meaning"}
        assert f"  {option['name']}={option['default']}" in said


@pytest.mark.parametrize("name", list(catalog.tasks))
def test_a_task_tells_its_columns_metrics_and_options(name: str, works: Command) -> None:
    said = works(f"tasks {name}").out
    found = json.loads(works(f"tasks {name} --json").out)
    assert [line for line in said.splitlines() if len(line) > 80] == []
    assert set(found) >= {"columns", "metrics", "baselines", "models", "options"}
    for words in (found["metrics"], found["columns"]):
        assert [word for word in words if word not in said] == []
    for options in found["options"].values():
        assert [each for each in options if f"  {each['name']}=" not in said] == []


@pytest.mark.parametrize("line", ["models", "models --task tag", "tasks", "data", "data iris"])
def test_nothing_wraps_on_a_narrow_terminal(
    line: str, ensuite: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(pages.sys.stdout, "isatty", lambda: True)
    said = ensuite(line).out.splitlines()
    assert len(said) > 5
    assert [each for each in said if len(each) > 80 and " " in each.strip()] == []


def test_lists_of_tasks(works: Command) -> None:
    assert "classify" in works("tasks").out
    found = json.loads(works("tasks --json").out)
    assert [each["name"] for each in found] == list(catalog.tasks)


def test_a_model_or_a_task_that_is_not_there(refused: Command) -> None:
    refused("models LSTM", 2, '"LSTM" is `lstm` here')  # type: ignore[call-arg]
    refused("tasks ner", 2, '"ner" is `tag` here')  # type: ignore[call-arg]
    refused("models lstm --task tag", 2, "one of the two")  # type: ignore[call-arg]


def test_the_version_is_told(works: Command) -> None:
    assert works("--version").out == f"ensuite {package.__version__}\n"


def test_the_data_check_says_what_each_column_became(reviews: Path, works: Command) -> None:
    lines = reviews.read_text(encoding="utf-8").splitlines()
    body = [f"{number},{line}" for number, line in enumerate(lines[1:])]
    reviews.write_text("\n".join(["id,text,label", *body]), encoding="utf-8")
    said = works("data reviews.csv").out
    assert "task         classify, since it has the column label (another: --task NAME)" in said
    assert "columns      text as text, label as label; left out: id" in said
    found = json.loads(works("data reviews.csv --json").out)
    assert found["columns"] == {"label": ["label"], "text": ["text"]}
    assert found["left_out"] == ["id"]
    assert (found["task"], found["unit"], found["rows"]) == ("classify", "text", 60)
    assert sum(found["parts"].values()) == 60
    assert found["labels"] == {"positive": 30, "negative": 30}
    assert found["duplicates"] == {"within": 0, "across": []}
    assert found["lengths"]["longest"] >= found["lengths"]["median"] > 0
    assert found["truncated"]["rows"] == 0
    assert {each["topic"] for each in found["findings"]} >= {"columns", "split"}


def test_the_data_check_guesses_the_task(tmp_path: Path, works: Command) -> None:
    sentence = "Paul B-PER\nsleeps O\n\n"
    sentences = "".join(sentence.replace("Paul", f"Paul{n}") for n in range(30))
    (tmp_path / "words.conll").write_text(sentences, encoding="utf-8")
    assert "task         tag, since it has a token on each line" in works("data words.conll").out
    (tmp_path / "book.txt").write_text("Once upon a time.\n" * 60, encoding="utf-8")
    assert "task         generate, since it is plain text" in works("data book.txt").out
    assert "read for" not in works("data iris").out
    found = json.loads(works("data iris --json").out)
    assert found["task"] == "classify"
    assert found["guessed"] == ""


def test_an_error_ends_between_words_on_a_terminal(
    ensuite: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(pages.sys.stderr, "isatty", lambda: True)
    said = ensuite("compare classify nowhere.csv --budget 5").err
    assert said.startswith("ensuite: --budget 5 is no budget: ")
    assert "epochs, tokens" in " ".join(said.split())
    assert all(len(line) <= 80 for line in said.splitlines())
    assert said.count("\n") == 2

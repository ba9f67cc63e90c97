"""Talking with a language model in the terminal, and in Python."""

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ensuite as package
from ensuite.core.errors import DataError, UsageError
from ensuite.tasks.generate import Generate

from .conftest import Command, Done

ANSWER = "Good day"


def conversation(*questions: str) -> dict[str, Any]:
    said = [
        message
        for question in questions
        for message in (
            {"role": "user", "content": question},
            {"role": "assistant", "content": ANSWER},
        )
    ]
    return {"messages": said}


ROWS = [conversation(*pair) for pair in (("Hello", "Bye"), ("Who are you?", "Bye"))] * 6


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run of an n-gram of whole words, trained on conversations in a file."""
    folder = tmp_path_factory.mktemp("chat")
    data = folder / "talks.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    settings = {"unit": "words"}
    how: dict[str, Any] = {"settings": settings, "test": data, "valid": data}
    package.train("generate", data, model="n-gram", out=folder / "run", **how)
    return folder / "run"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


Say = Callable[..., Done]


@pytest.fixture
def say(ensuite: Command, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Return what runs ``ensuite chat`` with these lines on its standard input."""

    def call(line: str, *said: str, terminal: bool = False) -> Done:
        typed = io.StringIO("".join(f"{each}\n" for each in said))
        monkeypatch.setattr(typed, "isatty", lambda: terminal)
        monkeypatch.setattr(sys, "stdin", typed)
        return ensuite(f"chat {line}")

    return call


GREEDY = "run --temperature 0"


def test_it_answers_line_after_line(say: Say, run: Path) -> None:
    done = say(GREEDY, "Hello", "", "Bye")
    assert (done.code, done.out, done.err) == (0, "Good day\nGood day\n", "")


def test_exit_leaves(say: Say, run: Path) -> None:
    assert say(GREEDY, "Hello", "/exit", "Bye").out == "Good day\n"


def test_what_was_said_is_remembered_until_reset(
    say: Say, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    converse = Generate.converse

    def listen(self: Generate, messages: Any) -> Any:
        asked.append([(each["role"], each["content"]) for each in messages])
        return converse(self, messages)

    monkeypatch.setattr(Generate, "converse", listen)
    say(f"{GREEDY} --system Short.", "Hello", "Bye", "/reset", "Hello")
    system, hello = ("system", "Short."), ("user", "Hello")
    assert asked == [
        [system, hello],
        [system, hello, ("assistant", "Good day"), ("user", "Bye")],
        [system, hello],
    ]


def test_a_terminal_shows_a_prompt_and_goes_on_after_a_mistake(say: Say, run: Path) -> None:
    done = say(GREEDY, "/what", "Hello", terminal=True)
    assert done.code == 0
    assert done.out == "> > Good day\n> "
    assert "ensuite: /what: the commands are /reset and /exit.\n" in done.err


def test_elsewhere_a_mistake_ends_it(say: Say, run: Path) -> None:
    done = say(GREEDY, "/what", "Hello")
    assert (done.code, done.out) == (2, "")


def test_the_template_stands_in_the_run(run: Path) -> None:
    assert "add_generation_prompt" in (run / "chat_template.jinja").read_text()
    assert "add_generation_prompt" not in (run / "task.json").read_text()


def test_another_template_can_be_given(say: Say, run: Path) -> None:
    (run.parent / "mine.jinja").write_text("assistant: Good")
    assert say(f"{GREEDY} --template mine.jinja", "Hello").out.startswith("day\n")
    done = say("run --template nowhere.jinja", "Hello")
    assert (done.code, done.err[:41]) == (2, "ensuite: --template nowhere.jinja: it can")
    (run.parent / "mine.jinja").write_text("{% for")
    done = say("run --template mine.jinja", "Hello")
    assert done.code == 2
    assert "no Jinja template: line 1" in done.err


def test_a_run_without_a_template_says_what_to_give(say: Say, run: Path) -> None:
    (run / "chat_template.jinja").unlink()
    done = say("run", "Hello")
    assert done.code == 2
    assert "has no chat template" in done.err


def test_messages_that_do_not_fit_any_more_are_left_out(
    say: Say, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ensuite.core.fitted import FittedModel

    monkeypatch.setattr(FittedModel, "context", 24)
    done = say(GREEDY, "Hello", "Hello", "Hello")
    assert (done.code, done.out) == (0, "Good day\n" * 3)
    assert "messages do not fit any more and are left out" in done.err


def test_python_answers_too(trained: Path) -> None:
    model = package.load(trained)
    talk = [{"role": "user", "content": "Hello"}]
    assert model.chat(talk, temperature=0) == "Good day"
    talk += [{"role": "assistant", "content": "Good day"}, {"role": "user", "content": "Bye"}]
    assert model.chat(talk, temperature=0, stop="y") == "Good da"
    with pytest.raises(DataError, match="The last message has the role assistant"):
        model.chat(talk[:2])
    with pytest.raises(UsageError, match="temperature is -1"):
        model.chat(talk, temperature=-1)


def test_the_run_can_be_evaluated_on_conversations(trained: Path) -> None:
    assert package.load(trained).evaluate(ROWS)["bits_per_byte"] < 1


def test_conversations_out_of_order_are_refused_with_their_row() -> None:
    rows = [*ROWS, {"messages": ROWS[0]["messages"][1:]}]
    with pytest.raises(DataError, match=r"row 13 of .*: Message 1 has the role assistant"):
        package.train("generate", rows, model="n-gram", budget="1steps")

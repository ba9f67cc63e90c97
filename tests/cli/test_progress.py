"""What is printed while models train: which trial of how many, and the time left for all."""

import sys
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from ensuite.cli.progress import TerminalProgress, fitting, wrap
from ensuite.core.display import Display


def training(seed: int = 0, steps: int = 0) -> Any:
    """Return what progress reads of a training that was evaluated once."""
    spent = SimpleNamespace(steps=steps, seconds=41.0, epochs=2.5)
    history = [{"scores": {"accuracy": 0.8}}]
    state = SimpleNamespace(spent=spent, history=history, best=0.8)
    return SimpleNamespace(seed=seed, state=state, metric="accuracy", display=Display(points=100))


def update(share: float) -> Any:
    loss = SimpleNamespace(value=0.31)
    return SimpleNamespace(share=share, scores={"accuracy": 0.8}, update=7, loss=loss)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def on_a_terminal(clock: Clock, width: int = 80) -> TerminalProgress:
    progress = TerminalProgress(clock=clock)
    progress.console = Console(file=StringIO(), width=width, force_terminal=True)
    return progress


def test_the_bar_says_which_trial_of_how_many_and_the_time_left_for_all(clock: Clock) -> None:
    progress = on_a_terminal(clock)
    progress.trial(3, 6)  # two baselines, and then four trials that take a minute each
    progress.begin("lstm", training())
    clock.now += 30
    progress.update(training(), update(0.5))
    assert progress.bar is not None
    (line,) = progress.bar.tasks
    assert line.description == "lstm seed 0, 3 of 6"
    assert line.fields["said"].startswith("3.5 min left, loss 0.310")
    assert line.completed == 0.5
    progress.end("lstm", training())
    progress.trial(4, 6, "fold 2")
    assert progress.title("gru", 1) == "gru fold 2, 4 of 6"
    clock.now += 30
    progress.begin("gru", training())
    clock.now += 30
    progress.update(training(), update(0.5))
    assert progress.bar.tasks[0].fields["said"].startswith("2.5 min left")
    progress.close()
    assert progress.bar is None


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_bar_stays_on_its_line(clock: Clock, width: int) -> None:
    progress = on_a_terminal(clock, width)
    progress.trial(10, 12)
    progress.begin("a model whose name is far too long for a bar", training())
    clock.now += 3
    progress.update(training(), update(0.1))
    assert progress.bar is not None
    (line,) = progress.bar.tasks
    assert len(line.description) + 22 + len(line.fields["said"]) <= max(width, 60)
    progress.close()


def test_a_single_run_is_not_counted(clock: Clock) -> None:
    progress = on_a_terminal(clock)
    progress.begin("lstm", training(seed=7))
    assert progress.bar is not None
    assert progress.bar.tasks[0].description == "lstm seed 7"
    progress.update(training(), update(0.0))
    assert progress.bar.tasks[0].fields["said"].startswith("loss")  # no time is known yet
    progress.close()


def test_seeds_are_told_as_typed(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    progress = TerminalProgress(clock=clock)
    progress.begin("lstm", training(seed=7, steps=1200))
    progress.end("lstm", training(seed=7))
    assert capsys.readouterr().out.splitlines() == [
        "lstm seed 7 resumes from step 1,200",
        "lstm         seed 7: 41 s, 2.5 epochs, valid accuracy 0.800, best 0.800",
    ]


def test_sentences_are_broken_on_a_terminal_and_whole_in_a_log(
    capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    sentence = "split        " + "5,536 train, " * 12
    progress = on_a_terminal(clock)
    progress.say(sentence)
    assert capsys.readouterr().out == f"{sentence}\n"
    stream = StringIO()
    progress.stream = SimpleNamespace(write=stream.write, flush=lambda: None, isatty=lambda: True)
    progress.say(sentence)
    lines = stream.getvalue().splitlines()
    assert len(lines) > 1
    assert all(len(line) <= 80 for line in lines)
    assert all(line.startswith(" " * 13) for line in lines[1:])


def test_quiet_progress_is_on_standard_error() -> None:
    assert TerminalProgress(quiet=True).stream is sys.stderr


words = st.text(st.characters(categories=["Ll", "Nd"], max_codepoint=0x17F), min_size=1, max_size=9)


@given(parts=st.lists(words, min_size=1, max_size=30), width=st.integers(20, 80))
def test_wrapping_loses_no_word(parts: list[str], width: int) -> None:
    found = wrap(" ".join(parts), width)
    assert found.split() == parts
    assert all(cell_len(line) <= width for line in found.splitlines())


@given(facts=st.lists(words, max_size=6), width=st.integers(0, 60))
def test_facts_that_do_not_fit_are_dropped_from_the_right(facts: list[str], width: int) -> None:
    found = fitting(facts, width)
    assert len(found) <= width or found == ""
    assert ", ".join(facts).startswith(found)

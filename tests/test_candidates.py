"""Candidates are prepared, started and fitted each by itself."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import ensuite
from ensuite.models.recurrent import RecurrentOptions
from ensuite.problem import Problem, open_problem
from ensuite.specs import (
    Settings,
    choose,
    open_spec,
)
from ensuite.start import Start
from ensuite.tasks.classify import Classify
from ensuite.training.budget import Budget

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def texts() -> Problem:
    rows = [{"text": f"a {w} film {n}", "label": w} for n in range(20) for w in ("good", "bad")]
    return open_problem("classify", rows)


@pytest.fixture(scope="module")
def flowers() -> Problem:
    return open_problem("classify", "iris")


def test_each_starts_from_its_own_recipe(texts: Problem) -> None:
    rnn, lstm = choose(["rnn", "lstm"], texts, Settings(recipe={"clip": "0.5"}), CPU)
    for candidate, cell in ((rnn, "rnn"), (lstm, "lstm")):
        own = RecurrentOptions(cell=cell).recipe()
        described = candidate.describe()["recipe"]
        assert described["learning_rate"] == own.learning_rate
        assert described["clip"] == 0.5


def test_a_seed_gives_the_same_order_to_every_candidate(texts: Problem) -> None:
    chosen = choose(["rnn", "lstm"], texts, Settings(model={"width": "4"}), CPU)
    orders = [c.begin(texts, Budget.parse("1steps"), 5).order for c in chosen]  # type: ignore[attr-defined]
    assert orders[0] == orders[1]
    other = chosen[0].begin(texts, Budget.parse("1steps"), 6).order  # type: ignore[attr-defined]
    assert other != orders[0]


def test_the_run_that_a_candidate_starts_from_is_opened_once(
    texts: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [e._asdict() for e in texts.parts["train"]]
    model, run = "lstm:width=4", tmp_path / "run"
    ensuite.train(
        "classify", rows, model=model, budget="1steps", columns={"text": "input"}, out=str(run)
    )
    opened, load = [], Start.load
    monkeypatch.setattr(Start, "load", lambda self: opened.append(self) or load(self))
    spec = f"{model},init_from={run}"
    trained = open_spec(spec, texts, Settings(), CPU)
    (chosen,) = choose([spec], texts, Settings(), CPU)
    assert chosen.name != trained.name  # a copy
    assert chosen.prepare(texts) == trained.prepare(texts)  # type: ignore[attr-defined]
    assert len(opened) == 2  # once for each


def test_each_candidate_prepares_its_own_copy_of_the_task(
    texts: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    prepare = Classify.prepare

    def spy(self: Classify, examples: Any, options: Any = None, pretrained: Any = None) -> Any:
        given.append((options, pretrained))
        task = prepare(self, examples, options, pretrained)
        return replace(task, class_weight="balanced") if options.cell == "gru" else task

    monkeypatch.setattr(Classify, "prepare", spy)
    chosen = choose(["lstm", "gru"], texts, Settings(model={"width": "4"}), CPU)
    tasks = [c.begin(texts, Budget.parse("1steps"), seed).task for c in chosen for seed in (0, 1)]  # type: ignore[attr-defined]
    assert given == [(RecurrentOptions(cell=cell, width=4), None) for cell in ("lstm", "gru")]
    assert tasks[0] is tasks[1] is texts.task  # nothing differs
    assert tasks[2] is tasks[3] is not texts.task
    assert tasks[2].class_weight == "balanced"

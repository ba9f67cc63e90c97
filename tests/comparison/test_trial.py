"""A trial is run once, found again, and never taken for another."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse

from ensuite.candidates import Candidate
from ensuite.comparison.answers import Answers, stored_scores
from ensuite.comparison.measure import disk_bytes
from ensuite.comparison.trial import (
    Trial,
    identity,
    read_history,
    read_identity,
    run_trial,
    trained_on,
    validation_score,
)
from ensuite.core.errors import RunError
from ensuite.core.score import Score
from ensuite.predictor import Predictor
from ensuite.problem import Problem, open_problem
from ensuite.specs import Settings, baselines, choose
from ensuite.training.budget import Budget
from ensuite.training.callback import Callback


@pytest.fixture
def problem() -> Problem:
    return open_problem("classify", "iris")


def candidate(problem: Problem, spec: str = "mlp:width=4") -> Candidate:
    return choose([spec], problem, Settings(), torch.device("cpu"))[0]


def run(problem: Problem, folder: Path, spec: str = "mlp:width=4", seed: int = 0) -> Trial:
    return run_trial(
        candidate(problem, spec), problem, Budget.parse("4steps"), seed, folder, Callback()
    )


def test_it_is_a_whole_run_folder(problem: Problem, tmp_path: Path) -> None:
    trial = run(problem, tmp_path / "trial")
    names = {path.name for path in trial.folder.iterdir()}
    assert names == {
        "run.json", "config.json", "task.json", "model.safetensors", "metrics.jsonl",
        "test.json", "test.safetensors", "trained_on.safetensors",
    }  # fmt: skip
    facts = json.loads((trial.folder / "run.json").read_text(encoding="utf-8"))
    assert facts["fingerprint"] == problem.fingerprint
    assert facts["seeds"] == [0]
    assert facts["versions"].keys() >= {"python", "torch", "ensuite"}
    assert facts["figures"] == trial.figures
    needed = ("model.safetensors", "config.json", "task.json")
    assert trial.figures["disk_bytes"] == sum((trial.folder / n).stat().st_size for n in needed)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many examples each call of a predictor answers from now on."""
    counts: list[int] = []
    usual = Predictor.predict_examples

    def count(predictor: Predictor, examples: Any) -> list[Any]:
        counts.append(len(examples))
        return usual(predictor, examples)

    monkeypatch.setattr(Predictor, "predict_examples", count)
    return counts


def same_scores(one: Trial, other: Trial) -> bool:
    """Return whether two trials have the same statistics, bit for bit."""
    return list(one.scores) == list(other.scores) and all(
        (score.statistics == other.scores[name].statistics).all()
        and score.value == other.scores[name].value
        for name, score in one.scores.items()
    )


def test_a_finished_one_is_opened_without_answering_the_test_part_again(
    problem: Problem, tmp_path: Path, asked: list[int]
) -> None:
    first = run(problem, tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    asked.clear()
    again = run(problem, tmp_path)
    assert asked == [1]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times
    assert again.answers.said() == first.answers.said()
    assert again.history == first.history != []
    assert again.figures == first.figures
    assert same_scores(again, first)


def forget(folder: Path, name: str, change: Any) -> None:
    stored = json.loads((folder / name).read_text(encoding="utf-8"))
    change(stored)
    (folder / name).write_text(json.dumps(stored), encoding="utf-8")


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "test.json").unlink(),
        lambda folder: (folder / "test.safetensors").write_bytes(b"half"),
        lambda folder: forget(folder, "test.json", lambda known: known.pop("values")),
        lambda folder: forget(folder, "test.json", lambda known: known["values"].popitem()),
        lambda folder: forget(
            folder, "test.json", lambda known: known["values"].update(accuracy="2")
        ),
        lambda folder: forget(folder, "test.json", lambda known: known["identity"].update(seed=7)),
    ],
)
def test_answers_that_are_missing_or_of_another_run_are_asked_for_again(
    damage: Any, problem: Problem, tmp_path: Path, asked: list[int]
) -> None:
    first = run(problem, tmp_path)
    damage(tmp_path)
    asked.clear()
    again = run(problem, tmp_path)
    assert asked == [1, len(problem.parts["test"])]
    assert same_scores(again, first)
    assert again.answers.said() == first.answers.said()
    asked.clear()
    run(problem, tmp_path)
    assert asked == [1]


@pytest.mark.parametrize(("task", "rows"), [
    ("regress", [{"x": n, "y": n % 3, "target": n} for n in range(40)]),
    ("tag", [{"tokens": ["Ann", f"ran{n}"], "tags": ["B-PER", "O"]} for n in range(40)]),
    ("generate", [{"text": f"a line, number {n}"} for n in range(40)]),
])  # fmt: skip
def test_scores_of_every_kind_come_back(
    task: str, rows: Any, tmp_path: Path, asked: list[int]
) -> None:
    problem = open_problem(task, rows, test=rows[:9])
    simple = baselines(problem)[0]
    how = (problem, Budget.parse("1steps"), 0, tmp_path, Callback())
    first = run_trial(simple, *how)
    asked.clear()
    assert same_scores(run_trial(simple, *how), first)
    assert asked == [1]


def test_a_score_that_depends_on_every_example_is_computed_again(
    problem: Problem, tmp_path: Path
) -> None:
    everything = Score(sparse.csr_array(np.eye(3)), lambda sums: sums.sum(-1))
    answers = Answers(["a", "b", "c"], np.array([0.5, np.nan, 1.0]), np.array([0.0, 1.5, 0.0]))
    answers.save(tmp_path, {"seed": 0}, {"auroc": everything})
    assert stored_scores(tmp_path, {"seed": 0}, {"auroc": everything}) is None
    again = Answers.load(tmp_path)
    assert again.said() == [("a", 0.5), ("b", None), ("c", 1.0)]
    assert again.errors.tolist() == [0.0, 1.5, 0.0]


def test_damaged_answers_are_told(tmp_path: Path) -> None:
    Answers(["a"], np.zeros(1), np.zeros(1)).save(tmp_path, {}, {})
    for content in ("[]", "{}", '{"words": ["a", "b"]}'):
        (tmp_path / "test.json").write_text(content, encoding="utf-8")
        with pytest.raises(RunError, match=r"test\.json cannot be read"):
            Answers.load(tmp_path)


def test_only_what_is_needed_to_predict_counts_on_disk(tmp_path: Path) -> None:
    for name in ("model.safetensors", "config.json", "source_tokenizer.json"):
        (tmp_path / name).write_text("four", encoding="utf-8")
    for name in ("run.json", "metrics.jsonl", "test.json", "report.html", ".lock"):
        (tmp_path / name).write_text("more than four", encoding="utf-8")
    (tmp_path / "checkpoints").mkdir()
    assert disk_bytes(tmp_path) == 12


@pytest.mark.parametrize("change", [{"spec": "mlp:width=5"}, {"seed": 1}])
def test_one_of_other_options_is_kept(
    change: dict[str, Any], problem: Problem, tmp_path: Path
) -> None:
    run(problem, tmp_path / "trial")
    before = {path: path.read_bytes() for path in (tmp_path / "trial").iterdir()}
    with pytest.raises(RunError, match=r"holds a run with another \w+, and is kept"):
        run(problem, tmp_path / "trial", **change)
    assert {path: path.read_bytes() for path in (tmp_path / "trial").iterdir()} == before


def test_all_that_decides_a_result_is_in_its_identity(problem: Problem) -> None:
    usual = (candidate(problem), problem, Budget.parse("4steps"), 0)
    others = [
        (candidate(problem, "mlp:width=5"), *usual[1:]),
        (usual[0], replace(problem, fingerprint="other"), *usual[2:]),
        (usual[0], replace(problem, metric="log_loss"), *usual[2:]),
        (*usual[:2], Budget.parse("5steps"), 0),
        (*usual[:3], 1),
        (*usual, 0),
    ]
    known = [json.dumps(identity(*each), sort_keys=True) for each in (usual, *others)]
    assert len(set(known)) == 7


def test_damaged_files_are_told(tmp_path: Path) -> None:
    for content in ("[]", "{}", '{"identity": 3}'):
        (tmp_path / "run.json").write_text(content, encoding="utf-8")
        with pytest.raises(RunError, match="is not what a run writes"):
            read_identity(tmp_path)
    assert read_history(tmp_path) == []
    for content in ("null\n", "{}\n", '{"scores": 3}\n', '{"scores": {'):
        (tmp_path / "metrics.jsonl").write_text(content, encoding="utf-8")
        with pytest.raises(RunError, match=r"metrics\.jsonl cannot be read"):
            read_history(tmp_path)


def test_a_run_of_another_version_is_told(problem: Problem, tmp_path: Path) -> None:
    run(problem, tmp_path)
    forget(tmp_path, "run.json", lambda known: known.update(format=1))
    with pytest.raises(RunError, match=r"another version of ensuite \(format 1"):
        run(problem, tmp_path)


def test_it_tells_what_it_was_trained_on(problem: Problem, tmp_path: Path) -> None:
    trial = run(problem, tmp_path)
    train, test = problem.parts["train"], problem.parts["test"]
    task = trial.predictor.task
    inputs = {task.keys(example).identity for example in train}
    repeated = sum(task.keys(example).identity in inputs for example in test)
    assert trained_on(tmp_path, train, task) == len(train)
    assert trained_on(tmp_path, [*test, train[0]], task) == repeated + 1
    assert trained_on(tmp_path, [], task) == 0
    (tmp_path / "trained_on.safetensors").unlink()
    assert trained_on(tmp_path, train, task) == 0


def test_it_keeps_what_training_saw(problem: Problem, tmp_path: Path) -> None:
    figures = run(problem, tmp_path).figures
    assert figures["epochs"] == 1.0
    assert figures["busy"] is False
    assert isinstance(figures["still_rising"], bool)


def test_the_validation_score_is_the_best_of_the_history(problem: Problem, tmp_path: Path) -> None:
    points = [{"scores": {"loss": value}} for value in (0.5, None, 0.2, 0.9)]
    trial = replace(run(problem, tmp_path), history=points)
    assert validation_score(trial, "loss", higher_is_better=True) == 0.9
    assert validation_score(trial, "loss", higher_is_better=False) == -0.2
    assert validation_score(replace(trial, history=[]), "loss", higher_is_better=True) == 0.0

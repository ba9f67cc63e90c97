"""A trial is run once, found again, and never taken for another."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ensuite.candidates import Candidate, Settings, choose
from ensuite.comparison.trial import (
    Trial,
    identity,
    read_history,
    read_identity,
    run_trial,
    validation_score,
)
from ensuite.core.errors import RunError
from ensuite.problem import Problem, open_problem
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
    assert names == {"run.json", "config.json", "task.json", "model.safetensors", "metrics.jsonl"}
    facts = json.loads((trial.folder / "run.json").read_text(encoding="utf-8"))
    assert facts["fingerprint"] == problem.fingerprint
    assert facts["seeds"] == [0]
    assert facts["versions"].keys() >= {"python", "torch", "ensuite"}
    assert facts["figures"] == trial.figures
    needed = ("model.safetensors", "config.json", "task.json")
    assert trial.figures["disk_bytes"] == sum((trial.folder / n).stat().st_size for n in needed)


def test_a_finished_one_is_opened_and_scores_the_same(problem: Problem, tmp_path: Path) -> None:
    first = run(problem, tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = run(problem, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times
    assert again.answers == first.answers
    assert again.history == first.history != []
    assert {n: s.value for n, s in again.scores.items()} == {
        n: s.value for n, s in first.scores.items()
    }


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
    ]
    known = [json.dumps(identity(*each), sort_keys=True) for each in (usual, *others)]
    assert len(set(known)) == 6


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


def test_the_validation_score_is_the_best_of_the_history(problem: Problem, tmp_path: Path) -> None:
    points = [{"scores": {"loss": value}} for value in (0.5, None, 0.2, 0.9)]
    trial = replace(run(problem, tmp_path), history=points)
    assert validation_score(trial, "loss", higher_is_better=True) == 0.9
    assert validation_score(trial, "loss", higher_is_better=False) == -0.2
    assert validation_score(replace(trial, history=[]), "loss", higher_is_better=True) == 0.0

"""The experiment: every candidate alike, finished trials kept, the winner's best seed in best/."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ensuite.baselines.classify import MostFrequent
from ensuite.candidates import Candidate, Fitted, Settings, baselines, choose
from ensuite.comparison.experiment import (
    Comparison,
    average,
    choose_folder,
    compare_scores,
    place,
    run_comparison,
)
from ensuite.comparison.trial import validation_score
from ensuite.core.baseline import Variant
from ensuite.core.errors import RunError
from ensuite.core.files import hold
from ensuite.core.score import Score
from ensuite.problem import Problem, open_problem
from ensuite.training.budget import Budget
from ensuite.training.callback import Callback

ROWS = [{"x": n, "z": n % 5, "label": "ab"[n % 3 == 0]} for n in range(60)]


class Ear(Callback):
    """Remember what is said, and who was trained."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.trained: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def begin(self, name: str, training: Any) -> None:
        self.trained.append(f"{name} {training.seed}")


@pytest.fixture
def problem() -> Problem:
    return open_problem("classify", ROWS)


def run(
    problem: Problem, folder: Path, callback: Callback, seeds: int = 2, more: int = 0
) -> Comparison:
    specs = ["mlp:width=4", "mlp:width=5"][: 1 + more]
    entrants: list[Candidate] = [
        *choose(specs, problem, Settings(), torch.device("cpu")), *baselines(problem),
    ]  # fmt: skip
    budget = Budget.parse("4steps")
    return run_comparison(
        problem, entrants, budget=budget, seeds=seeds, folder=folder, callback=callback
    )


def test_each_trained_candidate_has_each_seed_and_a_baseline_one(
    problem: Problem, tmp_path: Path
) -> None:
    ear = Ear()
    comparison = run(problem, tmp_path, ear, seeds=3, more=1)
    assert ear.trained == [f"mlp width={w} {seed}" for w in (4, 5) for seed in range(3)]
    counts = {name: len(trials) for name, trials in comparison.trials.items()}
    assert counts == {
        "mlp width=4": 3,
        "mlp width=5": 3,
        "most frequent": 1,
        "logistic regression": 1,
    }
    assert "4 steps for each of 2 models x 3 seeds" in ear.said[0]


def test_a_row_is_the_mean_over_its_seeds(problem: Problem, tmp_path: Path) -> None:
    comparison = run(problem, tmp_path, Callback())
    (row,) = [row for row in comparison.leaderboard.rows if row.kind == "trained"]
    trials = comparison.trials[row.name]
    scores = [trial.scores["accuracy"].value for trial in trials]
    assert row.score == pytest.approx(sum(scores) / 2)
    assert row.spread == pytest.approx(torch.tensor(scores).std().item(), abs=1e-6)
    assert row.parameters == trials[0].predictor.parameters
    assert row.budget_used == 1.0
    assert row.folder == "trials/mlp-width=4"


def test_finished_cells_are_not_trained_again(problem: Problem, tmp_path: Path) -> None:
    first = run(problem, tmp_path, Callback()).leaderboard
    ear = Ear()
    again = run(problem, tmp_path, ear, more=1).leaderboard
    assert ear.trained == ["mlp width=5 0", "mlp width=5 1"]
    rows = {row.folder: row for row in again.rows}
    for row in first.rows:
        assert rows[row.folder].metrics == row.metrics
        assert rows[row.folder].train_seconds == row.train_seconds


def test_the_best_seed_of_the_winner_is_chosen_without_the_test_rows(
    problem: Problem, tmp_path: Path
) -> None:
    comparison = run(problem, tmp_path, Callback(), seeds=3)
    board = comparison.leaderboard
    trials = comparison.trials[board.winner]
    best = max(trials, key=lambda trial: validation_score(trial, board.metric, True))
    for name in ("model.safetensors", "config.json", "task.json"):
        assert (tmp_path / "best" / name).read_bytes() == (best.folder / name).read_bytes()
    assert not (tmp_path / ".best").exists()


def test_a_folder_is_of_one_problem_and_one_process(problem: Problem, tmp_path: Path) -> None:
    run(problem, tmp_path, Callback(), seeds=1)
    other = open_problem("classify", ROWS[:-1])
    with pytest.raises(RunError, match="other data or options"):
        run(other, tmp_path, Callback(), seeds=1)
    with hold(tmp_path), pytest.raises(RunError, match="is being trained by process"):
        run(problem, tmp_path, Callback(), seeds=1)


@dataclass(frozen=True)
class Broken:
    """A candidate that stops in the middle."""

    name: str = "broken"
    variant = "broken"
    kind: str = "trained"
    seeded: bool = False

    def describe(self) -> dict[str, Any]:
        return {}

    def fit(self, *_: Any, **__: Any) -> Fitted:
        raise KeyboardInterrupt


def test_an_unfinished_comparison_is_found_again(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = choose_folder(problem)
    assert folder == Path("runs/classify-the-data-1")
    how: dict[str, Any] = {"budget": Budget.parse("1steps"), "seeds": 1, "callback": Callback()}
    with pytest.raises(KeyboardInterrupt):
        run_comparison(problem, [Broken()], folder=folder, **how)  # type: ignore[list-item]
    again: Any = ([Broken(seeded=True)], how["budget"], 1)
    assert choose_folder(problem, *again) == folder
    passed_by = "classify-the-data-2"
    assert choose_folder(problem).name == passed_by  # a single run is no comparison
    assert choose_folder(open_problem("classify", ROWS[:-1]), *again).name == passed_by
    other: Any = ([Broken(seeded=True)], Budget.parse("2steps"), 1)
    assert choose_folder(problem, *other).name == passed_by
    with hold(folder):  # another process goes on with it
        assert choose_folder(problem, *again).name == passed_by
    run_comparison(problem, baselines(problem), folder=folder, **how)
    assert choose_folder(problem, *again).name == passed_by
    assert json.loads((folder / "leaderboard.json").read_text())["task"] == "classify"


def test_names_become_folders_that_any_system_takes() -> None:
    assert place("TF-IDF + logistic", 0) == "trials/tf-idf-logistic/0"
    assert ".." not in Path(place("../../etc", 1)).parts


def test_an_average_of_what_does_not_apply_is_none() -> None:
    assert average([1.0, 2.0]) == 1.5
    assert average([1.0, None]) is None


def test_examples_that_are_not_independent_are_resampled_together() -> None:
    right = np.repeat([1.0, 0.0] * 20, 5)  # each answer counts five times
    scores = {name: [Score.mean(values, np.ones(200))] for name, values in
              (("a", right), ("b", np.roll(right, 5)), ("c", np.ones(200)))}  # fmt: skip
    alone, together = (
        compare_scores(scores, blocks)[1] for blocks in (None, [n // 5 for n in range(200)])
    )
    assert alone is not None
    assert together is not None
    assert together > 1.5 * alone


def test_a_comparison_asks_the_task_for_its_blocks(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def compared(scores: Any, blocks: Any) -> Any:
        seen.append(blocks)
        return compare_scores(scores, blocks)

    def number(task: Any, examples: Sequence[Any]) -> list[int]:
        return [*range(len(examples))]

    monkeypatch.setattr(type(problem.task), "blocks", number)
    monkeypatch.setattr("ensuite.comparison.experiment.compare_scores", compared)
    run(problem, tmp_path, Callback(), seeds=1)
    assert seen == [[*range(len(problem.parts["test"]))]]


@dataclass(frozen=True, eq=False)
class Widths(MostFrequent):
    """A baseline with a row for each width of the models beside it."""

    width: int = 0

    @classmethod
    def variants(cls, task: Any, options: Sequence[Any]) -> list[Variant]:
        widths = sorted({each.width for each in options})
        return [Variant(name=f"at {w}", method=cls, settings={"width": w}) for w in widths]

    @classmethod
    def fit(cls, task: Any, train: Any, valid: Any, seed: int, *, width: int = 0) -> Any:
        return replace(super().fit(task, train, valid, seed), width=width)


def test_a_baseline_may_have_a_row_for_each_option_of_the_models_beside_it(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ensuite.candidates.load", lambda target: Widths)
    chosen = choose(["mlp:width=4", "mlp:width=5"], problem, Settings(), torch.device("cpu"))
    found = [each for each in baselines(problem, chosen) if each.name.startswith("at")]
    assert {each.name for each in found} == {"at 4", "at 5"}
    how: dict[str, Any] = {"budget": Budget.parse("1steps"), "seed": 0, "callback": Callback()}
    fitted = found[0].fit(problem, folder=tmp_path, **how)
    assert fitted.predictor.model.width == 4  # type: ignore[union-attr]


def test_baselines_are_calibrated_as_networks_are(problem: Problem, tmp_path: Path) -> None:
    how: dict[str, Any] = {"budget": Budget.parse("1steps"), "seed": 0, "callback": Callback()}
    (simple,) = [each for each in baselines(problem) if each.name == "logistic regression"]
    predictor = simple.fit(problem, folder=tmp_path, **how).predictor
    assert predictor.task.temperature != 1  # type: ignore[attr-defined]
    answers = predictor.predict_examples(problem.held_out)
    loss = predictor.task.score(answers, problem.held_out)["log_loss"].value
    plain = replace(predictor, task=problem.task)
    answers = plain.predict_examples(problem.held_out)
    assert loss < problem.task.score(answers, problem.held_out)["log_loss"].value

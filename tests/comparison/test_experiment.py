"""The experiment: every candidate alike, finished trials kept, the winner's best seed in best/."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ensuite.baselines.classify import MostFrequent
from ensuite.candidates import Candidate, Fitted
from ensuite.comparison.experiment import (
    Comparison,
    Trials,
    announce,
    choose_folder,
    place,
    run_comparison,
)
from ensuite.comparison.plan import Cost, Plan, Terms
from ensuite.comparison.trial import validation_score
from ensuite.core.baseline import Variant
from ensuite.core.errors import EnsuiteError, NonFiniteGradientError, RunError
from ensuite.core.files import hold
from ensuite.problem import Problem, open_problem
from ensuite.specs import Settings, baselines, choose
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


def entrants_of(problem: Problem, more: int = 0) -> list[Candidate]:
    specs = ["mlp:width=4", "mlp:width=5"][: 1 + more]
    return [*choose(specs, problem, Settings(), torch.device("cpu")), *baselines(problem)]


def run(
    problem: Problem,
    folder: Path,
    callback: Callback,
    seeds: int = 2,
    more: int = 0,
    entrants: Sequence[Any] | None = None,
    **terms: Any,
) -> Comparison:
    terms = {"budget": "4steps", "total": None, "threads": 1, **terms}
    clock = terms.pop("clock", None)
    how: dict[str, Any] = {} if clock is None else {"clock": clock}
    return run_comparison(
        problem,
        entrants or entrants_of(problem, more),
        terms=Terms.parse(terms.pop("budget"), terms.pop("total"), seeds=seeds, **terms),
        folder=folder,
        callback=callback,
        **how,
    )


def test_each_trained_candidate_has_each_seed_and_a_baseline_one(
    problem: Problem, tmp_path: Path
) -> None:
    ear = Ear()
    comparison = run(problem, tmp_path, ear, seeds=3, more=1)
    assert ear.trained == [f"mlp width={w} {seed}" for seed in range(3) for w in (4, 5)]
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
    with pytest.raises(RunError, match="compares on other rows or task options"):
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
    with pytest.raises(KeyboardInterrupt):
        run(problem, folder, Callback(), entrants=[Broken()])
    assert choose_folder(problem, None) == folder
    assert choose_folder(open_problem("classify", ROWS[:-1]), None).name == "classify-the-data-2"
    with hold(folder):  # another process works there
        assert choose_folder(problem, None).name == "classify-the-data-2"
    run(problem, folder, Callback(), entrants=baselines(problem))
    assert choose_folder(problem, None).name == "classify-the-data-2"
    assert json.loads((folder / "leaderboard.json").read_text())["task"] == "classify"


def test_names_become_folders_that_any_system_takes() -> None:
    assert place("TF-IDF + logistic", 0) == "trials/tf-idf-logistic/0"
    assert ".." not in Path(place("../../etc", 1)).parts


@dataclass(frozen=True)
class Failing:
    """A candidate whose training fails with an error from a seed on."""

    error: Exception
    since: int = 0
    name: str = "failing"
    variant = "failing"
    kind: str = "trained"
    seeded: bool = True
    seen: list[int] = field(default_factory=list)

    def describe(self) -> dict[str, Any]:
        return {"since": self.since}

    def fit(self, problem: Problem, *, seed: int, **how: Any) -> Fitted:
        self.seen.append(seed)
        if seed >= self.since:
            raise self.error
        return baselines(problem)[0].fit(problem, seed=seed, **how)


DIVERGED = NonFiniteGradientError("5 updates in a row had gradients that are not finite.")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (DIVERGED, "not finite"),
        (MemoryError(), "ran out of memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 3 GiB"), "ran out of memory"),
    ],
)
def test_a_candidate_that_fails_is_a_row_and_the_others_go_on(
    error: Exception, words: str, problem: Problem, tmp_path: Path
) -> None:
    failing = Failing(error, since=1)
    ear = Ear()
    board = run(
        problem, tmp_path, ear, seeds=3, entrants=[failing, *entrants_of(problem)]
    ).leaderboard
    assert failing.seen == [0, 1]  # its third seed is not tried
    assert ear.trained == [f"mlp {seed}" for seed in range(3)]
    row = board.rows[-1]
    assert (row.name, row.score, row.tie_group) == ("failing", None, "")
    assert words in row.failed
    assert all(not each.failed and each.score is not None for each in board.rows[:-1])
    again = run(problem, tmp_path, ear, seeds=3, entrants=[failing, *entrants_of(problem)])
    assert failing.seen == [0, 1]  # kept as failed
    assert "failing" not in again.trials
    other = replace(failing, since=9)
    rows = run(problem, tmp_path / "other", ear, entrants=[other]).leaderboard.rows
    assert not rows[0].failed


def test_a_failure_of_another_identity_is_tried_again(problem: Problem, tmp_path: Path) -> None:
    failing = Failing(DIVERGED)
    how: dict[str, Any] = {"seeds": 1, "entrants": [failing, *baselines(problem)]}
    run(problem, tmp_path, Callback(), **how)
    how["entrants"] = [replace(failing, since=1), *baselines(problem)]
    board = run(problem, tmp_path, Callback(), **how).leaderboard
    assert not any(row.failed for row in board.rows)


def test_an_error_of_another_kind_stops_all(problem: Problem, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="a shape"):
        run(problem, tmp_path, Callback(), entrants=[Failing(RuntimeError("a shape"))])


def test_where_nothing_could_be_scored_it_is_said(problem: Problem, tmp_path: Path) -> None:
    with pytest.raises(EnsuiteError, match=r"No candidate could be scored; failing: 5 updates"):
        run(problem, tmp_path, Callback(), entrants=[Failing(DIVERGED)])


class Clock:
    """A clock that each finished run moves on by some seconds."""

    def __init__(self, seconds: float) -> None:
        self.now, self.seconds = 0.0, seconds

    def __call__(self) -> float:
        return self.now

    def tick(self, *_: Any) -> None:
        self.now += self.seconds


def test_when_the_total_is_up_whole_seeds_are_left_out(problem: Problem, tmp_path: Path) -> None:
    clock, ear = Clock(10.0), Ear()
    ear.end = clock.tick  # type: ignore[method-assign]
    how: dict[str, Any] = {"seeds": 4, "more": 1, "clock": clock, "total": "45s"}
    board = run(problem, tmp_path, ear, **how).leaderboard
    assert ear.trained == ["mlp width=4 0", "mlp width=5 0", "mlp width=4 1", "mlp width=5 1",
                           "mlp width=4 2"]  # fmt: skip
    assert (board.seeds, board.total) == (2, "45 s")
    assert board.left_out.startswith("Time was up after 2 of 4 seeds")
    assert all(row.spread is not None for row in board.rows if row.kind == "trained")
    again = run(problem, tmp_path, ear, **how).leaderboard  # what has ended is still there
    assert len(ear.trained) == 5
    assert (again.seeds, again.left_out) == (board.seeds, board.left_out)


def test_the_first_seed_is_run_whatever_the_total(problem: Problem, tmp_path: Path) -> None:
    clock, ear = Clock(100.0), Ear()
    ear.end = clock.tick  # type: ignore[method-assign]
    board = run(problem, tmp_path, ear, more=1, clock=clock, total="1s").leaderboard
    assert ear.trained == ["mlp width=4 0", "mlp width=5 0"]
    assert (board.seeds, board.one_seed) == (1, True)


def test_what_is_announced_is_what_was_planned(problem: Problem, tmp_path: Path) -> None:
    ear = Ear()
    run(problem, tmp_path, ear, budget="60s", seeds=1, total="8s", entrants=baselines(problem))
    assert ear.said == []  # nothing is trained
    cost = Cost(0.01, 1.0, 100, 1.0, 1000, 0.5, 2.0)
    plan = Plan(
        budget=Budget.parse("60s"), threads={"mlp width=4": 2}, promised={"mlp width=4": 60}
    )
    terms = Terms.parse("60s", None, seeds=4)
    trials = Trials(entrants_of(problem), [problem], terms, plan, tmp_path, False)
    assert announce(trials, {"mlp width=4": cost}, elapsed=50.0) == [
        "budget       1 m for each of 1 model x 4 seeds, about 5 minutes in all",
        "             which allows up to 60 of mlp (epochs)",
        "threads      2 for mlp",
    ]
    shared = replace(trials, terms=Terms.parse(None, "8m"), folds=True)
    assert announce(shared, {}, 0.0)[0] == (
        "budget       8 m at most in all, 1 m of training for each of 1 model x 1 fold"
    )


def test_groups_and_the_row_to_take_come_from_the_statistics(tmp_path: Path) -> None:
    rows = [{"x": n, "z": n % 5, "label": "ab"[n % 5 > 2]} for n in range(100)]
    problem = open_problem("classify", rows, test=rows[:60])
    board = run(problem, tmp_path, Callback(), seeds=2).leaderboard
    assert (board.items, board.one_seed) == (60, False)
    assert board.winner == "logistic regression"  # z tells the label
    (taken,) = (row for row in board.rows if row.name == board.winner)
    assert taken.tie_group == "A"
    assert ("logistic regression", "most frequent") in board.beats
    assert board.limits["logistic regression|most frequent"] > 0
    assert board.threads == {"mlp": 1}


def test_too_few_rows_make_no_groups(problem: Problem, tmp_path: Path) -> None:
    board = run(problem, tmp_path, Callback()).leaderboard
    assert {row.tie_group for row in board.rows} == {""}
    best = max(row.score for row in board.rows if row.score is not None)
    assert best in [row.score for row in board.rows if row.name == board.winner]


def test_a_comparison_asks_the_task_for_its_blocks(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def number(task: Any, examples: Sequence[Any]) -> list[int]:
        return [n // 2 for n in range(len(examples))]

    monkeypatch.setattr(type(problem.task), "blocks", number)
    board = run(problem, tmp_path, Callback(), seeds=1).leaderboard
    assert board.items == len(problem.parts["test"]) // 2


def test_an_old_folder_is_refused(problem: Problem, tmp_path: Path) -> None:
    run(problem, tmp_path, Callback(), seeds=1)
    known = json.loads((tmp_path / "comparison.json").read_text())
    del known["format"]
    (tmp_path / "comparison.json").write_text(json.dumps(known))
    with pytest.raises(RunError, match="another version of ensuite"):
        run(problem, tmp_path, Callback(), seeds=1)


@pytest.mark.parametrize("change", [{"total": "10m"}, {"threads": 2}])
def test_a_folder_is_of_one_set_of_terms(
    change: dict[str, Any], problem: Problem, tmp_path: Path
) -> None:
    run(problem, tmp_path, Callback(), seeds=1)
    with pytest.raises(RunError, match=f"--{next(iter(change))}.*choose another --out"):
        run(problem, tmp_path, Callback(), seeds=1, **change)


@pytest.mark.parametrize("content", ["[]", '{"format": 2, "elapsed": "soon"}', "{"])
def test_a_damaged_record_is_told(content: str, problem: Problem, tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text(content)
    with pytest.raises(RunError, match=r"another --out|damaged"):
        run(problem, tmp_path, Callback(), seeds=1)


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
    monkeypatch.setattr("ensuite.specs.load", lambda target: Widths)
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

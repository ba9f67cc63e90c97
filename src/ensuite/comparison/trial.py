"""One trial of a comparison: a candidate trained with one seed, saved, and opened again."""

import json
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from ensuite.candidates import METRICS, Candidate, Fitted
from ensuite.comparison.answers import Answers, row_by_row, stored_scores
from ensuite.comparison.measure import disk_bytes, measure, peak_memory, reset_peak_memory
from ensuite.core.errors import RunError
from ensuite.core.files import read_json, write_json
from ensuite.core.score import Score
from ensuite.predictor import RUN, Predictor
from ensuite.problem import Problem
from ensuite.report import values
from ensuite.training.budget import Budget
from ensuite.training.callback import Callback
from ensuite.training.device import machine, versions


@dataclass(frozen=True)
class Trial:
    """The result of training a candidate with one seed.

    The model and its answers stay in the run folder, so that a comparison of many trials needs no
    more memory than one of them.

    Args:
        seed: Seed of the training.
        folder: Run folder.
        scores: On the test examples, by metric.
        figures: The measured columns of the table.
        history: Validation scores over the budget.
    """

    seed: int
    folder: Path
    scores: Mapping[str, Score]
    figures: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]

    @property
    def predictor(self) -> Predictor:
        """The trained model; loaded from the run folder each time."""
        return Predictor.load(self.folder)

    @property
    def answers(self) -> Answers:
        """The answers to the test examples; read from the run folder each time."""
        return Answers.load(self.folder)


def run_trial(
    candidate: Candidate,
    problem: Problem,
    budget: Budget,
    seed: int,
    folder: Path,
    callback: Callback,
) -> Trial:
    """Return the finished trial in ``folder``, or train the candidate now.

    Raises:
        RunError: If the folder holds a trained run of other options, which is never overwritten.
    """
    mine = identity(candidate, problem, budget, seed)
    if (folder / RUN).exists():
        known = read_json(folder / RUN)
        theirs = read_identity(folder)
        different = [key for key in mine if theirs.get(key) != mine[key]]
        if different and candidate.seeded:  # a baseline costs little, and is fitted again
            raise RunError(
                f"{folder} holds a run with another {', '.join(different)}, and is kept; choose "
                "another --out."
            )
        if "figures" in known and not different:
            return reopen(problem, mine, folder, known["figures"])
    write_json(folder / RUN, {"identity": mine})
    reset_peak_memory()
    fitted = candidate.fit(problem, budget=budget, seed=seed, folder=folder, callback=callback)
    memory = peak_memory(getattr(candidate, "device", torch.device("cpu")))
    fitted.predictor.save(folder)
    figures, scores = evaluate(fitted, problem, mine, folder)
    figures = {**figures, "peak_memory_bytes": memory}
    facts = {"identity": mine, **asdict(capsule(problem, [seed])), "figures": figures}
    write_json(folder / RUN, facts)  # last: a run without figures is not finished
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return Trial(seed, folder, scores, figures, read_history(folder))


def evaluate(
    fitted: Fitted, problem: Problem, mine: Mapping[str, Any], folder: Path
) -> tuple[dict[str, Any], dict[str, Score]]:
    """Answer the test examples, store the answers, and return the figures and the scores."""
    predictor, test = fitted.predictor, problem.parts["test"]
    cost, ledger = measure(predictor, test), predictor.task.ledger(test)
    scores = row_by_row(predictor.task.score(cost.answers, test))
    size = disk_bytes(folder)
    Answers.describe(predictor.task, cost.answers, test).save(folder, mine, scores)
    figures = {
        "parameters": predictor.parameters,
        "train_seconds": fitted.seconds,
        "latency_ms": cost.latency_ms,
        "throughput": cost.throughput,
        "disk_bytes": size,
        "budget_used": fitted.share,
        "converged": fitted.converged,
        "truncated_rows": ledger.rows,
        "truncated_tokens": ledger.tokens,
    }
    return figures, scores


def identity(candidate: Candidate, problem: Problem, budget: Budget, seed: int) -> dict[str, Any]:
    """Return everything that the result of a run depends on; equal only for equal runs."""
    return {
        "candidate": candidate.describe(), "seed": seed, "budget": str(budget),
        "data": problem.fingerprint, "metric": problem.metric,
    }  # fmt: skip


def read_identity(folder: Path) -> dict[str, Any]:
    """Return the identity of the run in a folder.

    Raises:
        RunError: If its file is not one that a run writes.
    """
    known = read_json(folder / RUN)
    if not (isinstance(known, dict) and isinstance(known.get("identity"), dict)):
        raise RunError(f"{folder / RUN} is not what a run writes; choose another --out.")
    identity: dict[str, Any] = known["identity"]
    return identity


def capsule(problem: Problem, seeds: Sequence[int]) -> values.Capsule:
    """Return what is needed to repeat the run."""
    typed = Path(sys.argv[0]).stem in ("ensuite", "__main__")
    return values.Capsule(
        command=shlex.join(["ensuite", *sys.argv[1:]]) if typed else "(from Python)",
        versions=versions(),
        machine=machine(),
        seeds=tuple(seeds),
        fingerprint=problem.fingerprint,
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def reopen(
    problem: Problem, mine: Mapping[str, Any], folder: Path, figures: Mapping[str, Any]
) -> Trial:
    """Return a finished trial, with the scores that are stored in its folder.

    Where they are missing, or of a kind that cannot be stored, the test examples are answered
    again.
    """
    predictor, test = Predictor.load(folder), problem.parts["test"]
    few = test[:1]
    some = predictor.task.score(predictor.predict_examples(few), few)
    scores = stored_scores(folder, mine, some)
    if scores is None:
        answers = predictor.predict_examples(test)
        scores = row_by_row(predictor.task.score(answers, test))
        Answers.describe(predictor.task, answers, test).save(folder, mine, scores)
    return Trial(mine["seed"], folder, scores, figures, read_history(folder))


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Return the validation scores of a run over its budget; an empty list for a baseline.

    Raises:
        RunError: If the file is damaged.
    """
    path = folder / METRICS
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        points = [json.loads(line) for line in lines]
        return [{**each, "scores": dict(each["scores"])} for each in points]
    except (ValueError, TypeError, KeyError) as error:
        raise RunError(f"{path} cannot be read ({error}); delete it.") from error


def validation_score(trial: Trial, metric: str, higher_is_better: bool) -> float:
    """Return the best validation score of a run, larger is better; 0 if it has none."""
    values = [
        each["scores"][metric] for each in trial.history if each["scores"].get(metric) is not None
    ]
    return max((v if higher_is_better else -v for v in values), default=0.0)

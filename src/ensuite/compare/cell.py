"""One cell of a comparison: a candidate and a seed, run once, kept, and found again."""

import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ensuite.candidates import Candidate
from ensuite.compare.measure import disk_bytes, measure, peak_memory, reset_peak_memory
from ensuite.core.files import read_json, write_json
from ensuite.core.score import Score
from ensuite.predictor import Predictor
from ensuite.problem import Problem
from ensuite.report import values
from ensuite.training.budget import Budget
from ensuite.training.device import machine, versions
from ensuite.training.watch import Watch

RESULT, IDENTITY = "result.json", "identity.json"


@dataclass(frozen=True)
class Cell:
    """What one run of a candidate came to.

    Args:
        seed: It was trained with.
        folder: Its run folder.
        scores: On the test examples, by metric.
        answers: To the test examples.
        figures: The measured columns of the table.
        history: Validation scores over the budget.
        predictor: Ready to be asked.
    """

    seed: int
    folder: Path
    scores: Mapping[str, Score]
    answers: list[Any]
    figures: Mapping[str, Any]
    history: list[Mapping[str, Any]]
    predictor: Predictor


def run_cell(
    candidate: Candidate, problem: Problem, budget: Budget, seed: int, folder: Path, watch: Watch
) -> Cell:
    """Return a cell: the finished one in ``folder``, or else one that is trained now."""
    mine = identity(candidate, problem, budget, seed)
    if (folder / RESULT).exists():
        kept = read_json(folder / RESULT)
        if kept["identity"] == mine:
            return reopen(problem, seed, folder, kept)
    elif (folder / IDENTITY).exists() and read_json(folder / IDENTITY) != mine:
        shutil.rmtree(folder)  # the unfinished run of other options
    write_json(folder / IDENTITY, mine)
    reset_peak_memory()
    fitted = candidate.fit(problem, budget=budget, seed=seed, folder=folder, watch=watch)
    memory = peak_memory()
    spent = {"seconds": fitted.seconds, "share": fitted.share}
    facts = {**mine, **asdict(capsule(problem, [seed])), "spent": spent}
    predictor = replace(fitted.predictor, run=facts)
    predictor.save(folder)
    cost = measure(predictor, problem.parts["test"])
    scores = predictor.task.score(cost.answers, problem.parts["test"])
    ledger = predictor.task.ledger(problem.parts["test"])
    figures = {
        "parameters": predictor.parameters,
        "train_seconds": fitted.seconds,
        "peak_memory_bytes": memory,
        "latency_ms": cost.latency_ms,
        "throughput": cost.throughput,
        "disk_bytes": disk_bytes(folder),
        "budget_used": fitted.share,
        "converged": fitted.converged,
        "truncated_rows": ledger.rows,
        "truncated_tokens": ledger.tokens,
    }
    history = list(fitted.history)
    write_json(folder / RESULT, {"identity": mine, "figures": figures, "history": history})
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return Cell(seed, folder, scores, cost.answers, figures, history, predictor)


def identity(candidate: Candidate, problem: Problem, budget: Budget, seed: int) -> dict[str, Any]:
    """Return all that decides what a run comes to: equal for two runs that must be equal."""
    return {
        "candidate": candidate.describe(), "seed": seed, "budget": str(budget),
        "data": problem.fingerprint, "metric": problem.metric,
    }  # fmt: skip


def capsule(problem: Problem, seeds: Sequence[int]) -> values.Capsule:
    """Return all that is needed to run it again."""
    typed = Path(sys.argv[0]).stem in ("ensuite", "__main__")
    return values.Capsule(
        command=shlex.join(["ensuite", *sys.argv[1:]]) if typed else "(from Python)",
        versions=versions(),
        machine=machine(),
        seeds=tuple(seeds),
        fingerprint=problem.fingerprint,
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def reopen(problem: Problem, seed: int, folder: Path, kept: Mapping[str, Any]) -> Cell:
    """Return a finished cell; its answers are asked for again, so that they cannot be stale."""
    predictor = Predictor.load(folder)
    answers = predictor.answer(problem.parts["test"])
    scores = predictor.task.score(answers, problem.parts["test"])
    return Cell(seed, folder, scores, answers, kept["figures"], kept["history"], predictor)


def validation_score(cell: Cell, metric: str, higher_is_better: bool) -> float:
    """Return the best validation score of a run, larger is better; 0 where it has none."""
    values = [each["scores"][metric] for each in cell.history if each["scores"].get(metric) is not None]
    return max((v if higher_is_better else -v for v in values), default=0.0)



"""One trial of a comparison: a candidate and a seed, run once, kept, and found again."""

import json
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ensuite.candidates import METRICS, Candidate
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
    history: Sequence[Mapping[str, Any]]
    predictor: Predictor


def run_trial(
    candidate: Candidate,
    problem: Problem,
    budget: Budget,
    seed: int,
    folder: Path,
    callback: Callback,
) -> Trial:
    """Return a trial: the finished one in ``folder``, or else one that is trained now.

    Raises:
        RunError: If the folder holds a trained run of other options, which is never thrown away.
    """
    mine = identity(candidate, problem, budget, seed)
    if (folder / RUN).exists():
        known = read_json(folder / RUN)
        theirs = read_identity(folder)
        different = [key for key in mine if theirs.get(key) != mine[key]]
        if different and candidate.seeded:  # it cost training; whatever did not is made anew
            raise RunError(
                f"{folder} holds a run with another {', '.join(different)}, and is kept; choose "
                "another --out."
            )
        if "figures" in known and not different:
            return reopen(problem, seed, folder, known["figures"])
    write_json(folder / RUN, {"identity": mine})
    reset_peak_memory()
    fitted = candidate.fit(problem, budget=budget, seed=seed, folder=folder, callback=callback)
    memory = peak_memory()
    predictor = fitted.predictor
    predictor.save(folder)
    test = problem.parts["test"]
    cost, ledger = measure(predictor, test), predictor.task.ledger(test)
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
    scores = predictor.task.score(cost.answers, test)
    facts = {"identity": mine, **asdict(capsule(problem, [seed])), "figures": figures}
    write_json(folder / RUN, facts)  # last: with it the run is finished
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return Trial(seed, folder, scores, cost.answers, figures, read_history(folder), predictor)


def identity(candidate: Candidate, problem: Problem, budget: Budget, seed: int) -> dict[str, Any]:
    """Return all that decides what a run comes to: equal for two runs that must be equal."""
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


def reopen(problem: Problem, seed: int, folder: Path, figures: Mapping[str, Any]) -> Trial:
    """Return a finished trial; its answers are asked for again, so that they cannot be stale."""
    predictor = Predictor.load(folder)
    answers = predictor.predict_examples(problem.parts["test"])
    scores = predictor.task.score(answers, problem.parts["test"])
    return Trial(seed, folder, scores, answers, figures, read_history(folder), predictor)


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Return the validation scores of a run over its budget; none of a baseline.

    Raises:
        RunError: If the file is damaged.
    """
    path = folder / METRICS
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        points = [json.loads(line) for line in lines]
        return [{**each, "scores": dict(each["scores"])} for each in points]
    except (ValueError, TypeError, KeyError) as error:
        raise RunError(f"{path} cannot be read ({error}); take it away.") from error


def validation_score(trial: Trial, metric: str, higher_is_better: bool) -> float:
    """Return the best validation score of a run, larger is better; 0 where it has none."""
    values = [
        each["scores"][metric] for each in trial.history if each["scores"].get(metric) is not None
    ]
    return max((v if higher_is_better else -v for v in values), default=0.0)

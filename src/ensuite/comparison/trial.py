"""One trial of a comparison: a candidate trained with one seed, saved, and opened again."""

import json
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ensuite.candidates import METRICS, Candidate, Fitted
from ensuite.comparison.answers import Answers, row_by_row, stored_scores
from ensuite.comparison.measure import SEEN, answer, disk_bytes, peak_memory, reset_peak_memory
from ensuite.core.errors import RunError, TrainingError
from ensuite.core.files import read_json, read_tensors, write_json, write_tensors
from ensuite.core.score import Score
from ensuite.core.task import Task
from ensuite.predictor import RUN, Predictor
from ensuite.problem import Problem
from ensuite.report import values
from ensuite.training.budget import Budget
from ensuite.training.callback import Callback
from ensuite.training.device import machine, versions
from ensuite.training.memory import is_out_of_memory
from ensuite.training.threads import use_threads

FORMAT = 2
"""Number of the format of ``run.json`` and ``comparison.json``; others are refused."""


@dataclass(frozen=True)
class Trial:
    """The result of training a candidate with one seed.

    The model and its answers stay in the run folder, so that a comparison of many trials needs no
    more memory than one of them.

    Args:
        seed: Seed of the training.
        folder: Run folder.
        scores: On the test examples, by metric; empty for a trial that failed.
        figures: The measured columns of the table.
        history: Validation scores over the budget.
        failed: Why it could not be trained; empty for one that was.
    """

    seed: int
    folder: Path
    scores: Mapping[str, Score]
    figures: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    failed: str = ""

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
    *,
    fold: int | None = None,
    threads: int | None = None,
) -> Trial:
    """Return the finished trial in ``folder``, or train the candidate now.

    Args:
        candidate: What to train.
        problem: What to train it on; with folds that of the fold.
        budget: For this trial.
        seed: Of the training.
        folder: Run folder.
        callback: Called while it trains.
        fold: Number of the fold, from 0; None without folds.
        threads: CPU threads to compute with; None: as many as are set.

    Raises:
        RunError: If the folder holds a trained run of other options, which is never overwritten.
        TrainingError: If training cannot go on.
    """
    mine = identity(candidate, problem, budget, seed, fold)
    if (figures := finished(candidate, mine, folder)) is not None:
        return reopen(problem, mine, folder, figures)
    write_json(folder / RUN, {"format": FORMAT, "identity": mine, "threads": threads})
    with given_back(folder), use_threads(threads):
        reset_peak_memory()
        fitted = candidate.fit(problem, budget=budget, seed=seed, folder=folder, callback=callback)
        memory = peak_memory(getattr(candidate, "device", torch.device("cpu")))
        fitted.predictor.save(folder)
        figures, scores = evaluate(fitted, problem, mine, folder)
    figures = {**figures, "peak_memory_bytes": memory}
    write_seen(folder, problem)
    # Last: a run without figures is not finished.
    write_run(folder, problem, mine, threads=threads, figures=figures)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return Trial(seed, folder, scores, figures, read_history(folder))


@contextmanager
def given_back(folder: Path) -> Iterator[None]:
    """Leave the folder of a run free for another where it ends before anything was trained."""
    try:
        yield
    except BaseException:
        if all(each.name == RUN or each.name.startswith(".") for each in folder.iterdir()):
            (folder / RUN).unlink(missing_ok=True)
        raise


def attempt(
    candidate: Candidate,
    problem: Problem,
    budget: Budget,
    seed: int,
    folder: Path,
    callback: Callback,
    *,
    fold: int | None = None,
    threads: int | None = None,
) -> Trial:
    """Run a trial as :func:`run_trial` does; where training fails, return it with the reason.

    A failure is kept in the run folder, so that the trial is not run again.
    """
    mine = identity(candidate, problem, budget, seed, fold)
    reason = read_failure(folder, mine)
    if not reason:
        try:
            return run_trial(
                candidate, problem, budget, seed, folder, callback, fold=fold, threads=threads
            )
        except (TrainingError, MemoryError, RuntimeError) as error:
            reason = why_failed(error)
        write_json(folder / RUN, {"format": FORMAT, "identity": mine, "failed": reason})
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return Trial(seed, folder, {}, {}, [], reason)


def why_failed(error: BaseException) -> str:
    """Return the reason that an error gives for a failed training.

    Raises:
        BaseException: The error itself, if it is none of training or of memory.
    """
    if isinstance(error, TrainingError):
        return str(error)
    if is_out_of_memory(error):
        return "It ran out of memory; choose a smaller model, or shorter inputs."
    raise error


def read_failure(folder: Path, mine: Mapping[str, Any]) -> str:
    """Return why the trial of this identity failed before; empty if it did not."""
    if not (folder / RUN).exists():
        return ""
    known = read_json(folder / RUN)
    same = read_identity(folder) == mine
    return str(known.get("failed", "")) if same else ""


def finished(
    candidate: Candidate, mine: Mapping[str, Any], folder: Path
) -> Mapping[str, Any] | None:
    """Return the figures of the trial if it is finished; None if it is to be trained.

    Raises:
        RunError: If the folder holds a trained run of other options.
    """
    if not (folder / RUN).exists():
        return None
    theirs, known = read_identity(folder), read_json(folder / RUN)
    if "failed" in known:
        return None
    different = [key for key in mine if theirs.get(key) != mine[key]]
    if different and candidate.seeded:  # a baseline costs little, and is fitted again
        raise RunError(
            f"{folder} holds a run with another {', '.join(different)}, and is kept; choose "
            "another --out."
        )
    figures: Mapping[str, Any] | None = None if different else known.get("figures")
    return figures


def evaluate(
    fitted: Fitted, problem: Problem, mine: Mapping[str, Any], folder: Path
) -> tuple[dict[str, Any], dict[str, Score]]:
    """Answer the test examples, store the answers, and return the figures and the scores."""
    predictor, test = fitted.predictor, problem.parts["test"]
    answers, throughput = answer(predictor, test)
    ledger = predictor.task.ledger(test)
    scores = row_by_row(predictor.task.score(answers, test))
    size = disk_bytes(folder)
    Answers.describe(predictor.task, answers, test).save(folder, mine, scores)
    figures = {
        "parameters": predictor.parameters,
        "train_seconds": fitted.seconds,
        "throughput": throughput,
        "disk_bytes": size,
        "budget_used": fitted.share,
        "converged": fitted.converged,
        "epochs": fitted.epochs,
        "still_rising": fitted.still_rising,
        "busy": fitted.busy,
        "truncated_rows": ledger.rows,
        "truncated_tokens": ledger.tokens,
    }
    return figures, scores


def identity(
    candidate: Candidate, problem: Problem, budget: Budget, seed: int, fold: int | None = None
) -> dict[str, Any]:
    """Return everything that the result of a run depends on; equal only for equal runs."""
    return {
        "candidate": candidate.describe(), "seed": seed, "fold": fold, "budget": str(budget),
        "data": problem.fingerprint, "metric": problem.metric,
    }  # fmt: skip


def write_run(folder: Path, problem: Problem, mine: Mapping[str, Any], **facts: Any) -> None:
    """Write ``run.json``: the identity of the run, how to repeat it, and what else is known."""
    repeat = asdict(capsule(problem, [mine["seed"]]))
    write_json(folder / RUN, {"format": FORMAT, "identity": mine, **repeat, **facts})


def read_identity(folder: Path) -> dict[str, Any]:
    """Return the identity of the run in a folder.

    Raises:
        RunError: If its file is not one that a run writes, or of another version.
    """
    known = read_json(folder / RUN)
    if not (isinstance(known, dict) and isinstance(known.get("identity"), dict)):
        raise RunError(f"{folder / RUN} is not what a run writes; choose another --out.")
    require_format(known, folder)
    identity: dict[str, Any] = known["identity"]
    return identity


def require_format(known: Mapping[str, Any], folder: Path) -> None:
    """Refuse what another version wrote.

    Raises:
        RunError: Says so, and what to do.
    """
    if known.get("format", 1) != FORMAT:
        raise RunError(
            f"{folder} was written by another version of ensuite (format {known.get('format', 1)}, "
            f"and this one writes {FORMAT}); choose another --out."
        )


def trained_on(folder: Path, examples: Sequence[Any], task: Task[Any, Any, Any]) -> int:
    """Return how many of these examples a run was trained on; 0 where it is not known.

    Args:
        folder: Of the run.
        examples: Read by its task.
        task: Of the run.
    """
    if not (folder / SEEN).exists():
        return 0
    seen = read_tensors(folder / SEEN).get("inputs")
    return 0 if seen is None else int(np.isin(hash_inputs(task, examples), seen.numpy()).sum())


_hashes: dict[str, NDArray[np.int64]] = {}
"""Hashes of the training inputs of the last problem, by its fingerprint: all its trials share them,
and to hash thousands of image files takes a while."""


def write_seen(folder: Path, problem: Problem) -> None:
    """Write the hash of every training input, in order of size so that it tells no more."""
    if problem.fingerprint not in _hashes:
        _hashes.clear()
        hashes = hash_inputs(problem.task, problem.parts["train"])
        _hashes[problem.fingerprint] = np.sort(hashes)
    write_tensors(folder / SEEN, {"inputs": torch.from_numpy(_hashes[problem.fingerprint])})


def hash_inputs(task: Task[Any, Any, Any], examples: Sequence[Any]) -> NDArray[np.int64]:
    """Return a number for each example, equal for equal inputs."""
    digests = b"".join(
        sha256(repr(task.keys(example).identity).encode()).digest()[:8] for example in examples
    )
    return np.frombuffer(digests, dtype="<i8").astype(np.int64)


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

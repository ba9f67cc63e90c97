"""Compare candidates fairly: the same examples, seeds and budget for each."""

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from time import perf_counter
from typing import Any

from ensuite.candidates import Candidate, Trained
from ensuite.comparison.statistics import smallest_visible_difference, spread, tie_groups
from ensuite.comparison.trial import Trial, run_trial, validation_score
from ensuite.core.errors import RunError
from ensuite.core.files import hold, read_json, write_bytes, write_json
from ensuite.core.score import Score
from ensuite.core.task import rank
from ensuite.problem import Problem
from ensuite.report import values
from ensuite.report.verdict import verdict, winner
from ensuite.report.words import counted
from ensuite.training.budget import Budget
from ensuite.training.callback import Callback
from ensuite.training.loop import fit

COMPARISON, LEADERBOARD = "comparison.json", "leaderboard.json"

MEASURED_STEPS = 8
"""Updates that are timed, after two to warm up, to estimate the epochs of a budget."""


@dataclass(frozen=True)
class Comparison:
    """A finished comparison: its table, the sentences about it, and all its trials."""

    leaderboard: values.Leaderboard
    verdict: tuple[str, ...]
    trials: Mapping[str, Sequence[Trial]]
    folder: Path


def run_comparison(
    problem: Problem,
    entrants: Sequence[Candidate],
    *,
    budget: Budget,
    seeds: int,
    folder: Path,
    callback: Callback,
) -> Comparison:
    """Train and score every candidate; trials that an earlier call finished are kept.

    Raises:
        RunError: If another process works in ``folder``, or it holds a comparison of other data.
    """
    with hold(folder):
        claim(problem, folder)
        announce(problem, entrants, budget, seeds, callback)
        trials = {
            entrant.name: [
                run_trial(
                    entrant, problem, budget, seed, folder / place(entrant.variant, seed), callback
                )
                for seed in range(seeds if entrant.seeded else 1)
            ]
            for entrant in entrants
        }
        board = leaderboard(problem, entrants, trials, budget, seeds, folder)
        words = tuple(verdict(board, len(problem.parts["test"]), problem.unit))
        if board.winner is not None:
            words += remarks(problem, trials[board.winner][0])
        write_json(folder / LEADERBOARD, board.to_json())
        if board.winner is not None:
            keep_best(trials[board.winner], board, folder)
    return Comparison(board, words, trials, folder)


def remarks(problem: Problem, trial: Trial) -> tuple[str, ...]:
    """Return what the task says of the answers of a trial."""
    examples, predictor = problem.parts["test"], trial.predictor
    return tuple(predictor.task.remarks(predictor.name, trial.answers, examples))


def place(name: str, seed: int) -> str:
    """Return where a trial is kept below the comparison's folder.

    >>> place("lstm layers=2", 0)
    'trials/lstm-layers=2/0'
    """
    return f"trials/{re.sub(r'[^a-z0-9=.]+', '-', name.lower()).strip('-')}/{seed}"


def claim(problem: Problem, folder: Path) -> None:
    """Mark the folder as this problem's.

    Raises:
        RunError: If it is another's.
    """
    mine = {"task": problem.name, "data": problem.data, "fingerprint": problem.fingerprint}
    if (folder / COMPARISON).exists():
        theirs = read_json(folder / COMPARISON)
        if not isinstance(theirs, dict) or theirs.get("fingerprint") != mine["fingerprint"]:
            raise RunError(
                f"{folder} compares on other data or options: {problem.data} has changed, or they "
                "have. Choose another --out."
            )
    write_json(folder / COMPARISON, mine)


def announce(
    problem: Problem, entrants: Sequence[Candidate], budget: Budget, seeds: int, callback: Callback
) -> None:
    """Time a few updates of each candidate, and say how many epochs the budget allows."""
    trained = [each for each in entrants if isinstance(each, Trained)]
    if not trained:
        return
    models = f"{counted(len(trained), 'model')} x {counted(seeds, 'seed')}"
    total = ""
    if budget.unit == "seconds":
        minutes = max(1, round(len(trained) * seeds * budget.amount / 60))
        about = "at most" if budget.patience else "about"
        total = f", {about} {counted(minutes, 'minute')} of training in all"
    callback.say(f"budget       {budget} for each of {models}{total}")
    if budget.unit == "seconds":
        bought = [(epochs(each, problem, budget), each.name) for each in trained]
        said = [f"{count:,.{0 if count >= 10 else 1}f} epochs of {name}" for count, name in bought]
        callback.say(f"             it buys up to {', '.join(said)}")


def epochs(candidate: Trained, problem: Problem, budget: Budget) -> float:
    """Return the number of epochs that a budget of seconds allows, by timing a few updates."""
    steps = Budget(MEASURED_STEPS + 2, "steps", patience=None)
    training = candidate.begin(problem, steps, seed=0)
    training.state.evaluated_share = 1.0  # times updates alone
    times = []
    began = perf_counter()
    for _ in fit(training):
        times.append(perf_counter() - began)
        began = perf_counter()
        if len(times) == MEASURED_STEPS + 1:
            break
    seconds = fmean(times[2:] or times)
    return budget.amount / seconds / len(training.order)


def leaderboard(
    problem: Problem,
    entrants: Sequence[Candidate],
    trials: Mapping[str, Sequence[Trial]],
    budget: Budget,
    seeds: int,
    folder: Path,
) -> values.Leaderboard:
    """Return the table: means over seeds, tie groups, and the winner."""
    first = next(iter(trials.values()))[0].scores
    metric = ranking_metric(problem, first)
    groups, visible = dict.fromkeys(trials, ""), None
    if metric is not None:
        scores = {name: [trial.scores[metric] for trial in row] for name, row in trials.items()}
        groups, visible = compare_scores(scores, problem.task.blocks(problem.parts["test"]))
    rows = [
        make_row(entrant, trials[entrant.name], metric, groups[entrant.name], folder)
        for entrant in entrants
    ]
    higher = metric is None or first[metric].higher_is_better
    rows.sort(key=lambda row: (row.score is None, (-1 if higher else 1) * (row.score or 0)))
    return values.Leaderboard(
        task=problem.name,
        data=problem.data,
        metric=metric,
        higher_is_better=higher,
        budget=str(budget),
        seeds=seeds,
        winner=None if metric is None else winner(rows),
        smallest_visible_difference=visible,
        rows=tuple(rows),
        displays={name: score.display for name, score in first.items()},
    )


def ranking_metric(problem: Problem, scores: Mapping[str, Score]) -> str | None:
    """Return the metric that ranks, None where none does.

    Raises:
        UsageError: If the user named one that the task does not have.
    """
    return None if problem.ranks_by is None else rank(scores, problem.ranks_by)[0]


def compare_scores(
    scores: Mapping[str, Sequence[Score]], blocks: Sequence[int] | None
) -> tuple[dict[str, str], float | None]:
    """Return the tie group of each candidate, and the smallest difference that can be shown."""
    groups = tie_groups(scores, blocks=blocks)
    tied = {name: each for name, each in scores.items() if groups[name] == "A"}
    compared = tied if len(tied) > 1 else scores
    return groups, smallest_visible_difference(compared, blocks=blocks)


def make_row(
    entrant: Candidate, trials: Sequence[Trial], metric: str | None, group: str, folder: Path
) -> values.Row:
    """Return a row of the table: every figure is the mean over the seeds."""
    figures: dict[str, Any] = {
        name: average([trial.figures[name] for trial in trials]) for name in trials[0].figures
    }
    whole = ("parameters", "peak_memory_bytes", "disk_bytes", "truncated_rows", "truncated_tokens")
    figures |= {name: round(figures[name]) for name in whole if figures[name] is not None}
    converged = [trial.figures["converged"] for trial in trials]
    figures["converged"] = None if None in converged else sum(converged) * 2 >= len(converged)
    by_seed = [] if metric is None else [trial.scores[metric].value for trial in trials]
    return values.Row(
        name=entrant.name,
        kind=entrant.kind,
        score=fmean(by_seed) if by_seed else None,
        spread=spread(by_seed),
        tie_group=group,
        metrics={m: fmean(trial.scores[m].value for trial in trials) for m in trials[0].scores},
        folder=trials[0].folder.relative_to(folder).parent.as_posix(),
        **figures,
    )


def average(figures: Sequence[float | None]) -> float | None:
    """Return the mean; None if a figure does not apply."""
    known = [figure for figure in figures if figure is not None]
    return fmean(known) if len(known) == len(figures) else None


def keep_best(trials: Sequence[Trial], board: values.Leaderboard, folder: Path) -> None:
    """Copy the winner's run, of the seed that was best on the validation rows, to ``best/``."""
    metric, higher = board.metric or "", board.higher_is_better
    best = max(trials, key=lambda trial: validation_score(trial, metric, higher))
    draft = folder / ".best"
    shutil.rmtree(draft, ignore_errors=True)
    for file in filter(Path.is_file, best.folder.iterdir()):
        write_bytes(draft / file.name, file.read_bytes())
    shutil.rmtree(folder / "best", ignore_errors=True)
    draft.rename(folder / "best")


def choose_folder(problem: Problem, out: str | Path | None, root: Path = Path("runs")) -> Path:
    """Return where to work: ``out``, an unfinished comparison of the same, or a new folder."""
    if out is not None:
        return Path(out)
    stem = f"{problem.name}-{re.sub(r'[^A-Za-z0-9_]+', '-', Path(problem.data).name.split('.')[0])}"
    number = 1
    while (folder := root / f"{stem}-{number}").exists():
        started = folder / COMPARISON
        unfinished = started.exists() and not (folder / LEADERBOARD).exists()
        if unfinished and read_json(started)["fingerprint"] == problem.fingerprint:
            return folder
        number += 1
    return folder

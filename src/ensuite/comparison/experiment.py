"""Compare candidates fairly: the same examples, seeds and budget for each."""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from ensuite.candidates import Candidate, Trained
from ensuite.comparison.board import Result, leaderboard
from ensuite.comparison.folds import Folds
from ensuite.comparison.insight import remarks
from ensuite.comparison.jobs import run_jobs
from ensuite.comparison.measure import measure_latency
from ensuite.comparison.plan import (
    COMPARISON,
    Cost,
    Plan,
    Record,
    Terms,
    make_plan,
    spoken,
)
from ensuite.comparison.trial import FORMAT, Trial, attempt, validation_score, write_seen
from ensuite.core.errors import EnsuiteError, RunError
from ensuite.core.files import hold, read_json, write_bytes, write_json
from ensuite.predictor import RUN, Predictor
from ensuite.problem import Problem
from ensuite.report import values
from ensuite.report.verdict import verdict
from ensuite.report.words import counted
from ensuite.training.budget import Budget
from ensuite.training.callback import Callback
from ensuite.training.threads import use_threads

LEADERBOARD = "leaderboard.json"


@dataclass(frozen=True)
class Comparison:
    """A finished comparison: its table, the sentences about it, and the trials of its rows.

    A row that failed has no trials.
    """

    leaderboard: values.Leaderboard
    verdict: tuple[str, ...]
    trials: Mapping[str, Sequence[Trial]]
    folder: Path


class Job(NamedTuple):
    """One trial: the number of the candidate, and that of the seed or fold."""

    candidate: int
    round: int


@dataclass(frozen=True)
class Trials:
    """All trials that may be run, and where; it is sent to the processes of ``--jobs``.

    Args:
        entrants: The candidates.
        problems: The one problem, or that of each fold.
        terms: What the user asks.
        plan: Budget and threads.
        folder: Of the comparison.
        folds: Whether each round is a fold; else it is a seed.
    """

    entrants: Sequence[Candidate]
    problems: Sequence[Problem]
    terms: Terms
    plan: Plan
    folder: Path
    folds: bool

    @property
    def rounds(self) -> int:
        """Trials of each candidate that depends on the seed."""
        return len(self.problems) if self.folds else self.terms.seeds

    @property
    def round_name(self) -> str:
        """What tells the trials of a candidate apart."""
        return "fold" if self.folds else "seed"

    def repeat(self, turn: int) -> str:
        """Name a round as the terminal does: seeds from 0, folds from 1."""
        return f"{self.round_name} {turn + 1 if self.folds else turn}"

    def run(self, job: Job, callback: Callback) -> Trial:
        """Run a trial, or open it where it is finished."""
        entrant = self.entrants[job.candidate]
        return attempt(
            entrant,
            self.problems[job.round if self.folds else 0],
            self.budget(entrant),
            job.round,
            self.folder / place(entrant.variant, job.round, fold=self.folds),
            callback,
            fold=job.round if self.folds else None,
            threads=self.plan.threads.get(entrant.variant),
        )

    def ended(self, job: Job) -> bool:
        """Return whether an earlier call finished a trial, or found that it fails."""
        entrant = self.entrants[job.candidate]
        path = self.folder / place(entrant.variant, job.round, fold=self.folds) / RUN
        return path.exists() and not {"figures", "failed"}.isdisjoint(read_json(path))

    def budget(self, entrant: Candidate) -> Budget:
        """Return the budget of each trial; always the same where nothing is trained."""
        return self.plan.budget if entrant.seeded and self.plan.budget else Budget()

    def run_elsewhere(self, job: Job, callback: Callback) -> None:
        """Run a trial in another process; this one opens it afterwards."""
        self.run(job, callback)


@dataclass
class Progress:
    """Which trials have ended.

    Attributes:
        trials: Of each candidate by its number, then by round.
        out_of_time: Whether rounds were left out because the time was up.
    """

    trials: dict[int, dict[int, Trial]] = field(default_factory=dict)
    out_of_time: bool = False

    def failed(self, candidate: int) -> str:
        """Return why a candidate failed, in its first round that did; empty if it did not."""
        rounds = sorted(self.trials.get(candidate, {}).items())
        return next((trial.failed for _, trial in rounds if trial.failed), "")

    def finished(self, candidate: int) -> list[Trial]:
        """Return the trials of the rounds from the first on without a gap."""
        known, found = self.trials.get(candidate, {}), list[Trial]()
        while len(found) in known:
            found.append(known[len(found)])
        return found


def run_comparison(
    problem: Problem,
    entrants: Sequence[Candidate],
    *,
    terms: Terms,
    folder: Path,
    callback: Callback,
    folds: Folds | None = None,
    clock: Callable[[], float] = monotonic,
    began: float | None = None,
) -> Comparison:
    """Train and score every candidate; trials that an earlier call finished are kept.

    What needs no seed is run first, and seeds are the outer loop: a comparison that is interrupted
    is a fair one of fewer seeds.

    Args:
        problem: What to do; with folds, the problem of all rows.
        entrants: The candidates.
        terms: Budget, total, seeds, threads and jobs.
        folder: Where to work.
        callback: Called while models train.
        folds: Problems of a cross-validation; None: one test part.
        clock: Returns the current time in seconds.
        began: When the call began, by that clock; None: now.

    Raises:
        RunError: If another process works in ``folder``, or it holds a comparison of other data.
        UsageError: If the total leaves no time to train.
        EnsuiteError: If no candidate could be scored.
    """
    start = clock() if began is None else began
    problems = folds.each if folds else [problem]
    with hold(folder):
        record = Record.open(folder, problem, terms, len(problems) if folds else None)
        trials = Trials(entrants, problems, terms, record.plan, folder, folds is not None)
        before = record.plan.elapsed
        results, left_out = run_trials(trials, record, lambda: before + clock() - start, callback)
        keep_latency(results, problems[0], record)
        board = leaderboard(
            results,
            problems,
            record.plan,
            budget=str(record.plan.budget or Budget()),
            total="" if terms.total is None else spoken(terms.total),
            folds=len(problems) if folds else None,
            left_out=left_out,
        )
        words = tuple(verdict(board, len(problems[0].parts["test"]), problem.unit))
        for best in (each for each in results if each.entrant.name == board.winner):
            said = remarks(problems[0], best.trials[0])
            words += tuple(f"Fold 1: {each}" for each in said) if folds else said
        write_json(folder / LEADERBOARD, board.to_json())
        keep_best(board, results, trials, folds, callback)
        record.plan.elapsed = before + clock() - start
        record.save()
    kept = {each.entrant.name: each.trials for each in results if not each.failed}
    return Comparison(board, words, kept, folder)


def run_trials(
    trials: Trials, record: Record, elapsed: Callable[[], float], callback: Callback
) -> tuple[list[Result], str]:
    """Run all trials: first what needs no seed, then measure, then seed by seed.

    Returns:
        What came of each candidate, and a sentence about what was left out.
    """
    progress = Progress()
    _run(trials, seedless_jobs(trials), progress, record, elapsed, callback)
    costs = make_plan(
        record, trials.entrants, trials.problems[0], trials.terms,
        rounds=trials.rounds, elapsed=elapsed,
    )  # fmt: skip
    for line in announce(trials, costs, elapsed()):
        callback.say(line)
    queue = seeded_jobs(trials, progress, elapsed, callback)
    _run(trials, queue, progress, record, elapsed, callback, processes=trials.terms.jobs)
    results = collect(trials, progress)
    return results, say_left_out(trials, results) if progress.out_of_time else ""


def place(name: str, number: int, *, fold: bool = False) -> str:
    """Return where a trial is kept below the comparison's folder.

    >>> place("lstm layers=2", 0), place("lstm", 0, fold=True)
    ('trials/lstm-layers=2/0', 'trials/lstm/fold-1')
    """
    stem = re.sub(r"[^a-z0-9=.]+", "-", name.lower()).strip("-")
    return f"trials/{stem}/{f'fold-{number + 1}' if fold else number}"


def seedless_jobs(trials: Trials) -> Iterator[Job]:
    """Yield the trials of what no seed changes: one each, or one in each fold."""
    for turn in range(trials.rounds if trials.folds else 1):
        for number, entrant in enumerate(trials.entrants):
            if not entrant.seeded:
                yield Job(number, turn)


def seeded_jobs(
    trials: Trials, progress: Progress, elapsed: Callable[[], float], callback: Callback
) -> Iterator[Job]:
    """Yield the trials of all candidates that depend on the seed, seed by seed.

    The first round is always run. After it, no trial is begun when the total is up; those that have
    ended already are opened. A candidate that failed is not tried with another seed.
    """
    total = trials.terms.total
    count = trials.rounds * sum(entrant.seeded for entrant in trials.entrants)
    current = 0
    for turn in range(trials.rounds):
        for number, entrant in enumerate(trials.entrants):
            if not entrant.seeded:
                continue
            current += 1
            if progress.failed(number):
                continue
            late = turn > 0 and total is not None and elapsed() >= total
            if late and not trials.ended(Job(number, turn)):
                progress.out_of_time = True
                return
            callback.trial(current, count, trials.repeat(turn))
            yield Job(number, turn)


def _run(
    trials: Trials,
    jobs: Iterator[Job],
    progress: Progress,
    record: Record,
    elapsed: Callable[[], float],
    callback: Callback,
    processes: int = 1,
) -> None:
    """Run trials and keep what comes of them; after each, the time so far is written down."""
    run = trials.run if processes == 1 else trials.run_elsewhere
    for job, trial in run_jobs(jobs, run, processes=processes, callback=callback):
        name, repeat = trials.entrants[job.candidate].name, trials.repeat(job.round)
        if trial is None:  # it ended in another process
            trial = trials.run(job, Callback())
            seconds, epochs = (trial.figures.get(key) or 0 for key in ("train_seconds", "epochs"))
            callback.say(f"{name:12s} {repeat}: {seconds:.0f} s, {epochs:.1f} epochs")
        progress.trials.setdefault(job.candidate, {})[job.round] = trial
        if trial.failed:
            callback.say(f"{name:12s} {repeat} failed: {trial.failed}")
        record.plan.elapsed = elapsed()
        record.save()


def collect(trials: Trials, progress: Progress) -> list[Result]:
    """Return what came of each candidate, over the rounds that all of them finished.

    Raises:
        EnsuiteError: If none could be scored.
    """
    numbers = range(len(trials.entrants))
    failed = [progress.failed(number) for number in numbers]
    finished = [progress.finished(number) for number in numbers]
    trained = [number for number in numbers if trials.entrants[number].seeded or trials.folds]
    rounds = min((len(finished[n]) for n in trained if not failed[n]), default=1)
    results = [
        Result(
            entrant=entrant,
            trials=[] if failed[number] else finished[number][:rounds],
            failed=failed[number],
            folder=Path(place(entrant.variant, 0)).parent.as_posix(),
        )
        for number, entrant in enumerate(trials.entrants)
    ]
    if all(each.failed for each in results):
        raise EnsuiteError(
            f"No candidate could be scored; {results[0].entrant.name}: {results[0].failed}"
        )
    return results


def keep_latency(results: Sequence[Result], problem: Problem, record: Record) -> None:
    """Measure the latency of all rows together, unless it is known of each."""
    known = [each for each in results if not each.failed]
    if all(each.entrant.variant in record.plan.latency for each in known):
        return
    predictors = {
        each.entrant.variant: Predictor.load(
            each.trials[0].folder, device=str(getattr(each.entrant, "device", "cpu"))
        )
        for each in known
    }
    record.plan.latency = measure_latency(predictors, problem.parts["test"])
    record.save()


def say_left_out(trials: Trials, results: Sequence[Result]) -> str:
    """Say how many seeds or folds there was time for, and what to type for more."""
    done = max(len(each.trials) for each in results if each.entrant.seeded)
    total = spoken(trials.terms.total or 0).replace(" ", "")
    return (
        f"Time was up after {done} of {counted(trials.rounds, trials.round_name)}, and the rest "
        f"was left out: give a longer --total than {total}, and another --out."
    )


def announce(trials: Trials, costs: Mapping[str, Cost], elapsed: float) -> list[str]:
    """Return lines on what every trial may spend, how long all take, and what that allows.

    Args:
        trials: All of them, planned.
        costs: Measured just now; empty where an earlier call planned.
        elapsed: Wall seconds so far.
    """
    plan, terms = trials.plan, trials.terms
    trained = [each for each in trials.entrants if isinstance(each, Trained)]
    if not trained or plan.budget is None:
        return []
    each = f"each of {counted(len(trained), 'model')} x {counted(trials.rounds, trials.round_name)}"
    said = f"{plan.budget} for {each}"
    if terms.total is not None:
        most = f"{spoken(terms.total)} at most in all"
        said = f"{most}, {spoken(plan.budget.amount)} of training for {each}"
        if terms.budget is not None:
            said = f"{terms.budget} for {each}, {most}"
    elif costs and plan.budget.unit == "seconds":
        wall = trials.rounds * sum(cost.wall(plan.budget.amount) for cost in costs.values())
        minutes = max(1, round((elapsed + wall / terms.jobs) / 60))
        said += f", about {counted(minutes, 'minute')} in all"
    lines = [f"budget       {said}"]
    promised = [(plan.promised[e.variant], e.name) for e in trained if e.variant in plan.promised]
    if promised:
        bought = [f"{count:,.{0 if count >= 10 else 1}f} of {name}" for count, name in promised]
        lines.append(f"             which allows up to {', '.join(bought)} (epochs)")
    if several := [each.name for each in trained if plan.threads.get(each.variant, 1) > 1]:
        lines.append(f"threads      {max(plan.threads.values())} for {', '.join(several)}")
    return lines


def keep_best(
    board: values.Leaderboard,
    results: Sequence[Result],
    trials: Trials,
    folds: Folds | None,
    callback: Callback,
) -> None:
    """Write the winner's run to ``best/``: of the best seed, or trained once more on all rows."""
    folder = trials.folder
    if board.winner is None:
        shutil.rmtree(folder / "best", ignore_errors=True)
        return
    (winner,) = (each for each in results if each.entrant.name == board.winner)
    if folds is None:
        metric, higher = board.metric or "", board.higher_is_better
        best = max(winner.trials, key=lambda trial: validation_score(trial, metric, higher))
        copy_run(best.folder, folder)
        return
    copy_run(train_on_all(winner.entrant, folds.whole, trials, callback), folder)


def train_on_all(entrant: Candidate, whole: Problem, trials: Trials, callback: Callback) -> Path:
    """Train the winner of a cross-validation on all rows, and return its run folder."""
    run = trials.folder / Path(place(entrant.variant, 0)).parent / "all"
    facts = {
        "format": FORMAT,
        "identity": {**entrant.describe(), "data": whole.fingerprint, "fold": "all"},
        "trained": True,
    }
    if (run / RUN).exists() and read_json(run / RUN) == facts:
        return run
    callback.say(f"{entrant.name} is trained once more on all rows, without a test part")
    with use_threads(trials.plan.threads.get(entrant.variant)):
        fitted = entrant.fit(
            whole, budget=trials.budget(entrant), seed=0, folder=run, callback=callback
        )
    fitted.predictor.save(run)
    write_seen(run, whole)
    write_json(run / RUN, facts)
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    return run


def copy_run(run: Path, folder: Path) -> None:
    """Copy the files of a run to ``best/`` below the folder."""
    draft = folder / ".best"
    shutil.rmtree(draft, ignore_errors=True)
    for file in filter(Path.is_file, run.iterdir()):
        write_bytes(draft / file.name, file.read_bytes())
    shutil.rmtree(folder / "best", ignore_errors=True)
    draft.rename(folder / "best")


def choose_folder(
    problem: Problem, out: str | Path | None = None, root: Path = Path("runs")
) -> Path:
    """Return where to work: ``out``, an unfinished comparison of the same, or a new folder."""
    if out is not None:
        return Path(out)
    stem = f"{problem.name}-{re.sub(r'[^A-Za-z0-9_]+', '-', Path(problem.data).name.split('.')[0])}"
    number = 1
    while (folder := root / f"{stem}-{number}").exists():
        if is_unfinished(folder, problem) and not is_held(folder):
            return folder
        number += 1
    return folder


def is_unfinished(folder: Path, problem: Problem) -> bool:
    """Return whether a folder holds a comparison on the same problem that was interrupted."""
    started = folder / COMPARISON
    if not started.exists() or (folder / LEADERBOARD).exists():
        return False
    known = read_json(started)
    same = isinstance(known, dict) and known.get("fingerprint") == problem.fingerprint
    return bool(same and known.get("format") == FORMAT)


def is_held(folder: Path) -> bool:
    """Say whether another process works in a folder."""
    try:
        with hold(folder):
            return False
    except RunError:
        return True

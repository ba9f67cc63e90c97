"""What a comparison decides once and keeps: budget, threads, promised epochs, latencies."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from ensuite.candidates import Candidate, Trained
from ensuite.comparison.trial import FORMAT, require_format, why_failed
from ensuite.core.errors import RunError, TrainingError, UsageError
from ensuite.core.files import read_json, write_json
from ensuite.problem import Problem
from ensuite.training.budget import PATIENCE, Budget, Spent
from ensuite.training.evaluate import predict
from ensuite.training.independence import require_independent_rows
from ensuite.training.loop import update
from ensuite.training.threads import available_cores, choose_threads, use_threads
from ensuite.training.training import EVALUATIONS, STEPS_BETWEEN, TOKENS_BETWEEN, Training

COMPARISON = "comparison.json"

DEFAULT_TOTAL = 600.0
"""Wall seconds of a comparison where neither ``--budget`` nor ``--total`` is given."""

WARMING_UPDATES = 2
MEASURED_UPDATES = 50
MEASURED_SECONDS = 1.0
"""Updates that are timed, at most, and the seconds after which no further one is begun."""

SHORTEST = 0.5
"""Seconds of training below which a trial tells nothing."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the user asks of a comparison.

    Args:
        budget: Of each trial; None: what ``total`` leaves for it.
        total: Wall seconds for everything; None: as long as the budgets take.
        seeds: Runs of each candidate; with folds there is one for each fold.
        threads: CPU threads of every candidate; None: measured.
        jobs: Trials that run side by side.
    """

    budget: Budget | None
    total: float | None = None
    seeds: int = 3
    threads: int | None = None
    jobs: int = 1

    @classmethod
    def parse(
        cls,
        budget: str | None,
        total: str | None,
        *,
        seeds: int = 3,
        threads: int | None = None,
        jobs: int = 1,
    ) -> "Terms":
        """Read what was typed.

        Raises:
            UsageError: If a number is too small, or ``total`` is no time.
        """
        for name, number in (("seeds", seeds), ("threads", threads), ("jobs", jobs)):
            if number is not None and number < 1:
                raise UsageError(f"--{name} {number}: give 1 or more.")
        each = None if budget is None else Budget.parse(budget)
        seconds = None if total is None else parse_total(total)
        if each is None and seconds is None:
            seconds = DEFAULT_TOTAL
        return cls(budget=each, total=seconds, seeds=seeds, threads=threads, jobs=jobs)


def parse_total(text: str) -> float:
    """Return the seconds that '90s', '10m' or '1h' names.

    Raises:
        UsageError: If it is no time.
    """
    try:
        budget = Budget.parse(text)
    except UsageError:
        budget = None
    if budget is None or budget.unit != "seconds":
        raise UsageError(f'--total {text} is no time: give seconds, minutes or hours, as in "10m".')
    return budget.amount


@dataclass
class Plan:
    """What the first call of a comparison decided, for all its trials and for later calls.

    Attributes:
        budget: Of each trial; None until it is known what the total leaves.
        elapsed: Wall seconds that all calls have taken so far.
        threads: CPU threads by candidate.
        promised: Epochs that the budget was announced to allow, by candidate.
        latency: Milliseconds for one example alone, by candidate; measured at the end.
    """

    budget: Budget | None = None
    elapsed: float = 0.0
    threads: dict[str, int] = field(default_factory=dict)
    promised: dict[str, float] = field(default_factory=dict)
    latency: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """``comparison.json``: what is compared, on which terms, and the plan.

    Args:
        path: Of the file.
        subject: The task, the data and the terms, which must be equal to go on.
        plan: What was decided.
        divides: Whether the budget of each trial is a share of the total.
    """

    path: Path
    subject: Mapping[str, Any]
    plan: Plan
    divides: bool

    @classmethod
    def open(cls, folder: Path, problem: Problem, terms: Terms, folds: int | None) -> "Record":
        """Read the record of a folder, or begin one.

        Raises:
            RunError: If the folder is of other data, other terms or another version, or holds
                something else.
        """
        path = folder / COMPARISON
        subject = {
            "format": FORMAT, "task": problem.name, "data": problem.data,
            "fingerprint": problem.fingerprint, "total": terms.total, "folds": folds,
        }  # fmt: skip
        record = cls(path, subject, Plan(budget=terms.budget), terms.budget is None)
        if path.exists():
            known = read_json(path)
            record._require_same(known)
            record._take(known, terms)
        elif any(not each.name.startswith(".") for each in folder.iterdir()):
            raise RunError(f"{folder} is not empty and holds no comparison; choose another --out.")
        record.save()
        return record

    def _require_same(self, known: Any) -> None:
        folder = self.path.parent
        if not isinstance(known, dict):
            raise RunError(f"{self.path} is not what a comparison writes; choose another --out.")
        require_format(known, folder)
        if known.get("fingerprint") != self.subject["fingerprint"]:
            raise RunError(
                f"{folder} compares on other rows or task options than {self.subject['data']} "
                "gives now; give the file and the options of that comparison, or choose another "
                "--out."
            )
        for key in ("total", "folds"):
            if known.get(key) != self.subject[key]:
                raise RunError(
                    f"{folder} was made with another --{key}; give the same, or choose another "
                    "--out."
                )

    def _take(self, known: Mapping[str, Any], terms: Terms) -> None:
        """Take over what an earlier call decided."""
        plan = self.plan
        try:
            plan.elapsed = float(known["elapsed"])
            plan.threads = {name: int(count) for name, count in known["threads"].items()}
            plan.promised = {name: float(count) for name, count in known["promised"].items()}
            plan.latency = {name: float(each) for name, each in known["latency"].items()}
            seconds = known["seconds_of_each"]
            if self.divides and seconds is not None:
                plan.budget = Budget(float(seconds), "seconds", PATIENCE)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RunError(
                f"{self.path} is not what a comparison writes ({error}); choose another --out."
            ) from error
        if terms.threads is not None and set(plan.threads.values()) - {terms.threads}:
            other = ", ".join(map(str, sorted(set(plan.threads.values()))))
            raise RunError(
                f"{self.path.parent} was begun with --threads {other}, and another number gives "
                "other results in the last digits; give the same, or choose another --out."
            )

    def save(self) -> None:
        """Write the file."""
        plan = self.plan
        write_json(
            self.path,
            {
                **self.subject,
                "seconds_of_each": plan.budget.amount if self.divides and plan.budget else None,
                "elapsed": plan.elapsed,
                "threads": plan.threads,
                "promised": plan.promised,
                "latency": plan.latency,
            },
        )


class Cost(NamedTuple):
    """What training a candidate takes, measured in a few updates.

    Attributes:
        update: Charged seconds of an update.
        stretch: Wall seconds for each charged second; above 1 on a busy machine.
        updates: Updates in an epoch.
        tokens: Training tokens in an update.
        valid_tokens: Tokens that an evaluation reads.
        evaluation: Wall seconds of one evaluation.
        rest: Wall seconds of a trial for what is neither: making the model, answering the test
            examples.
    """

    update: float
    stretch: float
    updates: int
    tokens: float
    valid_tokens: int
    evaluation: float
    rest: float

    def epochs(self, seconds: float) -> float:
        """Return how many epochs a budget of seconds allows."""
        return seconds / self.update / self.updates

    def evaluations(self, seconds: float) -> float:
        """Return how many evaluations a budget of seconds, with patience, brings about."""
        steps = seconds / self.update
        wanted = max(EVALUATIONS, min(steps / self.updates, steps / STEPS_BETWEEN))
        tokens = max(1, TOKENS_BETWEEN * self.valid_tokens)
        return 1 + min(wanted, steps * self.tokens / tokens)

    def wall(self, seconds: float) -> float:
        """Return the wall seconds of a whole trial with a budget of seconds."""
        return seconds * self.stretch + self.evaluations(seconds) * self.evaluation + self.rest


def measure_cost(
    candidate: Trained, problem: Problem, *, clock: Callable[[], float] = perf_counter
) -> Cost:
    """Train a candidate for about a second, and return what its trials will take.

    Raises:
        RowLeakError: If the answer to a row depends on the rows beside it.
        PaddingLeakError: If it depends on padding.
    """
    began = clock()
    training = candidate.begin(
        problem, Budget(1e9, "steps", patience=None), seed=0, timed_only=True
    )
    require_independent_rows(training)
    made = clock() - began
    training.model.train()
    spent, tokens = _time_updates(training, clock)
    began = clock()
    task = training.task.while_training()
    predict(task, training.model, training.valid, items=training.valid_items)
    evaluation = clock() - began
    test = evaluation * len(problem.parts["test"]) / max(1, len(training.valid))
    return Cost(
        update=spent.seconds / spent.steps,
        stretch=max(1.0, spent.wall_seconds / spent.seconds),
        updates=-(-len(training.order) // training.recipe.accumulate),
        tokens=tokens / spent.steps,
        valid_tokens=training.valid_tokens,
        evaluation=evaluation,
        rest=made + test,
    )


def _time_updates(training: Training, clock: Callable[[], float]) -> tuple[Spent, int]:
    """Return what some updates were charged after the first ones, which compile, and the tokens."""
    for _ in range(WARMING_UPDATES):
        update(training)
    before, now = copy(training.state.spent), training.state.spent
    began = clock()
    while now.steps - before.steps < MEASURED_UPDATES:
        update(training)
        if clock() - began > MEASURED_SECONDS:
            break
    difference = Spent(
        seconds=max(now.seconds - before.seconds, 1e-9),
        wall_seconds=now.wall_seconds - before.wall_seconds,
        steps=now.steps - before.steps,
    )
    return difference, now.tokens - before.tokens


def make_plan(
    record: Record,
    entrants: Sequence[Candidate],
    problem: Problem,
    terms: Terms,
    *,
    rounds: int,
    elapsed: Callable[[], float],
) -> dict[str, Cost]:
    """Choose the threads of each candidate, and divide the total; keep both in the record.

    What an earlier call decided stays as it is.

    Args:
        record: Of the comparison.
        entrants: All candidates.
        problem: What they are measured on.
        terms: What the user asks.
        rounds: Trials of each candidate that is trained.
        elapsed: Returns the wall seconds so far.

    Returns:
        The measured costs of the candidates that were not planned for before.

    Raises:
        UsageError: If the total leaves no time to train.
    """
    plan, costs = record.plan, dict[str, Cost]()
    for each in entrants:
        if isinstance(each, Trained) and each.variant not in plan.threads:
            try:
                plan.threads[each.variant] = terms.threads or best_threads(each, problem) or 1
                if plan.budget is None or plan.budget.unit == "seconds":
                    with use_threads(plan.threads[each.variant]):
                        costs[each.variant] = measure_cost(each, problem)
            except (TrainingError, MemoryError, RuntimeError) as error:
                why_failed(error)  # its trial will fail in the same way, and is kept as failed
                plan.threads.setdefault(each.variant, terms.threads or 1)
    if plan.budget is None and costs:
        plan.budget = _divide_total(terms, costs, rounds, elapsed())
    if plan.budget is not None:
        amount = plan.budget.amount
        plan.promised |= {name: cost.epochs(amount) for name, cost in costs.items()}
    record.save()
    return costs


def best_threads(candidate: Candidate, problem: Problem) -> int | None:
    """Return the number of threads that a candidate trains fastest with; None if it is not trained.

    With two threads or more only where that is clearly faster.
    """
    if not isinstance(candidate, Trained):
        return None
    endless = Budget(1e9, "steps", patience=None)
    return choose_threads(lambda: candidate.begin(problem, endless, seed=0, timed_only=True))


def _divide_total(terms: Terms, costs: Mapping[str, Cost], rounds: int, elapsed: float) -> Budget:
    """Return the budget of each trial that the total leaves."""
    assert terms.total is not None, "there is a budget or a total"
    jobs = max(1, min(terms.jobs, available_cores()))
    seconds = divide(terms.total - elapsed, [*costs.values()], rounds=rounds, jobs=jobs)
    if seconds < SHORTEST:
        raise UsageError(
            f"--total {spoken(terms.total)} leaves no time to train: {len(costs)} x {rounds} "
            f"trainings are to share what is left of it after {elapsed:.0f} s of preparation; give "
            "a longer --total, fewer models or fewer --seeds."
        )
    return Budget(float(f"{seconds:.3g}"), "seconds", PATIENCE)


def spoken(seconds: float) -> str:
    """Return a time as a budget is printed.

    >>> spoken(600)
    '10 m'
    """
    return str(Budget(seconds, "seconds", patience=None))


def divide(left: float, costs: Sequence[Cost], *, rounds: int, jobs: int = 1) -> float:
    """Return the budget of each trial, in seconds, that makes all of them take the time left.

    Args:
        left: Wall seconds.
        costs: Of each candidate.
        rounds: Trials of each candidate.
        jobs: Trials that run side by side.
    """
    low, high = 0.0, max(0.0, left * jobs)
    for _ in range(60):
        middle = (low + high) / 2
        if rounds * sum(cost.wall(middle) for cost in costs) > left * jobs:
            high = middle
        else:
            low = middle
    return low

"""The table of a comparison: a row for each candidate, groups, and the row to take."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import Any, NamedTuple

from ensuite.candidates import Candidate
from ensuite.comparison.insight import imbalance
from ensuite.comparison.plan import Plan
from ensuite.comparison.statistics import Judgement, judge, judge_folds, spread
from ensuite.comparison.trial import Trial
from ensuite.core.score import Score, pool
from ensuite.core.task import rank
from ensuite.problem import Problem
from ensuite.report import values

EQUAL_LATENCY = 1.2
"""Times for one example that differ by no more than this factor cost the same."""

WHOLE = ("parameters", "peak_memory_bytes", "disk_bytes", "truncated_rows", "truncated_tokens")
"""Columns of the table that are whole numbers."""


class Result(NamedTuple):
    """What came of one candidate.

    Attributes:
        entrant: The candidate.
        trials: Its finished trials, one a seed or fold; those of a round that not all candidates
            finished are left out.
        failed: Why it could not be scored; empty if it was.
        folder: Of its trials, relative to that of the comparison.
    """

    entrant: Candidate
    trials: Sequence[Trial]
    failed: str
    folder: str


def leaderboard(
    results: Sequence[Result],
    problems: Sequence[Problem],
    plan: Plan,
    *,
    budget: str,
    total: str = "",
    folds: int | None = None,
    left_out: str = "",
) -> values.Leaderboard:
    """Return the table.

    Args:
        results: Of each candidate.
        problems: The one problem, or those of the folds in the order of the trials.
        plan: Of the comparison.
        budget: Of each trial, as typed.
        total: Wall time for everything, as typed.
        folds: Number of folds that were asked for; None without.
        left_out: What was not run because the time was up.
    """
    scored = [each for each in results if not each.failed]
    first = scored[0].trials[0].scores if scored else {}
    metric = ranking_metric(problems[0], first) if scored else None
    judgement = None if metric is None else judge_results(scored, metric, problems, plan, folds)
    higher = metric is None or first[metric].higher_is_better
    rows = [make_row(each, metric, plan, judgement, folds) for each in results]
    rows.sort(key=lambda row: (row.score is None, (-1 if higher else 1) * (row.score or 0)))
    trained = [each for each in results if each.entrant.seeded]
    runs = max((len(each.trials) for each in trained), default=1)
    return values.Leaderboard(
        task=problems[0].name,
        data=problems[0].data,
        metric=metric,
        higher_is_better=higher,
        budget=budget,
        seeds=1 if folds else max(1, runs),
        rows=tuple(rows),
        threads={
            each.entrant.name: plan.threads[each.entrant.variant]
            for each in results
            if each.entrant.variant in plan.threads
        },
        total=total,
        folds=folds,
        left_out=left_out,
        displays={  # a metric may be one that only some models have
            name: score.display for each in scored for name, score in each.trials[0].scores.items()
        },
        **show(judgement),
        **imbalance(problems, {each.entrant.name: each.trials for each in scored}),
    )


def show(judgement: Judgement | None) -> dict[str, Any]:
    """Return what a judgement tells, by the names of the leaderboard; None: nothing is ranked."""
    if judgement is None:
        return {"winner": None, "smallest_visible_difference": None}
    return {
        "winner": judgement.take,
        "smallest_visible_difference": smallest_difference(judgement),
        "items": judgement.items,
        "one_seed": judgement.one_seed,
        "beats": tuple(sorted(judgement.beats)),
        "limits": {"|".join(sorted(pair)): limit for pair, limit in judgement.limits.items()},
    }


def ranking_metric(problem: Problem, scores: Mapping[str, Score]) -> str | None:
    """Return the metric that ranks, None where none does.

    Raises:
        UsageError: If the user named one that the task does not have.
    """
    return None if problem.ranks_by is None else rank(scores, problem.ranks_by)[0]


def judge_results(
    results: Sequence[Result],
    metric: str,
    problems: Sequence[Problem],
    plan: Plan,
    folds: int | None,
) -> Judgement:
    """Return what the scores of the candidates show."""
    scores = {each.entrant.name: [t.scores[metric] for t in each.trials] for each in results}
    costs = find_costs(results, plan)
    if folds:
        used = problems[: len(results[0].trials)]
        blocks = [problem.task.blocks(problem.parts["test"]) for problem in used]
        known = [each for each in blocks if each is not None]
        return judge_folds(scores, costs, blocks=known if len(known) == len(blocks) else None)
    problem = problems[0]
    return judge(
        scores,
        costs,
        blocks=problem.task.blocks(problem.parts["test"]),
        deterministic=[each.entrant.name for each in results if not each.entrant.seeded],
    )


def find_costs(results: Sequence[Result], plan: Plan) -> dict[str, tuple[float, ...]]:
    """Return the cost of each row: latency, then parameters, then seconds of training.

    Latencies are put into classes, from the shortest on: one that is within a fifth of the shortest
    of its class is equal to it.
    """
    latencies = {each.entrant.name: latency(each, plan) for each in results}
    classes, start = dict[str, float](), -math.inf
    for name in sorted(latencies, key=lambda name: latencies[name]):
        if latencies[name] > EQUAL_LATENCY * start:
            start = latencies[name]
        classes[name] = start
    return {
        each.entrant.name: (
            classes[each.entrant.name],
            *(
                _or_infinite(average(_column(each, name)))
                for name in ("parameters", "train_seconds")
            ),
        )
        for each in results
    }


def latency(result: Result, plan: Plan) -> float:
    """Return the milliseconds that a candidate takes for one example; infinite if not known."""
    return plan.latency.get(result.entrant.variant, math.inf)


def _or_infinite(number: float | None) -> float:
    return math.inf if number is None else number


def _column(result: Result, name: str) -> list[Any]:
    return [trial.figures.get(name) for trial in result.trials]


def smallest_difference(judgement: Judgement) -> float | None:
    """Return the smallest difference that would be shown between the rows that matter.

    Those are all rows of group A where they tie, else the best row and the second.
    """
    leaders = [name for name, group in judgement.groups.items() if group == "A"]
    if len(leaders) < 2:
        known = [name for name, score in judgement.scores.items() if math.isfinite(score)]
        leaders = sorted(known, key=lambda name: -judgement.scores[name])[:2]
    return judgement.smallest_difference(combinations(leaders, 2))


def make_row(
    result: Result,
    metric: str | None,
    plan: Plan,
    judgement: Judgement | None = None,
    folds: int | None = None,
) -> values.Row:
    """Return a row of the table: every figure is the mean over the seeds or folds."""
    entrant, trials = result.entrant, result.trials
    known: dict[str, Any] = {"name": entrant.name, "kind": entrant.kind, "folder": result.folder}
    if result.failed or not trials:
        return values.Row(**known, score=None, failed=result.failed)
    by_trial = [] if metric is None else [trial.scores[metric].value for trial in trials]
    score = fmean(by_trial) if by_trial else None
    if judgement is not None and folds and metric is not None:
        sign = 1 if trials[0].scores[metric].higher_is_better else -1
        score = judgement.scores[entrant.name] * sign
    failed = ""
    if score is not None and not math.isfinite(score):
        score, failed = None, f"Its {metric} is not a number."
    group = judgement.groups[entrant.name] if judgement is not None and not failed else None
    return values.Row(
        **known,
        score=score,
        spread=spread(by_trial),
        tie_group=group or "",
        failed=failed,
        latency_ms=values.finite(latency(result, plan)),
        promised_epochs=plan.promised.get(entrant.variant),
        metrics=average_metrics(trials, pooled=bool(folds)),
        **average_figures(trials),
    )


def average_metrics(trials: Sequence[Trial], *, pooled: bool) -> dict[str, float]:
    """Return every metric: the mean over seeds, or of all folds together."""
    found = {name: [trial.scores[name] for trial in trials] for name in trials[0].scores}
    if pooled:
        return {name: pool(scores).value for name, scores in found.items()}
    return {name: fmean(score.value for score in scores) for name, scores in found.items()}


def average_figures(trials: Sequence[Trial]) -> dict[str, Any]:
    """Return the measured columns of the table."""
    columns = {name: [trial.figures[name] for trial in trials] for name in trials[0].figures}
    figures: dict[str, Any] = {name: average(column) for name, column in columns.items()}
    figures |= {name: round(figures[name]) for name in WHOLE if figures.get(name) is not None}
    for name in ("still_rising", "busy"):
        marks = [mark for mark in columns[name] if mark is not None]
        figures[name] = any(marks) if marks else None
    converged = columns["converged"]
    figures["converged"] = None if None in converged else sum(converged) * 2 >= len(converged)
    return figures


def average(figures: Sequence[float | None]) -> float | None:
    """Return the mean; None if a figure does not apply."""
    known = [figure for figure in figures if figure is not None]
    return fmean(known) if len(known) == len(figures) else None

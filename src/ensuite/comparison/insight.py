"""What a report shows beyond the table: learning curves, confusions, mistakes."""

from collections.abc import Mapping, Sequence
from typing import Any

from ensuite.comparison.trial import Trial, capsule
from ensuite.core.display import PLAIN
from ensuite.core.presentation import Figure
from ensuite.metrics.classification import confusion as count_confusions
from ensuite.problem import Problem
from ensuite.report import values

MOST_WORDS = 50
"""Most distinct answers of a confusion matrix that can still be read."""

MOST_MATRICES = 4
MOST_CASES = 5
MOST_MISTAKES = 12


def curves(name: str, trials: Sequence[Trial], metric: str) -> list[values.Curve]:
    """Return the validation scores of every trial of a candidate over its budget."""
    return [
        values.Curve(
            name=name,
            seed=trial.seed,
            points=tuple(
                (point["share"], point["seconds"], point["scores"][metric])
                for point in trial.history
                if point["scores"].get(metric) is not None
            ),
        )
        for trial in trials
        if trial.history
    ]


def said(trial: Trial) -> list[tuple[str, float | None]]:
    """Return every answer in words, and its probability."""
    return [trial.predictor.task.describe(answer) for answer in trial.answers]


def confusion(problem: Problem, name: str, trial: Trial) -> values.Confusion | None:
    """Return the confusion matrix, if answers are chosen from a few words."""
    if not problem.task.choices:
        return None
    truths = [problem.task.truth(example) for example in problem.parts["test"]]
    answers = [word for word, _ in said(trial)]
    labels = sorted({*truths, *answers})
    if len(labels) > MOST_WORDS or not any(truths):
        return None
    number = {label: place for place, label in enumerate(labels)}
    pairs = [number[truth] for truth in truths], [number[answer] for answer in answers]
    counts = count_confusions(*pairs, len(labels)).tolist()
    return values.Confusion(name=name, labels=tuple(labels), counts=tuple(map(tuple, counts)))


def mistakes(problem: Problem, name: str, trial: Trial) -> list[values.Mistake]:
    """Return the answers of a candidate with the largest errors."""
    task, examples, words = problem.task, problem.parts["test"], said(trial)
    errors = errors_of(problem, trial)
    worst = sorted(range(len(errors)), key=lambda place: -errors[place])[:MOST_MISTAKES]
    return [
        values.Mistake(
            name=name,
            text=task.show(examples[place]),
            truth=task.truth(examples[place]),
            prediction=words[place][0],
            probability=words[place][1],
            picture=task.picture(examples[place]),
        )
        for place in worst
        if errors[place] > 0
    ]


def errors_of(problem: Problem, trial: Trial) -> list[float]:
    """Return the error of each answer, 0 if it is correct."""
    pairs = zip(trial.answers, problem.parts["test"], strict=True)
    return [trial.predictor.task.error(answer, example) for answer, example in pairs]


def only_right(problem: Problem, trials: Mapping[str, Trial]) -> list[values.OnlyRight]:
    """Return, for each candidate, the inputs that only it answers correctly (first seed)."""
    task = problem.task
    answers = {name: [word for word, _ in said(trial)] for name, trial in trials.items()}
    errors = {name: errors_of(problem, trial) for name, trial in trials.items()}
    cases: dict[str, list[values.Case]] = {name: [] for name in trials}
    counts = dict.fromkeys(trials, 0)
    for number, example in enumerate(problem.parts["test"]):
        right = [name for name in trials if errors[name][number] == 0]
        if len(right) != 1 or len(trials) < 2:
            continue
        counts[right[0]] += 1
        if len(cases[right[0]]) < MOST_CASES:
            others = {name: answers[name][number] for name in trials if name != right[0]}
            case = values.Case(
                text=task.show(example),
                truth=task.truth(example),
                others=others,
                picture=task.picture(example),
            )
            cases[right[0]].append(case)
    return [
        values.OnlyRight(name=name, count=counts[name], cases=tuple(cases[name]))
        for name in trials
        if counts[name]
    ]


def comparison_page(comparison: Any, problem: Problem) -> values.ComparisonPage:
    """Return everything the page of a comparison shows."""
    board = comparison.leaderboard
    first = {row.name: comparison.trials[row.name][0] for row in board.rows}
    matrices = [confusion(problem, name, trial) for name, trial in first.items()]
    best = first.get(board.winner)
    metric = curve_metric(problem, board.metric)
    return values.ComparisonPage(
        leaderboard=board,
        verdict=comparison.verdict,
        check=tuple(problem.findings),
        curves=tuple(
            curve
            for name, trials in comparison.trials.items()
            for curve in curves(name, trials, metric)
        ),
        confusions=tuple(matrix for matrix in matrices if matrix)[:MOST_MATRICES],
        only_right=tuple(only_right(problem, first)),
        mistakes=tuple(mistakes(problem, board.winner, best)) if best else (),
        capsule=capsule(problem, range(board.seeds)),
        folder=str(comparison.folder),
        use=problem.task.usage(str(comparison.folder)),
        unit=problem.unit,
        pipeline=problem.task.pipeline,
        curve_title=board.title(metric),
        figures=tuple(figures(problem, best)) if best else (),
    )


def run_page(
    problem: Problem, trial: Trial, row: values.Row, metric: str | None, budget: str
) -> values.RunPage:
    """Return everything the page of one run shows."""
    matrix = confusion(problem, row.name, trial)
    curve, scores = curve_metric(problem, metric), trial.scores
    displays = {name: score.display for name, score in scores.items()}
    return values.RunPage(
        task=problem.name,
        data=problem.data,
        metric=metric,
        higher_is_better=metric is None or scores[metric].higher_is_better,
        budget=budget,
        row=row,
        test_examples=len(problem.parts["test"]),
        check=tuple(problem.findings),
        curves=tuple(curves(row.name, [trial], curve)),
        confusions=(matrix,) if matrix else (),
        mistakes=tuple(mistakes(problem, row.name, trial)),
        capsule=capsule(problem, [trial.seed]),
        folder=str(trial.folder),
        use=problem.task.usage(str(trial.folder)),
        unit=problem.unit,
        pipeline=problem.task.pipeline,
        curve_title=displays.get(curve, PLAIN).title(curve),
        figures=tuple(figures(problem, trial)),
        displays=displays,
    )


def curve_metric(problem: Problem, ranking: str | None) -> str:
    """Return the metric of the learning curves: the one that ranks, or selects the weights."""
    return ranking or problem.task.selects


def figures(problem: Problem, trial: Trial) -> list[Figure]:
    """Return the task's own figures of a trial."""
    return trial.predictor.task.figures(trial.answers, problem.parts["test"])

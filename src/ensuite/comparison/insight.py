"""What a report shows beyond the table: curves, classes, confusions, outputs, mistakes."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ensuite.comparison.outputs import outputs
from ensuite.comparison.trial import Trial, capsule
from ensuite.core.display import PLAIN
from ensuite.core.presentation import Figure, Presentation
from ensuite.metrics.classification import confusion as count_confusions
from ensuite.metrics.classification import per_class, reliability
from ensuite.problem import Problem
from ensuite.report import values

Value = TypeVar("Value")

MOST_WORDS = 50
"""Most distinct answers of a confusion matrix that can still be read."""

RARE = 0.05
"""A class with a smaller share of all rows is rare: accuracy hides how it is answered."""

BESIDE = ("macro_f1",)
"""Metrics that show how rare classes are answered, where a task has them."""

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


def count(problem: Problem, trial: Trial) -> tuple[tuple[str, ...], NDArray[np.int64]] | None:
    """Return the classes that occur, and how often each is answered as each.

    None where answers are not chosen from given words, or no truth is known.
    """
    if not problem.task.choices:
        return None
    truths = [problem.task.truth(example) for example in problem.parts["test"]]
    answers = [word for word, _ in trial.answers.said()]
    labels = sorted({*truths, *answers})
    if not any(truths):
        return None
    number = {label: place for place, label in enumerate(labels)}
    pairs = [number[truth] for truth in truths], [number[answer] for answer in answers]
    return tuple(labels), count_confusions(*pairs, len(labels))


def confusion(problem: Problem, name: str, trial: Trial) -> values.Confusion | None:
    """Return the confusion matrix, if answers are chosen from a few words."""
    counted = count(problem, trial)
    if counted is None or len(counted[0]) > MOST_WORDS:
        return None
    return values.Confusion(
        name=name, labels=counted[0], counts=tuple(map(tuple, counted[1].tolist()))
    )


def not_confused(problem: Problem, trial: Trial) -> str:
    """Say why there is no confusion matrix, where answers are chosen from given words."""
    counted = count(problem, trial)
    if counted is None or len(counted[0]) <= MOST_WORDS:
        return ""
    return f"{len(counted[0]):,} classes are too many for a confusion matrix."


def class_scores(problem: Problem, name: str, trial: Trial) -> values.ClassScores | None:
    """Return the scores of each class, if an answer is one class."""
    counted = count(problem, trial)
    if counted is None or not set(counted[0]) <= set(problem.task.choices):
        return None
    scores = per_class(counted[1])
    return values.ClassScores(
        name=name,
        labels=counted[0],
        rows=tuple(scores.rows.tolist()),
        **{
            each: tuple(values.finite(value) for value in getattr(scores, each).tolist())
            for each in ("precision", "recall", "f1")
        },
    )


def reliability_of(problem: Problem, name: str, trial: Trial) -> values.Reliability | None:
    """Return how often answers are correct where they are how sure, if they are correct or not."""
    if not problem.task.choices:
        return None
    answers = trial.answers
    bins = tuple(reliability(answers.probabilities, answers.errors == 0))
    return values.Reliability(name=name, bins=bins) if bins else None


def imbalance(problems: Sequence[Problem], trials: Mapping[str, Sequence[Trial]]) -> dict[str, Any]:
    """Return the fields ``beside`` and ``never_found`` of a leaderboard; none without rare classes.

    Args:
        problems: The one problem, or that of each fold in the order of the trials.
        trials: Those of each candidate that has a score, by its name. A class is never found if no
            trial ever answers it correctly.
    """
    task = problems[0].task
    everything = [example for part in problems[0].parts.values() for example in part]
    found = Counter(map(task.truth, everything)) if task.choices else Counter()
    known = {label: found[label] for label in task.choices if found[label]}
    if not known or min(known.values()) >= RARE * sum(known.values()):
        return {}
    missed = {name: _never_found(problems, row) for name, row in trials.items()}
    metrics = next((row[0].scores for row in trials.values() if row), {})
    return {
        "beside": tuple(name for name in BESIDE if name in metrics),
        "never_found": {name: labels for name, labels in missed.items() if labels},
    }


def _never_found(problems: Sequence[Problem], trials: Sequence[Trial]) -> tuple[str, ...]:
    """Return the classes of the test rows that no trial answers correctly."""
    occur, found = set[str](), set[str]()
    for place, trial in enumerate(trials):
        problem = problems[place if len(problems) > 1 else 0]
        if (scores := class_scores(problem, "", trial)) is not None:
            counts = zip(scores.labels, scores.rows, scores.recall, strict=True)
            for label, rows, recall in counts:
                occur |= {label} if rows else set()
                found |= {label} if recall else set()
    return tuple(sorted(occur - found))


def mistakes(problem: Problem, name: str, trial: Trial) -> list[values.Mistake]:
    """Return the answers of a candidate with the largest errors."""
    task, examples, words = problem.task, problem.parts["test"], trial.answers.said()
    errors = trial.answers.errors
    worst = sorted(range(len(errors)), key=lambda place: -float(errors[place]))[:MOST_MISTAKES]
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


def only_right(
    problem: Problem, trials: Mapping[str, Trial], worth: Collection[str]
) -> list[values.OnlyRight]:
    """Return, for each candidate worth taking, what only it answers correctly (first seed).

    Args:
        problem: The same for all candidates.
        trials: The first trial of every candidate.
        worth: Names of the candidates to tell of; they are compared with all others.
    """
    task, test = problem.task, problem.parts["test"]
    if len(trials) < 2:
        return []
    answers = {name: [word for word, _ in trial.answers.said()] for name, trial in trials.items()}
    right = np.stack([trial.answers.errors == 0 for trial in trials.values()])
    alone = right & (right.sum(0) == 1)

    def case(name: str, place: int) -> values.Case:
        return values.Case(
            text=task.show(test[place]),
            truth=task.truth(test[place]),
            others={other: answers[other][place] for other in trials if other != name},
            picture=task.picture(test[place]),
        )

    return [
        values.OnlyRight(
            name=name,
            count=int(places.sum()),
            cases=tuple(case(name, n) for n in np.flatnonzero(places)[:MOST_CASES].tolist()),
        )
        for name, places in zip(trials, alone, strict=True)
        if name in worth and places.any()
    ]


def worth_taking(board: values.Leaderboard) -> list[str]:
    """Return the names of the rows that no other row beats; the winner is the first of them."""
    names = [row.name for row in board.rows if row.tie_group == "A" and row.score is not None]
    first = [board.winner] if board.winner is not None else []
    return [*first, *(name for name in names if name != board.winner)]


def comparison_page(comparison: Any, problem: Problem) -> values.ComparisonPage:
    """Return everything the page of a comparison shows."""
    board = comparison.leaderboard
    trials = {row.name: comparison.trials.get(row.name) for row in board.rows if not row.failed}
    first = {name: row[0] for name, row in trials.items() if row}
    worth = {name: first[name] for name in worth_taking(board) if name in first} or first
    best = first.get(board.winner)
    metric = curve_metric(problem, board.metric)
    return values.ComparisonPage(
        leaderboard=board,
        verdict=comparison.verdict,
        check=tuple(problem.findings),
        curves=tuple(
            curve for name, row in trials.items() for curve in curves(name, row or (), metric)
        ),
        confusions=_known(confusion(problem, *each) for each in first.items()),
        not_confused=not_confused(problem, best) if best else "",
        classes=_known(class_scores(problem, *each) for each in worth.items()),
        reliability=_known(reliability_of(problem, *each) for each in worth.items()),
        outputs=tuple(outputs(problem, first, board.metric)),
        only_right=tuple(only_right(problem, first, worth)),
        mistakes=tuple(mistakes(problem, board.winner, best)) if best else (),
        capsule=capsule(problem, range(board.seeds)),
        folder=str(comparison.folder),
        use=problem.task.usage(str(comparison.folder)),
        unit=problem.unit,
        pipeline=problem.task.pipeline,
        curve_title=board.title(metric),
        figures=tuple(figures(problem, best)) if best else (),
    )


def _known(found: Iterable[Value | None]) -> tuple[Value, ...]:
    return tuple(each for each in found if each is not None)


def run_page(
    problem: Problem, trial: Trial, row: values.Row, metric: str | None, budget: str
) -> values.RunPage:
    """Return everything the page of one run shows."""
    one = (problem, row.name, trial)
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
        confusions=_known([confusion(*one)]),
        not_confused=not_confused(problem, trial),
        classes=_known([class_scores(*one)]),
        reliability=_known([reliability_of(*one)]),
        outputs=tuple(outputs(problem, {row.name: trial}, metric)),
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


def remarks(problem: Problem, trial: Trial) -> tuple[str, ...]:
    """Return what the task says of the predictions of a trial for the test examples."""
    if type(problem.task).remarks is Presentation.remarks:
        return ()
    predictor, test = trial.predictor, problem.parts["test"]
    return tuple(predictor.task.remarks(predictor.name, predictor.predict_examples(test), test))


def figures(problem: Problem, trial: Trial) -> list[Figure]:
    """Return the task's own figures of a trial; its test examples are answered for them."""
    if type(problem.task).figures is Presentation.figures:
        return []
    predictor, test = trial.predictor, problem.parts["test"]
    return predictor.task.figures(predictor.predict_examples(test), test)

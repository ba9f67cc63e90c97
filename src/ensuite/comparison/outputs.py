"""What every candidate answers to some inputs, side by side, for a report."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ensuite.comparison.trial import Trial
from ensuite.core.presentation import Presentation, Written
from ensuite.problem import Problem
from ensuite.report import values

MOST_OUTPUTS = 6
"""Inputs that are shown."""


def outputs(
    problem: Problem, trials: Mapping[str, Trial], metric: str | None
) -> list[values.Output]:
    """Return what every candidate answers to some inputs, if answers are free text or numbers.

    The score of an answer is the metric that ranks, of this example alone. Where the true answer is
    not known, as of a language model, the answer itself tells it.
    """
    task, test = problem.task, problem.parts["test"]
    if task.choices or not trials:
        return []
    if continued := continuations(problem, trials, metric):
        return continued
    shown = range(0, len(test), max(1, len(test) // MOST_OUTPUTS))[:MOST_OUTPUTS]
    answers = {name: [word for word, _ in trial.answers.said()] for name, trial in trials.items()}
    return [
        values.Output(
            text=task.show(test[place]),
            truth=task.truth(test[place]),
            answers=tuple(
                values.Answer(
                    name=name,
                    text=answers[name][place],
                    score=_score_of(trial, metric, place) if task.truth(test[place]) else None,
                )
                for name, trial in trials.items()
            ),
            picture=task.picture(test[place]),
        )
        for place in shown
    ]


def continuations(
    problem: Problem, trials: Mapping[str, Trial], metric: str | None
) -> list[values.Output]:
    """Return what every candidate writes for some inputs, where the task shows texts by models.

    They are the longest test examples of equal parts of all of them. The score is the metric that
    ranks, of the whole example.
    """
    if type(problem.task).write_examples is Presentation.write_examples:
        return []
    test = problem.parts["test"]
    shown = longest_of_parts([len(problem.task.show(example)) for example in test], MOST_OUTPUTS)
    examples = [test[place] for place in shown]
    found = {name: _written(trial, examples) for name, trial in trials.items()}
    found = {name: texts for name, texts in found.items() if texts}
    return [
        values.Output(
            text=next(iter(found.values()))[number].source,
            truth=next(iter(found.values()))[number].truth,
            answers=tuple(
                values.Answer(
                    name=name,
                    text=texts[number].answer,
                    score=_score_of(trials[name], metric, place),
                )
                for name, texts in found.items()
            ),
        )
        for number, place in enumerate(shown if found else ())
    ]


def _written(trial: Trial, examples: Sequence[Any]) -> list[Written]:
    predictor = trial.predictor
    return predictor.task.write_examples(predictor.fitted, examples)


def longest_of_parts(lengths: Sequence[int], parts: int) -> list[int]:
    """Return the place of the longest of each of several equal parts.

    >>> longest_of_parts([1, 5, 2, 9, 3, 4], 3)
    [1, 3, 5]
    """
    bounds = np.linspace(0, len(lengths), min(parts, len(lengths)) + 1).astype(int).tolist()
    pairs = itertools.pairwise(bounds)
    return [max(range(start, end), key=lambda place: lengths[place]) for start, end in pairs]


def _score_of(trial: Trial, metric: str | None, place: int) -> float | None:
    """Return the metric of one example; None where it depends on all of them."""
    score = trial.scores.get(metric or "")
    if score is None or not isinstance(score.statistics, np.ndarray):
        return None
    value: float | None = values.finite(float(score.function(score.statistics[place])))
    return value

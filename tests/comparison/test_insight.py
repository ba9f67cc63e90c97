"""What is shown beyond the table agrees with the answers it is drawn from."""

from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ensuite.comparison.answers import Answers
from ensuite.comparison.insight import (
    MOST_WORDS,
    confusion,
    curves,
    figures,
    mistakes,
    only_right,
)
from ensuite.comparison.trial import Trial
from ensuite.core.presentation import Figure
from ensuite.problem import Problem, open_problem
from ensuite.tasks.classify import Classify
from ensuite.tasks.regress import Example

LABELS = ("no", "yes")


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the folders of trials be made where the test works."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture(scope="module")
def problem() -> Problem:
    rows = [{"x": n, "z": -n, "label": LABELS[n % 2]} for n in range(40)]
    return open_problem("classify", rows, test=rows[:4])


def answering(problem: Problem, *yes: float, history: Any = ()) -> Trial:
    """Return a trial that gave these probabilities of yes."""
    return saved(problem, problem.task.predictions(np.array([[1 - p, p] for p in yes])), history)


def saved(problem: Problem, answers: Any, history: Any = ()) -> Trial:
    """Return a trial whose folder holds these answers."""
    folder = Path(mkdtemp())
    Answers.describe(problem.task, answers, problem.parts["test"]).save(folder, {}, {})
    return Trial(0, folder, {}, {}, history)


def test_the_confusion_counts_truths_by_answers(problem: Problem) -> None:
    matrix = confusion(problem, "model", answering(problem, 0.1, 0.2, 0.9, 0.9))
    assert matrix is not None
    assert matrix.labels == LABELS
    assert matrix.counts == ((1, 1), (1, 1))


def test_too_many_words_make_no_matrix() -> None:
    rows = [{"x": n, "z": n, "label": str(n % 60)} for n in range(300)]
    problem = open_problem("classify", rows, test=rows[:60])
    assert len(problem.task.labels) > MOST_WORDS
    trial = saved(problem, problem.task.predictions(np.eye(60)))
    assert confusion(problem, "model", trial) is None


def test_the_surest_mistakes_come_first(problem: Problem) -> None:
    found = mistakes(problem, "model", answering(problem, 0.7, 0.9, 0.8, 0.1))
    assert [(m.truth, m.prediction, m.text) for m in found] == [
        ("yes", "no", "3 -3"), ("no", "yes", "2 -2"), ("no", "yes", "0 0"),
    ]  # fmt: skip
    assert [m.probability for m in found] == pytest.approx([0.9, 0.8, 0.7])


def test_of_numbers_the_farthest_comes_first_and_none_is_confused() -> None:
    rows = [{"x": n, "target": 10.0 * n} for n in range(20)]
    problem = open_problem("regress", rows, test=rows[:3])
    scaled = problem.task.scale([Example(0, value) for value in (1.0, 10.0, 50.0)])
    trial = saved(problem, problem.task.predictions(scaled))
    found = mistakes(problem, "model", trial)
    assert [(m.truth, m.prediction, m.probability) for m in found][:2] == [
        ("20", "50", None), ("0", "1", None),
    ]  # fmt: skip
    assert confusion(problem, "model", trial) is None


def test_only_right_is_what_no_other_answered(problem: Problem) -> None:
    trials = {
        "one": answering(problem, 0.1, 0.9, 0.9, 0.9),  # right on 0, 1 and 3
        "two": answering(problem, 0.9, 0.9, 0.9, 0.1),  # right on 1
        "six": answering(problem, 0.9, 0.1, 0.1, 0.1),  # right on 2
    }
    found = {each.name: each for each in only_right(problem, trials)}
    assert {name: each.count for name, each in found.items()} == {"one": 2, "six": 1}
    assert found["six"].cases[0].others == {"one": "yes", "two": "yes"}
    assert only_right(problem, {"one": trials["one"]}) == []


def test_the_figures_of_a_task_are_drawn_from_the_answers(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(task: Any, predictions: Any, examples: Any) -> list[Figure]:
        right = sum(p.label == e.label for p, e in zip(predictions, examples, strict=True))
        return [Figure(title=f"{right} right", caption="", words=(), data=(), layout={})]

    answers = problem.task.predictions(np.array([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1], [0.9, 0.1]]))
    predictor = SimpleNamespace(task=problem.task, predict_examples=lambda examples: answers)
    monkeypatch.setattr(Trial, "predictor", predictor)
    monkeypatch.setattr(Classify, "figures", draw)
    (figure,) = figures(problem, saved(problem, answers))
    assert figure.title == "3 right"


def test_curves_leave_out_what_was_not_finite(problem: Problem) -> None:
    points = [
        {"share": share, "seconds": 1.0, "scores": {"accuracy": value}}
        for share, value in ((0.5, 0.4), (0.75, None), (1.0, 0.6))
    ]
    trials = [answering(problem, 0, 0, 0, 0, history=each) for each in (points, ())]
    (curve,) = curves("model", trials, "accuracy")
    assert curve.points == ((0.5, 1.0, 0.4), (1.0, 1.0, 0.6))

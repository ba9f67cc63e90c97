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
    class_scores,
    confusion,
    curves,
    figures,
    imbalance,
    mistakes,
    not_confused,
    only_right,
    reliability_of,
    worth_taking,
)
from ensuite.comparison.outputs import MOST_OUTPUTS, outputs
from ensuite.comparison.trial import Trial
from ensuite.core.presentation import Figure
from ensuite.problem import Problem, open_problem
from ensuite.tasks.classify import Classify
from ensuite.tasks.regress import Example
from ensuite.tasks.writer import Prediction as Written
from report.invented import leaderboard

LABELS = ("no", "yes")


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the folders of trials be made where the test works."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture(scope="module")
def problem() -> Problem:
    rows = [{"x": n, "z": -n, "label": LABELS[n % 2]} for n in range(40)]
    return open_problem("classify", rows, test=rows[:4])


@pytest.fixture(scope="module")
def rare() -> Problem:
    rows = [{"x": n, "z": -n, "label": "rare" if n % 40 == 0 else LABELS[n % 2]} for n in range(80)]
    return open_problem("classify", rows, test=[rows[0], rows[1], rows[2], rows[3]])


def answering(problem: Problem, *yes: float, history: Any = ()) -> Trial:
    """Return a trial that gave these probabilities of yes."""
    return saved(problem, problem.task.predictions(np.array([[1 - p, p] for p in yes])), history)


def saved(problem: Problem, answers: Any, history: Any = ()) -> Trial:
    """Return a trial whose folder holds these answers."""
    folder = Path(mkdtemp())
    Answers.describe(problem.task, answers, problem.parts["test"]).save(folder, {}, {})
    return Trial(0, folder, {}, {}, history)


def test_the_confusion_counts_truths_by_answers(problem: Problem) -> None:
    trial = answering(problem, 0.1, 0.2, 0.9, 0.9)
    matrix = confusion(problem, "model", trial)
    assert not_confused(problem, trial) == ""
    assert matrix is not None
    assert matrix.labels == LABELS
    assert matrix.counts == ((1, 1), (1, 1))


def test_too_many_words_make_no_matrix() -> None:
    rows = [{"x": n, "z": n, "label": str(n % 60)} for n in range(300)]
    problem = open_problem("classify", rows, test=rows[:60])
    assert len(problem.task.labels) > MOST_WORDS
    trial = saved(problem, problem.task.predictions(np.eye(60)))
    assert confusion(problem, "model", trial) is None
    assert not_confused(problem, trial) == "60 classes are too many for a confusion matrix."
    scores = class_scores(problem, "model", trial)  # of which there may be any number
    assert scores is not None
    assert len(scores.labels) == 60


def test_each_class_has_its_scores(problem: Problem) -> None:
    found = class_scores(problem, "model", answering(problem, 0.1, 0.2, 0.1, 0.9))
    assert found is not None
    assert (found.labels, found.rows) == (LABELS, (2, 2))
    assert found.recall == (1.0, 0.5)
    assert found.precision == pytest.approx((2 / 3, 1.0))
    never = class_scores(problem, "model", answering(problem, 0.1, 0.2, 0.1, 0.1))
    assert never is not None
    assert never.precision == (0.5, None)


def test_reliability_counts_what_is_correct(problem: Problem) -> None:
    found = reliability_of(problem, "model", answering(problem, 0.1, 0.9, 0.9, 0.9))
    assert found is not None
    ((sure, right, count),) = found.bins
    assert (sure, right, count) == (pytest.approx(0.9), 0.75, 4)


def test_a_rare_class_brings_macro_f1_and_names_who_never_finds_it(rare: Problem) -> None:
    number = {name: place for place, name in enumerate(rare.task.labels.names)}

    def trial(*answers: str) -> Trial:
        scores = rare.task.predictions(np.eye(3)[[number[word] for word in answers]])
        found = saved(rare, scores)
        return Trial(0, found.folder, rare.task.score(scores, rare.parts["test"]), {}, ())

    finds, misses = trial("rare", "yes", "no", "no"), trial("no", "yes", "no", "yes")
    trials = {"a": [misses, finds], "b": [misses, misses], "failed": []}
    named = {"beside": ("macro_f1",), "never_found": {"b": ("rare",)}}
    assert imbalance([rare], trials) == named
    assert imbalance([rare, rare], trials) == named  # of two folds


def test_without_a_rare_class_nothing_is_said(problem: Problem) -> None:
    assert imbalance([problem], {"a": [answering(problem, 0.1, 0.1, 0.1, 0.1)]}) == {}


def test_outputs_are_shown_beside_the_truth_with_their_scores() -> None:
    rows = [{"source": f"word {n}", "target": f"mot {n}"} for n in range(40)]
    problem = open_problem("translate", rows, test=rows[:20])
    test = problem.parts["test"]
    right = [Written(example.target, 0.5, None) for example in test]
    wrong = [Written("zzz", 0.5, None)] * len(test)
    trials = {}
    for name, answers in (("right", right), ("wrong", wrong)):
        trial = saved(problem, answers)
        trials[name] = Trial(0, trial.folder, problem.task.score(answers, test), {}, ())
    found = outputs(problem, trials, "chrf")
    assert len(found) == MOST_OUTPUTS
    assert found[1].text == "word 3"
    assert found[1].truth == "mot 3"
    assert [answer.text for answer in found[1].answers] == ["mot 3", "zzz"]
    assert [answer.score for answer in found[1].answers] == [100.0, 0.0]


def test_answers_that_are_classes_are_no_outputs(problem: Problem) -> None:
    assert outputs(problem, {"a": answering(problem, 0.1, 0.1, 0.1, 0.1)}, "accuracy") == []


def test_the_winner_comes_first_of_the_rows_worth_taking() -> None:
    assert worth_taking(leaderboard()) == ["TF-IDF + logistic", "lstm", "gru"]
    assert worth_taking(leaderboard(winner="gru"))[0] == "gru"
    assert worth_taking(leaderboard(winner=None)) == ["TF-IDF + logistic", "lstm", "gru"]


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
    found = {each.name: each for each in only_right(problem, trials, trials)}
    assert {name: each.count for name, each in found.items()} == {"one": 2, "six": 1}
    assert found["six"].cases[0].others == {"one": "yes", "two": "yes"}
    assert only_right(problem, {"one": trials["one"]}, ["one"]) == []
    (told,) = only_right(problem, trials, ["six", "two"])  # only of rows worth taking
    assert told.name == "six"


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
    answers = problem.task.predictions(np.array([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1], [0.9, 0.1]]))
    opened = SimpleNamespace(task=problem.task, predict_examples=lambda examples: answers)
    monkeypatch.setattr(Trial, "predictor", opened)
    (figure,) = figures(problem, answering(problem, 0.1, 0.9, 0.1, 0.1))
    assert figure.title == "3 right"


def test_curves_leave_out_what_was_not_finite(problem: Problem) -> None:
    points = [
        {"share": share, "seconds": 1.0, "scores": {"accuracy": value}}
        for share, value in ((0.5, 0.4), (0.75, None), (1.0, 0.6))
    ]
    trials = [answering(problem, 0, 0, 0, 0, history=each) for each in (points, ())]
    (curve,) = curves("model", trials, "accuracy")
    assert curve.points == ((0.5, 1.0, 0.4), (1.0, 1.0, 0.6))

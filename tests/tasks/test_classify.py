"""Classify: labels in, labels out; windows merged; imbalance and weights."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from ensuite.core.batch import Batch, Outputs, States
from ensuite.core.errors import DataError, UnknownLabelError, UsageError
from ensuite.data import readers
from ensuite.data.processors import Columns
from ensuite.tasks.classify import Classify, Example
from ensuite.tasks.windowed import Item, Piece

ROWS = [Example(f"a {word} film {n}", word) for n in range(6) for word in ("good", "bad")]
PAIRS = [Example("cat dog", ("cat", "dog")), Example("cat", ("cat",)), Example("none", ())] * 3


def read(columns: Mapping[str, Any], task: Classify | None = None, **given: str) -> list[Example]:
    return (task or Classify()).read(readers.read(columns), given)[1]


def test_labels_keep_their_names_whatever_their_type() -> None:
    for cells in (["0", "1"], [0, 1], [0.0, 1.0], np.array([0, 1]), np.array([0.0, 1.0])):
        assert [e.label for e in read({"text": ["a", "b"], "label": cells})] == ["0", "1"]
    assert [e.label for e in read({"text": ["a", "b"], "y": [True, False]})] == ["True", "False"]


def test_a_row_without_a_label_is_told() -> None:
    for nothing in (None, "", "  "):
        with pytest.raises(DataError, match="row 2 of the data has no label"):
            read({"text": ["a", "b"], "label": ["x", nothing]})


def test_several_labels_are_lists_or_cells_with_a_separator() -> None:
    lists = read({"text": ["a", "b", "c"], "labels": [["x", "y"], [], None]})
    assert [e.label for e in lists] == [("x", "y"), (), ()]
    cells = read({"text": ["a", "b"], "label": ["x; y", ""]}, Classify(separator=";"))
    assert [e.label for e in cells] == [("x", "y"), ()]


def test_what_is_typed_becomes_an_example() -> None:
    task = Classify()
    assert task.ask("a") == Example("a")
    assert task.ask({"text": "a", "text_pair": "b"}) == Example(("a", "b"))
    assert task.ask(Example("a", "x")) == Example("a", "x")
    assert Classify(processor=Columns()).ask([1, 2]).input.tolist() == [1.0, 2.0]


def test_one_class_is_no_choice() -> None:
    with pytest.raises(DataError, match='the single label "good": at least two'):
        Classify().prepare(ROWS[::2])
    with pytest.raises(DataError, match="have no label"):
        Classify().prepare([Example("a"), Example("b")])


def test_an_unknown_label_is_told() -> None:
    with pytest.raises(UnknownLabelError, match='"fair"'):
        Classify().prepare(ROWS).verify(Example("a", "fair"))


def test_balanced_classes_weigh_the_same_in_the_loss() -> None:
    rows = [Example(f"film {n}", "rare" if n < 2 else "usual") for n in range(10)]
    task = Classify(class_weight="balanced").prepare(rows)
    counts = {"rare": 2, "usual": 8}
    shares = [w * counts[name] for w, name in zip(task.weights, task.labels.names, strict=True)]
    assert shares[0] == pytest.approx(shares[1])
    logits = torch.zeros(10, 2)
    targets = torch.tensor([task.labels.encode(e.label) for e in rows])  # type: ignore[arg-type]
    batch = Batch(inputs={}, mask=None, targets={"label": targets}, counts={"label": 10})
    loss = task.loss(Outputs(logits, States(logits)), batch).parts["label"]
    assert float(loss.total) == pytest.approx(np.log(2) * sum(shares), rel=1e-5)
    halved = Outputs(logits.bfloat16(), States(logits))
    assert (
        task.loss(halved, batch).parts["label"].total == loss.total
    )  # the weights are not rounded
    with pytest.raises(UsageError, match="one label each"):
        Classify(class_weight="balanced", several=True).prepare(PAIRS)


@pytest.mark.parametrize(("rare", "first"), [(2, "accuracy"), (1, "balanced_accuracy")])
def test_imbalance_decides_what_ranks(rare: int, first: str) -> None:
    rows = [Example(f"film {n}", "rare" if n < rare else "usual") for n in range(10)]
    task = Classify().prepare(rows)
    scores = task.score(task.predictions(np.tile([0.3, 0.7], (10, 1))), rows)
    assert next(iter(scores)) == first
    assert scores["accuracy"].value == 1 - rare / 10
    assert scores["balanced_accuracy"].value == 0.5
    topics = [finding.topic for finding in task.check({"train": rows})]
    assert ("imbalance" in topics) == (rare == 1)


@given(
    some.lists(
        some.lists(
            some.tuples(some.floats(0.01, 0.99), some.integers(1, 50)), min_size=1, max_size=4
        ),
        min_size=1,
        max_size=5,
    )
)
def test_windows_are_averaged_by_length(windows: list[list[tuple[float, int]]]) -> None:
    task = Classify().prepare(ROWS)
    items, pieces = [], []
    for example, each in enumerate(windows):
        for probability, weight in each:
            items.append(Item(example, np.zeros(weight), 0))
            pieces.append(Piece(np.array([1 - probability, probability]), weight))
    merged = task.merge([ROWS[0]] * len(windows), items, pieces)
    for prediction, each in zip(merged, windows, strict=True):
        expected = sum(p * w for p, w in each) / sum(w for _, w in each)
        assert prediction.probabilities[1] == pytest.approx(expected)
        assert prediction.probability == max(prediction.probabilities)


def test_of_several_labels_all_that_are_likely_are_given() -> None:
    task = Classify(several=True).prepare(PAIRS)
    both, none = task.predictions(np.array([[0.9, 0.5], [0.1, 0.2]]))
    assert both.label == ("cat", "dog")
    assert both.probability == pytest.approx(0.9 * 0.5)
    assert task.describe(both)[0] == "cat, dog"
    assert task.describe(none)[0] == "none"
    scores = task.score([both, none], [Example("", ("cat",)), Example("", ())])
    assert scores["accuracy"].value == 0.5


def test_calibration_makes_confidence_hold_and_changes_no_answer() -> None:
    task = Classify().prepare(ROWS)
    held_out = [Example("x", "good" if n % 10 < 7 else "bad") for n in range(100)]
    sure = task.predictions(np.tile([0.01, 0.99], (100, 1)))  # right in 70 % of the cases
    warm = task.calibrate(sure, held_out)
    assert warm.temperature > 2
    logits = np.log([0.01, 0.99]) / warm.temperature
    assert np.exp(logits[1]) / np.exp(logits).sum() == pytest.approx(0.7, abs=0.02)
    (prediction,) = warm.predictions(np.array([[0.01, 0.99]]))  # of networks and baselines alike
    assert prediction.probability == pytest.approx(0.7, abs=0.02)
    assert warm.calibrate([], []) == warm


def test_log_probabilities_of_the_choices_are_predictions() -> None:
    task = Classify().prepare(ROWS)
    (prediction,) = task.from_choices(np.log([[0.01, 0.03]]))
    assert (prediction.label, prediction.probability) == (task.choices[1], pytest.approx(0.75))
    with pytest.raises(UsageError, match="one label of each example"):
        Classify(several=True).prepare(PAIRS).from_choices(np.zeros((1, 2)))


def test_without_a_label_nothing_is_counted() -> None:
    task = Classify().prepare(ROWS)
    batch = task.collate(task.items([Example("a film"), ROWS[0]]))
    assert batch.counts == {"label": 1}


def test_a_prepared_task_keeps_to_its_kind_of_input() -> None:
    task = Classify().prepare(ROWS)
    assert task.input == "text"
    assert replace(task, temperature=2.0) != task

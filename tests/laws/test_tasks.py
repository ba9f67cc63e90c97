"""What every task of the catalog obeys."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ensuite.candidates import fitting, model_options
from ensuite.catalog import tasks
from ensuite.core.batch import sum_counts
from ensuite.core.options import from_json, to_json
from ensuite.core.recipe import Recipe
from ensuite.core.task import Model, Task
from ensuite.problem import find_task
from ensuite.training.budget import Budget
from ensuite.training.evaluate import predict
from ensuite.training.loop import fit
from ensuite.training.training import Training

TEXTS = ["a good film", "a bad film", "very good indeed", "so bad it hurts", "good", "bad bad bad",
         "the good one", "not a bad word, but bad"]  # fmt: skip
LABELS = ["yes", "no"] * 4


def texts() -> list[dict[str, Any]]:
    return [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)]


def several() -> list[dict[str, Any]]:
    both = [["yes"], ["no", "film"], ["yes", "film"], [], ["yes"], ["no"], ["film"], ["no"]]
    return [{"text": text, "labels": labels} for text, labels in zip(TEXTS, both, strict=True)]


def series() -> list[dict[str, Any]]:
    random = np.random.default_rng(0)
    return [
        {"series": random.normal(size=(3 + number, 2)).tolist(), "label": LABELS[number]}
        for number in range(8)
    ]


def rows() -> list[dict[str, Any]]:
    random = np.random.default_rng(0)
    return [{"a": random.normal(), "b": random.normal(), "label": name} for name in LABELS]


CASES: dict[str, tuple[str, Callable[[], list[dict[str, Any]]], dict[str, Any]]] = {
    "classify-text": ("classify", texts, {}),
    "classify-long-text": ("classify", texts, {"window": 2, "overlap": 1}),
    "classify-several": ("classify", several, {}),
    "classify-series": ("classify", series, {}),
    "classify-row": ("classify", rows, {}),
}
"""Eight rows for each task and kind of input; a new task adds its own."""


def make(case: str) -> tuple[Task[Any, Any, Any], list[Any]]:
    from ensuite.data.readers import read

    name, data, options = CASES[case]
    task, examples = find_task(name).read(read(data()), {})
    if options:
        task = replace(task, processor=replace(task.processor, **options))  # type: ignore[attr-defined]
    return task, examples


def smallest(task: Task[Any, Any, Any]) -> Any:
    name = fitting(task)[0]
    return model_options(name)[1].tiny()


def build(task: Task[Any, Any, Any]) -> Model:
    torch.manual_seed(0)
    backbone = smallest(task).build(task.inputs)
    return Model(backbone, task.head(backbone)).eval()


def test_every_task_has_a_case() -> None:
    assert {name for name, _, _ in CASES.values()} == set(tasks)


@pytest.mark.parametrize("case", CASES)
class TestLaws:
    def test_prepared_twice_is_prepared_once(self, case: str) -> None:
        task, examples = make(case)
        once = task.prepare(examples)
        assert once.prepare(examples) == once

    def test_survives_json(self, case: str) -> None:
        task, examples = make(case)
        task = task.prepare(examples)
        files: dict[str, str] = {}
        written = json.loads(json.dumps(to_json(task, files)))
        assert from_json(type(task), written, files) == task

    def test_one_prediction_for_each_example_in_order(self, case: str) -> None:
        task, examples = make(case)
        task = task.prepare(examples)
        model = build(task)
        together = predict(task, model, examples, size=3)
        assert len(together) == len(examples)
        alone = [predict(task, model, [example])[0] for example in examples]
        assert [task.answer(p)[0] for p in together] == [task.answer(p)[0] for p in alone]

    def test_two_halves_of_a_loss_add_to_the_whole(self, case: str) -> None:
        task, examples = make(case)
        task = task.prepare(examples)
        model, items = build(task), task.items(examples)
        halves: Sequence[Any] = [task.collate(items[:3]), task.collate(items[3:])]
        whole = task.collate(items)
        counts = sum_counts(halves)
        assert counts == sum_counts([whole])
        parts = [task.loss(task.forward(model, half), half) / counts for half in halves]
        together = task.loss(task.forward(model, whole), whole) / counts
        torch.testing.assert_close((parts[0] + parts[1]).value, together.value)

    def test_an_unlabelled_example_can_be_asked_about(self, case: str) -> None:
        task, examples = make(case)
        task = task.prepare(examples)
        asked = [example._replace(label=None) for example in examples]
        batch = task.collate(task.items(asked))
        assert set(batch.counts.values()) == {0}
        assert len(predict(task, build(task), asked)) == len(asked)

    def test_eight_examples_can_be_learned(self, case: str) -> None:
        task, examples = make(case)
        task = task.prepare(examples)
        recipe = Recipe(learning_rate=0.03, schedule="constant", batch_size=8)
        training = Training.start(
            task, smallest(task), examples, examples,
            recipe=recipe, budget=Budget(200, "steps", None), seed=0,
        )  # fmt: skip
        for progress in fit(training):
            if progress.scores and next(iter(progress.scores.values())) == 1:
                break
        training.restore_best()
        answers = predict(task, training.model, examples)
        assert next(iter(task.score(answers, examples).values())).value == 1

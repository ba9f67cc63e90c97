"""What every task of the catalog obeys."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ensuite.catalog import tasks
from ensuite.core.batch import sum_counts
from ensuite.core.model import Model
from ensuite.core.options import from_json, to_json
from ensuite.core.recipe import Recipe
from ensuite.core.stacked import take
from ensuite.core.task import Task
from ensuite.data.windows import Window
from ensuite.laws import alike
from ensuite.misfit import fitting
from ensuite.problem import find_task, read_table
from ensuite.specs import model_options
from ensuite.training.budget import Budget
from ensuite.training.evaluate import count_positions, predict
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


def pictures() -> list[dict[str, Any]]:
    random = np.random.default_rng(0)
    return [{"image": random.integers(0, 256, (6, 5)).tolist(), "label": n} for n in LABELS]


def sentences(words: str, tags: str) -> list[dict[str, Any]]:
    """Make eight sentences of one: its ends and its beginnings, of which one is empty."""
    pairs = list(zip(words.split(), tags.split(), strict=True))
    parts = [pairs[start:] for start in range(4)] + [pairs[:end] for end in range(4)]
    return [{"tokens": [w for w, _ in each], "tags": [t for _, t in each]} for each in parts]


def entities() -> list[dict[str, Any]]:
    return sentences("Marie Curie saw New York .", "B-PER I-PER O B-LOC I-LOC O")


def parts_of_speech() -> list[dict[str, Any]]:
    return sentences("she sings and birds sing .", "PRON VERB CONJ NOUN VERB PUNCT")


def spoken() -> list[dict[str, Any]]:
    """Return numbers in figures, and in words."""
    words = ["one", "two", "three", "one two", "two one", "three three", "two three", "one one"]
    figures = ["1", "2", "3", "1 2", "2 1", "3 3", "2 3", "1 1"]
    return [{"source": s, "target": t} for s, t in zip(figures, words, strict=True)]


def captioned() -> list[dict[str, Any]]:
    """Return pictures of three stripes, each told to be dark or light."""
    stripes = [[number >> place & 1 for place in range(3)] for number in range(8)]
    pictures = np.repeat(np.repeat(stripes, 2, axis=1)[..., None], 5, axis=2) * 255
    words = [" ".join("light" if each else "dark" for each in row) for row in stripes]
    return [{"image": p.tolist(), "text": w} for p, w in zip(pictures, words, strict=True)]


def numbered(data: Callable[[], list[dict[str, Any]]], *names: str) -> list[dict[str, Any]]:
    """Return the same inputs with numbers for labels, the length or sum: near 0, and far off."""
    made = []
    for row in data():
        given = {key: value for key, value in row.items() if key != "label"}
        size = sum(len(it) if isinstance(it, str | list) else it for it in given.values())
        made.append(given | {name: size + 50.0 * n for n, name in enumerate(names)})
    return made


def refrains() -> list[dict[str, Any]]:
    return [{"text": "ab" * 100} for _ in range(8)]


def couples() -> list[dict[str, Any]]:
    """Return texts of two lines, in which each word tells all others of its text."""
    return [{"text": "\n".join([f"{letter} {letter} {letter}"] * 2)} for letter in "abcdefgh"]


def asked() -> list[dict[str, Any]]:
    """Return questions about eight contexts: the word after the one that is asked for, or none."""
    rows = []
    for number, letter in enumerate("abcdefgh"):
        context = f"x {letter} y z {letter}{letter} w"
        answer = f"{letter} y" if number % 4 else []
        rows.append({"context": context, "question": f"{letter}?", "answers": answer})
    return rows


def steps(*columns: str, future: bool = False) -> list[dict[str, Any]]:
    """Return a series of which eight windows read four steps and forecast the next two."""
    levels = np.sin(np.pi / 2 * (np.arange(13)[:, None] + np.arange(len(columns))))
    days = np.datetime64("2024-01-01") + np.arange(13)
    made = [
        {"date": str(day), **dict(zip(columns, row, strict=True))}
        for day, row in zip(days, levels.tolist(), strict=True)
    ]
    if not future:
        return made
    return [row | {"holiday": n % 4 // 2, "size": 3} for n, row in enumerate(made)]


def on_a_curve(labelled: bool = False) -> list[dict[str, Any]]:
    """Return rows on a curve that one number tells the place on."""
    places = np.linspace(-1, 1, 8)
    rows = [{"a": 2 * place, "b": -place, "c": 5 + 3 * place} for place in places.tolist()]
    labels = ["low", "high"] if labelled else []
    return [{**row, **({"label": labels[row["a"] > 0]} if labels else {})} for row in rows]


def waves() -> list[dict[str, Any]]:
    """Return series of several lengths that one number tells apart."""
    heights = np.linspace(-1, 1, 8)
    return [
        {"series": [[h * x, h] for x in np.linspace(0, 1, 4 + n % 3).tolist()]}
        for n, h in enumerate(heights.tolist())
    ]


def noisy_and_clean() -> list[dict[str, Any]]:
    """Return rows on a curve, the noisy numbers beside the clean ones."""
    return [
        {name: number + 0.01 * n for name, number in row.items()}
        | {f"clean_{place}": number for place, number in enumerate(row.values())}
        for n, row in enumerate(on_a_curve())
    ]


def pictures_alone() -> list[dict[str, Any]]:
    return [{"image": row["image"]} for row in pictures()]


SMALL = {"horizon": 2, "season": 2}
FAINT = {"strength": 0.001}

CASES: dict[str, tuple[str, Callable[[], list[dict[str, Any]]], dict[str, Any]]] = {
    "classify-text": ("classify", texts, {}),
    "classify-long-text": ("classify", texts, {"window": 2, "overlap": 1}),
    "classify-several": ("classify", several, {}),
    "classify-series": ("classify", series, {}),
    "classify-row": ("classify", rows, {}),
    "classify-image": ("classify", pictures, {}),
    "tag-entities": ("tag", entities, {}),
    "tag-entities-alone": ("tag", entities, {"crf": False}),
    "tag-long-sentences": ("tag", entities, {"window": 2, "overlap": 1}),
    "tag-words-alone": ("tag", parts_of_speech, {"letters": False}),
    "tag-parts-of-speech": ("tag", parts_of_speech, {"crf": True}),
    "translate": ("translate", spoken, {}),
    "translate-beam": (
        "translate",
        spoken,
        {"beam": 3, "return_attention": True, "target_unit": "words"},
    ),
    "caption": ("caption", captioned, {}),
    "caption-beam": (
        "caption",
        captioned,
        {"beam": 3, "return_attention": True, "target_unit": "words"},
    ),
    "regress-text": ("regress", lambda: numbered(texts, "target"), {}),
    "regress-series": ("regress", lambda: numbered(series, "target"), {}),
    "regress-row": ("regress", lambda: numbered(rows, "target"), {}),
    "regress-several": ("regress", lambda: numbered(texts, "target_1", "target_2"), {}),
    "generate": ("generate", refrains, {"unit": "characters", "chunk": 256}),
    "answer": ("answer", asked, {"unit": "words", "min_frequency": 1}),
    "answer-long": (
        "answer",
        asked,
        {"unit": "words", "min_frequency": 1, "window": 10, "overlap": 3, "order": "context"},
    ),
    "fill": ("fill", couples, {"unit": "words", "min_frequency": 1}),
    "fill-long-texts": ("fill", couples, {"unit": "words", "min_frequency": 1, "window": 8}),
    "fill-pairs": (
        "fill",
        couples,
        {"unit": "words", "min_frequency": 1, "next_sentence": True, "whole_words": True},
    ),
    "forecast": ("forecast", lambda: steps("y"), SMALL),
    "forecast-columns": ("forecast", lambda: steps("a", "b"), SMALL | {"per_column": False}),
    "forecast-positions": (
        "forecast",
        lambda: steps("y"),
        SMALL | {"decode": "positions", "criterion": "absolute", "normalise": "window"},
    ),
    "forecast-recursive": (
        "forecast",
        lambda: steps("y"),
        SMALL | {"decode": "recursive", "criterion": "squared", "normalise": "none"},
    ),
    "forecast-known": (
        "forecast",
        lambda: steps("y", future=True),
        SMALL | {"future": "holiday", "static": "size", "criterion": "squared"},
    ),
    "reduce-row": ("reduce", on_a_curve, {}),
    "reduce-labelled": ("reduce", lambda: on_a_curve(labelled=True), {}),
    "reduce-binary": ("reduce", on_a_curve, {"criterion": "binary", "scale": "minmax"}),
    "reduce-image": ("reduce", pictures, {}),
    "reduce-series": ("reduce", waves, {}),
    "denoise-row": ("denoise", on_a_curve, FAINT),
    "denoise-image": ("denoise", pictures, FAINT | {"noise": "salt-and-pepper"}),
    "denoise-series": ("denoise", waves, FAINT | {"noise": "sensors"}),
    "denoise-pairs": ("denoise", noisy_and_clean, {}),
    "detect-row": ("detect", on_a_curve, {}),
    "detect-image": ("detect", pictures_alone, {}),
    "detect-series": ("detect", waves, {}),
    "detect-steps": ("detect", lambda: steps("a", "b"), {"window": 6, "stride": 2}),
    "detect-live": ("detect", lambda: steps("y"), {"window": 6, "live": True}),
}
"""Eight rows for each task and kind of input; a new task adds its own."""


def make(case: str) -> tuple[Task[Any, Any, Any], list[Any]]:
    from ensuite.data.readers import read

    name, data, options = CASES[case]
    settings = {option: str(value) for option, value in options.items()}
    return read_table(find_task(name), read(data()), {}, settings, name)


def smallest(task: Task[Any, Any, Any]) -> Any:
    name = fitting(task)[0]
    return model_options(name)[1].tiny()


def build(task: Task[Any, Any, Any]) -> Model:
    torch.manual_seed(0)
    return Model.build(smallest(task), task).eval()


def learned(task: Task[Any, Any, Any], model: Model, examples: Sequence[Any]) -> bool:
    """Say whether every answer is right, or, of numbers, within a tenth of their deviation."""
    answers = predict(task, model, examples)
    return all(task.error(*each) < 0.1 for each in zip(answers, examples, strict=True))


def without_truth(example: Any) -> Any:
    """Return an example as it is asked: a series ends where its forecast begins."""
    if isinstance(example, Window):
        until = replace(example.series, values=example.series.values[: example.origin])
        return example._replace(series=until)
    return example._replace(**{example._fields[-1]: None})


class OnCpu(torch.Tensor):
    """What ``cpu`` returns, and what is computed from it."""


def test_every_task_has_a_case() -> None:
    assert {name for name, _, _ in CASES.values()} == set(tasks)


@pytest.mark.parametrize("name", tasks)
def test_the_catalog_says_what_a_task_needs(name: str) -> None:
    assert set(tasks[name].traits) == find_task(name).needs
    assert tasks[name].reads


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
        rows = [
            [task.records(*pair) for pair in zip(examples, answers, strict=True)]
            for answers in (together, alone)
        ]
        assert alike(*rows)

    def test_float64_is_asked_for_on_the_cpu_alone(
        self, case: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A Mac's GPU (mps) has no float64."""
        task, examples = make(case)
        task = task.prepare(examples)
        model, double = build(task), torch.Tensor.double

        def refuse(values: torch.Tensor) -> torch.Tensor:
            assert isinstance(values, OnCpu), "float64 was asked for on the device"
            return double(values)

        monkeypatch.setattr(torch.Tensor, "cpu", lambda values: values.as_subclass(OnCpu))
        monkeypatch.setattr(torch.Tensor, "double", refuse)
        assert len(predict(task, model, examples)) == len(examples)

    def test_a_length_counts_the_positions_that_are_read(self, case: str) -> None:
        task, examples = make(case)
        items = (task := task.prepare(examples)).items(examples)
        batches = [task.collate(take(items, [number])) for number in range(len(items))]
        if all(batch.mask is None for batch in batches):
            assert count_positions(task, items) == len(items)
            return
        special = 3  # [CLS] and two [SEP] may be left out
        for length, batch in zip(task.lengths(items), batches, strict=True):
            assert length + special >= batch.positions

    def test_the_catalog_names_its_metrics(self, case: str) -> None:
        task, examples = make(case)
        task, row = task.prepare(examples), tasks[CASES[case][0]]
        scores = task.score(predict(task, build(task), examples), examples)
        assert [metric for metric in scores if not row.measures(metric)] == []

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
        if not any(task.truth(example) for example in examples):
            pytest.skip("what it learns is the input itself")
        asked = [without_truth(example) for example in examples]
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
            if progress.scores and learned(task, training.model, examples):
                break
        training.restore_best()
        assert learned(task, training.model, examples)

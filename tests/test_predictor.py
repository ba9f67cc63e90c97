"""A trained model: what it answers, what it shows inside, what it saves and loads."""

from pathlib import Path
from typing import Any

import pytest
import torch

import ensuite
from ensuite.core.errors import DataError, RunError, UnknownLabelError, UsageError
from ensuite.core.files import read_json, write_json
from ensuite.core.runs import find_run
from ensuite.predictor import Predictor

ROWS = [
    {"text": f"a {word} film, number {n}", "label": word}
    for n in range(20)
    for word in ("good", "bad")
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    fast: dict[str, Any] = {"budget": "4steps", "settings": {"width": 6}, "seeds": 1}
    ensuite.compare("classify", ROWS, models=["lstm"], out=folder, **fast)
    return folder


@pytest.fixture
def lstm(trained: Path) -> Predictor:
    return ensuite.load(trained / "trials/lstm/0")


@pytest.fixture
def baseline(trained: Path) -> Predictor:
    return ensuite.load(trained / "trials/tf-idf-logistic/0")


def test_no_answer_depends_on_its_neighbours(lstm: Predictor) -> None:
    texts = ["a good film", "bad", "", "so " * 200]
    together = lstm.predict(texts)
    for text, answer in zip(texts, together, strict=True):
        (alone,) = lstm.predict([text])
        assert alone.label == answer.label
        assert alone.probabilities == pytest.approx(answer.probabilities, abs=1e-5)


def test_nothing_asked_nothing_answered(lstm: Predictor, baseline: Predictor) -> None:
    assert lstm.predict([]) == baseline.predict([]) == []


def test_a_mapping_and_an_iterator_are_inputs(lstm: Predictor) -> None:
    (alone,) = lstm.predict("a good film")
    assert lstm.predict({"text": "a good film", "id": "7"}) == [alone]
    assert lstm.predict(text for text in ["a good film"]) == [alone]


def test_embedding_leaves_the_model_in_evaluation_mode(lstm: Predictor) -> None:
    lstm.embedder().predict(["a good film"])
    assert not any(module.training for module in lstm.model.modules())


def test_evaluate_counts_right_answers(baseline: Predictor) -> None:
    scores = baseline.evaluate(
        [{"text": "good", "label": "good"}, {"text": "good", "label": "bad"}]
    )
    assert scores["accuracy"] == 0.5


def test_evaluate_refuses_what_was_never_trained(lstm: Predictor) -> None:
    with pytest.raises(DataError, match=r'row 2 of the data.*label "fair"'):
        lstm.evaluate([{"text": "a", "label": "good"}, {"text": "b", "label": "fair"}])
    with pytest.raises(DataError, match="no column for the label"):
        lstm.evaluate([{"text": "a good film"}])
    assert issubclass(UnknownLabelError, DataError)


def test_embed_shows_states(lstm: Predictor) -> None:
    states, summary = lstm.embed("a good film"), lstm.embed("a good film", pool=True)
    assert states.shape == (1, 3, 6)
    assert torch.equal(summary, states[:, -1])
    assert not summary.requires_grad


def test_a_baseline_has_no_states(baseline: Predictor) -> None:
    with pytest.raises(UsageError, match="A baseline has no states"):
        baseline.embed("a good film")


@pytest.mark.parametrize("which", ["lstm", "baseline"])
def test_saved_is_loaded(which: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    predictor: Predictor = request.getfixturevalue(which)
    again = Predictor.load(predictor.save(tmp_path / "deep" / "run"))
    texts = [row["text"] for row in ROWS]
    assert again.predict(texts) == predictor.predict(texts)
    assert (again.name, again.task, again.options) == (
        predictor.name, predictor.task, predictor.options,
    )  # fmt: skip
    assert again.parameters == predictor.parameters > 0


def test_only_what_may_change_after_training_can_be_set(lstm: Predictor) -> None:
    short = lstm.with_settings({"window": "70", "truncation": "head"})
    assert short.task.processor.window == 70
    assert short.task.processor.tokenizer == lstm.task.processor.tokenizer
    with pytest.raises(UsageError, match='no option "temperature"'):
        lstm.with_settings({"temperature": "2"})


def test_a_folder_is_a_run_or_a_comparison(trained: Path, tmp_path: Path) -> None:
    assert find_run(trained) == trained / "best"
    assert find_run(trained / "best") == trained / "best"
    with pytest.raises(RunError, match="is not a run"):
        find_run(tmp_path)
    with pytest.raises(RunError, match="There is no run at"):
        find_run(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kind": "oracle"}, 'no kind of model "oracle"; known: network, baseline, prompted'),
        ({"baseline": "wisest"}, 'no baseline "wisest" here; it has: most frequent'),
        ({"baseline": "subprocess:Popen"}, 'no baseline "subprocess:Popen"'),
        ({"kind": "network", "backbone": "os:system"}, '"os:system" is not installed here'),
    ],
)
def test_a_run_opens_only_what_the_catalog_offers(
    changes: dict[str, Any], sentence: str, baseline: Predictor, tmp_path: Path
) -> None:
    folder = baseline.save(tmp_path / "run")
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", {"ensuite": {**config["ensuite"], **changes}})
    with pytest.raises(RunError, match=sentence):
        Predictor.load(folder)


def test_scores_by_length_add_up_to_the_whole(baseline: Predictor) -> None:
    rows = [
        {"text": "so " * n + "good", "label": word} for n in range(8) for word in ("good", "bad")
    ]
    examples = baseline.read(rows, asking=False)
    short, long = baseline.evaluate_by_length(examples, 2)
    assert (short.shortest, short.longest, long.shortest, long.longest) == (1, 5, 6, 8)
    assert (short.rows, long.rows) == (10, 6)
    for part, kept in ((short, examples[:10]), (long, examples[10:])):
        scores = baseline.task.score(baseline.predict_examples(kept), kept)
        assert part.metrics == pytest.approx({name: score.value for name, score in scores.items()})

"""A checkpoint that is not trained, with a linear head on its vectors."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ensuite
from ensuite.core.errors import UsageError
from ensuite.core.files import read_tensors
from ensuite.frozen import unscaled
from ensuite.problem import Problem, open_problem
from ensuite.specs import open_spec
from published_bert import publish_bert

WORDS = ("good", "bad", "fine")
ROWS = [{"text": f"the film was {n} {w}", "label": w} for n in range(20) for w in WORDS]


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return publish_bert(Path("published"))


def table(classes: int) -> list[dict[str, Any]]:
    return [row for row in ROWS if row["label"] in WORDS[:classes]]


@pytest.mark.parametrize("classes", [2, 3])
def test_a_linear_head_is_learned_and_the_rest_is_not(classes: int, published: Path) -> None:
    run = ensuite.train("classify", table(classes), model="published:frozen=true", out="run")
    assert [run.predict([f"the film was 77 {w}"])[0].label for w in WORDS[:classes]] == [
        *WORDS[:classes]
    ]
    before, after = (read_tensors(Path(f) / "model.safetensors") for f in ("published", "run"))
    same = [name for name in before if name in after]
    assert len(same) > 20
    assert all(torch.equal(before[name], after[name]) for name in same)
    again = ensuite.load("run").predict(["the film was 77 good"])
    assert again == run.predict(["the film was 77 good"])


def test_several_labels_and_numbers_have_a_head_too(published: Path) -> None:
    several = [
        {"text": row["text"], "label": ["a", "b"] if row["label"] == "good" else ["a"]}
        for row in ROWS
    ]
    run = ensuite.train("classify", several, model="published:frozen=true", out="several")
    assert run.predict(["the film was 77 good"])[0].label == ("a", "b")
    rated = [{"text": row["text"], "target": float(len(row["label"]))} for row in ROWS]
    run = ensuite.train("regress", rated, model="published:frozen=true", out="rated")
    assert run.predict(["the film was 77 bad"])[0].value == pytest.approx(3, abs=0.2)


def test_it_competes_beside_fine_tuning(published: Path) -> None:
    models = ["published:frozen=true", "published"]
    board = ensuite.compare(
        "classify", table(2), models=models, budget="2steps", seeds=1, out="out"
    )
    assert {"published:frozen=true", "published"} < {row.name for row in board.rows}


def test_features_that_are_not_standardised_give_the_same_outputs() -> None:
    random = np.random.default_rng(0)
    features, weights, bias = random.normal(2, 3, (9, 4)), random.normal(size=(4, 2)), np.ones(2)
    mean, deviation = features.mean(0), features.std(0)
    expected = (features - mean) / deviation @ weights + bias
    found = unscaled(weights, bias, mean, deviation)
    np.testing.assert_allclose(features @ found[0] + found[1], expected)


@pytest.fixture
def problem() -> Problem:
    return open_problem("classify", ROWS)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("published:frozen=maybe", "frozen=maybe: expected true or false"),
        ("published:frozen=false", "leave it out"),
        ("published:frozen=true,pool=mean", 'no option "pool"; did you mean pooler'),
    ],
)
def test_what_is_wrong_is_one_sentence(
    spec: str, said: str, published: Path, problem: Problem
) -> None:
    with pytest.raises(UsageError, match=said):
        open_spec(spec, problem)


def test_a_task_without_a_linear_method_is_refused(published: Path) -> None:
    rows = [{"tokens": row["text"].split(), "tags": row["text"].split()} for row in ROWS]
    with pytest.raises(UsageError, match="tag has none; leave it out"):
        open_spec("published:frozen=true", open_problem("tag", rows))


def test_a_folder_that_is_no_checkpoint_is_refused(problem: Problem, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is for the folder of a published checkpoint"):
        open_spec(f"{tmp_path}:frozen=true", problem)

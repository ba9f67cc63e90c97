"""Denoising: noise comes to clean data in training and scoring, never to what a user asks about."""

from typing import Any

import numpy as np
import pytest
import torch

from ensuite.api import compare_models
from ensuite.baselines.denoise import Identity, MedianFilter, Projection
from ensuite.baselines.total_variation import TotalVariation
from ensuite.core.baseline import Baseline
from ensuite.core.errors import DataError, EnsuiteError
from ensuite.laws import same_answer_in_any_batch
from ensuite.predictor import Predictor
from ensuite.problem import Problem, open_problem
from ensuite.tasks.denoise import ASKED, Denoise, Example, Prediction

random = np.random.default_rng(0)
PLANE = random.normal(size=(2, 6))


def rows(count: int = 120) -> dict[str, Any]:
    values = random.normal(size=(count, 2)) @ PLANE * 10 + 100
    return {f"v{place}": values[:, place].tolist() for place in range(6)}


def pictures(count: int = 60) -> dict[str, Any]:
    """Return pictures of a bright square."""
    made = np.zeros((count, 12, 12), dtype=np.uint8)
    for picture, (top, left) in zip(made, random.integers(0, 7, (count, 2)), strict=True):
        picture[top : top + 5, left : left + 5] = 200
    return {"image": [each.tolist() for each in made]}


def series(count: int = 60) -> dict[str, Any]:
    waves = [
        np.sin(np.arange(18 + n % 3) / 3 + shift)
        for n, shift in enumerate(random.normal(size=count))
    ]
    return {"series": [each[:, None].tolist() for each in waves]}


DATA = {"row": rows(), "image": pictures(), "series": series()}


def opened(data: Any, **settings: Any) -> Problem:
    given = {name: str(value) for name, value in settings.items()}
    return open_problem("denoise", data, settings=given)


def fitted(problem: Problem, method: type[Baseline] = Identity, **settings: Any) -> Predictor:
    parts = problem.parts
    model = method.fit(problem.task, parts["train"], parts["valid"], 0, **settings)
    return Predictor("baseline", "denoise", problem.task, model)


def scores(problem: Problem, predictor: Predictor) -> dict[str, float]:
    test = problem.parts["test"]
    found = predictor.task.score(predictor.predict_examples(test), test)
    return {name: score.value for name, score in found.items()}


@pytest.mark.parametrize("kind", DATA)
def test_noise_is_anew_in_training_and_the_same_in_every_evaluation(kind: str) -> None:
    problem = opened(DATA[kind])
    task, some = problem.task, problem.parts["train"][:8]
    items = task.items(some)
    field = task.field_name
    generator = torch.Generator().manual_seed(0)
    batches = [task.collate(items, generator) for _ in range(2)]
    assert not torch.equal(*(batch.inputs[field] for batch in batches))
    still = [task.collate(task.items(some, asking=True)).inputs[field] for _ in range(2)]
    assert torch.equal(*still)
    for batch in batches:
        assert torch.equal(batch.targets[field], batches[0].targets[field])
        if batch.mask is not None:
            assert (batch.inputs[field][~batch.mask] == 0).all()
    alone = task.collate(task.items(some[3:4], asking=True))
    at = alone.inputs[field][0]
    assert torch.equal(at, still[0][3][: len(at)])


@pytest.mark.parametrize("kind", DATA)
def test_what_is_asked_about_gets_no_noise(kind: str) -> None:
    problem = opened(DATA[kind])
    task = problem.task
    asked = [Example(example.clean) for example in problem.parts["test"]]
    assert {int(item.seed) for item in task.items(asked, asking=True)} == {ASKED}
    for noisy, example in zip(task.noisy(asked), asked, strict=True):
        expected = np.asarray(example.input, float).reshape(noisy.shape)
        np.testing.assert_allclose(noisy, expected, rtol=1e-4, atol=1e-4)
    (answer,) = fitted(problem).predict([problem.parts["test"][0].clean])
    raw = np.asarray(problem.parts["test"][0].clean, float)
    np.testing.assert_allclose(answer.values.reshape(raw.shape), raw, rtol=1e-4, atol=1e-4)


def test_doing_nothing_leaves_the_noise_that_was_asked_for() -> None:
    problem = opened(DATA["row"], strength=0.5)
    found = scores(problem, fitted(problem))
    assert found["mse"] == pytest.approx(0.25, rel=0.35)
    assert np.isnan(found["code_shift"])
    louder = opened(DATA["row"], strength=1.0)
    assert scores(louder, fitted(louder))["psnr"] < found["psnr"]


def test_baselines_take_noise_away() -> None:
    problem = opened(DATA["row"])
    nothing, projected = (
        scores(problem, each) for each in (fitted(problem), fitted(problem, Projection, size=2))
    )
    assert projected["mse"] < 0.6 * nothing["mse"]
    assert 0 < projected["code_shift"] < 1
    spotted = opened(DATA["image"], noise="salt-and-pepper", strength=0.1)
    nothing, median = (scores(spotted, fitted(spotted, each)) for each in (Identity, MedianFilter))
    assert median["psnr"] > nothing["psnr"] + 3
    assert median["ssim"] > nothing["ssim"]
    assert not MedianFilter.fits(problem.task)


def test_pairs_are_cleaned_as_they_are() -> None:
    clean = rows()
    noisy = {name: (np.array(cells) + 3).tolist() for name, cells in clean.items()}
    pairs = noisy | {f"clean_{name[1:]}": cells for name, cells in clean.items()}
    problem = opened(pairs)
    task, test = problem.task, problem.parts["test"]
    assert all(item.seed == ASKED for item in task.items(test, asking=True))
    answers = fitted(problem).predict_examples(test)
    np.testing.assert_allclose(answers[0].values - test[0].clean, 3.0, rtol=1e-3)
    with pytest.raises(DataError, match=r"shape \(6,\), the clean one \(5,\)"):
        opened({name: cells for name, cells in pairs.items() if name != "clean_5"})


def test_it_gives_back_the_units_of_the_input(tmp_path: Any) -> None:
    problem = opened(DATA["row"])
    predictor = fitted(problem, Projection, size=2)
    example = problem.parts["test"][0]
    (prediction,) = predictor.predict([example.clean])
    np.testing.assert_allclose(prediction.values, example.clean, rtol=1e-3)
    (record,) = predictor.task.records(example, prediction)
    assert list(record) == [f"v{place}" for place in range(6)]
    again = Predictor.load(predictor.save(tmp_path / "run"))
    some = problem.parts["test"]
    assert again.predict_examples(some) == predictor.predict_examples(some)
    assert same_answer_in_any_batch(predictor, some).holds


def test_the_best_size_of_a_median_is_chosen_on_the_validation_part() -> None:
    problem = opened(DATA["series"], noise="salt-and-pepper", strength=0.05)
    predictor = fitted(problem, MedianFilter)
    assert predictor.fitted.strength in (3, 5, 7)
    assert scores(problem, predictor)["mse"] < scores(problem, fitted(problem))["mse"]


@pytest.mark.parametrize("noise", ["gaussian", "salt-and-pepper", "masking", "sensors"])
def test_the_noise_of_a_series_does_not_depend_on_its_padding(noise: str) -> None:
    problem = opened(DATA["series"], noise=noise, strength=0.3)
    test = problem.parts["test"]
    assert len({len(example.clean) for example in test}) > 1
    alone = [problem.task.noisy([example])[0] for example in test]
    for one, other in zip(problem.task.noisy(test), alone, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", ["image", "series"])
def test_total_variation_is_cleaned_in_the_units_of_the_input(kind: str, tmp_path: Any) -> None:
    problem = opened(DATA[kind], noise="gaussian", strength=0.3)
    predictor = fitted(problem, TotalVariation)
    assert scores(problem, predictor)["mse"] < scores(problem, fitted(problem))["mse"]
    some = problem.parts["test"]
    again = Predictor.load(predictor.save(tmp_path / "run"))
    assert again.predict_examples(some) == predictor.predict_examples(some)
    assert same_answer_in_any_batch(predictor, some).holds
    assert not TotalVariation.fits(opened(DATA["row"]).task)


def test_figures_show_before_noisy_and_after() -> None:
    for kind, count in (("image", 1), ("series", 2), ("row", 0)):
        problem = opened(DATA[kind])
        test = problem.parts["test"]
        figures = problem.task.figures(fitted(problem).predict_examples(test), test)
        assert len(figures) == count
        assert all("dB noisy" in each.words[0] for each in figures)
    assert problem.task.figures([], []) == []


def test_plain_training_adds_no_noise() -> None:
    problem = opened(DATA["row"], noisy_training=False)
    batch = problem.task.collate(
        problem.task.items(problem.parts["train"]), torch.Generator().manual_seed(0)
    )
    assert torch.equal(batch.inputs["row"], batch.targets["row"])


def test_a_network_learns_to_denoise(tmp_path: Any) -> None:
    comparison, _ = compare_models(
        "denoise", rows(400), models=["autoencoder:code=2,width=32"], seeds=1, budget="400steps",
        out=tmp_path / "out",
    )  # fmt: skip
    board = {row.name.split()[0]: row.metrics for row in comparison.leaderboard.rows}
    assert board["autoencoder"]["mse"] < board["do"]["mse"]
    assert board["autoencoder"]["code_shift"] > 0
    assert comparison.leaderboard.metric == "mse"


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(EnsuiteError, match="strength must be more than 0"):
        opened(DATA["row"], strength=0)
    with pytest.raises(EnsuiteError, match="less than 1"):
        opened(DATA["row"], noise="masking", strength=1.5)
    with pytest.raises(EnsuiteError, match="images have none"):
        opened(DATA["image"], noise="sensors")
    with pytest.raises(DataError, match="NaN or infinite"):
        fitted(opened(DATA["row"])).predict([[np.nan] * 6])
    assert Prediction(np.ones(2)) != Prediction(np.zeros(2))
    assert Denoise().noise == "gaussian"

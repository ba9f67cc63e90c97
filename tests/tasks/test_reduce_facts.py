"""What is known of autoencoders, found again by our training on real and drawn rows."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_iris

from ensuite.baselines.principal import Principal
from ensuite.core.model import Model
from ensuite.core.recipe import Recipe
from ensuite.models.autoencoder import AutoencoderOptions
from ensuite.tasks.reduce import Example, Reduce
from ensuite.training.budget import Budget
from ensuite.training.evaluate import predict
from ensuite.training.loop import fit
from ensuite.training.training import Training

Fitted = tuple[Reduce, Model, list[Example]]


def train(rows: NDArray[Any], options: AutoencoderOptions, steps: int, rate: float) -> Fitted:
    """Train on all rows at once, with a learning rate that falls to 0."""
    examples = [Example(row) for row in rows]
    task = Reduce().prepare(examples)
    recipe = Recipe(
        batch_size=len(rows), learning_rate=rate, betas=(0.9, 0.95), schedule="cosine", clip=None
    )
    training = Training.start(
        task,
        options,
        examples,
        examples,
        recipe=recipe,
        budget=Budget(steps, "steps", None),
        seed=0,
    )
    for _ in fit(training):
        pass
    return task, training.model.eval(), examples


def error(task: Reduce, model: Model, examples: list[Example]) -> float:
    return float(np.mean([p.error for p in predict(task, model, examples)]))


def sine(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the sine of the largest principal angle between the spaces of two sets of columns."""
    first, second = (torch.linalg.qr(each)[0] for each in (one, other))
    return float(torch.linalg.matrix_norm(second - first @ (first.T @ second), 2))


@pytest.fixture(scope="module")
def linear() -> Fitted:
    return train(load_iris().data, AutoencoderOptions(code=2, layers=0), 500, 0.1)


def principal_axes(task: Reduce, examples: list[Example]) -> torch.Tensor:
    rows = task.collate(task.items(examples)).inputs["row"].double()
    return torch.linalg.svd(rows - rows.mean(0))[2][:2].T


def test_a_linear_autoencoder_finds_the_subspace_of_pca(linear: Fitted) -> None:
    task, model, examples = linear
    weight = model.backbone.decoder.layers[0].weight.detach().double()
    assert sine(principal_axes(task, examples), weight) < 1e-4  # radians
    pca = Principal.fit(task, examples, [], 0, size=2)
    best = float(np.mean([p.error for p in pca.predict(task, examples)]))
    assert error(*linear) == pytest.approx(best, rel=1e-6)


def test_its_columns_are_not_the_eigenvectors_yet_they_can_be_recovered(linear: Fitted) -> None:
    """The weights find the subspace alone; its axes are those of what is decoded."""
    task, model, examples = linear
    axes = principal_axes(task, examples)
    weight = model.backbone.decoder.layers[0].weight.detach().double()
    cosines = (axes.T @ (weight / weight.norm(dim=0))).abs()
    assert cosines.max() < 0.999
    with torch.no_grad():
        codes = model.backbone.encode(task.collate(task.items(examples))).double()
    codes = codes - codes.mean(0)
    found = torch.linalg.svd(weight @ codes.T)[0][:, :2]
    torch.testing.assert_close((found.T @ axes).abs(), torch.eye(2).double(), rtol=0, atol=1e-3)


def test_an_over_complete_linear_autoencoder_copies() -> None:
    fitted = train(load_iris().data, AutoencoderOptions(code=6, layers=0), 500, 0.1)
    assert error(*fitted) < 1e-6
    task, model, examples = fitted
    labels = [str(name) for name in load_iris().target]
    named = [Example(e.input, label) for e, label in zip(examples, labels, strict=True)]
    task = task.prepare(named)
    codes = task.score(predict(task, model, named), named)["knn_accuracy"].value
    pca = Principal.fit(task, named, [], 0, size=4).predict(task, named)
    rows = task.score(pca, named)["knn_accuracy"].value  # as good as the rows themselves
    assert codes <= rows + 0.02


def test_one_unit_suffices_for_a_circle_where_pca_fails() -> None:
    angles = np.linspace(-np.pi, np.pi, 100, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    options = AutoencoderOptions(code=1, layers=2, width=32, activation="tanh")
    task, model, examples = train(circle, options, 600, 0.01)
    pca = Principal.fit(task, examples, [], 0, size=1).predict(task, examples)
    assert np.mean([p.error for p in pca]) == pytest.approx(0.5)  # of a variance of 1
    assert error(task, model, examples) < 0.02


def test_sparse_codes_have_more_numbers_near_zero() -> None:
    shares = {}
    for name, options in {
        "plain": AutoencoderOptions(code=8, layers=0, code_activation="relu"),
        "l1": AutoencoderOptions(
            code=8, layers=0, code_activation="relu", sparsity="l1", penalty=0.3
        ),
        "top-k": AutoencoderOptions(code=8, layers=0, sparsity="top-k", active=2),
    }.items():
        task, model, examples = train(load_iris().data, options, 200, 0.05)
        scores = task.score(predict(task, model, examples), examples)
        shares[name] = scores["near_zero"].value
    assert shares["top-k"] == pytest.approx(0.75, abs=0.02)
    assert shares["l1"] > shares["plain"]

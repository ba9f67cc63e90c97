"""Denoising: noise that training draws anew and that, in evaluation, belongs to the example."""

import zlib
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from ensuite.core.backbone import Backbone
from ensuite.core.batch import Batch, Row, States
from ensuite.core.loss import Loss, Part
from ensuite.laws import same_answer_in_any_batch
from ensuite.network import Network
from ensuite.predictor import Predictor
from ensuite.training.evaluate import predict, validation_loss
from ensuite.training.loop import fit
from stress.harness import Made, SummaryHead, Toy, check, starter

FEATURES, NOISE = 6, 0.5


class Item(NamedTuple):
    clean: Tensor
    noise: Tensor


class Perceptron(Backbone):
    width = 32

    def __init__(self, inputs):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(FEATURES, 32), nn.Tanh(), nn.Linear(32, 32))

    def forward(self, batch):
        return States(self.layers(batch.inputs["row"]).tanh())


class Denoise(Toy):
    """An example: points of one curve; the noise to remove is drawn from a hash of them."""

    inputs = {"row": Row(FEATURES)}

    def items(self, examples, *, asking=False):
        items = []
        for row in examples:
            seed = zlib.crc32(row.numpy().tobytes())
            noise = torch.randn(FEATURES, generator=torch.Generator().manual_seed(seed))
            items.append(Item(row, NOISE * noise))
        return items

    def head(self, backbone):
        return SummaryHead(backbone.width, FEATURES)

    def collate(self, items, generator=None):
        clean, noise = (torch.stack(column) for column in zip(*items, strict=True))
        if generator is not None:
            noise = NOISE * torch.randn(noise.shape, generator=generator)
        return Batch(inputs={"row": clean + noise}, targets={"row": clean})

    def loss(self, outputs, batch):
        return Loss({"row": Part((outputs.values - batch.targets["row"]).square().sum())})

    def predict(self, model, batch):
        return [*model(batch).values]

    def quality(self, prediction, example):
        return -(prediction - example).square().mean().item()

    def records(self, example, prediction):
        return [{"row": prediction.tolist()}]


class Unranked(Denoise):
    """No metric ranks, so that the validation loss selects the best weights."""

    ranks_by = None


class NoiseOfTheBatch(Denoise):
    """The fault that the law finds: an answer depends on its place in the batch."""

    def collate(self, items, generator=None):
        return super().collate(items, generator or torch.Generator().manual_seed(0))


def curve(count):
    angle = torch.linspace(0, 2 * torch.pi, count)[:, None]
    return [*torch.cat([f(k * angle) for k in (1, 2, 3) for f in (torch.sin, torch.cos)], -1)]


HOW = {"learning_rate": 1e-2, "batch_size": 16}
start = starter(Denoise(), Perceptron, curve(200), curve(41), budget="20epochs", **HOW)


def test_toy(tmp_path):
    check(start, tmp_path, least=-0.5 * NOISE**2)  # half of the noise is removed


def test_an_answer_does_not_depend_on_the_batch_it_is_in():
    network = Network(start().model, Made(make=Perceptron))
    kept, lost = (
        same_answer_in_any_batch(Predictor("toy", "toy", task, network), curve(20))
        for task in (Denoise(), NoiseOfTheBatch())
    )
    assert kept.holds
    assert not lost.holds
    assert "backwards" in lost.measure
    assert "alone" in lost.measure


def test_the_validation_loss_selects_where_no_metric_ranks():
    training = starter(Unranked(), Perceptron, curve(200), curve(41), budget="20epochs", **HOW)()
    for _ in fit(training):
        pass
    losses = [point["scores"]["loss"] for point in training.state.history]
    assert training.state.best == -min(losses)
    training.restore_best()
    training.model.train()
    found = validation_loss(training.task, training.model, training.valid_items)
    assert found.value == pytest.approx(min(losses))
    assert training.model.training
    predictions = predict(training.task, training.model, training.valid)
    squares = [(p - e).square().sum() for p, e in zip(predictions, training.valid, strict=True)]
    assert found.value == pytest.approx(torch.stack(squares).mean().item())

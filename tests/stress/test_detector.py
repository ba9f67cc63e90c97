"""A detector without labels: nothing ranks, the loss selects, a threshold keeps a promise."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from ensuite.core.backbone import Backbone
from ensuite.core.batch import Batch, Row, States
from ensuite.core.loss import Loss, Part
from ensuite.core.score import Score
from ensuite.core.split import Keys, Split
from ensuite.training.evaluate import predict
from stress.harness import SummaryHead, Toy, check, starter

FEATURES = 6


class Reading(NamedTuple):
    row: tuple[float, ...]
    anomaly: bool = False


class Answer(NamedTuple):
    distance: float
    alarm: bool


class Net(Backbone):
    """An autoencoder's encoder: two numbers, with a little dropout after them."""

    width = 16

    def __init__(self, inputs):
        super().__init__()
        code = [nn.Linear(FEATURES, 2), nn.Linear(2, 16), nn.Tanh(), nn.Dropout(0.02)]
        self.layer = nn.Sequential(*code)

    def forward(self, batch):
        return States(self.layer(batch.inputs["row"]))


@dataclass(frozen=True, kw_only=True)
class Detect(Toy):
    """An example: a row of numbers, that may be marked as an anomaly: then it is only scored."""

    false_alarms: float = 0.1
    threshold: float = float("inf")

    inputs = {"row": Row(FEATURES)}
    ranks_by = None
    calibration_share = 0.3

    def keys(self, example):
        return Keys(example.row, learn=not example.anomaly)

    def head(self, backbone):
        return SummaryHead(backbone.width, FEATURES)

    def collate(self, items, generator=None):
        row = torch.tensor([item.row for item in items], dtype=torch.float32)
        return Batch(inputs={"row": row}, targets={"row": row}, counts={"row": row.numel()})

    def loss(self, outputs, batch):
        return Loss({"row": Part((outputs.values - batch.targets["row"]).square().sum())})

    def predict(self, model, batch):
        distances = (model(batch).values - batch.inputs["row"]).square().mean(1).sqrt()
        return [Answer(each, each > self.threshold) for each in distances.tolist()]

    def calibrate(self, predictions, held_out):
        """Choose the threshold that so many new normal rows exceed (split conformal)."""
        distances = np.sort([each.distance for each in predictions])
        place = int(np.ceil((len(distances) + 1) * (1 - self.false_alarms))) - 1
        return replace(self, threshold=float(distances[min(place, len(distances) - 1)]))

    def score(self, predictions, examples):
        near = [1 - each.distance for each in predictions]
        return {"quality": Score.mean(near, np.ones(len(near)))}


def readings(count, seed):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(count, 2)) @ np.random.default_rng(0).normal(size=(2, FEATURES)) / 2
    return [Reading(tuple(row)) for row in rows + random.normal(0, 0.02, (count, FEATURES))]


ODD = [Reading(tuple(row), True) for row in np.random.default_rng(1).normal(0, 2, (40, FEATURES))]
TASK = Detect()
PARTS, _ = TASK.divide({"train": [*readings(600, 2), *ODD]}, Split())
start = starter(TASK, Net, PARTS["train"], PARTS["valid"], budget="25epochs", learning_rate=1e-2)


def test_toy(tmp_path):
    whole = check(start, tmp_path, least=0.75)
    assert not any(
        each.anomaly for part in ("train", "valid", "calibration") for each in PARTS[part]
    )
    assert sum(each.anomaly for each in PARTS["test"]) == len(ODD)
    held_out = PARTS["calibration"]
    task = TASK.calibrate(predict(TASK, whole.model, held_out), held_out)
    alarms = np.mean([each.alarm for each in predict(task, whole.model, readings(2000, 3))])
    error = 3 * (0.1 * 0.9 / len(held_out)) ** 0.5  # the threshold's own, of so many held-out rows
    assert abs(alarms - task.false_alarms) < error
    assert np.mean([each.alarm for each in predict(task, whole.model, ODD)]) > 0.9

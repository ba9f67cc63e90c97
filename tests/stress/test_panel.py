"""A panel split by date: windows look back over a border, targets stay within; one baseline."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from ensuite.core.backbone import Backbone
from ensuite.core.baseline import Baseline
from ensuite.core.batch import Batch, Row, States
from ensuite.core.loss import Loss, Part
from ensuite.core.score import Score
from ensuite.core.split import Keys, Split
from ensuite.training.evaluate import predict
from stress.harness import SummaryHead, Toy, check, starter

LOOK_BACK, HORIZON, DAYS = 6, 2, 120
START = datetime(2025, 1, 1, tzinfo=UTC)
PANEL = np.sin(np.arange(DAYS) * 0.9 + np.arange(4)[:, None]) + np.arange(4)[:, None]


class Net(Backbone):
    width = 32

    def __init__(self, inputs):
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(LOOK_BACK, 32), nn.Tanh(), nn.Dropout(0.05))

    def forward(self, batch):
        return States(self.layer(batch.inputs["row"]))


class Window(NamedTuple):
    series: int
    origin: int


class Forecast(Toy):
    """An example: the days after an origin, to be forecast from those before it."""

    inputs = {"row": Row(LOOK_BACK)}

    def keys(self, example):
        return Keys(example, time=START + timedelta(days=example.origin))

    def divide(self, parts, how):
        ends = [*((each - START).days for each in how.dates), DAYS]
        starts, names = [LOOK_BACK, *ends[:2]], ("train", "valid", "test")
        return {
            name: [w for w in parts["train"] if start <= w.origin <= end - HORIZON]
            for name, start, end in zip(names, starts, ends, strict=True)
        }, "by date"

    def values(self, windows, first, last):
        """Return the days from ``first`` to ``last``, counted from each origin."""
        return np.stack([PANEL[w.series, w.origin + first : w.origin + last] for w in windows])

    def head(self, backbone):
        return SummaryHead(backbone.width, HORIZON)

    def collate(self, items, generator=None):
        last = self.values(items, -1, 0)
        row = self.values(items, -LOOK_BACK, 0) - last
        target = self.values(items, 0, HORIZON) - last
        return Batch(
            inputs={"row": torch.tensor(row, dtype=torch.float32)},
            targets={"value": torch.tensor(target, dtype=torch.float32)},
            counts={"value": target.size},
        )

    def loss(self, outputs, batch):
        return Loss({"value": Part((outputs.values - batch.targets["value"]).square().sum())})

    def predict(self, model, batch):
        return list(model(batch).values.double().numpy())

    def merge(self, examples, items, pieces):
        return list(np.stack(pieces) + self.values(items, -1, 0))

    def score(self, predictions, examples):
        errors = np.abs(np.stack(predictions) - self.values(examples, 0, HORIZON)).mean(1)
        return {"quality": Score.mean(1 - errors, np.ones(len(errors)))}

    def blocks(self, examples):
        return [example.origin // HORIZON for example in examples]


@dataclass(frozen=True, eq=False)
class LastValue(Baseline):
    name = "last value"
    parameters = 0

    @classmethod
    def fits(cls, task):
        return True

    @classmethod
    def fit(cls, task, train, valid, seed):
        return cls()

    def predict(self, task, examples):
        return list(np.repeat(task.values(examples, -1, 0), HORIZON, axis=1))


TASK = Forecast()
ALL = [Window(series, origin) for series in range(4) for origin in range(LOOK_BACK, DAYS - 1)]
PARTS, _ = TASK.divide({"train": ALL}, Split.parse("time:2025-03-22,2025-04-11"))
start = starter(TASK, Net, PARTS["train"], PARTS["valid"], budget="20epochs", learning_rate=1e-2)


def test_toy(tmp_path):
    whole = check(start, tmp_path, least=0.8)
    assert min(window.origin for window in PARTS["valid"]) == 80  # its look-back lies in training
    assert max(window.origin for window in PARTS["train"]) + HORIZON == 80
    baseline = LastValue.fit(TASK, PARTS["train"], PARTS["valid"], 0)
    theirs = TASK.score(baseline.predict(TASK, PARTS["test"]), PARTS["test"])["quality"].value
    ours = TASK.score(predict(TASK, whole.model, PARTS["test"]), PARTS["test"])["quality"].value
    assert ours > theirs

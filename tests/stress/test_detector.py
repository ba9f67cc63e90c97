"""A detector that sees no anomaly in training and keeps a promise on false alarms."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch

from ensuite import catalog
from ensuite.api import compare_models
from ensuite.core.baseline import Baseline, Variant
from ensuite.core.batch import Batch, Row
from ensuite.core.display import Display
from ensuite.core.keys import Keys
from ensuite.core.loss import Loss, Part
from ensuite.core.registry import Row as Choice
from ensuite.core.score import Score
from ensuite.core.task import Task
from ensuite.data import columns
from ensuite.predictor import Predictor
from stress.harness import SummaryHead

FEATURES = ("a", "b", "c", "d")
PROMISE = 0.05  # share of normal rows that may raise an alarm


class Reading(NamedTuple):
    values: tuple[float, ...]
    anomalous: bool | None = None


class Verdict(NamedTuple):
    alarm: bool
    error: float


@dataclass(frozen=True, kw_only=True)
class Detect(Task[Reading, Reading, Verdict]):
    threshold: float = field(default=np.inf, metadata={"learned": True})

    inputs = {"row": Row(len(FEATURES))}
    roles = ("anomalous",)
    calibration_share = 0.25
    ranks_by = None  # the rows to learn from have no anomaly, and others may have no label

    def read(self, table, given, *, asking=False):
        values = zip(*(columns.numbers(table, name).tolist() for name in FEATURES), strict=True)
        label = columns.find(table, "anomalous", ("anomalous",), given)
        labels = table.columns[label] if label else [None] * table.rows
        return self, [Reading(*pair) for pair in zip(values, labels, strict=True)]

    def keys(self, example):
        return Keys(example.values, learn=not example.anomalous)

    def collate(self, items, generator=None):
        row = torch.tensor([item.values for item in items])
        return Batch(inputs={"row": row}, targets={"row": row}, counts={"row": len(items)})

    def head(self, backbone):
        return SummaryHead(backbone.width, len(FEATURES))

    def loss(self, outputs, batch):
        return Loss({"row": Part((outputs.values - batch.targets["row"]).square().sum())})

    def predict(self, model, batch):
        errors = (model(batch).values - batch.inputs["row"]).square().sum(-1)
        return self.verdicts(errors.tolist())

    def verdicts(self, errors):
        return [Verdict(error > self.threshold, error) for error in errors]

    def calibrate(self, predictions, held_out):
        errors = [verdict.error for verdict in predictions]
        return replace(self, threshold=float(np.quantile(errors, 1 - PROMISE, method="higher")))

    def score(self, predictions, examples):
        alarms = [verdict.alarm for verdict in predictions]
        bad, good = (
            [example.anomalous is wanted for example in examples] for wanted in (True, False)
        )
        share = Display(points=100)
        return {
            "recall": Score.mean(alarms, bad, display=share),
            "false_alarm_rate": Score.mean(alarms, good, higher_is_better=False, display=share),
        }


@dataclass(frozen=True, eq=False)
class Principal(Baseline):
    """The distance to as many principal components as a network beside it is wide."""

    components: np.ndarray
    mean: np.ndarray

    name = "PCA"

    @classmethod
    def fits(cls, task):
        return True

    @classmethod
    def variants(cls, task, options):
        sizes = sorted({each.width for each in options})
        return [Variant(name=f"PCA {n}", method=cls, settings={"size": n}) for n in sizes]

    @classmethod
    def fit(cls, task, train, valid, seed, *, size=1):
        rows = np.array(task.raws(train))
        return cls(np.linalg.svd(rows - rows.mean(0))[2][:size], rows.mean(0))

    def predict(self, task, examples):
        rows = np.array(task.raws(examples)) - self.mean
        left = rows - rows @ self.components.T @ self.components
        return task.verdicts(np.square(left).sum(1).tolist())

    @property
    def parameters(self):
        return self.components.size + self.mean.size


def rows(normal, anomalous):
    random = np.random.default_rng(normal)
    plane = random.normal(size=(2, len(FEATURES)))
    values = random.normal(size=(normal, 2)) @ plane + random.normal(0, 0.05, (normal, 4))
    odd = random.normal(0, 3, (anomalous, 4))
    labelled = [(row, False) for row in values] + [(row, True) for row in odd]
    return [dict(zip(FEATURES, row, strict=True), anomalous=label) for row, label in labelled]


def test_it_learns_from_normal_rows_and_keeps_its_promise(tmp_path, monkeypatch):
    row = Choice(
        target=f"{__name__}:Detect",
        caption="a detector",
        reads=("row",),
        baselines=(f"{__name__}:Principal",),
    )
    monkeypatch.setitem(catalog.tasks.rows, "alarm", row)
    comparison, problem = compare_models(
        "alarm", rows(1200, 40), models=["mlp:width=2", "mlp:width=3"], seeds=1,
        budget="200steps", out=tmp_path / "out",
    )  # fmt: skip
    assert not any(
        e.anomalous for name in problem.parts if name != "test" for e in problem.parts[name]
    )
    assert sum(bool(e.anomalous) for e in problem.parts["test"]) == 40
    assert len(problem.parts["calibration"]) == 240
    board = {row.name: row for row in comparison.leaderboard.rows}
    assert board.keys() == {"mlp width=2", "mlp width=3", "PCA 2", "PCA 3"}
    assert comparison.leaderboard.winner is None
    for each in board.values():
        assert each.metrics["false_alarm_rate"] <= 2.2 * PROMISE  # of 120 rows
    assert board["PCA 2"].metrics["recall"] >= 0.9
    (trial,) = comparison.trials["mlp width=2"]
    losses = [point["scores"]["loss"] for point in trial.history]
    assert losses[-1] < losses[0]
    predictor = Predictor.load(trial.folder)
    assert predictor.task.threshold == trial.predictor.task.threshold < np.inf
    (verdict,) = predictor.predict_examples([Reading((9.0, -9.0, 9.0, 9.0))])
    assert verdict.alarm

"""A forecast of a panel: split by date, looking back over the border, beside one baseline."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import torch

from ensuite import catalog
from ensuite.api import compare_models
from ensuite.core.baseline import Baseline
from ensuite.core.batch import Batch, Row
from ensuite.core.display import Display
from ensuite.core.errors import UsageError
from ensuite.core.keys import Keys
from ensuite.core.loss import Loss, Part
from ensuite.core.registry import Row as Choice
from ensuite.core.score import Score
from ensuite.core.split import number
from ensuite.core.task import Task
from ensuite.data import columns
from ensuite.predictor import Predictor
from ensuite.problem import open_problem
from stress.harness import SummaryHead

LOOK_BACK = 12
SPLIT = "time:2025-01-01,2025-07-01"


class Month(NamedTuple):
    """A value to forecast from those of the twelve months before it."""

    past: tuple[float, ...]
    value: float | None
    series: str
    date: str


class Forecast(NamedTuple):
    value: float


@dataclass(frozen=True, kw_only=True)
class Panel(Task[Month, Month, Forecast]):
    inputs = {"row": Row(LOOK_BACK)}
    roles = ("series", "time", "value")

    def read(self, table, given, *, asking=False):
        named = [table.columns[columns.require(table, role, (role,), given)] for role in self.roles]
        return self, look_back([Month((), v, s, d) for s, d, v in zip(*named, strict=True)])

    def keys(self, example):
        known = len(example.past) == LOOK_BACK
        return Keys((example.series, example.date), time=example.date, learn=known)

    def divide(self, parts, how):
        if not how.dates:
            raise UsageError("--split: a forecast is divided by time:DATE,DATE.")
        every = {m[2:]: m for m in look_back([m for part in parts.values() for m in part])}
        joined = {name: [every[m[2:]] for m in part] for name, part in parts.items()}
        return super().divide(joined, how)

    def collate(self, items, generator=None):
        values = torch.tensor([[np.nan if m.value is None else m.value] for m in items])
        inputs = {"row": torch.tensor([m.past for m in items])}
        return Batch(inputs=inputs, targets={"value": values}, counts={"value": len(items)})

    def head(self, backbone):
        return SummaryHead(backbone.width, 1)

    def loss(self, outputs, batch):
        return Loss({"value": Part((outputs.values - batch.targets["value"]).square().sum())})

    def predict(self, model, batch):
        return [Forecast(value) for value in model(batch).values[:, 0].tolist()]

    def score(self, predictions, examples):
        errors = [abs(p.value - e.value) for p, e in zip(predictions, examples, strict=True)]
        shown = Display(name="MAE")
        return {
            "mae": Score.mean(errors, np.ones(len(errors)), higher_is_better=False, display=shown)
        }

    def blocks(self, examples):
        return number([month.series for month in examples]).tolist()

    def records(self, example, prediction):
        return [{"series": example.series, "date": example.date, "value": prediction.value}]


def look_back(months):
    """Give each month the values of its series before it."""
    known, filled = {}, {}
    for month in sorted(months, key=lambda month: month.date):
        before = known.setdefault(month.series, [])
        filled[month[2:]] = month._replace(past=tuple(before[-LOOK_BACK:]))
        before.append(month.value)
    return [filled[month[2:]] for month in months]


@dataclass(frozen=True, eq=False)
class SeasonalNaive(Baseline):
    name = "seasonal naive"
    parameters = 0

    @classmethod
    def fits(cls, task):
        return True

    @classmethod
    def fit(cls, task, train, valid, seed):
        return cls()

    def predict(self, task, examples):
        return [Forecast(month.past[-LOOK_BACK]) for month in examples]


def rows(years):
    """Return three series with a season and a trend, their rows in no order of time."""
    months = [f"{year}-{month:02d}-01" for year in years for month in range(1, 13)]
    made = [
        {"series": name, "time": date, "value": float(np.sin(n * np.pi / 6 + shift) + 0.02 * n)}
        for shift, name in enumerate("abc")
        for n, date in enumerate(months, 12 * (years[0] - 2022))
    ]
    return [made[place] for place in np.random.default_rng(0).permutation(len(made))]


@pytest.fixture(autouse=True)
def panel(monkeypatch):
    row = Choice(
        target=f"{__name__}:Panel",
        caption="a panel",
        reads=("row",),
        baselines=(f"{__name__}:SeasonalNaive",),
    )
    monkeypatch.setitem(catalog.tasks.rows, "panel", row)


def test_parts_are_months_and_look_back_over_the_border():
    problem = open_problem("panel", rows(range(2022, 2026)), how=SPLIT)
    train, valid, test = problem.parts.values()
    assert {m.date[:7] for m in train} == {
        f"{y}-{m:02d}" for y in (2023, 2024) for m in range(1, 13)
    }
    assert {m.date[:7] for m in valid} == {f"2025-{m:02d}" for m in range(1, 7)}
    assert {m.date[:7] for m in test} == {f"2025-{m:02d}" for m in range(7, 13)}
    assert all(len(m.past) == LOOK_BACK for part in (train, valid, test) for m in part)
    assert "36 left out" in problem.findings[-1].sentence  # of 2022: nothing lies before it
    with pytest.raises(UsageError, match="divided by time:DATE,DATE"):
        open_problem("panel", rows(range(2022, 2026)))


def test_a_file_of_test_rows_continues_the_series():
    whole = open_problem("panel", rows(range(2022, 2026)), how=SPLIT)
    later = [row for row in rows(range(2022, 2026)) if row["time"] >= "2025-07"]
    earlier = [row for row in rows(range(2022, 2026)) if row["time"] < "2025-07"]
    given = open_problem("panel", earlier, test=later, how=SPLIT)
    assert sorted(given.parts["test"]) == sorted(whole.parts["test"])
    assert sorted(given.parts["train"]) == sorted(whole.parts["train"])


def test_it_is_compared_saved_and_asked(tmp_path):
    how = {"seeds": 1, "budget": "300steps", "out": tmp_path / "out"}
    comparison, problem = compare_models(
        "panel", rows(range(2022, 2026)), models=["mlp:width=16"], split=SPLIT, **how
    )
    scores = {row.name: row.score for row in comparison.leaderboard.rows}
    assert comparison.leaderboard.winner == "mlp"
    assert scores["mlp"] < scores["seasonal naive"] == pytest.approx(0.24)
    predictor = Predictor.load(tmp_path / "out")
    asked = [month._replace(value=None) for month in problem.parts["test"]]
    answers = predictor.predict_examples(asked)
    assert predictor.task.records(asked[0], answers[0])[0]["date"] == asked[0].date

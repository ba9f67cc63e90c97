"""The smallest task with a real loss: rows on a line, whose score can follow a script."""

from dataclasses import dataclass, field
from math import nan
from typing import Any

import torch
from torch import nn

from ensuite.core.backbone import Backbone
from ensuite.core.batch import Batch, Row, States
from ensuite.core.loss import Loss, Part
from ensuite.core.recipe import Recipe
from ensuite.core.score import Score
from ensuite.training.budget import Budget
from ensuite.training.training import Training
from stress.harness import Made, SummaryHead, Toy

FEATURES = 3


class Pass(Backbone):
    """A layer with dropout, so that the random numbers of training count."""

    width = 4

    def __init__(self, inputs: Any, dropout: float = 0.1) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(FEATURES, self.width), nn.Dropout(dropout))

    def forward(self, batch: Batch) -> States:
        return States(self.layer(batch.inputs["row"]))


def exact(inputs: Any) -> Pass:
    return Pass(inputs, dropout=0.0)


@dataclass(frozen=True, kw_only=True)
class Line(Toy):
    """An example: a row and its target, NaN where there is none to learn."""

    script: list[float] = field(default_factory=list)  # scores to come, instead of the true ones
    higher_is_better: bool = True
    seen: list[Batch] = field(default_factory=list)

    inputs = {"row": Row(FEATURES)}

    def head(self, backbone: Backbone) -> nn.Module:
        return SummaryHead(backbone.width, 1)

    def collate(self, items: Any, generator: Any = None) -> Batch:
        rows, targets = (torch.tensor(column) for column in zip(*items, strict=True))
        counts = {"target": int(targets.isfinite().sum())}
        return Batch(inputs={"row": rows}, targets={"target": targets}, counts=counts)

    def loss(self, outputs: Any, batch: Batch) -> Loss:
        self.seen.append(batch)
        targets = batch.targets["target"]
        errors = (outputs.values[:, 0] - targets.nan_to_num()).square()
        return Loss({"target": Part((errors * targets.isfinite()).sum())})

    def predict(self, model: Any, batch: Batch) -> list[Any]:
        return model(batch).values[:, 0].tolist()

    def score(self, predictions: Any, examples: Any) -> dict[str, Score]:
        if self.script:
            return {"quality": scored(self.script.pop(0), self.higher_is_better)}
        errors = [
            -((p - target) ** 2) for p, (_, target) in zip(predictions, examples, strict=True)
        ]
        return {"quality": Score.mean(errors, [True] * len(errors)), "constant": scored(1.0)}


class InOrder(Line):
    """The same, its rows never shuffled, so that sizes of batches can be compared."""

    def order(self, items: Any, size: int, epoch: int = 0, seed: int | None = None) -> Any:
        return [[*range(i, min(i + size, len(items)))] for i in range(0, len(items), size)]


def scored(value: float, higher_is_better: bool = True) -> Score:
    return Score.mean([value], [value == value], higher_is_better=higher_is_better)


def examples(count: int = 20, *, without: int = 0) -> list[tuple[list[float], float]]:
    """Return rows of which the first ``without`` have no target."""
    rows = torch.randn(count, FEATURES, generator=torch.Generator().manual_seed(count)).tolist()
    return [(row, nan if i < without else sum(row)) for i, row in enumerate(rows)]


def start(
    task: Toy | None = None, make: Any = Pass, *, budget: Any = "12steps", data: Any = None,
    seed: int = 0, metric: str | None = None, valid: Any = None, **recipe: Any,
) -> Training:  # fmt: skip
    """Begin to train on 20 rows, five batches an epoch; one row may be evaluated every update."""
    budget = Budget.parse(budget) if isinstance(budget, str) else budget
    recipe = Recipe(**{"batch_size": 4, "learning_rate": 0.01, **recipe})
    data, valid = data or examples(), valid or examples(1)
    options, how = Made(make=make), {"budget": budget, "seed": seed, "metric": metric}
    return Training.start(task or Line(), options, data, valid, recipe=recipe, **how)

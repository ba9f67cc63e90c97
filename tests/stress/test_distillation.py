"""Distillation: a student learns from a teacher's outputs, and knows no label."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from stress.harness import Toy, check, cut, starter
from torch import Tensor, nn
from torch.nn.functional import kl_div

from ensuite.core.backbone import Backbone
from ensuite.core.batch import Batch, Loss, Outputs, Part, Row, States
from ensuite.core.files import read_tensors
from ensuite.core.task import Model
from ensuite.training.training import checkpoints

FEATURES = 4


class Perceptron(Backbone):
    width = 16

    def __init__(self, inputs):
        super().__init__()
        layers = nn.Linear(FEATURES, self.width), nn.ReLU(), nn.Dropout(0.1)
        self.layers = nn.Sequential(*layers)

    def forward(self, batch):
        return States(self.layers(batch.inputs["row"]))


class Rule(Backbone):
    """The teacher: the first features against the last."""

    width = 2

    def __init__(self, inputs):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[3.0, 0.0]] * 2 + [[0.0, 3.0]] * 2))

    def forward(self, batch):
        return States(batch.inputs["row"] @ self.weight)


class Head(nn.Linear):
    def forward(self, states, batch):
        return super().forward(states.summary)


class Identity(nn.Module):
    def forward(self, states, batch):
        return states.summary


class Taught(NamedTuple):
    student: Tensor  # (batch, label)
    teacher: Tensor


@dataclass(frozen=True, kw_only=True)
class Distil(Toy):
    teacher: Model

    inputs = {"row": Row(FEATURES)}

    def head(self, backbone):
        return Head(backbone.width, 2)

    def collate(self, items, generator=None):
        return Batch(inputs={"row": torch.stack(items)})

    def forward(self, model, batch):
        outputs = model(batch)
        with torch.no_grad():
            teacher = self.teacher(batch).values
        return Outputs(Taught(outputs.values, teacher), outputs.states)

    def loss(self, outputs, batch):
        student, teacher = (values.log_softmax(-1) for values in outputs.values)
        return Loss({"taught": Part(kl_div(student, teacher, reduction="sum", log_target=True))})

    def predict(self, model, batch):
        return model(batch).values.argmax(-1).tolist()

    def quality(self, prediction, example):
        return float(prediction == (example[2:].sum() > example[:2].sum()))


def points(count):
    return [*torch.randn(count, FEATURES, generator=torch.Generator().manual_seed(count))]


teacher = Model(Rule({}), Identity()).eval()
HOW = {"learning_rate": 1e-2, "optimizer": "sgd"}
start = starter(
    Distil(teacher=teacher), Perceptron, points(300), points(60), budget="95steps", **HOW
)


def test_toy(tmp_path):
    check(start, tmp_path, least=0.9)


def test_the_teacher_is_neither_trained_nor_saved(tmp_path):
    before = teacher.backbone.weight.clone()
    training = cut(start, tmp_path, updates=20)
    assert teacher.backbone.weight.equal(before)
    assert teacher.backbone.weight.grad is None
    (checkpoint,) = checkpoints(tmp_path)
    saved = read_tensors(checkpoint / "state.safetensors")
    names = {name.removeprefix("model.") for name in saved if name.startswith("model.")}
    assert names == training.model.state_dict().keys()

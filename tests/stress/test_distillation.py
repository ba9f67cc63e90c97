"""Distillation: a student learns from a teacher's outputs, and knows no label."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import kl_div

from ensuite.core.backbone import Backbone
from ensuite.core.batch import Batch, Outputs, Row, States
from ensuite.core.files import read_tensors
from ensuite.core.loss import Loss, Part
from ensuite.core.model import Model
from ensuite.training.training import checkpoints
from stress.harness import SummaryHead, Toy, check, cut, starter

FEATURES = 4


class Perceptron(Backbone):
    width = 32

    def __init__(self, inputs):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(FEATURES, 32), nn.ReLU(), nn.Dropout(0.1))

    def forward(self, batch):
        return States(self.layers(batch.inputs["row"]))


@dataclass(frozen=True, kw_only=True)
class Distil(Toy):
    teacher: Model

    inputs = {"row": Row(FEATURES)}

    def head(self, backbone):
        return SummaryHead(backbone.width, 3)

    def collate(self, items, generator=None):
        return Batch(inputs={"row": torch.stack(items)})

    def forward(self, model, batch):
        values, states = model(batch)
        with torch.no_grad():
            return Outputs((values, self.teacher(batch).values), states)

    def loss(self, outputs, batch):
        student, teacher = (values.log_softmax(-1) for values in outputs.values)
        return Loss({"taught": Part(kl_div(student, teacher, reduction="sum", log_target=True))})

    def predict(self, model, batch):
        return model(batch).values.argmax(-1).tolist()

    def quality(self, prediction, example):
        return float([prediction] == self.predict(self.teacher, self.collate([example])))


def teacher():
    torch.manual_seed(5)
    model = Model(Perceptron({}), SummaryHead(Perceptron.width, 3)).eval()
    nn.init.normal_(model.head.weight)  # sure of most rows
    return model


def points(count):
    return [*torch.randn(count, FEATURES, generator=torch.Generator().manual_seed(count))]


TASK, HOW = Distil(teacher=teacher()), {"learning_rate": 0.1, "optimizer": "sgd"}
start = starter(TASK, Perceptron, points(300), points(60), budget="95steps", **HOW)


def test_toy(tmp_path):
    check(start, tmp_path, least=0.9)


def test_the_teacher_is_neither_trained_nor_saved(tmp_path):
    training = cut(start, tmp_path, updates=20)
    torch.testing.assert_close(TASK.teacher.state_dict(), teacher().state_dict(), rtol=0, atol=0)
    (checkpoint,) = checkpoints(tmp_path)
    saved = read_tensors(checkpoint / "state.safetensors")
    names = {name.removeprefix("model.") for name in saved if name.startswith("model.")}
    assert names == training.model.state_dict().keys()

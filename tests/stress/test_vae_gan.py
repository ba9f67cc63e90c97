"""A VAE-GAN: a penalty from the backbone, and two sides that learn in one backward pass."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import binary_cross_entropy_with_logits as binary

from ensuite.core.backbone import Backbone, Codes
from ensuite.core.batch import Batch, Row, States, sum_counts
from ensuite.core.loss import Loss, Part
from stress.harness import Toy, check, starter

FEATURES, CODE, WIDTH = 6, 2, 32


class Autoencoder(Backbone):
    width, field = FEATURES, "row"

    def __init__(self, inputs):
        super().__init__()
        self.read = nn.Sequential(nn.Linear(FEATURES, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 2 * CODE))
        self.write = nn.Sequential(nn.Linear(CODE, WIDTH), nn.Tanh(), nn.Linear(WIDTH, FEATURES))

    def encode(self, batch):
        return self.read(batch.inputs["row"])[:, :CODE]

    def decode(self, code, batch):
        return self.write(code)

    def forward(self, batch):
        mean, spread = self.read(batch.inputs["row"]).chunk(2, -1)
        noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
        code = mean + noise * (spread / 2).exp()
        divergence = (mean.square() + spread.exp() - spread - 1).sum(-1) / 2
        penalties = {"divergence": 0.01 * divergence}
        return States(self.decode(code, batch), code=code, penalties=penalties)


class Values(NamedTuple):
    made: Tensor  # (batch, features)
    real: Tensor  # (batch, 1), how real the critic finds the rows,
    fake: Tensor  # the made ones, for the critic to learn from,
    fooled: Tensor  # and the made ones, for the maker to learn from


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.critic = nn.Sequential(nn.Linear(FEATURES, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))

    def forward(self, states, batch):
        made, fixed = states.summary, dict(self.critic.named_parameters())
        fixed = {name: parameter.detach() for name, parameter in fixed.items()}
        judged = self.critic(batch.inputs["row"]), self.critic(made.detach())
        return Values(made, *judged, functional_call(self.critic, fixed, (made,)))


class Reconstruct(Toy):
    inputs = {"row": Row(FEATURES)}

    def head(self, backbone):
        return Head()

    def collate(self, items, generator=None):
        return Batch(inputs={"row": torch.stack(items)}, counts={"critic": 2 * len(items)})

    def loss(self, outputs, batch):
        made, real, fake, fooled = outputs.values
        yes, no = torch.ones_like(real), torch.zeros_like(real)
        critic = binary(real, yes, reduction="sum") + binary(fake, no, reduction="sum")
        parts = {
            "made": Part((made - batch.inputs["row"]).square().sum()),
            "fooled": Part(binary(fooled, yes, reduction="sum"), weight=0.1),
            "critic": Part(critic),
        }
        return Loss(parts)

    def predict(self, model, batch):
        return [*model(batch).values.made]

    def quality(self, prediction, example):
        return -(prediction - example).square().sum().item()


def curve(count):
    angle = torch.linspace(0, 2 * torch.pi, count)[:, None]
    return [*torch.cat([f(k * angle) for k in (1, 2, 3) for f in (torch.sin, torch.cos)], -1)]


HOW = {"learning_rate": 1e-2, "batch_size": 16}
start = starter(Reconstruct(), Autoencoder, curve(200), curve(41), budget="20epochs", **HOW)


def test_toy(tmp_path):
    check(start, tmp_path, least=-0.5)


def test_each_side_gets_its_own_gradient_and_nothing_else():
    training = start()
    model, task, batch = training.model, training.task, training.task.collate(curve(8))
    critic = [*model.head.critic.parameters()]
    maker = [*model.backbone.parameters()]

    def loss():
        torch.manual_seed(1)  # the noise of the code is the same each time
        outputs = model(batch)
        loss = task.loss(outputs, batch).with_penalties(outputs.states.penalties)
        return loss / sum_counts([batch]), outputs.values.made

    loss()[0].value.backward()
    (parts, made), (alone, _) = loss(), loss()
    fooled = binary(model.head.critic(made), torch.ones(8, 1))  # the critic itself, not a copy
    others = parts.parts["made"].total + parts.parts["divergence"].total
    expected = torch.autograd.grad(others + 0.1 * fooled, maker)
    torch.testing.assert_close([p.grad for p in maker], [*expected])
    expected = torch.autograd.grad(alone.parts["critic"].total, critic)
    torch.testing.assert_close([p.grad for p in critic], [*expected])


def test_codes():
    training = start()
    backbone, batch = training.model.backbone.eval(), training.task.collate(curve(5))
    assert isinstance(backbone, Codes)
    decoded = backbone.decode(backbone.encode(batch), batch)
    torch.testing.assert_close(decoded, backbone(batch).summary)

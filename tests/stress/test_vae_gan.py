"""A VAE-GAN: a penalty of the backbone's, and two sides that learn in one backward pass."""

from typing import NamedTuple

import torch
from stress.harness import Toy, check, starter
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import binary_cross_entropy_with_logits

from ensuite.core.backbone import Backbone, Codes
from ensuite.core.batch import Batch, Loss, Part, Row, States

FEATURES, CODE, WIDTH = 6, 2, 32


class Autoencoder(Backbone):
    width = WIDTH

    def __init__(self, inputs):
        super().__init__()
        self.read = nn.Sequential(nn.Linear(FEATURES, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 2 * CODE))
        self.write = nn.Sequential(nn.Linear(CODE, WIDTH), nn.Tanh())

    def encode(self, batch):
        return self.read(batch.inputs["row"]).chunk(2, -1)[0]

    def decode(self, code, inputs):
        return States(self.write(code), code=code)

    def forward(self, batch):
        mean, spread = self.read(batch.inputs["row"]).chunk(2, -1)
        noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
        divergence = (mean.square() + spread.exp() - spread - 1).sum() / 2
        states = self.decode(mean + noise * (spread / 2).exp(), batch.inputs)
        return states._replace(penalties={"divergence": 0.01 * divergence})


class Values(NamedTuple):
    made: Tensor  # (batch, features)
    real: Tensor  # (batch,), how real the critic finds the rows,
    fake: Tensor  # the made ones, to teach the critic,
    fooled: Tensor  # and the made ones, to teach who makes them


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.make = nn.Linear(WIDTH, FEATURES)
        self.critic = nn.Sequential(nn.Linear(FEATURES, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))

    def forward(self, states, batch):
        made, fixed = self.make(states.summary), dict(self.critic.named_parameters())
        fixed = {name: parameter.detach() for name, parameter in fixed.items()}
        judged = self.critic(batch.inputs["row"]), self.critic(made.detach())
        return Values(made, *judged, functional_call(self.critic, fixed, (made,)))


class Reconstruct(Toy):
    inputs = {"row": Row(FEATURES)}

    def head(self, backbone):
        return Head()

    def collate(self, items, generator=None):
        counts = {"critic": 2 * len(items)}  # the other parts count the rows
        return Batch(inputs={"row": torch.tensor(items)}, counts=counts)

    def loss(self, outputs, batch):
        ...

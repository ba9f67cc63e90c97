"""Multilayer perceptron: a row or picture of fixed size in, one state out, no memory."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import torch
from torch import nn

from ensuite.core.backbone import Backbone, BackboneOptions, Trait
from ensuite.core.batch import Batch, Image, Inputs, Kind, Row, States
from ensuite.core.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class MLPOptions(BackboneOptions):
    """Layers of weighted sums, each followed by a rectifier.

    Args:
        width: Size of each layer.
        layers: How many there are.
        dropout: Share of the states set to 0 while training (Srivastava et al. 2014).
    """

    width: int = 64
    layers: int = 2
    dropout: float = 0.1

    reads: ClassVar[frozenset[str]] = frozenset({"row", "image"})

    def __post_init__(self) -> None:
        if min(self.width, self.layers) < 1 or not 0 <= self.dropout < 1:
            raise ValueError("width and layers must be 1 or more, dropout from 0 to less than 1")

    @property
    def traits(self) -> frozenset[Trait]:
        return frozenset()

    def build(self, inputs: Inputs) -> "MLP":
        return MLP(self, inputs)

    def tiny(self) -> "MLPOptions":
        return replace(self, width=8, layers=1, dropout=0.0)

    def recipe(self) -> Recipe:
        return Recipe(learning_rate=3e-3)


class MLP(Backbone):
    """Read all the fields of a row at once, a picture as its pixels in a line."""

    def __init__(self, options: MLPOptions, inputs: Inputs) -> None:
        super().__init__()
        self.width, self.fields = options.width, tuple(inputs)
        sizes = [sum(size(kind) for kind in inputs.values())]
        sizes += [options.width] * options.layers
        blocks: list[nn.Module] = []
        for size_in, size_out in pairwise(sizes):
            blocks += [nn.Linear(size_in, size_out), nn.ReLU(), nn.Dropout(options.dropout)]
        self.layers = nn.Sequential(*blocks)

    def forward(self, batch: Batch) -> States:
        row = torch.cat([batch.inputs[name].flatten(1) for name in self.fields], dim=-1)
        return States(self.layers(row))

    def depth(self, name: str) -> int:
        """Return the number of the layer from 1 on; each has three modules, one with weights."""
        return 1 + int(name.split(".")[1]) // 3


def size(kind: Kind) -> int:
    """Return how many numbers a field has."""
    match kind:
        case Row():
            return kind.features
        case Image():
            return kind.channels * kind.height * kind.width
    raise TypeError(f"{kind} is of no fixed size")

"""Multilayer perceptron: a row, an image or a series of numbers as one vector of fixed size."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ensuite.core.backbone import Backbone, BackboneOptions, Trait
from ensuite.core.batch import Batch, Image, Inputs, Kind, Row, States, Values
from ensuite.core.errors import UsageError
from ensuite.core.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class MLPOptions(BackboneOptions):
    """A multilayer perceptron: linear layers, each followed by ReLU and dropout.

    An image is flattened to its pixels, a series to the numbers of its last ``steps`` steps. A
    shorter series is padded with zeros before its first step; since every feature is standardised
    on the training rows, 0 is its mean there.

    Args:
        width: Number of units of each layer.
        layers: Number of layers.
        steps: Number of steps of a series that are read, counted back from its last one; earlier
            steps are ignored. none: as many as the longest training series has.
        dropout: Dropout rate of the output of each layer (Srivastava et al. 2014).
    """

    width: int = 64
    layers: int = 2
    steps: int | None = None
    dropout: float = 0.1

    reads: ClassVar[frozenset[str]] = frozenset({"row", "image", "values"})

    def __post_init__(self) -> None:
        if min(self.width, self.layers) < 1 or not 0 <= self.dropout < 1:
            raise ValueError("width and layers must be 1 or more, dropout from 0 to less than 1")
        if self.steps is not None and self.steps < 1:
            raise ValueError("steps must be 1 or more, or none")

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
    """Flatten all fields of a row, concatenate them and apply the layers."""

    def __init__(self, options: MLPOptions, inputs: Inputs) -> None:
        super().__init__()
        self.width = options.width
        self.steps = {name: steps_of(kind, options.steps) for name, kind in inputs.items()}
        sizes = [sum(size(kind, self.steps[name]) for name, kind in inputs.items())]
        sizes += [options.width] * options.layers
        blocks: list[nn.Module] = []
        for size_in, size_out in pairwise(sizes):
            blocks += [nn.Linear(size_in, size_out), nn.ReLU(), nn.Dropout(options.dropout)]
        self.layers = nn.Sequential(*blocks)

    def forward(self, batch: Batch) -> States:
        fields = [
            flatten(batch.inputs[name], batch.mask, steps) for name, steps in self.steps.items()
        ]
        return States(self.layers(fields[0] if len(fields) == 1 else torch.cat(fields, dim=-1)))

    def depth(self, name: str) -> int:
        """Return the number of the layer from 1 on; each has three modules, one with weights."""
        return 1 + int(name.split(".")[1]) // 3


def steps_of(kind: Kind, steps: int | None) -> int | None:
    """Return how many steps of a field are read; None for a field without a time axis.

    Raises:
        UsageError: For series of unknown length, if ``steps`` is None.
    """
    if not isinstance(kind, Values):
        return None
    if steps is None and kind.steps is None:
        raise UsageError(
            "This model reads a fixed number of steps of each series, and the length of these "
            "series is not known: set the option steps of the model, for example to 24."
        )
    return steps or kind.steps


def size(kind: Kind, steps: int | None) -> int:
    """Return the number of values of one field of a row, of a series in that many steps.

    Raises:
        TypeError: For a kind of input that the mlp does not read.
    """
    match kind:
        case Row():
            return kind.features
        case Image():
            return kind.channels * kind.height * kind.width
        case Values() if steps is not None:
            return kind.features * steps
    raise TypeError(f"an mlp cannot read {kind}")


def flatten(
    field: Float[Tensor, "batch ..."], mask: Bool[Tensor, "batch time"] | None, steps: int | None
) -> Float[Tensor, "batch size"]:
    """Return one vector per row; of a series, its last ``steps`` steps."""
    return field.flatten(1) if steps is None else last_steps(field, mask, steps).flatten(1)


def last_steps(
    series: Float[Tensor, "batch time features"],
    mask: Bool[Tensor, "batch time"] | None,
    steps: int,
) -> Float[Tensor, "batch steps features"]:
    """Return the last real positions of each row, with zeros before the first one if it is shorter.

    Args:
        series: One vector per position.
        mask: True at real positions; padding may be anywhere. None: all positions are real.
        steps: How many positions to return.
    """
    if mask is not None:
        real, order = mask.sort(dim=1, stable=True)  # padding first, the order otherwise kept
        series = series.gather(1, order[..., None].expand_as(series))
        series = series.masked_fill(~real[..., None], 0.0)
    # a negative amount of padding cuts the earliest positions
    return F.pad(series, (0, 0, steps - series.shape[1], 0))

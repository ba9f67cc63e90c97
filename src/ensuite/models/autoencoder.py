"""Autoencoder: dense layers from a row, an image or a series to a short code, and back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ensuite.core.backbone import the_field
from ensuite.core.batch import Batch, Image, Inputs, Kind, Row
from ensuite.core.errors import UsageError
from ensuite.core.recipe import Recipe
from ensuite.models.codes import (
    ACTIVATIONS,
    Activation,
    CodeOptions,
    decoded_size,
    real_positions,
)
from ensuite.models.mlp import flatten, size, steps_of


@dataclass(frozen=True, kw_only=True)
class AutoencoderOptions(CodeOptions):
    """Dense layers to a code, and dense layers back from it, as many and as wide.

    A code that is smaller than the input (under-complete) has to leave something out. One that is
    not can be learned as a copy, unless its numbers are made sparse. Without hidden layers, and
    with a linear code, it finds the subspace of the principal components.

    Args:
        width: Number of units of each hidden layer.
        layers: Number of hidden layers on either side of the code. 0: none.
        activation: Activation function of the hidden layers.
        tied: Whether the matrices of the decoder are those of the encoder, transposed.
        steps: Number of steps of a series that are read, counted back from its last one; earlier
            ones are ignored. none: as many as the longest training series has.

    Sources:
        Rumelhart, Hinton & Williams (1986), https://doi.org/10.1038/323533a0
        Principal components: Bourlard & Kamp (1988), https://doi.org/10.1007/BF00332918
        Deep: Hinton & Salakhutdinov (2006), https://doi.org/10.1126/science.1127647
    """

    width: int = 256
    layers: int = 1
    activation: Activation = "relu"
    tied: bool = False
    steps: int | None = None

    reads: ClassVar[frozenset[str]] = frozenset({"row", "image", "values"})

    def __post_init__(self) -> None:
        super().__post_init__()
        check_dense(self.width, self.layers, self.steps)

    def coders(self, inputs: Inputs) -> tuple[nn.Module, nn.Module]:
        encoder, decoder = dense_coders(
            inputs,
            self.code_size(inputs),
            self.code_size(inputs),
            width=self.width,
            layers=self.layers,
            activation=self.activation,
            steps=self.steps,
        )
        if self.tied:
            if decoded_size(inputs, 0):
                raise UsageError("A decoder that reads a label cannot be tied: set tied=false.")
            decoder.layers = nn.ModuleList(Transposed(each) for each in reversed(encoder.linear))
        return encoder, decoder

    def tiny(self) -> "AutoencoderOptions":
        return replace(self, code=4, width=8)

    def recipe(self) -> Recipe:
        return Recipe(learning_rate=2e-3, batch_size=64)


class DenseEncoder(nn.Module):
    """All numbers of a field as one vector, through dense layers.

    Args:
        field: Name of the field.
        kind: Its kind.
        outputs: Number of outputs, which have no activation function.
        width: Number of units of each hidden layer.
        layers: Number of hidden layers.
        activation: Activation function of the hidden layers.
        steps: Number of steps of a series that are read; None of a field without time.
    """

    def __init__(
        self,
        field: str,
        kind: Kind,
        outputs: int,
        *,
        width: int,
        layers: int,
        activation: Activation,
        steps: int | None,
    ) -> None:
        super().__init__()
        self.field, self.steps = field, steps
        self.activation = ACTIVATIONS[activation]
        self.layers = linear_layers([size(kind, steps), *[width] * layers, outputs])

    @property
    def linear(self) -> list[nn.Linear]:
        """The layers, from the input to the outputs."""
        return cast("list[nn.Linear]", list(self.layers))

    def forward(self, batch: Batch) -> Float[Tensor, "batch outputs"]:
        """Return the outputs of each row."""
        vector = flatten(batch.inputs[self.field], batch.mask, self.steps)
        return through(self.layers, vector, self.activation)


class DenseDecoder(nn.Module):
    """A vector through dense layers to all numbers of a field, in its shape.

    Args:
        field: Name of the field.
        kind: Its kind.
        inputs: Size of the vector.
        width: Number of units of each hidden layer.
        layers: Number of hidden layers.
        activation: Activation function of the hidden layers.
        steps: Number of steps of a series that are written; None of a field without time.
    """

    def __init__(
        self,
        field: str,
        kind: Kind,
        inputs: int,
        *,
        width: int,
        layers: int,
        activation: Activation,
        steps: int | None,
    ) -> None:
        super().__init__()
        self.field, self.kind, self.steps = field, kind, steps
        self.activation = ACTIVATIONS[activation]
        self.layers = linear_layers([inputs, *[width] * layers, size(kind, steps)])

    def forward(
        self, code: Float[Tensor, "batch code"], batch: Batch
    ) -> Float[Tensor, "batch ..."]:
        """Return the field of each row."""
        vector = through(self.layers, code, self.activation)
        if self.steps is None:
            return vector.reshape(-1, *shape_of(self.kind))
        real = real_positions(batch, self.field)
        return spread(vector.reshape(len(vector), self.steps, -1), real)


class Transposed(nn.Module):
    """A linear layer whose matrix is that of another layer, transposed; the bias is its own.

    Args:
        layer: The other layer.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        # In a tuple, so that it is not registered as a submodule a second time.
        self.layer = (layer,)
        self.bias = nn.Parameter(torch.zeros(layer.in_features))

    def forward(self, inputs: Float[Tensor, "batch outputs"]) -> Float[Tensor, "batch inputs"]:
        """Apply the transposed matrix, and add the bias."""
        return F.linear(inputs, self.layer[0].weight.t(), self.bias)


def dense_coders(
    inputs: Inputs,
    outputs: int,
    code: int,
    *,
    width: int,
    layers: int,
    activation: Activation,
    steps: int | None,
) -> tuple[DenseEncoder, DenseDecoder]:
    """Return a dense encoder with so many outputs, and a dense decoder of a code."""
    field = the_field(inputs)
    kind = inputs[field]
    read = steps_of(kind, steps)
    encoder = DenseEncoder(
        field, kind, outputs, width=width, layers=layers, activation=activation, steps=read
    )
    size_in = decoded_size(inputs, code)
    decoder = DenseDecoder(
        field, kind, size_in, width=width, layers=layers, activation=activation, steps=read
    )
    return encoder, decoder


def linear_layers(sizes: Sequence[int]) -> nn.ModuleList:
    """Return linear layers between vectors of these sizes."""
    return nn.ModuleList(nn.Linear(size_in, size_out) for size_in, size_out in pairwise(sizes))


def through(
    layers: nn.ModuleList, vector: Float[Tensor, "batch inputs"], activation: Callable[..., Tensor]
) -> Float[Tensor, "batch outputs"]:
    """Apply layers with an activation function between them, but not after the last."""
    first, *others = layers  # to slice a list of modules builds another one
    vector = first(vector)
    for layer in others:
        vector = layer(activation(vector))
    return vector


def spread(
    steps: Float[Tensor, "batch steps features"], real: Bool[Tensor, "batch time"]
) -> Float[Tensor, "batch time features"]:
    """Put the last steps of each row at its last real positions; zeros elsewhere.

    It reverses :func:`ensuite.models.mlp.last_steps`.
    """
    count = steps.shape[1]
    left = real.flip(1).cumsum(1).flip(1)  # real positions from each on
    places = (count - left).clamp(0, count - 1)
    series = steps.gather(1, places[..., None].expand(-1, -1, steps.shape[2]))
    return series.masked_fill((~real | (left > count))[..., None], 0.0)


def shape_of(kind: Kind) -> tuple[int, ...]:
    """Return the shape of a field without time, but for the batch.

    Raises:
        TypeError: For a kind of input that is no row and no image.
    """
    match kind:
        case Row():
            return (kind.features,)
        case Image():
            return kind.channels, kind.height, kind.width
    raise TypeError(f"{kind} has no fixed shape")


def check_dense(width: int, layers: int, steps: int | None) -> None:
    """Refuse sizes that no dense layers can have.

    Raises:
        ValueError: Says which they can have.
    """
    if width < 1 or layers < 0:
        raise ValueError("width must be 1 or more, layers 0 or more")
    if steps is not None and steps < 1:
        raise ValueError("steps must be 1 or more, or none")

"""Convolutional autoencoder: an image to a code by convolutions, and back by their reverse."""

from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ensuite.core.backbone import the_field
from ensuite.core.batch import Batch, Inputs
from ensuite.core.recipe import Recipe
from ensuite.models.codes import CodeOptions, decoded_size
from ensuite.models.conv import require_image

KERNEL = 3
"""Height and width of every kernel, in pixels."""

Upsampling = Literal["transposed", "nearest"]

Sides = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True, kw_only=True)
class ConvAutoencoderOptions(CodeOptions):
    """Convolutions to a code, and as many back from it, for images of any one size.

    Each layer of the encoder halves height and width (rounded up), and has twice the channels of
    the one before; one dense layer makes the code of the last feature maps. The decoder goes the
    same way back.

    Args:
        width: Number of channels of the smallest feature maps.
        layers: Number of convolutions on either side of the code.
        upsampling: How the decoder doubles height and width: by a transposed convolution (also
            called deconvolution), or by repeating each pixel before a convolution (nearest), which
            leaves no checkerboard patterns.

    Sources:
        Masci, Meier, Cireşan & Schmidhuber (2011), https://doi.org/10.1007/978-3-642-21735-7_7
        Transposed: Dumoulin & Visin (2016), https://arxiv.org/abs/1603.07285, chapter 4
        Nearest: Odena, Dumoulin & Olah (2016), https://doi.org/10.23915/distill.00003
    """

    width: int = 64
    layers: int = 2
    upsampling: Upsampling = "transposed"

    reads: ClassVar[frozenset[str]] = frozenset({"image"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.width, self.layers) < 1:
            raise ValueError("width and layers must be 1 or more")

    def coders(self, inputs: Inputs) -> tuple[nn.Module, nn.Module]:
        code = self.code_size(inputs)
        return conv_coders(
            inputs, code, code, width=self.width, layers=self.layers, upsampling=self.upsampling
        )

    def tiny(self) -> "ConvAutoencoderOptions":
        return replace(self, code=4, width=8)

    def recipe(self) -> Recipe:
        return Recipe(learning_rate=2e-3, batch_size=64)


class ConvEncoder(nn.Module):
    """Convolutions with a stride of 2 and ReLU, and a dense layer.

    Args:
        field: Name of the field.
        sides: Height and width of the image and of the feature maps of each layer.
        channels: Channels of the image, and of each layer.
        outputs: Number of outputs, which have no activation function.
    """

    def __init__(self, field: str, sides: list[Sides], channels: list[int], outputs: int) -> None:
        super().__init__()
        self.field = field
        self.layers = nn.ModuleList(
            nn.Conv2d(size_in, size_out, KERNEL, stride=2, padding=KERNEL // 2)
            for size_in, size_out in pairwise(channels)
        )
        self.dense = nn.Linear(channels[-1] * prod(sides[-1]), outputs)

    def forward(self, batch: Batch) -> Float[Tensor, "batch outputs"]:
        """Return the outputs of each row."""
        # Channels last in memory are faster on a CPU.
        maps = batch.inputs[self.field].contiguous(memory_format=torch.channels_last)
        for layer in self.layers:
            maps = F.relu(layer(maps))
        outputs: Tensor = self.dense(maps.flatten(1))
        return outputs


class ConvDecoder(nn.Module):
    """A dense layer, and layers that double height and width, with ReLU between them.

    Args:
        sides: Height and width of the smallest feature maps, and of what each layer makes.
        channels: Channels of the smallest feature maps, and of what each layer makes.
        inputs: Size of the vector that is read.
        upsampling: How height and width are doubled.
    """

    def __init__(
        self, sides: list[Sides], channels: list[int], inputs: int, upsampling: Upsampling
    ) -> None:
        super().__init__()
        self.smallest = channels[0], *sides[0]
        self.dense = nn.Linear(inputs, prod(self.smallest))
        make = TransposedLayer if upsampling == "transposed" else NearestLayer
        self.layers = nn.ModuleList(
            make(*sizes, *each)
            for sizes, each in zip(pairwise(channels), pairwise(sides), strict=True)
        )

    def forward(
        self, code: Float[Tensor, "batch code"], batch: Batch
    ) -> Float[Tensor, "batch channels height width"]:
        """Return the image of each row."""
        maps: Tensor = self.dense(code).reshape(-1, *self.smallest)
        for layer in self.layers:
            maps = layer(F.relu(maps))
        return maps


class TransposedLayer(nn.Module):
    """A transposed convolution with a stride of 2.

    Args:
        size_in: Channels that it reads.
        size_out: Channels that it makes.
        before: Height and width that it reads.
        after: Height and width that it makes: twice as much, or one less.
    """

    def __init__(self, size_in: int, size_out: int, before: Sides, after: Sides) -> None:
        super().__init__()
        # Without more padding it makes one less than twice as much.
        more = after[0] - (2 * before[0] - 1), after[1] - (2 * before[1] - 1)
        self.layer = nn.ConvTranspose2d(
            size_in, size_out, KERNEL, stride=2, padding=KERNEL // 2, output_padding=more
        )

    def forward(self, maps: Float[Tensor, "batch channels h w"]) -> Float[Tensor, "batch c hh ww"]:
        """Return the larger feature maps."""
        larger: Tensor = self.layer(maps)
        return larger


class NearestLayer(nn.Module):
    """Each pixel repeated, and a convolution; the arguments are those of ``TransposedLayer``."""

    def __init__(self, size_in: int, size_out: int, before: Sides, after: Sides) -> None:
        super().__init__()
        self.after = after
        self.layer = nn.Conv2d(size_in, size_out, KERNEL, padding=KERNEL // 2)

    def forward(self, maps: Float[Tensor, "batch channels h w"]) -> Float[Tensor, "batch c hh ww"]:
        """Return the larger feature maps."""
        larger: Tensor = self.layer(F.interpolate(maps, self.after, mode="nearest"))
        return larger


def conv_coders(
    inputs: Inputs, outputs: int, code: int, *, width: int, layers: int, upsampling: Upsampling
) -> tuple[ConvEncoder, ConvDecoder]:
    """Return a convolutional encoder with so many outputs, and a decoder of a code."""
    field = the_field(inputs)
    image = require_image(inputs[field])
    sides = [(image.height, image.width)]
    for _ in range(layers):
        sides.append((-(-sides[-1][0] // 2), -(-sides[-1][1] // 2)))
    channels = [image.channels, *(max(4, width // 2**d) for d in range(layers - 1, -1, -1))]
    encoder = ConvEncoder(field, sides, channels, outputs)
    size_in = decoded_size(inputs, code)
    return encoder, ConvDecoder(sides[::-1], channels[::-1], size_in, upsampling)

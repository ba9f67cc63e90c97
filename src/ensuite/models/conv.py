"""Convolutional networks over time (texts and series) or over images."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ensuite.core.backbone import Backbone, BackboneOptions, Trait
from ensuite.core.batch import Batch, Characters, Image, Inputs, Kind, States, Tokens, Values
from ensuite.core.recipe import Recipe
from ensuite.nn.characters import CharacterEncoder
from ensuite.nn.embed import Embedding
from ensuite.nn.pooling import pool

MAX_SIDE = 7
"""Largest height and width of the feature maps that the dense layer reads, as in VGG (Simonyan &
Zisserman 2015)."""


@dataclass(frozen=True, kw_only=True)
class ConvOptions(BackboneOptions):
    """A convolutional network: one-dimensional over texts and series, two-dimensional over images.

    Over time, layers are residual and their dilation doubles: 1, 2, 4 and so on. Over images, each
    layer except the first follows max pooling that halves height and width; the last feature maps,
    averaged to at most 7 x 7, are read by one dense layer.

    Args:
        width: Number of channels of the last layer. Over time all layers have as many; over images
            each layer has half as many as the next.
        layers: Number of convolutional layers.
        kernel: Kernel size, in positions or in pixels along each side; odd, 3 or more.
        embedding: Size of a token's embedding, unless the data comes with word vectors.
        character_embedding: Size of the vector computed from the characters of a word, for data
            with characters.
        summary: Pooling over the positions of a text or series: mean, max, or mean-max: mean over
            the first half of the channels and max over the second.
        dropout: Dropout rate of the embeddings, of the output of each layer over time, of the input
            of the dense layer over images, and of the summary.

    Sources:
        Images: LeCun et al. (1989), https://doi.org/10.1162/neco.1989.1.4.541, and LeCun, Bottou,
        Bengio & Haffner (1998), https://doi.org/10.1109/5.726791, section II; here with ReLU and
        max pooling
        Words: Kim (2014), https://arxiv.org/abs/1408.5882
        Dilation: Yu & Koltun (2016), https://arxiv.org/abs/1511.07122, and Strubell et al. (2017),
        https://arxiv.org/abs/1702.02098, section 3
    """

    width: int = 64
    layers: int = 3
    kernel: int = 3
    embedding: int = 64
    character_embedding: int = 50
    summary: Literal["mean", "max", "mean-max"] = "mean-max"
    dropout: float = 0.1

    reads: ClassVar[frozenset[str]] = frozenset({"tokens", "characters", "values", "image"})

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.embedding, self.character_embedding) < 1:
            raise ValueError("width, layers, embedding and character_embedding must be 1 or more")
        if self.kernel < 3 or self.kernel % 2 == 0:
            raise ValueError("kernel must be odd, and 3 or more, so that it is centred")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be from 0 to less than 1")

    @property
    def traits(self) -> frozenset[Trait]:
        return frozenset({Trait.SEQUENCE, Trait.TWO_SIDED})

    def build(self, inputs: Inputs) -> Backbone:
        if any(isinstance(kind, Image) for kind in inputs.values()):
            return ImageConv(self, inputs)
        return TimeConv(self, inputs)

    def tiny(self) -> "ConvOptions":
        return replace(
            self, width=8, layers=2, kernel=5, embedding=8, character_embedding=4, dropout=0.0
        )

    def recipe(self) -> Recipe:
        return Recipe(learning_rate=3e-3, batch_size=64)


class TimeConv(Backbone):
    """Embed all fields, concatenate them per position, and convolve over time."""

    def __init__(self, options: ConvOptions, inputs: Inputs) -> None:
        super().__init__()
        self.fields, self.summary, self.width = tuple(inputs), options.summary, options.width
        self.readers = nn.ModuleList(reader(kind, options) for kind in inputs.values())
        features = sum(size(kind, options) for kind in inputs.values())
        self.project = nn.Linear(features, options.width)
        self.layers = nn.ModuleList(
            TimeLayer(options.width, options.kernel, 2**depth, options.dropout)
            for depth in range(options.layers)
        )
        self.norm = nn.LayerNorm(options.width)
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, batch: Batch) -> States:
        states = self.project(self.read(batch.inputs))
        for layer in self.layers:
            states = layer(states, batch.mask)
        sequence = self.norm(states)
        summary = summarise(sequence, batch.mask, self.summary)
        return States(self.dropout(summary), sequence)

    def read(self, inputs: Mapping[str, Tensor]) -> Float[Tensor, "batch time features"]:
        """Return one vector per position: the embedded fields, concatenated."""
        fields = zip(self.fields, self.readers, strict=True)
        return torch.cat([read(inputs[name]) for name, read in fields], dim=-1)


class TimeLayer(nn.Module):
    """A residual layer: layer norm, ReLU, dilated convolution, dropout.

    Args:
        width: Number of channels.
        kernel: Kernel size, in positions.
        step: Dilation: distance between the positions that a kernel reads.
        dropout: Dropout rate of whole channels of a row.
    """

    def __init__(self, width: int, kernel: int, step: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        # As an image of height 1, whose channels are last in memory: twice as fast on a CPU.
        self.convolve = nn.Conv2d(
            width, width, (1, kernel), padding=(0, step * (kernel // 2)), dilation=(1, step)
        )
        self.dropout = nn.Dropout1d(dropout)  # one mask of channels for all positions of a row

    def forward(
        self, states: Float[Tensor, "batch time width"], mask: Bool[Tensor, "batch time"] | None
    ) -> Float[Tensor, "batch time width"]:
        """Return the states after the layer; padding is read as zeros, like positions outside."""
        inputs = F.relu(self.norm(states))
        if mask is not None:
            inputs = inputs.masked_fill(~mask[..., None], 0.0)
        outputs = self.convolve(inputs.transpose(1, 2)[:, :, None])[:, :, 0]
        total: Tensor = states + self.dropout(outputs).transpose(1, 2)
        return total


class ImageConv(Backbone):
    """Convolve over an image, and read the last feature maps by one dense layer."""

    def __init__(self, options: ConvOptions, inputs: Inputs) -> None:
        super().__init__()
        self.fields, self.width = tuple(inputs), options.width
        images = [require_image(kind) for kind in inputs.values()]
        channels = sum(image.channels for image in images)
        self.convolve = Convolutions(channels, options.width, options.layers, kernel=options.kernel)
        self.map_size = map_size(images[0], options.layers)
        self.dense = nn.Linear(options.width * prod(self.map_size), options.width)
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, batch: Batch) -> States:
        image = torch.cat([batch.inputs[name] for name in self.fields], dim=1)
        maps = self.convolve(image)
        features = F.adaptive_avg_pool2d(maps, self.map_size).flatten(1)
        summary = F.relu(self.dense(self.dropout(features)))
        return States(summary, maps.flatten(2).transpose(1, 2))


class Convolutions(nn.Module):
    """Convolutions over an image with ReLU, and 2 x 2 max pooling between them.

    Args:
        channels: Number of channels of the image.
        width: Number of channels of the last layer; each layer has half as many as the next, and 4
            at least.
        layers: Number of layers.
        kernel: Kernel size, in pixels along each side; odd.
        normed: Whether group norm with one group is applied before each ReLU. It keeps ReLU units
            from becoming inactive for all inputs.

    Source:
        Group norm: Wu & He (2018), https://arxiv.org/abs/1803.08494
    """

    def __init__(
        self, channels: int, width: int, layers: int, *, kernel: int = 3, normed: bool = False
    ) -> None:
        super().__init__()
        self.normed = normed
        sizes = [channels, *(max(4, width // 2**depth) for depth in range(layers - 1, -1, -1))]
        self.layers = nn.ModuleList(
            nn.Conv2d(size_in, size_out, kernel, padding=kernel // 2)
            for size_in, size_out in pairwise(sizes)
        )

    def forward(
        self, image: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch features high wide"]:
        """Return the feature maps of the last layer."""
        maps = image.contiguous(memory_format=torch.channels_last)  # a quarter faster on a CPU
        for depth, layer in enumerate(self.layers):
            if depth:
                maps = F.max_pool2d(maps, 2, ceil_mode=True)
            maps = layer(maps)
            maps = F.relu(F.group_norm(maps, 1) if self.normed else maps)
        return maps


def require_image(kind: Kind) -> Image:
    """Return a kind of input that is an image.

    Raises:
        TypeError: For any other kind.
    """
    if not isinstance(kind, Image):
        raise TypeError(f"{kind} cannot be read together with an image")
    return kind


def map_size(image: Image, layers: int) -> tuple[int, int]:
    """Return the height and width of the feature maps that the dense layer reads."""
    halves = 2 ** (layers - 1)
    high, wide = (-(-side // halves) for side in (image.height, image.width))
    return min(MAX_SIDE, high), min(MAX_SIDE, wide)


def reader(kind: Kind, options: ConvOptions) -> nn.Module:
    """Return the layer that maps a field of one kind to one vector per position."""
    if isinstance(kind, Tokens):
        width = kind.width or options.embedding
        return Embedding(kind.size, width, dropout=options.dropout, vectors=kind.vectors)
    if isinstance(kind, Characters):
        return CharacterEncoder(kind.size, options.character_embedding, dropout=options.dropout)
    return nn.Identity()


def size(kind: Kind, options: ConvOptions) -> int:
    """Return the size of the vector per position of a field of one kind.

    Raises:
        TypeError: For a kind without a time axis.
    """
    match kind:
        case Tokens():
            return kind.width or options.embedding
        case Characters():
            return options.character_embedding
        case Values():
            return kind.features
    raise TypeError(f"{kind} has no positions in time")


def summarise(
    sequence: Float[Tensor, "batch time width"],
    mask: Bool[Tensor, "batch time"] | None,
    how: Literal["mean", "max", "mean-max"],
) -> Float[Tensor, "batch width"]:
    """Return one vector per row; mean-max takes the mean of the first half of the channels."""
    if how != "mean-max":
        return pool(sequence, mask, how)
    half = sequence.shape[2] // 2
    parts = pool(sequence[..., :half], mask, "mean"), pool(sequence[..., half:], mask, "max")
    return torch.cat(parts, dim=-1)

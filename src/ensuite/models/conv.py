"""Convolutional networks: the same small filter everywhere, over time or over a picture."""

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

MOST_PLACES = 7
"""Along each side of a picture, that the dense layer reads; as in VGG (Simonyan & Zisserman)."""


@dataclass(frozen=True, kw_only=True)
class ConvOptions(BackboneOptions):
    """Stacked convolutions: over time for texts and series, over both sides of a picture.

    Over time every layer reaches twice as far as the one below, and each position has a state.
    Over a picture every layer but the last halves both sides, and each place left has a state; one
    dense layer reads them all, first averaged to 7 x 7 places where there are more.

    Args:
        width: Channels of the last layer. Over a picture each layer has half those of the next.
        layers: How many are stacked.
        kernel: Positions, or pixels along each side, that one filter sees; odd.
        embedding: Size of the vector of a token, where the data brings none.
        character_embedding: Size of the vector computed from the characters of a token, where the
            data has them.
        summary: What a text or series becomes: the mean of its states, the largest of each of their
            numbers, or the mean of one half of the numbers beside the largest of the other.
        dropout: Share of the embedding, of the states of each layer over time and of the summary
            that is set to 0 while training.

    Sources:
        Over pictures: LeCun et al. (1989), https://doi.org/10.1162/neco.1989.1.4.541, and LeCun,
        Bottou, Bengio & Haffner (1998), https://doi.org/10.1109/5.726791, section II; with
        rectifiers and the largest of each square. Over words: Kim (2014),
        https://arxiv.org/abs/1408.5882; reaching further with depth: Yu & Koltun (2016),
        https://arxiv.org/abs/1511.07122, and Strubell et al. (2017),
        https://arxiv.org/abs/1702.02098, section 3.
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
            raise ValueError("kernel must be odd, and 3 or more: it sees as far to both sides")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be from 0 to less than 1")

    @property
    def traits(self) -> frozenset[Trait]:
        return frozenset({Trait.SEQUENCE, Trait.TWO_SIDED})

    def build(self, inputs: Inputs) -> Backbone:
        if any(isinstance(kind, Image) for kind in inputs.values()):
            return PictureConv(self, inputs)
        return TimeConv(self, inputs)

    def tiny(self) -> "ConvOptions":
        return replace(
            self, width=8, layers=2, kernel=5, embedding=8, character_embedding=4, dropout=0.0
        )

    def recipe(self) -> Recipe:
        return Recipe(learning_rate=3e-3, batch_size=64)


class TimeConv(Backbone):
    """Embed every field, join them, and convolve over time, each layer twice as far."""

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
        """Turn the fields of a batch into one vector a position."""
        fields = zip(self.fields, self.readers, strict=True)
        return torch.cat([read(inputs[name]) for name, read in fields], dim=-1)


class TimeLayer(nn.Module):
    """Add to each position what a filter finds around it.

    Args:
        width: Channels.
        kernel: Positions that the filter sees.
        step: How far apart these are.
        dropout: Share of what is found that is dropped while training.
    """

    def __init__(self, width: int, kernel: int, step: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        # Over a picture of height 1, its channels last as they are: twice as fast on a CPU.
        self.convolve = nn.Conv2d(
            width, width, (1, kernel), padding=(0, step * (kernel // 2)), dilation=(1, step)
        )
        self.dropout = nn.Dropout1d(dropout)  # of a row, the same channels at all positions

    def forward(
        self, states: Float[Tensor, "batch time width"], mask: Bool[Tensor, "batch time"] | None
    ) -> Float[Tensor, "batch time width"]:
        """Return the states of the next layer; padding is 0 to the filter, as what lies outside."""
        ready = F.relu(self.norm(states))
        if mask is not None:
            ready = ready.masked_fill(~mask[..., None], 0.0)
        found = self.convolve(ready.transpose(1, 2)[:, :, None])[:, :, 0]
        added: Tensor = states + self.dropout(found).transpose(1, 2)
        return added


class PictureConv(Backbone):
    """Convolve over a picture; one dense layer reads all its places."""

    def __init__(self, options: ConvOptions, inputs: Inputs) -> None:
        super().__init__()
        self.fields, self.width = tuple(inputs), options.width
        pictures = [require_picture(kind) for kind in inputs.values()]
        channels = sum(picture.channels for picture in pictures)
        self.convolve = Convolutions(channels, options.width, options.layers, kernel=options.kernel)
        self.places = places(pictures[0], options.layers)
        self.dense = nn.Linear(options.width * prod(self.places), options.width)
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, batch: Batch) -> States:
        image = torch.cat([batch.inputs[name] for name in self.fields], dim=1)
        maps = self.convolve(image)
        placed = F.adaptive_avg_pool2d(maps, self.places).flatten(1)
        summary = F.relu(self.dense(self.dropout(placed)))
        return States(summary, maps.flatten(2).transpose(1, 2))


class Convolutions(nn.Module):
    """Stacked convolutions over a picture; each layer sees twice as wide, and tells twice as much.

    Args:
        channels: Of the picture.
        width: Channels of the last layer; each has half those of the next.
        layers: How many; every one but the last halves both sides.
        kernel: Pixels along each side that one filter sees; odd.
        normed: Whether each layer brings a picture to mean 0 and deviation 1 before it rectifies,
            so that no region is lost to filters that nothing passes any more.

    Source:
        Wu & He (2018), https://arxiv.org/abs/1803.08494: normalisation, here of one group
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
        """Return the states of all places of the last layer, at least 0."""
        maps = image.contiguous(memory_format=torch.channels_last)  # a quarter faster on a CPU
        for depth, layer in enumerate(self.layers):
            if depth:
                maps = F.max_pool2d(maps, 2, ceil_mode=True)
            maps = layer(maps)
            maps = F.relu(F.group_norm(maps, 1) if self.normed else maps)
        return maps


def require_picture(kind: Kind) -> Image:
    """Return a kind that is a picture."""
    if not isinstance(kind, Image):
        raise TypeError(f"{kind} cannot be read beside a picture")
    return kind


def places(picture: Image, layers: int) -> tuple[int, int]:
    """Return how many places there are along the height and width that the dense layer reads."""
    halves = 2 ** (layers - 1)
    high, wide = (-(-side // halves) for side in (picture.height, picture.width))
    return min(MOST_PLACES, high), min(MOST_PLACES, wide)


def reader(kind: Kind, options: ConvOptions) -> nn.Module:
    """Return what turns a field of one kind into one vector a position."""
    if isinstance(kind, Tokens):
        width = kind.width or options.embedding
        return Embedding(
            kind.size, width, dropout=options.dropout, vectors=kind.vectors, padding=kind.pad
        )
    if isinstance(kind, Characters):
        return CharacterEncoder(kind.size, options.character_embedding, dropout=options.dropout)
    return nn.Identity()


def size(kind: Kind, options: ConvOptions) -> int:
    """Return how long the vector of a position of one field is."""
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
    """Return one vector a row; of mean-max the first half are means, the second the largest."""
    if how != "mean-max":
        return pool(sequence, mask, how)
    half = sequence.shape[2] // 2
    parts = pool(sequence[..., :half], mask, "mean"), pool(sequence[..., half:], mask, "max")
    return torch.cat(parts, dim=-1)

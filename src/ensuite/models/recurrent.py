"""Recurrent networks: plain RNN, LSTM and GRU, stacked and in both directions."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ensuite.core.backbone import Backbone, BackboneOptions, Trait
from ensuite.core.batch import Batch, Carry, Characters, Image, Inputs, Kind, States, Tokens
from ensuite.core.recipe import Recipe
from ensuite.nn.embed import Embedding
from ensuite.nn.gru import GRU
from ensuite.nn.initial import chrono_
from ensuite.nn.lstm import LSTM
from ensuite.nn.pooling import pool
from ensuite.nn.recurrent import Recurrent
from ensuite.nn.rnn import RNN
from ensuite.nn.spelling import Spelling

CellStates = tuple[Any, ...]
"""The named state of every cell, as ``nn.recurrent`` hands them over."""

CELLS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


@dataclass(frozen=True, kw_only=True)
class RecurrentOptions(BackboneOptions):
    """A recurrent network over embedded tokens, series of values, or an image row by row.

    Args:
        cell: What is repeated over time.
        width: Size of the state of one direction.
        layers: How many are stacked, each reading the states of the one below.
        bidirectional: Whether a second network reads from the end.
        embedding: Size of the vector of a token, where the data brings none.
        spelling: Size of the vector that the characters of a token make, where the data has them.
        summary: What a row becomes: its last state (of each direction), the mean or the largest of
            its states, or mean and largest side by side.
        span: Steps over which the gates of an lstm or gru remember at first (chrono
            initialisation); None: few, as usual. For answers that hang on what stands far back.
        dropout: Share of the embedding, of states between layers and of the summary that is set to
            0 while training; one mask for all positions (Gal & Ghahramani 2016).
        word_dropout: Share of whole tokens that are set to 0 while training.
    """

    cell: Literal["rnn", "lstm", "gru"] = "lstm"
    width: int = 64
    layers: int = 1
    bidirectional: bool = False
    embedding: int = 64
    spelling: int = 50
    summary: Literal["last", "mean", "max", "mean-max"] = "last"
    span: int | None = None
    dropout: float = 0.3
    word_dropout: float = 0.0

    reads: ClassVar[frozenset[str]] = frozenset({"tokens", "characters", "values", "image"})

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.embedding, self.spelling) < 1:
            raise ValueError("width, layers, embedding and spelling must be 1 or more")
        if not 0 <= self.dropout < 1 or not 0 <= self.word_dropout < 1:
            raise ValueError("dropout and word_dropout must be from 0 to less than 1")
        if self.span is not None and (self.span < 3 or self.cell == "rnn"):
            raise ValueError(
                "span must be 3 or more, and only lstm and gru have gates to remember by"
            )

    @property
    def traits(self) -> frozenset[Trait]:
        if self.bidirectional:
            return frozenset({Trait.SEQUENCE, Trait.TWO_SIDED})
        return frozenset({Trait.SEQUENCE, Trait.CAUSAL, Trait.STEPS, Trait.CARRIES})

    def build(self, inputs: Inputs) -> "RecurrentBackbone":
        return RecurrentBackbone(self, inputs)

    def tiny(self) -> "RecurrentOptions":
        return replace(self, width=8, embedding=8, spelling=4, dropout=0.0, word_dropout=0.0)

    def recipe(self) -> Recipe:
        # A plain RNN diverges at the rates that suit gated cells (Pascanu et al. 2013, section 3).
        rate = 1e-3 if self.cell == "rnn" else 3e-3
        return Recipe(learning_rate=rate, schedule="linear", batch_size=32, clip=1.0)


class RecurrentBackbone(Backbone):
    """Embed every field, join them, and run the cell over time."""

    def __init__(self, options: RecurrentOptions, inputs: Inputs) -> None:
        super().__init__()
        self.options = options
        self.fields = tuple(inputs)
        self.readers = nn.ModuleList(self.reader(kind) for kind in inputs.values())
        features = sum(size(kind, options) for kind in inputs.values())
        self.recurrent = Recurrent(
            CELLS[options.cell],
            features,
            options.width,
            layers=options.layers,
            bidirectional=options.bidirectional,
            dropout=options.dropout,
        )
        for cell in self.recurrent.cells:
            if options.span is not None and isinstance(cell, LSTM | GRU):
                chrono_(cell, options.span)
        directions = 2 if options.bidirectional else 1
        pools = 2 if options.summary == "mean-max" else 1
        self.width = options.width * directions * pools
        self.dropout = nn.Dropout(options.dropout)

    def reader(self, kind: Kind) -> nn.Module:
        """Return what turns a field of one kind into one vector a position."""
        options = self.options
        if isinstance(kind, Tokens):
            return Embedding(
                kind.size,
                kind.width or options.embedding,
                dropout=options.dropout,
                word_dropout=options.word_dropout,
                vectors=kind.vectors,
            )
        if isinstance(kind, Characters):
            return Spelling(kind.size, options.spelling, dropout=options.dropout)
        return Scanlines() if isinstance(kind, Image) else nn.Identity()

    def read(self, inputs: Mapping[str, Tensor]) -> Float[Tensor, "batch time features"]:
        """Turn the fields of a batch into one vector a position."""
        fields = zip(self.fields, self.readers, strict=True)
        return torch.cat([read(inputs[name]) for name, read in fields], dim=-1)

    def forward(self, batch: Batch) -> States:
        features = self.read(batch.inputs)
        state = self.unpack(batch.carry) if batch.carry else None
        sequence, state = self.recurrent(features, batch.mask, state)
        summary = self.dropout(self.summarise(sequence, batch.mask, state))
        return States(summary, sequence, carry=pack(state))

    def summarise(self, sequence: Tensor, mask: Tensor | None, state: CellStates) -> Tensor:
        """Return one vector a row, as ``options.summary`` says."""
        how = self.options.summary
        if how == "last":
            return self.recurrent.last(state)
        if how == "mean-max":
            return torch.cat([pool(sequence, mask, "mean"), pool(sequence, mask, "max")], dim=-1)
        return pool(sequence, mask, how)

    def begin(self, batch: Batch) -> Carry:
        """Return the state before the first position: zeros."""
        return pack(self.recurrent.begin(len(batch)))

    def step(self, inputs: Mapping[str, Tensor], carry: Carry) -> tuple[States, Carry]:
        """Take one position into the state."""
        embedded = self.read({name: tensor[:, None] for name, tensor in inputs.items()})[:, 0]
        output, state = self.recurrent.step(embedded, self.unpack(carry))
        return States(output, output[:, None]), pack(state)

    def unpack(self, carry: Carry) -> CellStates:
        """Return the state of every cell that :func:`pack` wrote."""
        return tuple(
            type(state)(*(carry[f"{number}.{name}"] for name in names(state)))
            for number, state in enumerate(self.recurrent.begin(1))
        )


class Scanlines(nn.Module):
    """An image as a sequence: its rows from top to bottom."""

    def forward(
        self, image: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch height features"]:
        """Return all channels of a row side by side."""
        return image.transpose(1, 2).flatten(2)


def size(kind: Kind, options: RecurrentOptions) -> int:
    """Return how long the vector of a position of one field is."""
    match kind:
        case Tokens():
            return kind.width or options.embedding
        case Characters():
            return options.spelling
        case Image():
            return kind.channels * kind.width
        case _:
            return kind.features


def pack(states: CellStates) -> Carry:
    """Write the state of every cell as tensors by name."""
    return {
        f"{number}.{name}": tensor
        for number, state in enumerate(states)
        for name, tensor in zip(names(state), state, strict=True)
    }


def names(state: Any) -> tuple[str, ...]:
    """Return what the tensors of a cell's state are called."""
    fields: tuple[str, ...] = state._fields
    return fields

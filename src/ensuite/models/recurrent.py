"""Recurrent networks: plain RNN, LSTM and GRU, stacked and in both directions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ensuite.core.backbone import Backbone, BackboneOptions, Trait
from ensuite.core.batch import Batch, Carry, Characters, Image, Inputs, Kind, States, Tokens
from ensuite.core.recipe import Recipe
from ensuite.nn.characters import CharacterEncoder
from ensuite.nn.documents import edges
from ensuite.nn.embed import Embedding
from ensuite.nn.gru import GRU
from ensuite.nn.initial import chrono_, initialize_
from ensuite.nn.lstm import LSTM, Peepholes
from ensuite.nn.pooling import pool
from ensuite.nn.recurrent import CellStates, Combine, Recurrent
from ensuite.nn.rnn import RNN, Activation
from ensuite.nn.unroll import Cell, choose

CELLS: dict[str, Callable[..., Cell[Any]]] = {"rnn": RNN, "lstm": LSTM, "gru": GRU}

OWN = {"activation": "rnn", "peepholes": "lstm", "reset": "gru"}
"""Options that one cell alone has."""

DROPOUTS = ("dropout", "recurrent_dropout", "word_dropout", "output_dropout")
"""Options that say how much is set to 0 while training."""

DOCUMENT = "document"
"""The number of the document that a row ended in, beside the states in a carry."""


@dataclass(frozen=True, kw_only=True)
class RecurrentOptions(BackboneOptions):
    """A recurrent network over embedded tokens, series of values, or an image row by row.

    Args:
        cell: What is repeated over time.
        width: Size of the state of one direction.
        layers: How many are stacked, each reading the states of the one below.
        bidirectional: Whether a second network reads from the end.
        embedding: Size of the vector of a token, where the data brings none.
        init_std: Standard deviation of the initial embeddings. A language model of characters
            learns much faster from 1, one of thousands of subwords more slowly.
        character_embedding: Size of the vector computed from the characters of a token, where the
            data has them.
        characters: What reads them: a convolution, or an lstm from either end.
        summary: What a row becomes: its last state (of each direction), the mean or the largest of
            its states, or mean and largest side by side.
        combine: How the states of two directions become one: side by side, added, or their mean.
        tied: Whether a task that scores tokens does so by the vectors they are read by
            (Press & Wolf 2017).
        activation: What the sum of an rnn goes through.
        peepholes: Whether the gates of an lstm see its cell: each number its own, or all of it.
        reset: Where the reset gate of a gru stands: after the matrix, as in PyTorch, or before.
        normalize: Whether the sums within the cell go through layer norm (Ba et al. 2016).
        learn_start: Whether the state before the first position is learned; else it is 0.
        initial: How the matrices of the hidden state start: uniform as in PyTorch; Glorot's;
            orthogonal; or, of an rnn, the identity, which with relu remembers (Le et al. 2015).
            All but uniform give the input's matrices Glorot's.
        span: Steps over which the gates of an lstm or gru remember at first (chrono
            initialisation); None: few, as usual. For answers that hang on what stands far back.
        truncate: Positions that a gradient goes back through (truncated back-propagation through
            time); none: all of them.
        dropout: Share of the embedding, of states between layers and of the summary that is set to
            0 while training.
        recurrent_dropout: Share of the hidden state that the next position does not see while
            training; the same numbers at every position (Gal & Ghahramani 2016).
        word_dropout: Share of whole tokens that are set to 0 while training.
        output_dropout: Share of the states that a task reads at every position that is set to 0
            while training; the same numbers at every position (Merity et al. 2018, section 4.2).
    """

    cell: Literal["rnn", "lstm", "gru"] = "lstm"
    width: int = 64
    layers: int = 1
    bidirectional: bool = False
    embedding: int = 64
    init_std: float = 0.1
    character_embedding: int = 50
    characters: Literal["convolution", "lstm"] = "convolution"
    summary: Literal["last", "mean", "max", "mean-max"] = "last"
    combine: Combine = "concat"
    tied: bool = False
    activation: Activation = "tanh"
    peepholes: Peepholes = "none"
    reset: Literal["after", "before"] = "after"
    normalize: bool = False
    learn_start: bool = False
    initial: Literal["uniform", "glorot", "orthogonal", "identity"] = "uniform"
    span: int | None = None
    truncate: int | None = None
    dropout: float = 0.3
    recurrent_dropout: float = 0.0
    word_dropout: float = 0.0
    output_dropout: float = 0.0

    reads: ClassVar[frozenset[str]] = frozenset({"tokens", "characters", "values", "image"})

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.embedding, self.character_embedding) < 1:
            raise ValueError("width, layers, embedding and character_embedding must be 1 or more")
        if self.characters == "lstm" and self.character_embedding % 2:
            raise ValueError("character_embedding must be even where an lstm reads the characters")
        shares = [getattr(self, name) for name in DROPOUTS]
        if min(shares) < 0 or max(shares) >= 1:
            raise ValueError(f"{', '.join(DROPOUTS)} must each be from 0 to less than 1")
        if self.init_std <= 0:
            raise ValueError("init_std must be more than 0")
        if self.truncate is not None and self.truncate < 1:
            raise ValueError("truncate must be 1 position or more, or none")
        if self.span is not None and (self.span < 3 or self.cell == "rnn"):
            raise ValueError(
                "span must be 3 or more, and only lstm and gru have gates to remember by"
            )
        if self.combine != "concat" and not self.bidirectional:
            raise ValueError(f"combine={self.combine} needs two directions: bidirectional=true")
        if self.initial == "identity" and self.cell != "rnn":
            raise ValueError("initial=identity is for the rnn; lstm and gru remember by span")
        for option, cell in OWN.items():
            if self.cell != cell and getattr(self, option) != getattr(type(self), option):
                raise ValueError(f"{option} is an option of the {cell}, not of the {self.cell}")

    @property
    def traits(self) -> frozenset[Trait]:
        if self.bidirectional:
            return frozenset({Trait.SEQUENCE, Trait.TWO_SIDED})
        return frozenset({Trait.SEQUENCE, Trait.CAUSAL, Trait.STEPS, Trait.CARRIES})

    def make(self, features: int, width: int) -> Cell[Any]:
        """Return one cell with its weights as they start."""
        own = {option: getattr(self, option) for option, cell in OWN.items() if cell == self.cell}
        cell: Cell[Any] = CELLS[self.cell](
            features,
            width,
            normalize=self.normalize,
            recurrent_dropout=self.recurrent_dropout,
            learn_start=self.learn_start,
            **own,
        )
        if self.initial != "uniform":
            initialize_(cell, self.initial)
        if self.span is not None and isinstance(cell, LSTM | GRU):
            chrono_(cell, self.span)
        return cell

    def build(self, inputs: Inputs) -> "RecurrentBackbone":
        return RecurrentBackbone(self, inputs)

    def tiny(self) -> "RecurrentOptions":
        still = replace(self, dropout=0.0, recurrent_dropout=0.0, word_dropout=0.0)
        return replace(still, output_dropout=0.0, width=8, embedding=8, character_embedding=4)

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
            options.make,
            features,
            options.width,
            layers=options.layers,
            bidirectional=options.bidirectional,
            combine=options.combine,
            dropout=options.dropout,
            truncate=options.truncate,
        )
        self.width = self.recurrent.width * (2 if options.summary == "mean-max" else 1)
        self.dropout = nn.Dropout(options.dropout)

    @property
    def token_embedding(self) -> nn.Module | None:
        embeddings = [reader for reader in self.readers if isinstance(reader, Embedding)]
        return embeddings[0] if self.options.tied and embeddings else None

    @property
    def sequence_width(self) -> int:
        return self.recurrent.width

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
                init_std=options.init_std,
                padding=kind.pad,
            )
        if isinstance(kind, Characters):
            return CharacterEncoder(
                kind.size, options.character_embedding, options.characters, dropout=options.dropout
            )
        return Scanlines() if isinstance(kind, Image) else nn.Identity()

    def read(self, inputs: Mapping[str, Tensor]) -> Float[Tensor, "batch time features"]:
        """Turn the fields of a batch into one vector a position."""
        pairs = zip(self.fields, self.readers, strict=True)
        fields = [read(inputs[name]) for name, read in pairs]
        return fields[0] if len(fields) == 1 else torch.cat(fields, dim=-1)

    def forward(self, batch: Batch) -> States:
        """Return the states of a batch; each of its documents is read as if it stood alone."""
        features = self.read(batch.inputs)
        start, mark = self.start(batch)
        sequence, state = self.recurrent(features, batch.mask, start, batch.documents)
        summary = self.dropout(self.summarise(sequence, batch.mask, state))
        return States(summary, self.shown(sequence), carry={**self.recurrent.pack(state), **mark})

    def shown(self, sequence: Float[Tensor, "batch time width"]) -> Tensor:
        """Return what a task sees of the states: while training, some numbers of a row are 0."""
        if not self.training or not self.options.output_dropout:
            return sequence
        ones = sequence.new_ones(len(sequence), 1, sequence.shape[2])
        return sequence * F.dropout(ones, self.options.output_dropout)

    def start(self, batch: Batch) -> tuple[CellStates, Carry]:
        """Return the state that each row goes on from, and the number of its last document.

        A row whose first document is not the one that the batch before ended in starts anew.
        """
        begun, carry = self.recurrent.begin(len(batch)), batch.carry or {}
        state = self.recurrent.unpack(carry) if carry else begun
        if batch.documents is None:
            return state, {}
        mask, before = batch.mask, carry.get(DOCUMENT)
        real = torch.ones_like(batch.documents, dtype=torch.bool) if mask is None else mask
        first, last = edges(batch.documents, real)
        if before is not None:
            empty = ~real.any(1)  # nothing was read: all stays as it was
            last = torch.where(empty, before, last)
            goes_on = (first == before) | empty
            state = tuple(choose(goes_on, *pair) for pair in zip(state, begun, strict=True))
        return state, {DOCUMENT: last}

    def summarise(self, sequence: Tensor, mask: Tensor | None, state: CellStates) -> Tensor:
        """Return one vector a row, as ``options.summary`` says."""
        how = self.options.summary
        if how == "last":
            return self.recurrent.last(state)
        if how == "mean-max":
            return torch.cat([pool(sequence, mask, "mean"), pool(sequence, mask, "max")], dim=-1)
        return pool(sequence, mask, how)

    def begin(self, batch: Batch) -> Carry:
        """Return the state before the first position: zeros, or what was learned."""
        return self.recurrent.pack(self.recurrent.begin(len(batch)))

    def step(self, inputs: Mapping[str, Tensor], carry: Carry) -> tuple[States, Carry]:
        """Take one position into the state."""
        embedded = self.read({name: tensor[:, None] for name, tensor in inputs.items()})[:, 0]
        output, state = self.recurrent.step(embedded, self.recurrent.unpack(carry))
        return States(output, output), {**carry, **self.recurrent.pack(state)}


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
            return options.character_embedding
        case Image():
            return kind.channels * kind.width
        case _:
            return kind.features

"""Recurrent networks: RNN, LSTM and GRU, stacked, in one direction or both."""

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
"""Options that only one kind of cell has."""

DROPOUTS = ("dropout", "recurrent_dropout", "word_dropout", "output_dropout")
"""Options that are dropout rates."""

DOCUMENT = "document"
"""Key of a carry under which the number of the last document of each row is."""


@dataclass(frozen=True, kw_only=True)
class RecurrentOptions(BackboneOptions):
    """A recurrent network over texts, series of numbers, or the rows of an image.

    Args:
        cell: Kind of recurrent cell.
        width: Size of the hidden state of each direction.
        layers: Number of stacked layers.
        bidirectional: Whether each layer also reads from the end to the beginning.
        embedding: Size of a token's embedding, unless the data comes with word vectors.
        init_std: Standard deviation of the initial embeddings. Language models of characters learn
            much faster with 1, those of thousands of subwords more slowly.
        character_embedding: Size of the vector computed from the characters of a word, for data
            with characters.
        characters: Layer that reads the characters of a word: a convolution with max pooling, or a
            bidirectional lstm.
        summary: One vector for a row: its last hidden state (of each direction), the mean or the
            max over its positions, or mean and max concatenated (mean-max).
        combine: How the outputs of the two directions are combined: concatenated (concat), their
            sum, or their mean.
        tied: Whether the input embedding is also the output projection of a task that predicts
            tokens (weight tying, Press & Wolf 2017).
        activation: Activation function of an rnn.
        peepholes: Peephole connections from the cell of an lstm to its gates: none, diagonal, or
            full matrices.
        reset: Whether the reset gate of a gru is applied after the matrix product, as in PyTorch,
            or before it, as first published.
        normalize: Whether layer norm is applied inside the cell (Ba, Kiros & Hinton 2016).
        learn_start: Whether the initial state is learned; otherwise it is zero.
        initial: Initialisation of the hidden-to-hidden matrices: uniform as in PyTorch, glorot,
            orthogonal, or, for an rnn, identity (IRNN with activation=relu, Le et al. 2015). With
            all but uniform, the input matrices are initialised by glorot.
        span: Number of steps that an lstm or gru can remember when training starts (chrono
            initialisation, Tallec & Ollivier 2018); set it if answers depend on inputs far back,
            about as many steps as they are. none: the usual gate biases.
        truncate: Number of positions that gradients flow back through (truncated back-propagation
            through time). none: all positions.
        dropout: Dropout rate of the embeddings, between layers, and of the summary.
        recurrent_dropout: Dropout rate of the hidden state from one position to the next, with one
            mask for all positions of a row (Gal & Ghahramani 2016).
        word_dropout: Share of tokens whose whole embedding is set to zero while training.
        output_dropout: Dropout rate of the states that a task reads at each position, with one mask
            for all positions of a row (Merity et al. 2018, section 4.2).
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
            raise ValueError("character_embedding must be even with characters=lstm")
        shares = [getattr(self, name) for name in DROPOUTS]
        if min(shares) < 0 or max(shares) >= 1:
            raise ValueError(f"{', '.join(DROPOUTS)} must each be from 0 to less than 1")
        if self.init_std <= 0:
            raise ValueError("init_std must be more than 0")
        if self.truncate is not None and self.truncate < 1:
            raise ValueError("truncate must be 1 position or more, or none")
        if self.span is not None and (self.span < 3 or self.cell == "rnn"):
            raise ValueError("span must be 3 or more, and is an option of lstm and gru only")
        if self.combine != "concat" and not self.bidirectional:
            raise ValueError(f"combine={self.combine} needs two directions: set bidirectional=true")
        if self.initial == "identity" and self.cell != "rnn":
            raise ValueError("initial=identity is for the rnn; use span for lstm and gru")
        for option, cell in OWN.items():
            if self.cell != cell and getattr(self, option) != getattr(type(self), option):
                raise ValueError(f"{option} is an option of the {cell}, not of the {self.cell}")

    @property
    def traits(self) -> frozenset[Trait]:
        if self.bidirectional:
            return frozenset({Trait.SEQUENCE, Trait.TWO_SIDED})
        return frozenset({Trait.SEQUENCE, Trait.CAUSAL, Trait.STEPS, Trait.CARRIES})

    def make(self, features: int, width: int) -> Cell[Any]:
        """Return a new cell with initialised weights."""
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
        # A simple RNN diverges at learning rates that suit gated cells (Pascanu et al. 2013,
        # section 3).
        rate = 1e-3 if self.cell == "rnn" else 3e-3
        return Recipe(learning_rate=rate, schedule="linear", batch_size=32, clip=1.0)


class RecurrentBackbone(Backbone):
    """Embed all fields, concatenate them per position, and run the recurrent layers."""

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
        """Return the layer that maps a field of one kind to one vector per position."""
        options = self.options
        if isinstance(kind, Tokens):
            return Embedding(
                kind.size,
                kind.width or options.embedding,
                dropout=options.dropout,
                word_dropout=options.word_dropout,
                vectors=kind.vectors,
                init_std=options.init_std,
            )
        if isinstance(kind, Characters):
            return CharacterEncoder(
                kind.size, options.character_embedding, options.characters, dropout=options.dropout
            )
        return Scanlines() if isinstance(kind, Image) else nn.Identity()

    def read(self, inputs: Mapping[str, Tensor]) -> Float[Tensor, "batch time features"]:
        """Return one vector per position: the embedded fields, concatenated."""
        pairs = zip(self.fields, self.readers, strict=True)
        fields = [read(inputs[name]) for name, read in pairs]
        return fields[0] if len(fields) == 1 else torch.cat(fields, dim=-1)

    def forward(self, batch: Batch) -> States:
        """Return the states of a batch; the state is reset at the start of each document."""
        features = self.read(batch.inputs)
        start, mark = self.start(batch)
        sequence, state = self.recurrent(features, batch.mask, start, batch.documents)
        summary = self.dropout(self.summarise(sequence, batch.mask, state))
        carry = {**self.recurrent.pack(state), **mark}
        return States(summary, self.drop_output(sequence), carry=carry)

    def drop_output(self, sequence: Float[Tensor, "batch time width"]) -> Tensor:
        """Apply ``output_dropout`` to the states of all positions."""
        if not self.training or not self.options.output_dropout:
            return sequence
        ones = sequence.new_ones(len(sequence), 1, sequence.shape[2])
        return sequence * F.dropout(ones, self.options.output_dropout)

    def start(self, batch: Batch) -> tuple[CellStates, Carry]:
        """Return the initial state of each row, and a carry with the number of its last document.

        The state is carried over from the previous batch, unless the first document of a row is not
        the one that the previous batch ended in.
        """
        begun, carry = self.recurrent.begin(len(batch)), batch.carry or {}
        state = self.recurrent.unpack(carry) if carry else begun
        if batch.documents is None:
            return state, {}
        mask, before = batch.mask, carry.get(DOCUMENT)
        real = torch.ones_like(batch.documents, dtype=torch.bool) if mask is None else mask
        first, last = edges(batch.documents, real)
        if before is not None:
            empty = ~real.any(1)  # rows of padding alone keep their document
            last = torch.where(empty, before, last)
            goes_on = (first == before) | empty
            state = tuple(choose(goes_on, *pair) for pair in zip(state, begun, strict=True))
        return state, {DOCUMENT: last}

    def summarise(self, sequence: Tensor, mask: Tensor | None, state: CellStates) -> Tensor:
        """Return one vector per row, as ``options.summary`` says."""
        how = self.options.summary
        if how == "last":
            return self.recurrent.last(state)
        if how == "mean-max":
            return torch.cat([pool(sequence, mask, "mean"), pool(sequence, mask, "max")], dim=-1)
        return pool(sequence, mask, how)

    def begin(self, batch: Batch) -> Carry:
        """Return the initial state: zeros, or the learned one."""
        return self.recurrent.pack(self.recurrent.begin(len(batch)))

    def step(self, inputs: Mapping[str, Tensor], carry: Carry) -> tuple[States, Carry]:
        """Run the network for one position."""
        embedded = self.read({name: tensor[:, None] for name, tensor in inputs.items()})[:, 0]
        output, state = self.recurrent.step(embedded, self.recurrent.unpack(carry))
        return States(output, output), {**carry, **self.recurrent.pack(state)}


class Scanlines(nn.Module):
    """Read an image as a sequence of its rows, from top to bottom."""

    def forward(
        self, image: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch height features"]:
        """Return one vector per row of pixels, all channels concatenated."""
        return image.transpose(1, 2).flatten(2)


def size(kind: Kind, options: RecurrentOptions) -> int:
    """Return the size of the vector per position of a field of one kind."""
    match kind:
        case Tokens():
            return kind.width or options.embedding
        case Characters():
            return options.character_embedding
        case Image():
            return kind.channels * kind.width
        case _:
            return kind.features

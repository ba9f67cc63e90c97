"""Sequence to sequence: an encoder, and a recurrent decoder that may look back at it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, log2, prod
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ensuite.core.backbone import Backbone, BackboneOptions, Trait
from ensuite.core.batch import ATTENTION, DECODER, Batch, Carry, Inputs, States, Tokens
from ensuite.core.recipe import Recipe
from ensuite.models.conv import Convolutions
from ensuite.models.recurrent import CELLS
from ensuite.nn.attention import Attention, Memory
from ensuite.nn.embed import Embedding
from ensuite.nn.recurrent import CellStates, Recurrent

MOST_REGIONS = 8
"""Along the longer side of a picture: it is halved until no more are left, or its half is."""

FEWEST_HALVINGS = 2
"""Of a small picture too, so that a region sees what lies around it."""

PLACE_SCALE = 0.1
"""Of the vectors that tell regions apart before anything is learned."""


@dataclass(frozen=True, kw_only=True)
class Seq2SeqOptions(BackboneOptions):
    """An encoder reads a sequence, or a picture, into states; a decoder starts there and writes.

    A text is read by a recurrent network, a picture by convolutions, each region left a state.

    Args:
        cell: What is repeated over time: in the decoder, and in the encoder of a text.
        width: Size of the state of the decoder, and of all directions of the encoder together.
        layers: How many of them are stacked.
        bidirectional: Whether a text is also read from the end.
        reverse: Whether a text is read backwards: the last words read are then its first.
        attention: How the decoder looks at all states of the encoder; none: it starts from what
            they end in alone.
        feeding: Whether the decoder also reads what it saw one step before (input feeding).
        embedding: Size of the vector of a token.
        tied: Whether the scores of the output tokens are products with their own vectors.
        dropout: Share of embeddings, of states between layers and of the output set to 0 while
            training; one mask for all positions.

    Sources:
        Sutskever, Vinyals & Le (2014), https://arxiv.org/abs/1409.3215: deep, reversed
        Bahdanau, Cho & Bengio (2015), https://arxiv.org/abs/1409.0473: additive attention
        Luong, Pham & Manning (2015), https://arxiv.org/abs/1508.04025: dot, general, feeding
        Of pictures: Vinyals et al. (2015), https://arxiv.org/abs/1411.4555: the state to start from
        Xu et al. (2015), https://arxiv.org/abs/1502.03044: attention over regions
    """

    cell: Literal["rnn", "lstm", "gru"] = "gru"
    width: int = 256
    layers: int = 1
    bidirectional: bool = True
    reverse: bool = False
    attention: Literal["none", "additive", "dot", "general"] = "additive"
    feeding: bool = False
    embedding: int = 192
    tied: bool = True
    dropout: float = 0.2

    reads: ClassVar[frozenset[str]] = frozenset({"tokens", "image"})

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.embedding) < 1:
            raise ValueError("width, layers and embedding must be 1 or more")
        if self.bidirectional and self.width % 2:
            raise ValueError("width must be even where two directions share it")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be from 0 to less than 1")
        if self.attention == "none" and self.feeding:
            raise ValueError("feeding hands on what attention saw: choose an attention with it")

    @property
    def traits(self) -> frozenset[Trait]:
        return frozenset({Trait.DECODES, Trait.STEPS})

    def build(self, inputs: Inputs) -> "Seq2Seq":
        return Seq2Seq(self, inputs)

    def tiny(self) -> "Seq2SeqOptions":
        return replace(self, width=8, embedding=8, dropout=0.0)

    def recipe(self) -> Recipe:
        return Recipe(learning_rate=2e-3, schedule="cosine", batch_size=48, clip=1.0)


class Seq2Seq(Backbone):
    """Encode the source once; write from there, reading each token written before."""

    def __init__(self, options: Seq2SeqOptions, inputs: Inputs) -> None:
        super().__init__()
        self.options, self.width = options, options.width
        (source,) = (name for name in inputs if name != DECODER)
        self.encoder = ENCODERS[inputs[source].kind](options, source, inputs[source])
        written = inputs[DECODER]
        assert isinstance(written, Tokens)
        self.embed = Embedding(
            written.size, options.embedding, dropout=options.dropout, padding=written.pad
        )
        fed = options.width if options.feeding else 0
        self.decoder = Recurrent(
            CELLS[options.cell],
            options.embedding + fed,
            options.width,
            layers=options.layers,
            dropout=options.dropout,
        )
        starts = sum(part.shape[1] for state in self.decoder.begin(1) for part in state)
        self.to_start = nn.Linear(self.encoder.summary, starts)
        self.dropout = nn.Dropout(options.dropout)
        self.attention = self.combine = None
        if options.attention != "none":
            self.attention = Attention(options.width, self.encoder.width, kind=options.attention)
            self.combine = nn.Linear(options.width + self.encoder.width, options.width)

    @property
    def token_embedding(self) -> Embedding | None:
        return self.embed if self.options.tied else None

    def forward(self, batch: Batch) -> States:
        """Return one state for each position of the decoder, all its inputs being given."""
        memory, state = self.encode(batch)
        words = self.embed(batch.inputs[DECODER])
        summary = state[-1][0]
        if not self.options.feeding:
            hidden, _ = self.decoder(words, None, state)
            return States(summary, self.look(hidden, memory)[0])
        sequence, seen = [], torch.zeros_like(summary)
        for word in words.unbind(1):
            hidden, state = self.decoder.step(torch.cat([word, seen], dim=-1), state)
            outputs, _ = self.look(hidden[:, None], memory)
            seen = outputs[:, 0]
            sequence.append(seen)
        return States(summary, torch.stack(sequence, dim=1))

    def encode(self, batch: Batch) -> tuple[Memory | None, CellStates]:
        """Read the source: what the decoder may look at, and the state it starts from."""
        states, mask, summary = self.encoder(batch)
        memory = None if self.attention is None else self.attention.remember(states, mask)
        empty = self.decoder.begin(len(summary))
        parts = iter(self.encoder.squash(self.to_start(summary)).split(self.width, dim=-1))
        return memory, tuple(type(state)(*(next(parts) for _ in state)) for state in empty)

    def look(
        self, hidden: Float[Tensor, "batch position width"], memory: Memory | None
    ) -> tuple[Float[Tensor, "batch position width"], Float[Tensor, "batch position time"] | None]:
        """Return hidden states with what each sees of the source, and where it looked."""
        if memory is None or self.attention is None or self.combine is None:
            return self.dropout(hidden), None
        context, weights = self.attention(hidden, memory)
        both = torch.cat([context, hidden], dim=-1)
        return self.dropout(self.encoder.squash(self.combine(both))), weights

    def begin(self, batch: Batch) -> Carry:
        """Encode the source; what the decoder needs of it goes along in the carry."""
        memory, state = self.encode(batch)
        carry = dict(self.decoder.pack(state))
        if memory is not None:
            carry |= {f"memory.{name}": part for name, part in memory._asdict().items()}
            carry[ATTENTION] = memory.mask.new_zeros(memory.mask.shape).to(memory.values)
        if self.options.feeding:
            carry["seen"] = torch.zeros_like(state[-1][0])
        return carry

    def step(self, inputs: Mapping[str, Tensor], carry: Carry) -> tuple[States, Carry]:
        """Take one more token of the decoder into the state."""
        word = self.embed(inputs[DECODER][:, None])[:, 0]
        if self.options.feeding:
            word = torch.cat([word, carry["seen"]], dim=-1)
        hidden, state = self.decoder.step(word, self.decoder.unpack(carry))
        memory = None
        if self.attention is not None:
            memory = Memory(*(carry[f"memory.{name}"] for name in Memory._fields))
        outputs, weights = self.look(hidden[:, None], memory)
        carry = {**carry, **self.decoder.pack(state)}
        if weights is not None and ATTENTION in carry:
            carry[ATTENTION] = weights[:, 0]
        if self.options.feeding:
            carry["seen"] = outputs[:, 0]
        return States(outputs[:, 0], outputs[:, 0]), carry


Encoded = tuple[
    Float[Tensor, "batch time memory"], Bool[Tensor, "batch time"] | None,
    Float[Tensor, "batch summary"],
]  # fmt: skip
"""What may be looked at, where it is real, and all in one vector."""


class TokenEncoder(nn.Module):
    """Read a sequence of tokens by a recurrent network.

    Attributes:
        width: Size of the states that may be looked at.
        summary: Size of all last states together.
        squash: What the start of the decoder, and what it sees with its states, passes through.
    """

    def __init__(self, options: Seq2SeqOptions, field: str, kind: Any) -> None:
        super().__init__()
        self.field, self.reverse = field, options.reverse
        self.embed = Embedding(
            kind.size, options.embedding, dropout=options.dropout, padding=kind.pad
        )
        self.recurrent = Recurrent(
            CELLS[options.cell],
            options.embedding,
            options.width // (2 if options.bidirectional else 1),
            layers=options.layers,
            bidirectional=options.bidirectional,
            dropout=options.dropout,
        )
        self.width = self.recurrent.width
        self.summary = sum(part.shape[1] for state in self.recurrent.begin(1) for part in state)
        self.squash = nn.Tanh()
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, batch: Batch) -> Encoded:
        """Return every state, in the order of the source, and all last states side by side."""
        tokens, mask = batch.inputs[self.field], batch.mask
        if self.reverse:
            tokens, flipped = tokens.flip(1), None if mask is None else mask.flip(1)
        else:
            flipped = mask
        states, last = self.recurrent(self.embed(tokens), flipped)
        states = self.dropout(states.flip(1) if self.reverse else states)
        return states, mask, torch.cat([part for state in last for part in state], dim=-1)


class PictureEncoder(nn.Module):
    """Read a picture by convolutions; where a region lies is added to what it shows.

    The decoder starts from what sets a picture apart from a blank one, at one length for all: what
    all pictures share would drown it. Nothing is squashed, for while a network learns how captions
    usually go, a tanh is pushed to its limits, where no gradient tells it of pictures any more.

    Attributes:
        width: Size of the states that may be looked at, a region each, the rows one by one.
        summary: Size of all regions together.
        squash: What the start of the decoder, and what it sees with its states, passes through.
    """

    def __init__(self, options: Seq2SeqOptions, field: str, kind: Any) -> None:
        super().__init__()
        self.field = field
        longest = max(kind.height, kind.width)
        halvings = max(FEWEST_HALVINGS, ceil(log2(longest / MOST_REGIONS)))
        self.convolve = Convolutions(kind.channels, options.width, 1 + halvings, normed=True)
        regions = prod(ceil(side / 2**halvings) for side in (kind.height, kind.width))
        self.width, self.summary = options.width, options.width * regions
        self.places = None
        if options.attention != "none":
            self.places = nn.Parameter(torch.randn(regions, options.width) * PLACE_SCALE)
        self.squash = nn.Identity()
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, batch: Batch) -> Encoded:
        """Return the state of every region, and all of them in one vector."""
        image = batch.inputs[self.field]
        maps = self.convolve(torch.cat([image, torch.zeros_like(image[:1])]))
        regions = maps[:-1].flatten(2).transpose(1, 2)
        placed = regions if self.places is None else regions + self.places
        apart = (maps[:-1] - maps[-1:]).flatten(1)
        summary = F.rms_norm(apart, apart.shape[1:])
        return self.dropout(placed), None, self.dropout(summary)


ENCODERS: dict[str, type[TokenEncoder | PictureEncoder]] = {
    "tokens": TokenEncoder,
    "image": PictureEncoder,
}
"""What reads a source, by its kind."""

"""Sequence to sequence: an encoder, and a recurrent decoder with optional attention."""

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

MAX_REGIONS = 8
"""Largest number of regions along the longer side of an image: its size is halved until there are
no more, and at least ``MIN_HALVINGS`` times."""

MIN_HALVINGS = 2
"""Number of halvings of a small image, so that each region covers several pixels."""

POSITION_STD = 0.1
"""Standard deviation of the initial position vectors of the regions."""


@dataclass(frozen=True, kw_only=True)
class Seq2SeqOptions(BackboneOptions):
    """An encoder for a text or an image, and a recurrent decoder that generates a text.

    The encoder of a text is a recurrent network with one state per token. The encoder of an image
    is a convolutional network with one state per region.

    Args:
        cell: Kind of recurrent cell of the decoder, and of the encoder of a text.
        width: Size of the hidden state of the decoder, and of the encoder's states; two directions
            share it.
        layers: Number of recurrent layers of the decoder, and of the encoder of a text.
        bidirectional: Whether a text is also read from the end to the beginning.
        reverse: Whether the order of the source text is reversed (Sutskever et al. 2014).
        attention: Score function of the decoder's attention to the encoder's states: additive
            (Bahdanau), dot or general (Luong). none: no attention, so that only the decoder's
            initial state depends on the source.
        feeding: Whether the decoder also reads its previous output after attention (input feeding,
            Luong et al. 2015).
        embedding: Size of a token's embedding, in the encoder and in the decoder.
        tied: Whether the decoder's input embedding is also the output projection (weight tying).
        dropout: Dropout rate of the embeddings, between layers, of the encoder's states and of the
            output. For the embeddings there is one mask for all positions of a row.

    Sources:
        Deep networks, reversed source: Sutskever, Vinyals & Le (2014),
        https://arxiv.org/abs/1409.3215
        Additive attention: Bahdanau, Cho & Bengio (2015), https://arxiv.org/abs/1409.0473
        Dot and general attention, input feeding: Luong, Pham & Manning (2015),
        https://arxiv.org/abs/1508.04025
        Images: Vinyals et al. (2015), https://arxiv.org/abs/1411.4555; with attention: Xu et al.
        (2015), https://arxiv.org/abs/1502.03044
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
            raise ValueError("width must be even with bidirectional=true")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be from 0 to less than 1")
        if self.attention == "none" and self.feeding:
            raise ValueError("feeding needs attention: set attention to additive, dot or general")

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
    """An encoder, and a decoder that reads the previous token at each step."""

    def __init__(self, options: Seq2SeqOptions, inputs: Inputs) -> None:
        super().__init__()
        self.options, self.width = options, options.width
        (source,) = (name for name in inputs if name != DECODER)
        self.encoder = ENCODERS[inputs[source].kind](options, source, inputs[source])
        written = inputs[DECODER]
        assert isinstance(written, Tokens)
        self.embed = Embedding(written.size, options.embedding, dropout=options.dropout)
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
        """Return one state per position of the decoder, for given inputs (teacher forcing)."""
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
        """Encode the source; return the memory for attention, and the decoder's initial state."""
        states, mask, summary = self.encoder(batch)
        memory = None if self.attention is None else self.attention.remember(states, mask)
        empty = self.decoder.begin(len(summary))
        parts = iter(self.encoder.squash(self.to_start(summary)).split(self.width, dim=-1))
        return memory, tuple(type(state)(*(next(parts) for _ in state)) for state in empty)

    def look(
        self, hidden: Float[Tensor, "batch position width"], memory: Memory | None
    ) -> tuple[Float[Tensor, "batch position width"], Float[Tensor, "batch position time"] | None]:
        """Return the decoder's outputs after attention, and the attention weights.

        An output combines a hidden state with its context vector; without attention it is the
        hidden state, and the weights are None.
        """
        if memory is None or self.attention is None or self.combine is None:
            return self.dropout(hidden), None
        context, weights = self.attention(hidden, memory)
        both = torch.cat([context, hidden], dim=-1)
        return self.dropout(self.encoder.squash(self.combine(both))), weights

    def begin(self, batch: Batch) -> Carry:
        """Encode the source, and return a carry with the memory and the decoder's state."""
        memory, state = self.encode(batch)
        carry = dict(self.decoder.pack(state))
        if memory is not None:
            carry |= {f"memory.{name}": part for name, part in memory._asdict().items()}
            carry[ATTENTION] = memory.mask.new_zeros(memory.mask.shape).to(memory.values)
        if self.options.feeding:
            carry["seen"] = torch.zeros_like(state[-1][0])
        return carry

    def step(self, inputs: Mapping[str, Tensor], carry: Carry) -> tuple[States, Carry]:
        """Decode one more token."""
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
"""Output of an encoder: states for attention, their mask, and one vector for the whole source."""


class TokenEncoder(nn.Module):
    """Recurrent encoder of a text.

    Attributes:
        width: Size of the state of each token.
        summary: Size of the vector for the whole text: all last states, concatenated.
        squash: Activation of the decoder's initial state, and of its outputs after attention.
    """

    def __init__(self, options: Seq2SeqOptions, field: str, kind: Any) -> None:
        super().__init__()
        self.field, self.reverse = field, options.reverse
        self.embed = Embedding(kind.size, options.embedding, dropout=options.dropout)
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
        """Return the states, in the order of the source, their mask, and all last states."""
        tokens, mask = batch.inputs[self.field], batch.mask
        if self.reverse:
            tokens, flipped = tokens.flip(1), None if mask is None else mask.flip(1)
        else:
            flipped = mask
        states, last = self.recurrent(self.embed(tokens), flipped)
        states = self.dropout(states.flip(1) if self.reverse else states)
        return states, mask, torch.cat([part for state in last for part in state], dim=-1)


class ImageEncoder(nn.Module):
    """Convolutional encoder of an image, with a learned position vector per region.

    The vector for the whole image is the difference between its feature maps and those of a blank
    image, normalised to one length: without this, what all images have in common outweighs the
    differences between them. There is no tanh, because it saturates early in training, while the
    network learns the most frequent words of all captions, and then passes no gradient on.

    Attributes:
        width: Size of the state of each region; regions are in the order of rows.
        summary: Size of the vector for the whole image.
        squash: Activation of the decoder's initial state, and of its outputs after attention.
    """

    def __init__(self, options: Seq2SeqOptions, field: str, kind: Any) -> None:
        super().__init__()
        self.field = field
        longest = max(kind.height, kind.width)
        halvings = max(MIN_HALVINGS, ceil(log2(longest / MAX_REGIONS)))
        self.convolve = Convolutions(kind.channels, options.width, 1 + halvings, normed=True)
        regions = prod(ceil(side / 2**halvings) for side in (kind.height, kind.width))
        self.width, self.summary = options.width, options.width * regions
        self.places = None
        if options.attention != "none":
            self.places = nn.Parameter(torch.randn(regions, options.width) * POSITION_STD)
        self.squash = nn.Identity()
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, batch: Batch) -> Encoded:
        """Return the states of all regions, no mask, and the vector for the whole image."""
        image = batch.inputs[self.field]
        maps = self.convolve(torch.cat([image, torch.zeros_like(image[:1])]))
        regions = maps[:-1].flatten(2).transpose(1, 2)
        placed = regions if self.places is None else regions + self.places
        apart = (maps[:-1] - maps[-1:]).flatten(1)
        summary = F.rms_norm(apart, apart.shape[1:])
        return self.dropout(placed), None, self.dropout(summary)


ENCODERS: dict[str, type[TokenEncoder | ImageEncoder]] = {
    "tokens": TokenEncoder,
    "image": ImageEncoder,
}
"""Encoders, by kind of source."""

"""The Transformer: an encoder, and a decoder for tasks that generate a sequence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any, ClassVar, Literal, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ensuite.core.backbone import Backbone, BackboneOptions, Trait
from ensuite.core.batch import (
    ATTENTION,
    DECODER,
    Batch,
    Carry,
    Inputs,
    Kind,
    States,
    Tokens,
    Values,
)
from ensuite.core.recipe import Recipe
from ensuite.nn.embed import Embedding
from ensuite.nn.pooling import pool
from ensuite.nn.position import LearnedPositions, RelativePositions, sinusoids
from ensuite.nn.transformer import Block, Norm, Past, Seen

Places = Int[Tensor, "batch time"]
"""Index of each position in its row, counted from 0 without padding."""


@dataclass(frozen=True, kw_only=True)
class TransformerOptions(BackboneOptions):
    """A Transformer: self-attention and feed-forward layers over tokens or a series of numbers.

    Tokens are embedded; each step of a series goes through a linear layer to ``width`` features.
    Tasks that generate text add a decoder with cross-attention to the encoder's output.

    Args:
        width: Size of the vector of each position (the model dimension).
        layers: Number of blocks in the encoder, and in the decoder where there is one.
        heads: Number of attention heads in each block; it must divide width.
        inner: Size of the hidden layer of each feed-forward network, as a multiple of width.
        positions: Positional encoding. sinusoidal: fixed sines and cosines added to the inputs;
            learned: a learned vector per position added to the inputs; relative: a learned bias
            per distance added to the attention scores; none: the order of positions is not seen.
        longest: Largest number of positions a sequence may have with positions=learned.
        norm: Layer norm before each sublayer (pre) or after each residual sum (post).
        tied: Whether the input embedding of the decoder, or where there is none of the encoder, is
            also the output projection of a task that predicts tokens (weight tying).
        dropout: Dropout rate of the inputs, of each sublayer's output, of the hidden layers of the
            feed-forward networks and of the attention weights.

    Sources:
        Vaswani et al. (2017), https://arxiv.org/abs/1706.03762
        Linear projection of series: Zerveas et al. (2021), https://arxiv.org/abs/2010.02803,
        section 3.1
    """

    width: int = 128
    layers: int = 3
    heads: int = 4
    inner: int = 4
    positions: Literal["sinusoidal", "learned", "relative", "none"] = "sinusoidal"
    longest: int = 512
    norm: Norm = "pre"
    tied: bool = True
    dropout: float = 0.1

    reads: ClassVar[frozenset[str]] = frozenset({"tokens", "values"})

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.heads, self.inner, self.longest) < 1:
            raise ValueError("width, layers, heads, inner and longest must be 1 or more")
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be from 0 to less than 1")

    @property
    def traits(self) -> frozenset[Trait]:
        return frozenset({Trait.SEQUENCE, Trait.TWO_SIDED, Trait.DECODES, Trait.STEPS})

    def starts_new(self, name: str) -> bool:
        return name.startswith("beside.")  # what tells the texts of a pair apart

    def build(self, inputs: Inputs) -> "Transformer":
        return Transformer(self, inputs)

    def tiny(self) -> "TransformerOptions":
        return replace(self, width=8, layers=1, heads=2, inner=2, dropout=0.0)

    def recipe(self) -> Recipe:
        return Recipe(learning_rate=1e-3, schedule="cosine", warmup=0.05, batch_size=32, clip=1.0)


class Transformer(Backbone):
    """An encoder, with a decoder where the inputs have a ``DECODER`` field."""

    def __init__(self, options: TransformerOptions, inputs: Inputs) -> None:
        super().__init__()
        self.options, self.width = options, options.width
        self.field, *beside = (name for name in inputs if name != DECODER)
        self.encoder = Reader(options, inputs[self.field])
        self.beside = nn.ModuleDict(
            {name: input_layer(inputs[name], options.width) for name in beside}
        )
        for layer in self.beside.values():  # so that a pretrained encoder is not disturbed
            nn.init.zeros_(cast(Any, layer).weight)
        self.decoder = Reader(options, inputs[DECODER], memory=True) if DECODER in inputs else None

    @property
    def token_embedding(self) -> Embedding | None:
        embedding = (self.decoder or self.encoder).embed
        return embedding if self.options.tied and isinstance(embedding, Embedding) else None

    def forward(self, batch: Batch) -> States:
        """Return one state per position: of the decoder if there is one, else of the encoder."""
        encoded, mask = self.encode(batch)
        summary = pool(encoded, mask, "mean")
        if self.decoder is None:
            return States(summary, encoded)
        words = batch.inputs[DECODER]
        places = torch.arange(words.shape[1], device=words.device).expand_as(words)
        causal = (places[:1, None, :] <= places[:1, :, None])[:, None]
        memory = self.decoder.remember(encoded, mask)
        return States(summary, self.decoder(words, places, causal, memory)[0])

    def encode(
        self, batch: Batch
    ) -> tuple[Float[Tensor, "batch time width"], Bool[Tensor, "batch time"]]:
        """Return the encoder's output, and its mask (True at real positions)."""
        inputs, mask = batch.inputs[self.field], batch.mask
        if mask is None:
            mask = torch.ones(inputs.shape[:2], dtype=torch.bool, device=inputs.device)
        places = (mask.cumsum(1) - 1).clamp(min=0)
        added = [embed(batch.inputs[name]) for name, embed in self.beside.items()]
        return self.encoder(inputs, places, mask[:, None, None], added=added)[0], mask

    def begin(self, batch: Batch) -> Carry:
        """Encode the source, and return a carry with empty key-value caches for the decoder.

        The carry also holds the keys and values of the encoder's output for each block.
        """
        assert self.decoder is not None
        encoded, mask = self.encode(batch)
        heads = self.options.heads
        nothing = encoded.new_zeros(len(mask), heads, 0, self.width // heads)
        carry: dict[str, Tensor] = {"mask": mask, ATTENTION: encoded.new_zeros(mask.shape)}
        for number, seen in enumerate(self.decoder.remember(encoded, mask)):
            carry |= {f"memory.{number}.keys": seen.keys, f"memory.{number}.values": seen.values}
            carry |= {f"past.{number}.keys": nothing, f"past.{number}.values": nothing}
        return carry

    def step(self, inputs: Mapping[str, Tensor], carry: Carry) -> tuple[States, Carry]:
        """Decode one more token, with the keys and values of earlier tokens read from the carry.

        If the carry has an ``ATTENTION`` entry, it is replaced by the cross-attention weights of
        the last block, averaged over its heads.
        """
        tokens = {name: tensor[:, None] for name, tensor in inputs.items()}
        states, carry = self.read(Batch(inputs=tokens), carry)
        return States(states.summary, states.summary), carry

    def read(self, batch: Batch, carry: Carry) -> tuple[States, Carry]:
        """Take several tokens of the decoder in one pass, as ``step`` does one by one."""
        assert self.decoder is not None
        mask, numbers = carry["mask"][:, None, None], range(self.options.layers)
        memory = [Seen(*kept(carry, f"memory.{number}"), mask) for number in numbers]
        past = [Past(*kept(carry, f"past.{number}")) for number in numbers]
        tokens, before = batch.inputs[DECODER], past[0].keys.shape[2]
        places = torch.arange(before, before + tokens.shape[1], device=tokens.device)
        causal = None
        if len(places) > 1:  # a single token sees all that was read
            keys = torch.arange(before + tokens.shape[1], device=tokens.device)
            causal = (keys <= places[:, None])[None, None]
        hidden, past, asked = self.decoder(tokens, places.expand_as(tokens), causal, memory, past)
        carry = dict(carry)
        for number, (keys, values) in enumerate(past):
            carry |= {f"past.{number}.keys": keys, f"past.{number}.values": values}
        if ATTENTION in carry:
            carry[ATTENTION] = self.decoder.look(asked[:, -1:], memory[-1])[:, 0]
        return States(hidden[:, -1], hidden), carry

    def depth(self, name: str) -> int:
        """Return 0 for embeddings, 1 and on for blocks; those of a decoder follow the encoder's."""
        part, _, rest = name.partition(".")
        before = self.options.layers if part == "decoder" else 0
        if rest.startswith("blocks."):
            return 1 + before + int(rest.split(".")[1])
        return before + self.options.layers if rest.startswith("norm.") else 0


def kept(carry: Carry, name: str) -> tuple[Tensor, Tensor]:
    """Return the keys and values that the carry holds under a name."""
    return carry[f"{name}.keys"], carry[f"{name}.values"]


class Reader(nn.Module):
    """A stack of blocks with its input layer: the encoder, or the decoder.

    Args:
        options: Of the Transformer.
        kind: The input field: tokens, or series of numbers.
        memory: Whether each block has cross-attention to the encoder's output.
    """

    def __init__(self, options: TransformerOptions, kind: Kind, *, memory: bool = False) -> None:
        super().__init__()
        self.options = options
        self.embed = input_layer(kind, options.width)
        self.places = self.distances = None
        if options.positions == "learned":
            self.places = LearnedPositions(options.longest, options.width)
        elif options.positions == "relative":
            self.distances = RelativePositions(options.heads)
        self.blocks = nn.ModuleList(
            Block(
                options.width,
                options.heads,
                options.inner * options.width,
                memory=memory,
                norm=options.norm,
                dropout=options.dropout,
            )
            for _ in range(options.layers)
        )
        self.norm = nn.LayerNorm(options.width) if options.norm == "pre" else nn.Identity()
        self.dropout = nn.Dropout(options.dropout)

    def forward(
        self,
        inputs: Int[Tensor, "batch time"] | Float[Tensor, "batch time features"],
        places: Places,
        mask: Bool[Tensor, "#batch 1 #time key"] | None,
        memory: Sequence[Seen] | None = None,
        past: Sequence[Past] | None = None,
        added: Sequence[Tensor] = (),
    ) -> tuple[Float[Tensor, "batch time width"], list[Past], Tensor | None]:
        """Return the outputs, the key-value cache of each block, and the last block's queries.

        The queries are those of the cross-attention: None in an encoder.

        Args:
            inputs: Token ids, or vectors of a series.
            places: Index of each position in its row.
            mask: True where a query (row) may attend to a key (column). None: everywhere.
            memory: For each block, the keys and values of the encoder's output.
            past: For each block, the cache of all earlier positions, whose places count from 0.
            added: (batch, time, width) each, vectors of further fields such as segments.
        """
        hidden, bias, asked = self.start(inputs, places, added), None, None
        grown: list[Past] = []
        if self.distances is not None:
            keys = places
            if past is not None:
                keys = torch.arange(past[0].keys.shape[2], device=places.device)
                keys = torch.cat([keys.expand(len(places), -1), places], dim=1)
            bias = self.distances(places, keys)
        blocks = zip(self._blocks(), memory or repeat(None), past or repeat(None), strict=False)
        for block, seen, before in blocks:
            hidden, read, asked = block(hidden, mask, bias, past=before, seen=seen)
            grown.append(read)
        return self.norm(hidden), grown, asked

    def start(
        self,
        inputs: Int[Tensor, "batch time"] | Float[Tensor, "batch time features"],
        places: Places,
        added: Sequence[Tensor] = (),
    ) -> Float[Tensor, "batch time width"]:
        """Return the input vectors of the first block: embeddings plus positional encoding."""
        hidden = self.embed(inputs)
        for each in added:
            hidden = hidden + each
        if isinstance(self.embed, Embedding):  # Vaswani et al., section 3.4
            hidden = hidden * self.options.width**0.5
        if self.options.positions == "sinusoidal":
            hidden = hidden + sinusoids(places, self.options.width)
        elif self.places is not None:
            hidden = hidden + self.places(places)
        return cast(Tensor, self.dropout(hidden))

    def remember(
        self, encoded: Float[Tensor, "batch time width"], mask: Bool[Tensor, "batch time"]
    ) -> list[Seen]:
        """Project the encoder's output to the keys and values of each block's cross-attention."""
        return [block.remember(encoded, mask) for block in self._blocks()]

    def look(
        self, asked: Float[Tensor, "batch position width"], seen: Seen
    ) -> Float[Tensor, "batch position time"]:
        """Return the cross-attention weights of the last block, averaged over its heads."""
        return self._blocks()[-1].weights(asked, seen).mean(1)

    def _blocks(self) -> list[Block]:
        return [cast(Block, block) for block in self.blocks]


def input_layer(kind: Kind, width: int) -> Embedding | nn.Linear:
    """Return the layer that maps one input field to vectors of ``width`` features.

    Raises:
        TypeError: For a kind of input other than tokens and series.
    """
    match kind:
        case Tokens():
            embedding = Embedding(kind.size, width, padding=kind.pad)
            # variance 1 after the multiplication by the root of the width
            embedding.redraw(width**-0.5)
            return embedding
        case Values():
            return nn.Linear(kind.features, width)
    raise TypeError(f"a Transformer reads tokens or series, not {kind}")

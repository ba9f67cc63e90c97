"""The Transformer: an encoder, and a decoder where the task writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any, ClassVar, Literal, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ensuite.core.backbone import Backbone, BackboneOptions, Trait
from ensuite.core.batch import ATTENTION, DECODER, Batch, Carry, Inputs, States, Tokens
from ensuite.core.recipe import Recipe
from ensuite.nn.embed import Embedding
from ensuite.nn.pooling import pool
from ensuite.nn.position import LearnedPositions, RelativePositions, sinusoids
from ensuite.nn.transformer import Block, Norm, Past, Seen

Places = Int[Tensor, "batch time"]


@dataclass(frozen=True, kw_only=True)
class TransformerOptions(BackboneOptions):
    """Blocks of attention: every position looks at every other one at once.

    Args:
        width: Size of the vectors.
        layers: How many blocks the encoder has, and the decoder.
        heads: How many attentions stand side by side in a block; they share the width evenly.
        inner: How many times wider the hidden layer is that reads each position alone.
        positions: How a token's place is told: sinusoidal and learned add a vector to the token,
            relative adds to the scores of attention, none leaves the order unknown.
        longest: How many places there are to learn, where they are learned.
        norm: Whether layer norm stands before each part of a block or after it.
        tied: Whether the scores of the output tokens are products with their own vectors.
        dropout: Share of numbers set to 0 while training.

    Source:
        Vaswani et al. (2017), https://arxiv.org/abs/1706.03762
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

    reads: ClassVar[frozenset[str]] = frozenset({"tokens"})

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.heads, self.inner, self.longest) < 1:
            raise ValueError("width, layers, heads, inner and longest must be 1 or more")
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads cannot share a width of {self.width} evenly")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be from 0 to less than 1")

    @property
    def traits(self) -> frozenset[Trait]:
        return frozenset({Trait.SEQUENCE, Trait.TWO_SIDED, Trait.DECODES, Trait.STEPS})

    def build(self, inputs: Inputs) -> "Transformer":
        return Transformer(self, inputs)

    def tiny(self) -> "TransformerOptions":
        return replace(self, width=8, layers=1, heads=2, inner=2, dropout=0.0)

    def recipe(self) -> Recipe:
        return Recipe(learning_rate=1e-3, schedule="cosine", warmup=0.05, batch_size=32, clip=1.0)


class Transformer(Backbone):
    """Encode the source; where there is a decoder, write from it."""

    def __init__(self, options: TransformerOptions, inputs: Inputs) -> None:
        super().__init__()
        self.options, self.width = options, options.width
        (self.field,) = (name for name in inputs if name != DECODER)
        self.encoder = Reader(options, inputs[self.field])
        self.decoder = Reader(options, inputs[DECODER], memory=True) if DECODER in inputs else None

    @property
    def token_embedding(self) -> Embedding | None:
        return self.decoder.embed if self.decoder and self.options.tied else None

    def forward(self, batch: Batch) -> States:
        """Return one state a position: of the decoder, or of the encoder where it is alone."""
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
        """Read the source, and where it is real."""
        tokens = batch.inputs[self.field]
        mask = torch.ones_like(tokens, dtype=torch.bool) if batch.mask is None else batch.mask
        places = (mask.cumsum(1) - 1).clamp(min=0)
        return self.encoder(tokens, places, mask[:, None, None])[0], mask

    def begin(self, batch: Batch) -> Carry:
        """Encode the source; keys and values of every block go along in the carry."""
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
        """Take one more token of the decoder; the keys of those before are not made again.

        Where the carry has it, the mean of where the heads of the last block look goes along.
        """
        assert self.decoder is not None
        mask, numbers = carry["mask"][:, None, None], range(self.options.layers)
        memory = [Seen(*kept(carry, f"memory.{number}"), mask) for number in numbers]
        past = [Past(*kept(carry, f"past.{number}")) for number in numbers]
        tokens = inputs[DECODER][:, None]
        places = torch.full_like(tokens, past[0].keys.shape[2])
        hidden, past, asked = self.decoder(tokens, places, None, memory, past)
        carry = dict(carry)
        for number, (keys, values) in enumerate(past):
            carry |= {f"past.{number}.keys": keys, f"past.{number}.values": values}
        if ATTENTION in carry:
            carry[ATTENTION] = self.decoder.look(asked, memory[-1])[:, 0]
        return States(hidden[:, 0], hidden[:, 0]), carry


def kept(carry: Carry, name: str) -> tuple[Tensor, Tensor]:
    """Return the keys and values of that name."""
    return carry[f"{name}.keys"], carry[f"{name}.values"]


class Reader(nn.Module):
    """Embedded tokens with their places, through blocks: an encoder, or a decoder with a memory."""

    def __init__(self, options: TransformerOptions, kind: Any, *, memory: bool = False) -> None:
        super().__init__()
        assert isinstance(kind, Tokens)
        self.options = options
        self.embed = Embedding(kind.size, options.width, padding=kind.pad)
        self.embed.redraw(options.width**-0.5)
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
        tokens: Int[Tensor, "batch time"],
        places: Places,
        mask: Bool[Tensor, "#batch 1 #time key"] | None,
        memory: Sequence[Seen] | None = None,
        past: Sequence[Past] | None = None,
    ) -> tuple[Float[Tensor, "batch time width"], list[Past], Tensor | None]:
        """Return one vector a position, what each block has read so far, and what the last asked.

        Args:
            tokens: Those to be read.
            places: Where each stands.
            mask: True where a position may look.
            memory: What each block attends to beside.
            past: What each block has read of the tokens before, which stand at the places from 0.
        """
        hidden, bias, asked = self.start(tokens, places), None, None
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

    def start(self, tokens: Int[Tensor, "batch time"], places: Places) -> Tensor:
        """Return the vectors of tokens at their places."""
        hidden = self.embed(tokens) * self.options.width**0.5
        if self.options.positions == "sinusoidal":
            hidden = hidden + sinusoids(places, self.options.width)
        elif self.places is not None:
            hidden = hidden + self.places(places)
        return cast(Tensor, self.dropout(hidden))

    def remember(
        self, encoded: Float[Tensor, "batch time width"], mask: Bool[Tensor, "batch time"]
    ) -> list[Seen]:
        """Return what each block attends to beside, projected once for every query to come."""
        return [block.remember(encoded, mask) for block in self._blocks()]

    def look(
        self, asked: Float[Tensor, "batch position width"], seen: Seen
    ) -> Float[Tensor, "batch position time"]:
        """Return where the last block looks in its memory, the mean of its heads."""
        return self._blocks()[-1].weights(asked, seen).mean(1)

    def _blocks(self) -> list[Block]:
        return [cast(Block, block) for block in self.blocks]

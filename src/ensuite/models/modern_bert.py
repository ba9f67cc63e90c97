"""ModernBERT: rotary positions, norms first, gated layers, and attention mostly to neighbours."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ensuite.core.backbone import Backbone, BackboneOptions, Pretrained, Trait
from ensuite.core.batch import Batch, Inputs, States, Tokens
from ensuite.core.errors import RunError, UsageError
from ensuite.core.published import PublishedHead, PublishedTask
from ensuite.core.recipe import Recipe
from ensuite.models.weights import modern_bert as weights
from ensuite.nn.packed import Packing, packed_attention
from ensuite.nn.pooling import pool
from ensuite.nn.position import rotations

FIXED: Mapping[str, Any] = {"learned": True}
"""Marks options that only a checkpoint sets."""


@dataclass(frozen=True, kw_only=True)
class ModernBertOptions(BackboneOptions):
    """A ModernBERT encoder, which reads up to 8,192 tokens at once.

    It reads one text as a sequence of tokens, a pair of them with a separator between; segments
    are not told apart.

    Args:
        width: Size of the vector of each position.
        layers: Number of blocks.
        heads: Number of attention heads in each block; it must divide width into even parts.
        inner: Size of the hidden layer of each feed-forward network; None: one and a half times
            the width.
        longest: Most positions that a sequence may have.
        global_every: In the first of so many blocks all positions attend to each other; in the
            others only those that are at most ``reach`` apart.
        reach: Largest distance between two positions that attend to each other there.
        global_base: Base of the rotary wavelengths where all attend to each other.
        local_base: Base of the rotary wavelengths in the other blocks.
        pooling: What summarises a text: the state of its first token, [CLS], or the mean of all.
        pooler: Whether there is a layer with a norm between that and the head.
        normalized: Whether the summary is scaled to length 1.
        dropout: Dropout rate of the embeddings, of the hidden layers and of the summary.
        attention_dropout: Dropout rate of the attention weights and of the output of attention.
        norm_epsilon: Added to the variance in layer norm.
        pad: The id of padding in the published configuration.
        token_rows: Rows of the token embedding, where a checkpoint has more of them than its
            tokenizer has tokens; 0: as many as there are tokens.
        tied: Whether the token embedding is also the output projection of a masked language model.
        checkpoint: The folder of the published checkpoint that the options were read from.

    Source:
        Warner et al. (2024), https://arxiv.org/abs/2412.13663, section 2.1 and appendix A
    """

    width: int = 128
    layers: int = 3
    heads: int = 2
    inner: int | None = None
    longest: int = 8192
    global_every: int = 3
    reach: int = 64
    global_base: float = 160_000.0
    local_base: float = 10_000.0
    pooling: Literal["cls", "mean"] = "cls"
    pooler: bool = True
    normalized: bool = False
    dropout: float = 0.0
    attention_dropout: float = 0.0
    norm_epsilon: float = field(default=1e-5, metadata=FIXED)
    pad: int = field(default=0, metadata=FIXED)
    token_rows: int = field(default=0, metadata=FIXED)
    tied: bool = field(default=True, metadata=FIXED)
    checkpoint: Path | None = field(default=None, metadata={"saved": False, **FIXED})

    reads: ClassVar[frozenset[str]] = frozenset({"tokens"})

    def __post_init__(self) -> None:
        sizes = (self.width, self.layers, self.heads, self.feed_forward, self.longest)
        if min(*sizes, self.global_every, self.reach) < 1:
            raise ValueError(
                "width, layers, heads, inner, longest, global_every and reach must be 1 or more"
            )
        if self.width % (2 * self.heads):
            raise ValueError(f"width ({self.width}) must be a multiple of 2 heads ({self.heads})")
        rates = (self.dropout, self.attention_dropout)
        if min(rates) < 0 or max(rates) >= 1 or min(self.global_base, self.local_base) <= 0:
            raise ValueError(
                "dropout and attention_dropout must be from 0 to less than 1, bases more than 0"
            )

    @property
    def feed_forward(self) -> int:
        """Size of the hidden layer of the feed-forward networks."""
        return 3 * self.width // 2 if self.inner is None else self.inner

    @property
    def traits(self) -> frozenset[Trait]:
        return frozenset({Trait.SEQUENCE, Trait.TWO_SIDED})

    def build(self, inputs: Inputs) -> "ModernBert":
        return ModernBert(self, inputs)

    def tiny(self) -> "ModernBertOptions":
        return replace(
            self, width=8, layers=2, heads=2, inner=None, reach=2, dropout=0.0,
            attention_dropout=0.0,
        )  # fmt: skip

    def recipe(self) -> Recipe:
        """Return the recipe of fine-tuning for a checkpoint, of training from new weights else.

        Source:
            Warner et al. (2024), appendix E
        """
        rate = 5e-5 if self.checkpoint else 5e-4 if self.width <= 256 else 1e-4
        return Recipe(
            learning_rate=rate, schedule="linear", warmup=0.1, batch_size=32, weight_decay=0.01,
            betas=(0.9, 0.98), epsilon=1e-6,
        )  # fmt: skip

    # Published checkpoints

    @classmethod
    def from_checkpoint(cls, folder: Path) -> "ModernBertOptions":
        try:
            return cls(**weights.read_options(folder), checkpoint=folder)
        except ValueError as error:
            raise RunError(f"{folder / 'config.json'}: {error}; fetch it again.") from None

    def pretrained(self) -> Pretrained | None:
        if self.checkpoint is None:
            return None
        longest = weights.longest_text(self.checkpoint, self.longest)
        return Pretrained(tokenizer=self.checkpoint, length=longest)

    def weights(self) -> Mapping[str, Tensor] | None:
        return None if self.checkpoint is None else weights.read_tensors(self.checkpoint)

    def starts_new(self, name: str) -> bool:
        return name.startswith("pooler.")

    def adopt(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return weights.adopt(self, tensors)

    def publish(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return weights.publish(self, tensors)

    def published_config(self) -> Mapping[str, Any]:
        return weights.write_options(self)

    def published_head(self, task: PublishedTask) -> PublishedHead:
        return weights.published_head(self, task)

    def embedding_options(self) -> "ModernBertOptions":
        if self.checkpoint is None:
            return self
        return replace(self, **weights.sentence_options(self.checkpoint))


class ModernBert(Backbone):
    """Embeddings, blocks, a norm, and what summarises a text."""

    def __init__(self, options: ModernBertOptions, inputs: Inputs) -> None:
        super().__init__()
        self.options, self.width, self.context = options, options.width, options.longest
        kind = inputs["tokens"]
        assert isinstance(kind, Tokens)
        if options.token_rows and kind.size > options.token_rows:
            raise UsageError(
                f"The checkpoint has vectors for {options.token_rows:,} tokens, and its tokenizer "
                f"has {kind.size:,}: they do not belong together; fetch both from one place."
            )
        self.token_rows, self.norm_epsilon = options.token_rows or None, options.norm_epsilon
        self.head_bias = False
        self.tokens = nn.Embedding(options.token_rows or kind.size, options.width)
        self.embedded = norm(options)
        self.blocks = nn.ModuleList(Block(options, place) for place in range(options.layers))
        self.norm = norm(options)
        self.pooler = Pooler(options) if options.pooler else None
        self.dropout = nn.Dropout(options.dropout)
        initialise(self)

    @property
    def token_embedding(self) -> nn.Module | None:
        return self.tokens if self.options.tied else None

    @property
    def token_width(self) -> int:
        return self.tokens.embedding_dim

    def depth(self, name: str) -> int:
        """Return 0 for embeddings, 1 and on for blocks; what follows belongs to the last block."""
        part, _, rest = name.partition(".")
        if part == "blocks":
            return 1 + int(rest.split(".")[0])
        return 0 if part in ("tokens", "embedded") else self.options.layers

    def forward(self, batch: Batch) -> States:
        tokens, mask = batch.inputs["tokens"], batch.mask
        if mask is None:
            mask = torch.ones_like(tokens, dtype=torch.bool)
        packing = Packing.of(mask)
        places = torch.arange(packing.longest, device=tokens.device)
        size = self.width // self.options.heads
        angles = [rotations(places, size, base) for base in
                  (self.options.global_base, self.options.local_base)]  # fmt: skip
        hidden = self.dropout(self.embedded(self.tokens(packing.pack(tokens))))
        for number, block in enumerate(self.blocks):
            local = number % self.options.global_every > 0
            hidden = block(hidden, packing, self.options.reach if local else None, angles[local])
        sequence = packing.unpack(self.norm(hidden))
        summary = pool(sequence, mask, "first" if self.options.pooling == "cls" else "mean")
        if self.pooler is not None:
            summary = self.pooler(summary)
        if self.options.normalized:
            summary = F.normalize(summary, dim=-1)
        return States(self.dropout(summary), sequence)


class Block(nn.Module):
    """Self-attention and a gated feed-forward network, each with a norm before it.

    Args:
        options: Of the encoder.
        place: Of the block; the first has no norm before its attention, since its input has one.
    """

    def __init__(self, options: ModernBertOptions, place: int) -> None:
        super().__init__()
        self.options, width, inner = options, options.width, options.feed_forward
        self.attended = norm(options) if place else nn.Identity()
        self.project = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.norm = norm(options)
        self.inner = nn.Linear(width, 2 * inner, bias=False)  # what is gated, and the gate
        self.outer = nn.Linear(inner, width, bias=False)
        self.dropout = nn.Dropout(options.dropout)
        self.attention_dropout = nn.Dropout(options.attention_dropout)

    def forward(
        self,
        hidden: Float[Tensor, "position width"],
        packing: Packing,
        reach: int | None,
        angles: tuple[Tensor, Tensor],
    ) -> Float[Tensor, "position width"]:
        """Return the states of the next layer."""
        seen = packed_attention(
            self.project(self.attended(hidden)),
            packing,
            self.options.heads,
            reach=reach,
            angles=angles,
            dropout=self.options.attention_dropout if self.training else 0.0,
        )
        hidden = hidden + self.attention_dropout(self.output(seen))
        made, gate = self.inner(self.norm(hidden)).chunk(2, dim=-1)
        return hidden + cast(Tensor, self.outer(self.dropout(F.gelu(made) * gate)))


class Pooler(nn.Module):
    """A layer and a norm between what summarises a text and the head."""

    def __init__(self, options: ModernBertOptions) -> None:
        super().__init__()
        self.dense = nn.Linear(options.width, options.width, bias=False)
        self.norm = norm(options)

    def forward(self, summary: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        """Return the vector that the head reads."""
        return cast(Tensor, self.norm(F.gelu(self.dense(summary))))


def norm(options: ModernBertOptions) -> nn.LayerNorm:
    """Return a layer norm, without biases like all layers of this network."""
    return nn.LayerNorm(options.width, eps=options.norm_epsilon, bias=False)


def initialise(backbone: ModernBert) -> None:
    """Draw weights with deviation 0.02, those that end a residual branch with less.

    Source:
        Radford et al. (2019), section 2.3: divided by the root of the number of branches
    """
    least = 0.02 / (2 * backbone.options.layers) ** 0.5
    for name, module in backbone.named_modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            ends = name.endswith((".output", ".outer"))
            nn.init.normal_(module.weight, std=least if ends else 0.02)

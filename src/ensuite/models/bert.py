"""BERT: a Transformer encoder that reads both sides, and can open published checkpoints."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ensuite.core.backbone import Backbone, BackboneOptions, Pretrained, Trait
from ensuite.core.batch import Batch, Inputs, States, Tokens
from ensuite.core.errors import RunError, UsageError
from ensuite.core.published import PublishedHead, PublishedTask
from ensuite.core.recipe import Recipe
from ensuite.models.weights import bert as weights
from ensuite.nn.gelu import gelu_tanh
from ensuite.nn.packed import Packing, packed_attention
from ensuite.nn.pooling import pool
from ensuite.nn.position import LearnedPositions, RelativePositions, sinusoids

SEGMENTS = "segments"
"""The input field that tells the first text of a pair, 0, from the second, 1."""

POOLING: Mapping[str, Literal["first", "mean"]] = {"cls": "first", "mean": "mean"}

FIXED: Mapping[str, Any] = {"learned": True}
"""Marks options that only a checkpoint sets."""

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": gelu_tanh,
    "relu": F.relu,
    "tanh": torch.tanh,
}


@dataclass(frozen=True, kw_only=True)
class BertOptions(BackboneOptions):
    """A BERT encoder: self-attention to both sides, layer norm after each residual sum.

    The defaults are those of BERT-tiny, except that there is no limit to the vocabulary.

    Args:
        width: Size of the vector of each position.
        layers: Number of blocks.
        heads: Number of attention heads in each block; it must divide width.
        inner: Size of the hidden layer of each feed-forward network; None: four times the width.
        embedding: Size of the token embeddings, projected to the width; None: the width.
        positions: Positional encoding. learned: a vector per position; sinusoidal: fixed sines and
            cosines; relative: a learned bias per distance added to the attention scores.
        longest: Most positions that a sequence may have, unless positions=relative.
        reach: Largest distance between two positions that attend to each other (sliding-window
            attention). The first position, [CLS], attends to all and all attend to it. None: all
            positions attend to each other.
        segments: Number of segments that are told apart: 2 for pairs of texts; 0: none.
        activation: Activation of the feed-forward networks.
        pooling: What summarises a text: the state of its first token, [CLS], or the mean of all.
        pooler: Activation of a layer between that and the head; none: there is no such layer.
        normalized: Whether the summary is scaled to length 1.
        dropout: Dropout rate of the embeddings, of each sublayer's output and of the summary.
        attention_dropout: Dropout rate of the attention weights.
        family: ``model_type`` of the published checkpoints that it can be saved as.
        norm_epsilon: Added to the variance in layer norm.
        pad: The id of padding in the published configuration.
        token_rows: Rows of the token embedding, where a checkpoint has more of them than its
            tokenizer has tokens; 0: as many as there are tokens.
        tied: Whether the token embedding is also the output projection of a masked language model.
        checkpoint: The folder of the published checkpoint that the options were read from.

    Sources:
        Devlin et al. (2019), https://arxiv.org/abs/1810.04805
        Sizes: Turc et al. (2019), https://arxiv.org/abs/1908.08962, table 1
        Sliding window with a global token: Beltagy, Peters & Cohan (2020),
        https://arxiv.org/abs/2004.05150, section 3.1
        Mean of all states, length 1: Reimers & Gurevych (2019), https://arxiv.org/abs/1908.10084
    """

    width: int = 128
    layers: int = 2
    heads: int = 2
    inner: int | None = None
    embedding: int | None = None
    positions: Literal["learned", "sinusoidal", "relative"] = "learned"
    longest: int = 512
    reach: int | None = None
    segments: int = 2
    activation: Literal["gelu", "gelu_tanh", "relu"] = "gelu"
    pooling: Literal["cls", "mean"] = "cls"
    pooler: Literal["tanh", "gelu", "relu", "none"] = "tanh"
    normalized: bool = False
    dropout: float = 0.1
    attention_dropout: float = 0.1
    family: str = field(default="bert", metadata=FIXED)
    norm_epsilon: float = field(default=1e-12, metadata=FIXED)
    pad: int = field(default=0, metadata=FIXED)
    token_rows: int = field(default=0, metadata=FIXED)
    tied: bool = field(default=True, metadata=FIXED)
    checkpoint: Path | None = field(default=None, metadata={"saved": False, **FIXED})

    reads: ClassVar[frozenset[str]] = frozenset({"tokens"})

    def __post_init__(self) -> None:
        sizes = (self.width, self.layers, self.heads, self.longest, self.feed_forward, self.vector)
        if min(sizes) < 1 or self.segments < 0:
            raise ValueError(
                "width, layers, heads, inner, embedding and longest must be 1 or more, segments 0 "
                "or more"
            )
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        if not self.norm_epsilon > 0:
            raise ValueError(f"norm_epsilon must be more than 0, not {self.norm_epsilon}")
        rates = (self.dropout, self.attention_dropout)
        if min(rates) < 0 or max(rates) >= 1:
            raise ValueError("dropout and attention_dropout must be from 0 to less than 1")
        if self.reach is not None and self.reach < 1:
            raise ValueError("reach must be 1 or more, or none")

    @property
    def feed_forward(self) -> int:
        """Size of the hidden layer of the feed-forward networks."""
        return 4 * self.width if self.inner is None else self.inner

    @property
    def vector(self) -> int:
        """Size of the token embeddings."""
        return self.width if self.embedding is None else self.embedding

    @property
    def traits(self) -> frozenset[Trait]:
        return frozenset({Trait.SEQUENCE, Trait.TWO_SIDED})

    def build(self, inputs: Inputs) -> "Bert":
        return Bert(self, inputs)

    def tiny(self) -> "BertOptions":
        return replace(
            self, width=8, layers=2, heads=2, inner=None, embedding=None, longest=64, dropout=0.0,
            attention_dropout=0.0,
        )  # fmt: skip

    def recipe(self) -> Recipe:
        """Return the recipe of fine-tuning for a checkpoint, of training from new weights else.

        Sources:
            Devlin et al. (2019), appendices A.2 and A.3; the rates of small models that are
            fine-tuned: Turc et al. (2019), section 5.1
        """
        sizes = (256, 512, 1023)
        rates = (1e-3, 5e-4, 1e-4, 1e-4) if self.checkpoint is None else (3e-4, 1e-4, 3e-5, 1.5e-5)
        return Recipe(
            learning_rate=rates[sum(self.width > size for size in sizes)],
            schedule="linear",
            warmup=0.1,
            batch_size=32,
            weight_decay=0.01,
            clip=1.0,
        )

    # Published checkpoints

    @classmethod
    def from_checkpoint(cls, folder: Path) -> "BertOptions":
        try:
            return cls(**weights.read_options(folder), checkpoint=folder)
        except ValueError as error:
            raise RunError(f"{folder / 'config.json'}: {error}; fetch it again.") from None

    def pretrained(self) -> Pretrained | None:
        if self.checkpoint is None:
            return None
        longest = weights.longest_text(self.checkpoint, self.longest)
        return Pretrained(tokenizer=self.checkpoint, length=longest, segments=self.segments)

    def weights(self) -> Mapping[str, Tensor] | None:
        return None if self.checkpoint is None else weights.read_tensors(self, self.checkpoint)

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

    def embedding_options(self) -> "BertOptions":
        if self.checkpoint is None:
            return self
        return replace(self, **weights.sentence_options(self.checkpoint))


class Bert(Backbone):
    """Embeddings, blocks, and what summarises a text."""

    def __init__(self, options: BertOptions, inputs: Inputs) -> None:
        super().__init__()
        self.options, self.width = options, options.width
        self.context = None if options.positions == "relative" else options.longest
        self.token_rows, self.norm_epsilon = options.token_rows or None, options.norm_epsilon
        self.embed = Embeddings(options, token_rows(options, inputs))
        self.distances = None
        if options.positions == "relative":
            self.distances = RelativePositions(options.heads)
        self.blocks = nn.ModuleList(Block(options) for _ in range(options.layers))
        self.pooler = Pooler(options) if options.pooler != "none" else None
        self.dropout = nn.Dropout(options.dropout)
        self.apply(initialise)

    @property
    def token_embedding(self) -> nn.Module | None:
        return self.embed.tokens if self.options.tied else None

    @property
    def token_width(self) -> int:
        return self.embed.tokens.embedding_dim

    @property
    def head_activation(self) -> Callable[[Tensor], Tensor]:
        """The activation of the blocks; other families publish heads with GELU, whatever it is."""
        if self.options.family in ("bert", "distilbert"):
            return ACTIVATIONS[self.options.activation]
        return F.gelu

    def depth(self, name: str) -> int:
        """Return 0 for embeddings, 1 and on for blocks; the pooler belongs to the last block."""
        part, _, rest = name.partition(".")
        if part == "blocks":
            return 1 + int(rest.split(".")[0])
        return self.options.layers if part == "pooler" else 0

    def forward(self, batch: Batch) -> States:
        tokens, mask = batch.inputs["tokens"], batch.mask
        if mask is None:
            mask = torch.ones_like(tokens, dtype=torch.bool)
        packing = Packing.of(mask)
        segments = batch.inputs.get(SEGMENTS)
        hidden = self.embed(
            packing.pack(tokens),
            packing.places,
            None if segments is None else packing.pack(segments),
        )
        allowed = self.allowed(packing.longest, tokens.device)
        for block in self.blocks:
            hidden = block(hidden, packing, allowed)
        sequence = packing.unpack(hidden)
        return States(self.summarise(sequence, mask), sequence)

    def allowed(
        self, longest: int, device: torch.device
    ) -> Bool[Tensor, "1 time time"] | Float[Tensor, "head time time"] | None:
        """Return what limits or biases attention between places, for all rows; None: nothing."""
        places, reach = torch.arange(longest, device=device), self.options.reach
        near = None
        if reach is not None:
            near = (places[:, None] - places).abs() <= reach
            near = (near | (places == 0) | (places[:, None] == 0))[None]
        if self.distances is None:
            return near
        bias: Tensor = self.distances(places[None], places[None])[0]
        return bias if near is None else bias.masked_fill(~near, -torch.inf)

    def summarise(
        self, sequence: Float[Tensor, "batch time width"], mask: Bool[Tensor, "batch time"]
    ) -> Float[Tensor, "batch width"]:
        """Return the vector of each row that a head reads."""
        summary = pool(sequence, mask, POOLING[self.options.pooling])
        if self.pooler is not None:
            summary = self.pooler(self.dropout(summary) if self.drops_first else summary)
        if self.options.normalized:
            summary = F.normalize(summary, dim=-1)
        return cast(Tensor, self.dropout(summary))

    @property
    def drops_first(self) -> bool:
        """Whether there is dropout before the pooler as well, as in RoBERTa and ELECTRA."""
        return self.options.family not in ("bert", "distilbert")


class Embeddings(nn.Module):
    """Vectors of token, position and segment, added up and normalised.

    Args:
        options: Of the encoder.
        size: Rows of the token embedding.
    """

    def __init__(self, options: BertOptions, size: int) -> None:
        super().__init__()
        self.options = options
        self.tokens = nn.Embedding(size, options.vector)
        self.places = self.segments = self.project = None
        if options.positions == "learned":
            self.places = LearnedPositions(options.longest, options.vector)
        if options.segments:
            self.segments = nn.Embedding(options.segments, options.vector)
        self.norm = nn.LayerNorm(options.vector, eps=options.norm_epsilon)
        self.dropout = nn.Dropout(options.dropout)
        if options.vector != options.width:
            self.project = nn.Linear(options.vector, options.width)

    def forward(
        self,
        tokens: Int[Tensor, " position"],
        places: Int[Tensor, " position"],
        segments: Int[Tensor, " position"] | None,
    ) -> Float[Tensor, "position width"]:
        """Return the input of the first block; without ``segments`` all are of the first."""
        vectors = self.tokens(tokens)
        if self.places is not None:
            vectors = vectors + self.places(places)
        elif self.options.positions == "sinusoidal":
            vectors = vectors + sinusoids(places, self.options.vector)
        if self.segments is not None:
            if segments is None:
                segments = torch.zeros_like(tokens)
            vectors = vectors + self.segments(segments)
        vectors = self.dropout(self.norm(vectors))
        return cast(Tensor, vectors if self.project is None else self.project(vectors))


class Block(nn.Module):
    """Self-attention and a feed-forward network, each added to its input and normalised."""

    def __init__(self, options: BertOptions) -> None:
        super().__init__()
        self.options, width = options, options.width
        self.project = nn.Linear(width, 3 * width)  # queries, keys and values in one product
        self.output = nn.Linear(width, width)
        self.attended = nn.LayerNorm(width, eps=options.norm_epsilon)
        self.inner = nn.Linear(width, options.feed_forward)
        self.outer = nn.Linear(options.feed_forward, width)
        self.norm = nn.LayerNorm(width, eps=options.norm_epsilon)
        self.dropout = nn.Dropout(options.dropout)

    def forward(
        self, hidden: Float[Tensor, "position width"], packing: Packing, allowed: Tensor | None
    ) -> Float[Tensor, "position width"]:
        """Return the states of the next layer."""
        seen = packed_attention(
            self.project(hidden),
            packing,
            self.options.heads,
            allowed=allowed,
            dropout=self.options.attention_dropout if self.training else 0.0,
        )
        hidden = self.attended(hidden + self.dropout(self.output(seen)))
        made = self.outer(ACTIVATIONS[self.options.activation](self.inner(hidden)))
        return cast(Tensor, self.norm(hidden + self.dropout(made)))


class Pooler(nn.Module):
    """A layer between what summarises a text and the head."""

    def __init__(self, options: BertOptions) -> None:
        super().__init__()
        self.dense = nn.Linear(options.width, options.width)
        self.activation = ACTIVATIONS[options.pooler]

    def forward(self, summary: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        """Return the vector that the head reads."""
        return self.activation(self.dense(summary))


def initialise(module: nn.Module) -> None:
    """Draw weights from a normal distribution of deviation 0.02; biases are zero.

    Source:
        Devlin et al. (2019), in the code published with it
    """
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


def token_rows(options: BertOptions, inputs: Inputs) -> int:
    """Return the rows of the token embedding.

    Raises:
        UsageError: If the checkpoint has fewer than its tokenizer has tokens, or an input field is
            not one that this network reads.
    """
    if other := inputs.keys() - {"tokens", SEGMENTS}:
        raise UsageError(f"BERT reads tokens and segments, not {', '.join(sorted(other))}.")
    kind, segments = inputs["tokens"], inputs.get(SEGMENTS)
    assert isinstance(kind, Tokens)
    if options.token_rows and kind.size > options.token_rows:
        raise UsageError(
            f"The checkpoint has vectors for {options.token_rows:,} tokens, and its tokenizer has "
            f"{kind.size:,}: they do not belong together; fetch both from one place."
        )
    if isinstance(segments, Tokens) and 0 < options.segments < segments.size:
        advice = f"give segments={segments.size}"
        if options.checkpoint is not None:
            advice = "choose a checkpoint that was trained on pairs"
        raise UsageError(
            f"The model has vectors for {options.segments} segments, and these pairs of texts have "
            f"{segments.size}; {advice}."
        )
    return options.token_rows or kind.size

"""GPT: a causal Transformer decoder, from GPT-2 to Llama, with a key-value cache."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ensuite.core.backbone import Backbone, BackboneOptions, Pretrained, Trait
from ensuite.core.batch import Batch, Carry, Inputs, States, Tokens
from ensuite.core.errors import RunError
from ensuite.core.published import PublishedHead, PublishedTask
from ensuite.core.recipe import Recipe
from ensuite.models.weights import gpt as published
from ensuite.nn.cache import Cache
from ensuite.nn.causal import Layout, Reach, arrange, reach_back
from ensuite.nn.embed import Embedding
from ensuite.nn.norm import RMSNorm
from ensuite.nn.position import LearnedPositions, rotate, rotations

INIT_STD = 0.02
"""Standard deviation of new weights (Radford et al. 2018, section 4.1)."""

Activation = Literal["gelu", "squared-relu", "swiglu"]


@dataclass(frozen=True, kw_only=True)
class GPTOptions(BackboneOptions):
    """A decoder-only Transformer: each position attends to itself and to earlier ones.

    The defaults are those that learn most from a small budget. The presets ``gpt2``,
    ``gpt2-medium`` and so on are the published models, and the folder of a published checkpoint
    sets every option as its ``config.json`` says.

    Args:
        width: Size of the vector of each position.
        layers: Number of blocks.
        heads: Number of attention heads of each block.
        key_heads: Number of heads of keys and values, each shared by several query heads
            (grouped-query attention); it must divide heads. None: as many as heads.
        head_size: Size of the queries and keys of a head. None: width / heads.
        inner: Units of the hidden layer of each feed-forward network. None: 4 times width; 8/3
            times with swiglu, which has three matrices instead of two.
        context: Most positions that are read at once, which is also the length of the chunks that
            a language model is trained on.
        positions: learned: a learned vector for each position, added to the input; rotary: queries
            and keys are rotated by an angle that grows with the position.
        rotary_base: Base of the rotary wavelengths.
        norm: layer: layer norm; rms: root mean square norm, which subtracts no mean.
        epsilon: Added to the variance in norms.
        qk_norm: Whether queries and keys are normalised, which bounds the attention scores.
        activation: gelu; squared-relu; or swiglu, a gated layer.
        bias: Which linear layers have biases: all, those of queries, keys and values (qkv), none.
            Layer norms have one with all.
        tied: Whether the token embedding is also the output projection (weight tying).
        window: How many positions, its own included, a position attends to in each layer (sliding
            window attention). None: all earlier ones.
        memory: Whether the last keys and values of a chunk are handed to the next one, as in
            Transformer-XL; needs a window and rotary positions.
        dropout: Dropout rate of the inputs, of the attention weights and of each sublayer's output.
        token_rows: Rows of the token embedding, where a checkpoint has more than its tokenizer has
            tokens. None: one for each.
        folder: The published checkpoint that the options were read from.

    Sources:
        Radford et al. (2018, 2019), "Improving Language Understanding by Generative Pre-Training",
        "Language Models are Unsupervised Multitask Learners"
        Brown et al. (2020), https://arxiv.org/abs/2005.14165, section 2.1
        Llama: Touvron et al. (2023), https://arxiv.org/abs/2302.13971, section 2.2
        Grouped queries: Ainslie et al. (2023), https://arxiv.org/abs/2305.13245
        Normalised queries and keys: Henry et al. (2020), https://arxiv.org/abs/2010.04245
        Squared ReLU: So et al. (2021), https://arxiv.org/abs/2109.08668
        SwiGLU: Shazeer (2020), https://arxiv.org/abs/2002.05202
        Sliding window: Beltagy et al. (2020), https://arxiv.org/abs/2004.05150
        Memory: Dai et al. (2019), https://arxiv.org/abs/1901.02860, section 3.2
    """

    width: int = 128
    layers: int = 4
    heads: int = 4
    key_heads: int | None = None
    head_size: int | None = None
    inner: int | None = None
    context: int = 128
    positions: Literal["rotary", "learned"] = "rotary"
    rotary_base: float = 10_000.0
    norm: Literal["rms", "layer"] = "rms"
    epsilon: float = 1e-5
    qk_norm: bool = True
    activation: Activation = "squared-relu"
    bias: Literal["none", "qkv", "all"] = "none"
    tied: bool = False
    window: int | None = None
    memory: bool = False
    dropout: float = 0.0
    token_rows: int | None = field(default=None, metadata={"learned": True})
    folder: Path | None = field(default=None, metadata={"learned": True, "saved": False})

    reads: ClassVar[frozenset[str]] = frozenset({"tokens"})

    def __post_init__(self) -> None:
        sizes = (self.key_heads, self.head_size, self.inner, self.window)
        counts = [self.width, self.layers, self.heads, self.context]
        if min([*counts, *(size for size in sizes if size is not None)]) < 1:
            raise ValueError("sizes, heads, layers, context and window must be 1 or more")
        if self.head_size is None and self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        if self.heads % (self.key_heads or self.heads):
            raise ValueError(f"key_heads ({self.key_heads}) must divide heads ({self.heads})")
        if not 0 <= self.dropout < 1 or min(self.epsilon, self.rotary_base) <= 0:
            raise ValueError(
                "dropout must be from 0 to less than 1, epsilon and rotary_base more than 0"
            )
        if self.memory and (self.window is None or self.positions != "rotary"):
            raise ValueError("memory needs a window, and positions=rotary")

    @property
    def size(self) -> int:
        """Size of the queries and keys of a head."""
        return self.head_size or self.width // self.heads

    @property
    def groups(self) -> int:
        """Number of heads of keys and values."""
        return self.key_heads or self.heads

    @property
    def hidden(self) -> int:
        """Units of the hidden layer of each feed-forward network."""
        if self.inner is not None:
            return self.inner
        return 8 * math.ceil(self.width / 3) if self.activation == "swiglu" else 4 * self.width

    @property
    def traits(self) -> frozenset[Trait]:
        carries = {Trait.CARRIES} if self.memory else set()
        return frozenset({Trait.SEQUENCE, Trait.CAUSAL, Trait.STEPS, *carries})

    def build(self, inputs: Inputs) -> "GPT":
        return GPT(self, inputs)

    def tiny(self) -> "GPTOptions":
        return replace(
            self, width=12, layers=1, heads=6, context=64, dropout=0.0,
            key_heads=None if self.key_heads is None else 2,
            head_size=None if self.head_size is None else 4,
            inner=None if self.inner is None else 16,
            window=None if self.window is None else 4,
        )  # fmt: skip

    def recipe(self) -> Recipe:
        """Return Muon's for new weights, nanoGPT's with layer norm, AdamW's for a checkpoint.

        An update of Muon has the same spectral norm at any width if the learning rate falls with
        the root of the width.
        """
        if self.folder is not None:
            return Recipe(learning_rate=5e-5, warmup=0.1, batch_size=16, weight_decay=0.01)
        if self.norm == "layer":
            return Recipe(
                learning_rate=1e-3, schedule="cosine", warmup=0.05, batch_size=12,
                weight_decay=0.1, betas=(0.9, 0.99),
            )  # fmt: skip
        rate = float(f"{0.09 / math.sqrt(self.width):.1g}")
        return Recipe(optimizer="muon", learning_rate=rate, batch_size=32)

    # Published checkpoints

    @classmethod
    def from_checkpoint(cls, folder: Path) -> "GPTOptions":
        """Return the options of a checkpoint of GPT-2, Llama, Mistral, Qwen2 or Qwen3."""
        options = published.read_options(folder)
        try:
            return cls(folder=folder, **options)
        except ValueError as error:
            raise RunError(f"{folder / published.CONFIG} describes no model: {error}.") from None

    def pretrained(self) -> Pretrained | None:
        return None if self.folder is None else Pretrained(self.folder, self.context)

    def weights(self) -> Mapping[str, Tensor] | None:
        return None if self.folder is None else published.read_tensors(self, self.folder)

    def adopt(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return published.adopt(self, tensors)

    def publish(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return published.publish(self, tensors)

    def published_config(self) -> Mapping[str, Any]:
        return published.write_config(self)

    def published_head(self, task: PublishedTask) -> PublishedHead:
        return published.head_of(self, task)


Turn = tuple[Tensor, Tensor]
"""Cosines and sines of each position, (batch or 1, 1, time, half)."""


class GPT(Backbone):
    """A stack of blocks of masked self-attention and feed-forward layers over tokens."""

    def __init__(self, options: GPTOptions, inputs: Inputs) -> None:
        super().__init__()
        self.options, self.width = options, options.width
        # A window of rotary positions moves on for ever: nothing it sees is new to it.
        endless = options.window is not None and options.positions == "rotary"
        self.context = None if endless else options.context
        ((self.field, kind),) = inputs.items()
        if not isinstance(kind, Tokens):
            raise TypeError(f"a GPT reads tokens, not {kind}")
        self.token_rows = options.token_rows
        rows = max(kind.size, options.token_rows or 0)
        self.embed = Embedding(rows, options.width, padding=kind.pad)
        self.places = None
        if options.positions == "learned":
            self.places = LearnedPositions(options.context, options.width)
        self.blocks = nn.ModuleList(Block(options) for _ in range(options.layers))
        self.norm = make_norm(options, options.width)
        self.dropout = nn.Dropout(options.dropout)
        self.initialise()

    def initialise(self) -> None:
        """Draw new weights as GPT-2 does.

        The projections that add to the residual stream, two in each block, are drawn smaller by the
        square root of their number, so that the sum has the same size at any depth.

        Source:
            Radford et al. (2019), section 2.3
        """
        self.embed.redraw(INIT_STD)
        for name, parameter in self.blocks.named_parameters():
            if name.endswith(("output.weight", "down.weight")):
                nn.init.normal_(parameter, std=INIT_STD / math.sqrt(2 * self.options.layers))
            elif parameter.dim() == 2:
                nn.init.normal_(parameter, std=INIT_STD)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    @property
    def token_embedding(self) -> Embedding | None:
        return self.embed if self.options.tied else None

    token_bias = False

    @property
    def replaceable(self) -> tuple[str, ...]:
        linear = [n for n, module in self.named_modules() if isinstance(module, nn.Linear)]
        return ("embed", *linear)

    def depth(self, name: str) -> int:
        """Return 0 for embeddings, 1 and on for blocks; the last norm belongs to the last block."""
        if name.startswith("blocks."):
            return 1 + int(name.split(".")[1])
        return self.options.layers if name.startswith("norm.") else 0

    # Whole sequences

    def forward(self, batch: Batch) -> States:
        """Return a state for each position; the summary is that of the last real one."""
        tokens = batch.inputs[self.field]
        seen = batch.carry if self.options.memory else None
        layout = arrange(batch, tokens, self.options.window, seen)
        past = [] if seen is None else [kept(seen, number) for number in self.numbers]
        hidden, read = self.run(tokens, layout.places, layout.reach, past)
        summary = hidden[torch.arange(len(hidden), device=hidden.device), layout.lasts]
        carry = self.remember(read, layout) if self.options.memory else None
        return States(summary, hidden, carry=carry)

    def run(
        self,
        tokens: Int[Tensor, "batch time"],
        places: Int[Tensor, "#batch time"],
        reach: Reach,
        past: Sequence[Any],
    ) -> tuple[Float[Tensor, "batch time width"], list[tuple[Tensor, Tensor]]]:
        """Return the outputs, and the keys and values of each block.

        Args:
            tokens: To be read.
            places: Index of each position in its document.
            reach: Which keys each position attends to.
            past: For each block a cache, or the keys and values before these; may be empty.
        """
        hidden, turn = self.embed(tokens), None
        if self.places is not None:
            hidden = hidden + self.places(places)
        else:
            angles = rotations(places, self.options.size, self.options.rotary_base)
            turn = (angles[0][:, None], angles[1][:, None])
        hidden, read = self.dropout(hidden), []
        for number, block in enumerate(self.blocks):
            hidden, keys_values = block(hidden, turn, reach, past[number] if past else None)
            read.append(keys_values)
        return self.norm(hidden), read

    def remember(self, read: Sequence[tuple[Tensor, Tensor]], layout: Layout) -> Carry:
        """Return the last keys and values of every block, for the next chunk of the same rows."""
        assert self.options.window is not None
        last = self.options.window - 1
        carry = {"read": layout.read}
        for number, (keys, values) in enumerate(read):
            carry |= {
                f"{number}.keys": tail(keys, last, 2),
                f"{number}.values": tail(values, last, 2),
            }
        numbers = tail(layout.numbers + 1, last, 1) - 1  # -1: nothing stands there
        return {**carry, "numbers": numbers, "documents": tail(layout.documents, last, 1)}

    # One position at a time

    @property
    def numbers(self) -> range:
        """The numbers of the blocks."""
        return range(self.options.layers)

    def begin(self, batch: Batch) -> Carry:
        """Return empty caches for the rows of a batch."""
        rows, weight = len(batch), self.norm.weight
        nothing = weight.new_zeros(rows, self.options.groups, 0, self.options.size)
        carry = {"read": torch.zeros(rows, dtype=torch.long, device=weight.device)}
        for number in self.numbers:
            carry |= {f"{number}.keys": nothing, f"{number}.values": nothing}
        return carry

    def step(self, inputs: Mapping[str, Tensor], carry: Carry) -> tuple[States, Carry]:
        """Read one more token of each row."""
        tokens = {name: tensor[:, None] for name, tensor in inputs.items()}
        states, carry = self.read(Batch(inputs=tokens), carry)
        return States(states.summary, states.summary), carry

    def read(self, batch: Batch, carry: Carry) -> tuple[States, Carry]:
        """Read several tokens of each row in one pass, after all that the carry has read.

        The caches are written in place where no gradient is needed, so a carry is used once.

        Raises:
            ValueError: If the rows of the carry have read different numbers of tokens.
        """
        tokens, window = batch.inputs[self.field], self.options.window
        before, last = (int(each) for each in carry["read"].aminmax())
        if before != last:
            raise ValueError("the rows of a carry must have read equally many tokens")
        caches = [Cache(*kept(carry, number), before, window) for number in self.numbers]
        places = torch.arange(before, before + tokens.shape[1], device=tokens.device)
        reach = Reach()
        if len(places) > 1:
            kept_before = before if window is None else min(before, window)
            keys = torch.arange(before - kept_before, before + len(places), device=tokens.device)
            reach = reach_back(places, keys, window)
        hidden, _ = self.run(tokens, places[None], reach, caches)
        after = {"read": carry["read"] + len(places)}
        for number, cache in enumerate(caches):
            after |= {f"{number}.keys": cache.keys, f"{number}.values": cache.values}
        return States(hidden[:, -1], hidden), after


class Block(nn.Module):
    """Masked self-attention and a feed-forward network, each with a norm before and a sum after."""

    def __init__(self, options: GPTOptions) -> None:
        super().__init__()
        self.attention_norm = make_norm(options, options.width)
        self.attention = Attention(options)
        self.feed_norm = make_norm(options, options.width)
        self.feed = FeedForward(options)
        self.dropout = nn.Dropout(options.dropout)

    def forward(
        self,
        hidden: Float[Tensor, "batch time width"],
        turn: Turn | None,
        reach: Reach,
        past: Any = None,
    ) -> tuple[Float[Tensor, "batch time width"], tuple[Tensor, Tensor]]:
        """Return the outputs, and the keys and values that were attended to."""
        found, read = self.attention(self.attention_norm(hidden), turn, reach, past)
        hidden = hidden + self.dropout(found)
        return hidden + self.dropout(self.feed(self.feed_norm(hidden))), read


class Attention(nn.Module):
    """Masked self-attention, in which several query heads may share one head of keys and values."""

    def __init__(self, options: GPTOptions) -> None:
        super().__init__()
        size, heads, groups = options.size, options.heads, options.groups
        self.size, self.parts = size, [heads, groups, groups]
        self.dropout = options.dropout
        bias = options.bias != "none"
        self.to_all = nn.Linear(options.width, sum(self.parts) * size, bias=bias)
        self.stacks = {"to_all.weight": [part * size for part in self.parts]}  # for Muon
        self.output = nn.Linear(heads * size, options.width, bias=options.bias == "all")
        self.query_norm = self.key_norm = None
        if options.qk_norm:
            self.query_norm = RMSNorm(size, eps=options.epsilon)
            self.key_norm = RMSNorm(size, eps=options.epsilon)

    def forward(
        self,
        hidden: Float[Tensor, "batch time width"],
        turn: Turn | None,
        reach: Reach,
        past: Any = None,
    ) -> tuple[Float[Tensor, "batch time width"], tuple[Tensor, Tensor]]:
        """Return the output at each position, and the keys and values that were attended to.

        Args:
            hidden: One vector per position.
            turn: Cosines and sines that rotate queries and keys; None: they are not rotated.
            reach: Which keys each position attends to.
            past: A cache to extend, or the keys and values of earlier positions; None: none.
        """
        queries, keys, values = self.project(hidden, turn)
        if isinstance(past, Cache):
            keys, values = past.extend(keys, values)
        elif past is not None:
            keys, values = (
                torch.cat(pair, dim=2) for pair in zip(past, (keys, values), strict=True)
            )
        dropout = self.dropout if self.training else 0.0
        seen = attend(queries, keys, values, reach, dropout)
        return self.output(seen.transpose(1, 2).flatten(2)), (keys, values)

    def project(
        self, hidden: Float[Tensor, "batch time width"], turn: Turn | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the queries, keys and values of all heads, (batch, head, time, size)."""
        every = self.to_all(hidden).unflatten(-1, (-1, self.size)).transpose(1, 2)
        queries, keys, values = every.split(self.parts, dim=1)
        if self.query_norm is not None and self.key_norm is not None:
            queries, keys = self.query_norm(queries), self.key_norm(keys)
        if turn is not None:
            queries, keys = rotate(queries, *turn), rotate(keys, *turn)
        return queries, keys, values


class FeedForward(nn.Module):
    """The same two layers at each position; with swiglu the hidden one is gated."""

    def __init__(self, options: GPTOptions) -> None:
        super().__init__()
        self.activation, bias = options.activation, options.bias == "all"
        gates = 2 if options.activation == "swiglu" else 1
        self.up = nn.Linear(options.width, gates * options.hidden, bias=bias)
        self.stacks = {"up.weight": [options.hidden] * gates}  # for Muon
        self.down = nn.Linear(options.hidden, options.width, bias=bias)

    def forward(
        self, hidden: Float[Tensor, "batch time width"]
    ) -> Float[Tensor, "batch time width"]:
        """Return the output at each position."""
        inner: Tensor = self.up(hidden)
        if self.activation == "swiglu":
            gate, inner = inner.chunk(2, dim=-1)
            inner = F.silu(gate) * inner
        elif self.activation == "gelu":
            inner = F.gelu(inner, approximate="tanh")
        else:
            inner = inner.relu().square()
        return cast(Tensor, self.down(inner))


def make_norm(options: GPTOptions, width: int) -> nn.LayerNorm | RMSNorm:
    """Return a norm of vectors of one width, as the options say."""
    if options.norm == "rms":
        return RMSNorm(width, eps=options.epsilon)
    return nn.LayerNorm(width, eps=options.epsilon, bias=options.bias == "all")


def attend(
    queries: Float[Tensor, "batch head time size"],
    keys: Float[Tensor, "batch group key size"],
    values: Float[Tensor, "batch group key size"],
    reach: Reach,
    dropout: float = 0.0,
) -> Float[Tensor, "batch head time size"]:
    """Return the attention of each head's queries to the keys of the group that it belongs to."""
    rows, heads, time, size = queries.shape
    shared = heads != keys.shape[1]
    if shared and time == 1 and reach.mask is None:
        # The queries of a group are as good as several positions of one head: no key is repeated.
        grouped = queries.reshape(rows, keys.shape[1], -1, size)
        found = F.scaled_dot_product_attention(grouped, keys, values, dropout_p=dropout)
        return found.reshape(rows, heads, 1, size)
    return F.scaled_dot_product_attention(
        queries, keys, values, reach.mask, dropout, is_causal=reach.causal, enable_gqa=shared
    )


def kept(carry: Carry, number: int) -> tuple[Tensor, Tensor]:
    """Return the keys and values that a carry holds of one block."""
    return carry[f"{number}.keys"], carry[f"{number}.values"]


def tail(tensor: Tensor, count: int, dimension: int) -> Tensor:
    """Return the last slices along a dimension, after zeros where there are fewer."""
    size = tensor.shape[dimension]
    if size >= count:
        return tensor.narrow(dimension, size - count, count)
    shape = list(tensor.shape)
    shape[dimension] = count - size
    return torch.cat([tensor.new_zeros(shape), tensor], dim=dimension)

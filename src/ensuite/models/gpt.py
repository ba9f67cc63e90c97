"""GPT: a causal Transformer decoder, from GPT-2 to Llama, with a key-value cache."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ensuite.core.backbone import Backbone
from ensuite.core.batch import Batch, Carry, Inputs, States, Tokens
from ensuite.models.gpt_options import GPTOptions
from ensuite.nn.cache import Cache
from ensuite.nn.causal import Layout, Reach, arrange, reach_back
from ensuite.nn.embed import Embedding
from ensuite.nn.gelu import gelu_tanh
from ensuite.nn.linear_attention import Spans
from ensuite.nn.norm import RMSNorm
from ensuite.nn.position import LearnedPositions, rotate, rotations

__all__ = ["GPT", "GPTOptions"]

INIT_STD = 0.02
"""Standard deviation of new weights (Radford et al. 2018, section 4.1)."""

Turn = tuple[Tensor, Tensor]
"""Cosines and sines of each position, (batch or 1, 1, time, half)."""


class GPT(Backbone):
    """A stack of blocks of masked self-attention and feed-forward layers over tokens."""

    @staticmethod
    def attention(options: GPTOptions) -> nn.Module:
        """Return the attention of a block."""
        return Attention(options)

    def __init__(self, options: GPTOptions, inputs: Inputs) -> None:
        super().__init__()
        self.options, self.width = options, options.width
        self.context = None if options.endless else options.context
        ((self.field, kind),) = inputs.items()
        if not isinstance(kind, Tokens):
            raise TypeError(f"a GPT reads tokens, not {kind}")
        self.token_rows = options.token_rows
        rows = max(kind.size, options.token_rows or 0)
        self.embed = Embedding(rows, options.width, padding=kind.pad)
        self.places = None
        if options.positions == "learned":
            self.places = LearnedPositions(options.context, options.width)
        self.blocks = nn.ModuleList(
            Block(options, self.attention(options)) for _ in range(options.layers)
        )
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
        reach: Reach | Spans,
        past: Sequence[Any],
    ) -> tuple[Float[Tensor, "batch time width"], list[tuple[Tensor, Tensor]]]:
        """Return the outputs, and the keys and values of each block, or the states.

        Args:
            tokens: To be read.
            places: Index of each position in its document.
            reach: Which keys each position attends to.
            past: For each block a cache, or the keys and values before these, or the state of
                linear attention; may be empty.
        """
        hidden, turn = self.embed(tokens), None
        if self.places is not None:
            hidden = hidden + self.places(places)
        else:
            options = self.options
            angles = rotations(places, options.size, options.rotary_base, options.rotary_scaling)
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

    def __init__(self, options: GPTOptions, attention: nn.Module) -> None:
        super().__init__()
        self.attention_norm = make_norm(options, options.width)
        self.attention = attention
        self.feed_norm = make_norm(options, options.width)
        self.feed = FeedForward(options)
        self.dropout = nn.Dropout(options.dropout)

    def forward(
        self,
        hidden: Float[Tensor, "batch time width"],
        turn: Turn | None,
        reach: Reach | Spans,
        past: Any = None,
    ) -> tuple[Float[Tensor, "batch time width"], tuple[Tensor, Tensor]]:
        """Return the outputs, and the keys and values that were attended to."""
        found, read = self.attention(self.attention_norm(hidden), turn, reach, past)
        hidden = hidden + self.dropout(found)
        return hidden + self.dropout(self.feed(self.feed_norm(hidden))), read


class Projections(nn.Module):
    """The linear layers of an attention, and the norms of its queries and keys."""

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

    def project(
        self, hidden: Float[Tensor, "batch time width"], turn: Turn | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the queries, keys and values of all heads, (batch, head, time, size)."""
        every = self.to_all(hidden).unflatten(-1, (-1, self.size)).split(self.parts, dim=2)
        queries, keys, values = (part.transpose(1, 2) for part in every)
        if self.query_norm is not None and self.key_norm is not None:
            queries, keys = self.query_norm(queries), self.key_norm(keys)
        if turn is not None:
            queries, keys = rotate(queries, *turn), rotate(keys, *turn)
        return queries, keys, values


class Attention(Projections):
    """Masked self-attention, in which several query heads may share one head of keys and values."""

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
            inner = gelu_tanh(inner)
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

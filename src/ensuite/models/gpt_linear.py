"""A GPT with linear attention: it writes on for ever from a state of one size."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ensuite.core.batch import Batch, Carry, States
from ensuite.models.gpt import GPT, GPTOptions, Projections, Turn
from ensuite.nn.causal import restart
from ensuite.nn.linear_attention import (
    LinearState,
    Spans,
    features,
    find_spans,
    linear_attention,
)
from ensuite.nn.position import rotate


class LinearAttention(Projections):
    """Causal linear attention, in which several query heads may share one head of keys."""

    def forward(
        self,
        hidden: Float[Tensor, "batch time width"],
        turn: Turn | None,
        spans: Spans,
        state: LinearState,
    ) -> tuple[Float[Tensor, "batch time width"], LinearState]:
        """Return the output at each position, and the state after the last.

        Args:
            hidden: One vector per position.
            turn: Cosines and sines that rotate queries and keys; None: they are not rotated.
            spans: Where the documents lie.
            state: What was read before.
        """
        queries, keys, values = self.project(hidden, None)
        shares = self.parts[0] // self.parts[1]
        keys, values = (each.repeat_interleave(shares, dim=1) for each in (keys, values))
        queries, keys = features(queries), features(keys)
        turned = None if turn is None else (rotate(queries, *turn), rotate(keys, *turn))
        seen, state = linear_attention(queries, keys, values, spans, state, turned)
        return self.output(seen.transpose(1, 2).flatten(2)), state


class LinearGPT(GPT):
    """A stack of blocks of linear attention and feed-forward layers over tokens."""

    @staticmethod
    def attention(options: GPTOptions) -> nn.Module:
        """Return the attention of a block."""
        return LinearAttention(options)

    # Whole sequences

    def forward(self, batch: Batch) -> States:
        """Return a state for each position; the summary is that of the last real one."""
        tokens = batch.inputs[self.field]
        real = torch.ones_like(tokens, dtype=torch.bool) if batch.mask is None else batch.mask
        documents = torch.zeros_like(tokens) if batch.documents is None else batch.documents
        spans = find_spans(documents, real)
        columns = torch.arange(tokens.shape[1], device=tokens.device)
        lasts = (real * columns).amax(1)
        places = restart((real.cumsum(1) - 1).clamp(min=0), spans.labels)
        hidden, _ = self.run(tokens, places, spans, self.states(self.begin(batch)))
        return States(hidden[torch.arange(len(hidden), device=hidden.device), lasts], hidden)

    # One position at a time

    def states(self, carry: Carry) -> list[LinearState]:
        """Return the state of each block that a carry holds."""
        return [
            LinearState(carry[f"{number}.products"], carry[f"{number}.keys"])
            for number in self.numbers
        ]

    def begin(self, batch: Batch) -> Carry:
        """Return the states of the rows of a batch before their first position."""
        rows, weight = len(batch), self.norm.weight
        nothing = LinearState.zeros(rows, self.options.heads, self.options.size, weight)
        read = torch.zeros(rows, dtype=torch.long, device=weight.device)
        return {"read": read, **named([nothing] * self.options.layers)}

    def read(self, batch: Batch, carry: Carry) -> tuple[States, Carry]:
        """Read several tokens of each row in one pass, after all that the carry has read."""
        tokens = batch.inputs[self.field]
        time = tokens.shape[1]
        places = carry["read"][:, None] + torch.arange(time, device=tokens.device)
        nothing = torch.zeros_like(tokens)
        spans = Spans(nothing, torch.ones_like(tokens, dtype=torch.bool), nothing[:, 0])
        hidden, after = self.run(tokens, places, spans, self.states(carry))
        return States(hidden[:, -1], hidden), {"read": carry["read"] + time, **named(after)}


def named(states: Sequence[tuple[Tensor, Tensor]]) -> Carry:
    """Return the parts of a carry that hold the state of each block."""
    carry: dict[str, Tensor] = {}
    for number, (products, keys) in enumerate(states):
        carry |= {f"{number}.products": products, f"{number}.keys": keys}
    return carry

"""The interfaces of decoding: the models that it asks, and the sequences that it returns."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from ensuite.core.batch import ATTENTION, DECODER, Batch, Carry


class Steps(Protocol):
    """A model that writes one position at a time, as :class:`ensuite.core.model.Model` does."""

    def begin(self, batch: Batch) -> Carry: ...

    def step(self, inputs: Mapping[str, Tensor], carry: Carry) -> tuple[Any, Carry]: ...


class LanguageModel(Steps, Protocol):
    """A model that continues texts, and reads all of a prompt in one pass."""

    def read(self, batch: Batch, carry: Carry) -> tuple[Any, Carry]:
        """Take all positions of the batch; return what ``step`` returns for the last of them."""
        ...


class DecodedSequence(NamedTuple):
    """One sequence that a model wrote."""

    tokens: list[int]  # without the end
    score: float  # logarithm of its probability, in nats, the end included


def begin(model: Steps, batch: Batch) -> dict[str, Tensor]:
    """Return the state before the first token, without attention weights, to save time."""
    return {name: part for name, part in model.begin(batch).items() if name != ATTENTION}


def select_rows(carry: Carry, rows: Tensor) -> Carry:
    """Return the rows of a carry with these numbers, in that order; numbers may repeat."""
    return {name: tensor.index_select(0, rows) for name, tensor in carry.items()}


@torch.no_grad()
def attention_weights(
    model: Steps, batch: Batch, sequences: Sequence[Sequence[int]], *, start: int
) -> list[Tensor] | None:
    """Return the attention weights of a model as it writes these sequences, one for each row.

    The weights of a row are (its tokens and the end, time). None if the model has no attention.

    Args:
        model: Asked step by step.
        batch: The sources.
        sequences: The tokens that were written, without the end.
        start: The token before the first.
    """
    carry = model.begin(batch)
    if ATTENTION not in carry:
        return None
    words = torch.full((len(batch), max(map(len, sequences)) + 1), start)
    for row, tokens in enumerate(sequences):
        words[row, 1 : len(tokens) + 1] = torch.tensor(tokens)
    seen = []
    for now in words.to(carry[ATTENTION].device).unbind(1):
        _, carry = model.step({DECODER: now}, carry)
        seen.append(carry[ATTENTION])
    weights = torch.stack(seen, dim=1)
    return [weights[row, : len(tokens) + 1] for row, tokens in enumerate(sequences)]

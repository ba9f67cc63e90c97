"""Causal linear attention: its state is a sum over what was read, of one size at any length."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

BLOCK = 64
"""Positions that are read together, as a matrix of queries and keys."""

EPSILON = 1e-6
"""Added to the denominators."""


class LinearState(NamedTuple):
    """Sums over the positions of the document that was read last.

    Attributes:
        products: Of the outer product of each key with its value.
        keys: Of the keys.
    """

    products: Float[Tensor, "batch head key_size size"]
    keys: Float[Tensor, "batch head key_size"]

    @classmethod
    def zeros(cls, rows: int, heads: int, size: int, like: Tensor) -> "LinearState":
        """Return the state before the first position, of the kind of another tensor."""
        return cls(like.new_zeros(rows, heads, size, size), like.new_zeros(rows, heads, size))


class Spans(NamedTuple):
    """Where the documents of a batch lie.

    Attributes:
        labels: Number of the document of each position, counted within its row from 0.
        real: False at padding.
        seen: Label of the document that the state before belongs to.
    """

    labels: Int[Tensor, "batch time"]
    real: Bool[Tensor, "batch time"]
    seen: Int[Tensor, " batch"]

    def part(self, start: int, stop: int) -> "Spans":
        """Return some of the positions, with what is seen before them."""
        seen = self.labels[:, start - 1] if start else self.seen
        return Spans(self.labels[:, start:stop], self.real[:, start:stop], seen)


def find_spans(documents: Int[Tensor, "batch time"], real: Bool[Tensor, "batch time"]) -> Spans:
    """Return where the documents of a batch lie that is read from its beginning.

    Args:
        documents: Number of the document of each position.
        real: False at padding, which may stand on either side of a row.
    """
    starts = torch.zeros_like(real)
    starts[:, 1:] = documents[:, 1:] != documents[:, :-1]
    starts &= real & (real.cumsum(1) > 1)  # the first real position starts no second document
    labels = starts.cumsum(1)
    return Spans(labels, real, torch.zeros_like(labels[:, 0]))


def features(
    vectors: Float[Tensor, "batch head time size"],
) -> Float[Tensor, "batch head time size"]:
    """Return the positive features of queries or keys: elu(x) + 1.

    Source:
        Katharopoulos et al. (2020), https://arxiv.org/abs/2006.16236, equation 7
    """
    return F.elu(vectors) + 1


def linear_attention(
    queries: Float[Tensor, "batch head time key_size"],
    keys: Float[Tensor, "batch head time key_size"],
    values: Float[Tensor, "batch head time size"],
    spans: Spans,
    state: LinearState,
    turned: tuple[Tensor, Tensor] | None = None,
) -> tuple[Float[Tensor, "batch head time size"], LinearState]:
    """Return the mean of earlier values, weighted by query · key, and the state at the end.

    Blocks of positions are read one after another, so that time grows with the length, not with its
    square. Attention stops where a document ends.

    Args:
        queries: Positive features.
        keys: Positive features.
        values: One vector per key.
        spans: Where the documents lie.
        state: Before the first position.
        turned: Queries and keys after rotation, which replace them in the numerators: denominators
            stay positive. None: they are the same.

    Sources:
        Katharopoulos et al. (2020), https://arxiv.org/abs/2006.16236, section 3.3
        Rotary positions: Su et al. (2021), https://arxiv.org/abs/2104.09864, section 3.3
    """
    turned = turned or (queries, keys)
    parts = []
    for start in range(0, queries.shape[2], BLOCK):
        now = slice(start, start + BLOCK)
        part, state = read_block(
            (queries[:, :, now], keys[:, :, now]),
            (turned[0][:, :, now], turned[1][:, :, now]),
            values[:, :, now],
            spans.part(start, start + BLOCK),
            state,
        )
        parts.append(part)
    return torch.cat(parts, dim=2), state


def read_block(
    plain: tuple[Tensor, Tensor],
    turned: tuple[Tensor, Tensor],
    values: Float[Tensor, "batch head time size"],
    spans: Spans,
    state: LinearState,
) -> tuple[Float[Tensor, "batch head time size"], LinearState]:
    """Return the outputs of one block, and the state after it; see :func:`linear_attention`.

    Args:
        plain: Queries and keys, (batch, head, time, key size), for the denominators.
        turned: Queries and keys for the numerators.
        values: One vector per key.
        spans: Where the documents lie.
        state: Before the block.
    """
    labels, real, seen = spans
    (queries, keys), (turned_queries, turned_keys) = plain, turned
    same = (labels[:, :, None] == labels[:, None]) & real[:, None]
    allowed = same.tril()[:, None].to(queries.dtype)
    goes_on = (labels == seen[:, None])[:, None, :, None]
    scores = (turned_queries @ turned_keys.transpose(-2, -1)) * allowed
    numerators = scores @ values + goes_on * (turned_queries @ state.products)
    sums = allowed @ keys + goes_on * state.keys[:, :, None]
    denominators = (queries * sums).sum(-1, keepdim=True) + EPSILON
    last = ((labels == labels[:, -1:]) & real)[:, None, :, None]
    stays = (labels[:, -1] == seen)[:, None, None]
    products = (turned_keys * last).transpose(-2, -1) @ values
    after = LinearState(
        products + stays[..., None] * state.products, (keys * last).sum(2) + stays * state.keys
    )
    return numerators / denominators, after

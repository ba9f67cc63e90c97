"""Baseline of generate: an n-gram model with Kneser-Ney smoothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ensuite.core.baseline import Baseline
from ensuite.core.batch import Batch, Carry
from ensuite.tasks.generate import Chunk, Example, Generate, Prediction

Numbers = NDArray[Any]

LONGEST: Mapping[str, int] = {"characters": 6, "words": 3, "pieces": 3}
"""Order of the model: tokens of the longest n-grams, the predicted token included."""

MOST = 3
"""N-grams with this count or a higher one share one discount."""

CONTEXT = "context"
"""Name in a carry of the last tokens, the latest last."""


@dataclass(frozen=True, eq=False)
class NGram(Baseline):
    """Interpolated Kneser-Ney smoothing, with three discounts for each length.

        P(w | c) = (n(c w) - D(n(c w))) / n(c)  +  λ(c) P(w | c without its first token)

    For the longest n-grams, n is their count in the text; for shorter ones, the number of distinct
    tokens that precede them. Below single tokens the distribution is uniform, so no probability is
    0. N-grams are identified by a hash of 64 bits.

    Args:
        grams: (sequences,), the hash of each context with its next token, sorted.
        shares: (sequences,), the first term of the sum.
        contexts: (contexts,), the hash of each context, sorted.
        left: (contexts,), λ, the probability left for shorter contexts.
        longest: Order of the model.
        size: Size of the vocabulary.

    Source:
        Chen & Goodman (1999), https://doi.org/10.1006/csla.1999.0128, equation 27, discounts of
        section 3 (modified Kneser-Ney).
    """

    grams: Numbers
    shares: Numbers
    contexts: Numbers
    left: Numbers
    longest: int
    size: int

    name: ClassVar[str] = "n-gram"

    @classmethod
    def fits(cls, task: Generate) -> bool:
        return True

    @classmethod
    def fit(
        cls, task: Generate, train: Sequence[Example], valid: Sequence[Example], seed: int
    ) -> Self:
        longest, stream = LONGEST[task.writing.unit], task.stream(train)
        contexts, targets = hashes(before(stream, longest)), stream.targets
        kept, counts = unique(extend(contexts[-1], targets))
        tables = [count(contexts[-1][kept], targets[kept], counts)]
        for context in contexts[-2::-1]:  # of the longer ones each is counted once
            kept, counts = regroup(extend(context, targets), kept)
            tables.append(count(context[kept], targets[kept], counts))
        grams, shares, places, left = (np.concatenate(parts) for parts in zip(*tables, strict=True))
        rows, columns = np.argsort(grams), np.argsort(places)
        return cls(grams[rows], shares[rows], places[columns], left[columns], longest,
                   task.writing.size)  # fmt: skip

    def predict(self, task: Generate, examples: Sequence[Example]) -> list[Prediction]:
        stream = task.stream(examples)
        bits = -np.log2(self.probabilities(hashes(before(stream, self.longest)), stream.targets))
        return task.merge(examples, [stream], [bits])

    def probabilities(self, contexts: Sequence[Numbers], tokens: Numbers) -> Numbers:
        """Return the probabilities of tokens.

        Args:
            contexts: Hashes of the preceding tokens, from the empty context to the longest.
            tokens: Ids, of a shape that broadcasts with theirs.
        """
        found: Numbers = np.full(
            np.broadcast_shapes(contexts[0].shape, tokens.shape), 1 / self.size
        )
        for context in contexts:
            share = look_up(self.grams, self.shares, extend(context, tokens), 0.0)
            found = share + look_up(self.contexts, self.left, context, 1.0) * found
        return found

    @property
    def parameters(self) -> int:
        return len(self.shares) + len(self.left)

    # The interface of a network that generates (Steps)

    def begin(self, batch: Batch) -> Carry:
        """Return the state before the first token."""
        return {CONTEXT: torch.zeros(len(batch), self.longest - 1, dtype=torch.long)}

    def step(self, inputs: Mapping[str, Tensor], carry: Carry) -> tuple[Tensor, Carry]:
        """Read one token; return the log probabilities of the next, (batch, size)."""
        context = torch.cat([carry[CONTEXT], inputs["tokens"][:, None]], dim=1)[:, 1:]
        contexts = [each[:, None] for each in hashes(list(context.numpy().T[::-1]))]
        found = np.log(self.probabilities(contexts, np.arange(self.size)))
        return torch.from_numpy(found).float(), {CONTEXT: context}


class Counted(NamedTuple):
    """The n-grams of one length; the fields are those of ``NGram``."""

    grams: Numbers
    shares: Numbers
    contexts: Numbers
    left: Numbers


def before(stream: Chunk, longest: int) -> list[Numbers]:
    """Return the tokens before each target, the latest first; 0 before the document begins."""
    columns = []
    for back in range(longest - 1):
        column = np.zeros_like(stream.tokens)
        now, then = slice(back, None), slice(max(0, len(column) - back))
        own = stream.documents[now] == stream.documents[then]
        column[now] = stream.tokens[then] * own
        columns.append(column)
    return columns


def hashes(columns: Sequence[Numbers]) -> list[Numbers]:
    """Return a hash of each context: of no column, of the first, of the first two, ..."""
    found = [np.zeros(columns[0].shape, dtype=np.int64)]
    for column in columns:
        found.append(extend(found[-1] + 1, column))
    return found


def extend(context: Numbers, token: Numbers) -> Numbers:
    """Return the hash of a sequence with one more token.

    Source:
        The mixing function of SplitMix64: Steele, Lea & Flood (2014),
        https://doi.org/10.1145/2714064.2660195
    """
    mixed = context.view(np.uint64) + (token.astype(np.uint64) + 1) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    hashed: Numbers = mixed.view(np.int64)
    return hashed


def unique(hashed: Numbers) -> tuple[Numbers, Numbers]:
    """Return the first position and the count of each distinct hash."""
    _, kept, counts = np.unique(hashed, return_index=True, return_counts=True)
    return kept, counts


def regroup(hashed: Numbers, kept: Numbers) -> tuple[Numbers, Numbers]:
    """Return ``unique`` of the positions in ``kept``."""
    again, counts = unique(hashed[kept])
    return kept[again], counts


def count(contexts: Numbers, tokens: Numbers, counts: Numbers) -> Counted:
    """Return the discounted n-grams of one length.

    Args:
        contexts: (sequences,), hash of all but the last token of each.
        tokens: (sequences,), the last.
        counts: (sequences,), its n.
    """
    discount = discounts(counts)[np.minimum(counts, MOST)]
    places, group = np.unique(contexts, return_inverse=True)
    total = np.bincount(group, counts)
    left = np.bincount(group, discount) / total
    shares = (counts - discount) / total[group]
    return Counted(extend(contexts, tokens), shares, places, left)


def discounts(counts: Numbers) -> Numbers:
    """Return the discounts of the counts 0, 1, 2 and ``MOST`` or more.

    They are 0.5 where there are too few n-grams to estimate them.
    """
    n1, n2, n3, n4 = np.bincount(np.minimum(counts, MOST + 1), minlength=MOST + 2)[1:]
    if 0 in (n1, n2, n3):
        return np.array([0.0, 0.5, 0.5, 0.5])
    share = n1 / (n1 + 2 * n2)
    found = [0.0, 1 - 2 * share * n2 / n1, 2 - 3 * share * n3 / n2, 3 - 4 * share * n4 / n3]
    cut: Numbers = np.clip(found, [0.0, 0.01, 0.01, 0.01], [0.0, 0.99, 1.99, 2.99])
    return cut


def look_up(known: Numbers, values: Numbers, asked: Numbers, otherwise: float) -> Numbers:
    """Return the value of each hash, and ``otherwise`` for hashes that are not known."""
    if not len(known):
        return np.full(asked.shape, otherwise)
    places = np.searchsorted(known, asked).clip(max=len(known) - 1)
    return np.where(known[places] == asked, values[places], otherwise)

"""Which tokens of a row are hidden from a masked language model, and what stands in their place."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Tokens = NDArray[np.int64]


class Shares(NamedTuple):
    """What becomes of the tokens that are to be predicted, as shares of 1.

    Attributes:
        mask: Those in whose place the mask token stands.
        random: Those that another token is put in place of, drawn from the vocabulary.
        keep: Those that stay as they are.
    """

    mask: float
    random: float
    keep: float


def draw(
    inside: Flags, begins: Flags, share: float, random: np.random.Generator, *, words: bool = False
) -> Flags:
    """Choose a share of the tokens of each row, at least one.

    Args:
        inside: (batch, time), True at tokens of a text.
        begins: (batch, time), True where a word begins; it matters for whole words alone.
        share: How many of them.
        random: What is drawn from.
        words: Whether whole words are chosen: as many as it takes to reach the share.

    Returns:
        (batch, time), True at tokens that are to be predicted.

    Sources:
        Devlin et al. (2019), https://arxiv.org/abs/1810.04805, section 3.1; whole words: the
        published code of 2019
    """
    counts = inside.sum(1)
    wanted = np.where(counts > 0, np.maximum(1, np.rint(share * counts)), 0)
    keys = random.random(inside.shape)
    numbers = np.cumsum(begins, axis=1, dtype=np.int64)
    if words:
        keys = np.take_along_axis(random.random((len(inside), inside.shape[1] + 1)), numbers, 1)
    ranks = np.where(inside, keys, np.inf).argsort(1, kind="stable").argsort(1, kind="stable")
    chosen: Flags = ranks < wanted[:, None]
    if not words:
        return chosen
    taken = np.zeros((len(inside), inside.shape[1] + 1), dtype=bool)
    rows, places = np.nonzero(chosen)
    taken[rows, numbers[rows, places]] = True
    whole: Flags = np.take_along_axis(taken, numbers, 1) & inside
    return whole


def corrupt(
    tokens: Tokens,
    chosen: Flags,
    shares: Shares,
    mask: int,
    ordinary: NDArray[Any],
    random: np.random.Generator,
) -> Tokens:
    """Return the tokens as the model reads them.

    Args:
        tokens: (batch, time).
        chosen: (batch, time), True at those that are to be predicted.
        shares: What becomes of these.
        mask: Id of the mask token.
        ordinary: Ids that a random token is drawn from.
        random: What is drawn from.
    """
    drawn, read = random.random(tokens.shape), tokens.copy()
    read[chosen & (drawn < shares.mask)] = mask
    others = chosen & (drawn >= shares.mask) & (drawn < shares.mask + shares.random)
    read[others] = random.choice(ordinary, int(others.sum()))
    return read


def groups(begins: Flags, share: float, random: np.random.Generator) -> list[Flags]:
    """Divide the words of a text into groups of about that share of them.

    Args:
        begins: (time,), True where a word begins.
        share: Of the words, in one group.
        random: What is drawn from.

    Returns:
        For each group (time,), True at the tokens of its words; each token is in one group.
    """
    if not len(begins):
        return []
    words = np.cumsum(begins, dtype=np.int64)
    words -= words[0]  # the first token may be in the middle of a word
    count = int(words[-1]) + 1
    several = min(math.ceil(1 / share), count)
    own = (random.permutation(count) % several)[words]
    return [own == group for group in range(several)]

"""Count inputs that stand more than once, within a part and across parts."""

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple


class Duplicates(NamedTuple):
    """How often inputs stand again.

    Attributes:
        within: Rows that repeat an earlier row of their own part.
        across: Distinct inputs that two parts share, by the names of the parts; only where some
            are.
    """

    within: int
    across: Mapping[tuple[str, str], int]


def duplicates(parts: Mapping[str, Sequence[Hashable]]) -> Duplicates:
    """Count the inputs, or whatever identifies them, of each part.

    >>> duplicates({"train": ["a", "b", "b"], "test": ["a", "a", "c"]})
    Duplicates(within=2, across={('train', 'test'): 1})
    """
    distinct = {name: set(keys) for name, keys in parts.items()}
    within = sum(len(keys) - len(distinct[name]) for name, keys in parts.items())
    shared = {
        (one, other): len(distinct[one] & distinct[other]) for one, other in combinations(parts, 2)
    }
    return Duplicates(within, {pair: count for pair, count in shared.items() if count})

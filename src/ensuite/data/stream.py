"""The documents of a language model as one stream of tokens, and the chunks it is cut into."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ensuite.core.batch import IGNORE
from ensuite.data.encoded import Encoded

Numbers = NDArray[Any]

IN_MEMORY = 2**24
"""Tokens of the longest stream whose columns stand in memory; of others chunks are put together
when they are read."""


class Chunk(NamedTuple):
    """A row of a batch: so many tokens of the stream of all documents."""

    tokens: Numbers  # (time,) what is read
    targets: Numbers  # (time,) what comes next
    documents: Numbers  # (time,) number of the document of each token read
    examples: Numbers  # (targets,) number of the example each target belongs to
    unknown_bytes: Numbers  # (targets,) bytes of each target that stand for an unknown token


@dataclass(frozen=True, eq=False)
class Stream:
    """All documents one after another, with edges around each.

    Args:
        encoded: The ids of each example: (tokens,), or (tokens, 2) with the bytes of unknown
            tokens.
        begins: (examples,) whether a document begins with this example.
        ends: Whether the last document is over.
        edges: What stands between two documents: the end of one and the start of the next, or one
            token that is both.
    """

    encoded: Encoded
    begins: NDArray[np.bool_]
    ends: bool
    edges: tuple[int, ...]

    @cached_property
    def firsts(self) -> NDArray[np.int64]:
        """Place of the first token of each example in the stream."""
        edges = np.where(self.begins, len(self.edges), 0)
        edges[:1] = 1  # nothing ends before the first document
        lengths = np.concatenate([np.zeros(1, np.int64), self.encoded.lengths[:-1]])
        return np.cumsum(edges + lengths[: len(edges)])

    @cached_property
    def size(self) -> int:
        """How many tokens there are, the edges included."""
        if not len(self.begins):
            return 0
        return int(self.firsts[-1] + self.encoded.lengths[-1]) + self.ends

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """The number of the document of each example, from 0."""
        return np.cumsum(self.begins) - 1

    def __len__(self) -> int:
        """Count the tokens that have one after them."""
        return max(0, self.size - 1)

    def read(self, start: int, stop: int) -> Chunk:
        """Return the tokens from ``start`` to ``stop``, and what comes next after each."""
        if not self.size:
            return Chunk(*[np.zeros(0, dtype=np.int64)] * len(Chunk._fields))
        places = np.arange(start, stop + 1)
        examples = np.searchsorted(self.firsts, places, side="right") - 1  # -1: the first edge
        known = examples.clip(0)
        within = places - self.firsts[known]
        lengths = self.encoded.lengths[known]
        is_text = (within >= 0) & (within < lengths)
        # The first edge is the start of a document; others follow the text of their example.
        edges = np.where(within < 0, len(self.edges) - 1, within - lengths)
        tokens = np.array(self.edges)[edges.clip(0, len(self.edges) - 1)]
        unknown_bytes = np.zeros_like(tokens)
        rows = self.encoded.ids[(self.encoded.starts[known] + within)[is_text]]
        tokens[is_text] = rows if rows.ndim == 1 else rows[:, 0]
        if rows.ndim == 2:
            unknown_bytes[is_text] = rows[:, 1]
        starts_next = ~is_text & (within >= 0) & (edges == len(self.edges) - 1)
        documents = self.numbers[known] + starts_next
        return Chunk(tokens[:-1], tokens[1:], documents[:-1], known[1:], unknown_bytes[1:])


@dataclass(frozen=True, eq=False)
class Chunks(Sequence[Chunk]):
    """The stream of all documents, cut every ``chunk`` tokens.

    A number that is larger by their count is the same chunk as the beginning of a text: its first
    token is the start, and its documents are others, so that a state starts anew.

    Args:
        stream: What is cut.
        chunk: Tokens in each; the last may have fewer.
    """

    stream: Stream
    chunk: int

    @cached_property
    def _whole(self) -> Chunk | None:
        """The columns of a stream that is short enough to keep them in memory."""
        if len(self.stream) > IN_MEMORY:
            return None
        whole = self.stream.read(0, len(self.stream))
        return Chunk(*(column.astype(np.int32) for column in whole))

    def __len__(self) -> int:
        return -(-len(self.stream) // self.chunk)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        if not 0 <= number < 2 * len(self):
            raise IndexError(number)
        begins, number = divmod(number, len(self))
        start, stop = number * self.chunk, min((number + 1) * self.chunk, len(self.stream))
        chunk = self.read(start, stop)
        if not begins:
            return chunk
        tokens = np.concatenate([self.stream.edges[-1:], chunk.tokens[1:]])
        return chunk._replace(tokens=tokens, documents=-1 - chunk.documents)

    def __iter__(self) -> Iterator[Chunk]:
        return (self[number] for number in range(len(self)))

    def read(self, start: int, stop: int) -> Chunk:
        """Return the tokens from ``start`` to ``stop`` as one chunk."""
        if self._whole is None:
            return self.stream.read(start, stop)
        return Chunk(*(column[start:stop] for column in self._whole))


@dataclass(frozen=True, eq=False)
class Independent(Chunks):
    """Chunks for a model that does not carry a state from one chunk to the next.

    The index ``number + shift * len(chunks)`` is the chunk of that number, moved by ``shift``
    tokens.

    Args:
        before: The first tokens of each chunk that only give context: their targets belong to the
            chunk before. 0 in training.
    """

    before: int = 0

    @property
    def step(self) -> int:
        """Tokens from the start of one chunk to that of the next."""
        return self.chunk - self.before

    def __len__(self) -> int:
        return -(-len(self.stream) // self.step)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        if number < 0 or not len(self):
            raise IndexError(number)
        shift, number = divmod(number, len(self))
        start = min(number * self.step + shift, len(self.stream) - 1)
        first = max(0, start - self.before)
        chunk = self.read(first, min(start + self.step, len(self.stream)))
        seen = start - first
        if not seen:
            return chunk
        targets = np.concatenate([np.full(seen, IGNORE), chunk.targets[seen:]])
        return chunk._replace(
            targets=targets,
            examples=chunk.examples[seen:],
            unknown_bytes=chunk.unknown_bytes[seen:],
        )


@dataclass(frozen=True, eq=False)
class Lanes(Sequence[list[int]]):
    """The chunks of each batch: in every lane one stretch of the stream, in order.

    Args:
        runs: The chunks of each lane, as numbers that may go round past the last; longest first.
        chunks: How many chunks there are.
        fresh: For each chunk that is read, lane after lane within a batch, whether it is read as
            the beginning of a text; None: none is.
    """

    runs: Sequence[range]
    chunks: int
    fresh: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.runs[0]) if self.runs else 0

    @cached_property
    def _before(self) -> NDArray[np.int64]:
        """How many chunks stand in all batches before each."""
        lengths = np.array([len(run) for run in self.runs])
        ends = np.bincount(lengths, minlength=len(self) + 1)  # lanes that end before each batch
        rows = len(self.runs) - np.cumsum(ends)[:-1]
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(rows)])

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        number = range(len(self))[number]
        read = [run[number] % self.chunks for run in self.runs if number < len(run)]
        if self.fresh is None:
            return read
        first = int(self._before[number])
        fresh = self.fresh[first : first + len(read)].tolist()
        return [n + self.chunks * new for n, new in zip(read, fresh, strict=True)]

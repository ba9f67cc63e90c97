"""Texts as token ids, in one flat array: made once for each text and tokenizer, and shared."""

import struct
import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import IO, Any, Generic, NamedTuple, Protocol, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from ensuite.core.stacked import is_mapped, stack
from ensuite.data import cache

Ids = NDArray[np.int32]
Places = NDArray[np.int64]
Row = TypeVar("Row")

IN_MEMORY = 64_000_000
"""Characters from which ids lie in a file even where the cache is off; then it has no name."""

BATCH_CHARACTERS, BATCH_TEXTS = 2_000_000, 2000
"""Texts that are encoded by one call: what the library makes of them takes 50 times their size."""

MOST_STORES = 8
"""Tokenizers whose ids are remembered."""

MOST_BYTES = 2**28
"""Of the ids of one tokenizer: beyond, those that were used longest ago are dropped. Enough for all
parts of a data set that is too small to be kept on disk."""

SMALL, MAPPED = 2**10, 2**22
"""Bytes that a block counts for: beside its ids, since many blocks of few ids also take memory; and
in place of ids in a file, which take none, but keep the file open."""

HEADER = struct.Struct("<8sqqq")  # mark, texts, tokens, columns
MARK = b"ensuite1"


@dataclass(frozen=True, eq=False)
class Encoded(Sequence[Ids]):
    """The ids of texts, each a view of one flat array.

    Args:
        ids: (tokens,) of all texts one after another; (tokens, columns) where a token is described
            by several numbers. Of many texts a read-only file that is mapped into memory.
        starts: (texts,) where each text begins.
        ends: (texts,) where it ends.
    """

    ids: Ids
    starts: Places
    ends: Places

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, number: int) -> Ids: ...
    @overload
    def __getitem__(self, number: slice) -> "Encoded": ...
    def __getitem__(self, number: "int | slice") -> "Ids | Encoded":
        """Return the ids of a text, or some of the texts."""
        if isinstance(number, slice):
            return Encoded(self.ids, self.starts[number], self.ends[number])
        return self.ids[self.starts[number] : self.ends[number]]

    def __iter__(self) -> Iterator[Ids]:
        pairs = zip(self.starts.tolist(), self.ends.tolist(), strict=True)
        return (self.ids[start:end] for start, end in pairs)

    @property
    def lengths(self) -> Places:
        """How many tokens each text has."""
        return self.ends - self.starts

    def pick(self, rows: NDArray[Any]) -> "Encoded":
        """Return the texts of these numbers, in that order."""
        return Encoded(self.ids, self.starts[rows], self.ends[rows])


def flat(arrays: Sequence[Ids], columns: tuple[int, ...] = ()) -> Encoded:
    """Return arrays of ids as one flat array; ``columns`` is the shape of each token."""
    lengths = np.array([len(each) for each in arrays], dtype=np.int64)
    ends = np.cumsum(lengths)
    ids = np.concatenate([np.empty((0, *columns), np.int32), *arrays])
    return Encoded(ids, ends - lengths, ends)


class Coder(Protocol):
    """What turns texts into ids."""

    @property
    def key(self) -> str:
        """What the ids depend on besides the texts; the same for equal coders in any process."""
        ...

    @property
    def columns(self) -> tuple[int, ...]:
        """The shape of one token: () where it is one number."""
        ...

    def __call__(self, texts: Sequence[Any], /) -> Sequence[Ids]:
        """Return the ids of each text."""
        ...


def encode(coder: Coder, texts: Sequence[Any]) -> Encoded:
    """Return the ids of texts; those that the coder has seen lately are not encoded again.

    Args:
        coder: Turns texts into ids.
        texts: Hashable; texts that are not in memory have ``read``.
    """
    with _lock:
        store = _stores.setdefault(coder.key, Store())
        _stores.move_to_end(coder.key)
        while len(_stores) > MOST_STORES:
            _stores.popitem(last=False)
        return store.find(coder, texts)


class Block(NamedTuple):
    """The ids of the texts that were new in one call."""

    texts: Sequence[Hashable]
    encoded: Encoded

    @property
    def size(self) -> int:
        """Bytes that it counts for."""
        ids = self.encoded.ids
        return SMALL + (MAPPED if is_mapped(ids) else ids.nbytes)


class Store:
    """The ids of the texts that one coder has seen lately, in blocks: one for each call."""

    def __init__(self) -> None:
        self.blocks: OrderedDict[int, Block] = OrderedDict()  # used longest ago, first
        self.rows: dict[Hashable, tuple[int, int]] = {}
        self.count = self.size = 0  # blocks so far, bytes of those that are kept

    def find(self, coder: Coder, texts: Sequence[Any]) -> Encoded:
        """Return the ids of texts, encoding those that are new."""
        if new := list(dict.fromkeys(text for text in texts if text not in self.rows)):
            self._add(Block(new, encode_new(coder, new)))
        found = self._gather([self.rows[text] for text in texts], coder.columns)
        while self.size > MOST_BYTES and len(self.blocks) > 1:
            self._drop()
        return found

    def _add(self, block: Block) -> None:
        self.blocks[self.count] = block
        self.rows |= {text: (self.count, row) for row, text in enumerate(block.texts)}
        self.count += 1
        self.size += block.size

    def _gather(self, places: Sequence[tuple[int, int]], columns: tuple[int, ...]) -> Encoded:
        """Return the texts at some places: a view where all are in one block."""
        used = dict.fromkeys(number for number, _ in places)
        for number in used:
            self.blocks.move_to_end(number)
        if len(used) == 1:
            rows = np.array([row for _, row in places], dtype=np.int64)
            return self.blocks[next(iter(used))].encoded.pick(rows)
        numbers = {place: number for number, place in enumerate(dict.fromkeys(places))}
        ids = [self.blocks[number].encoded[row] for number, row in numbers]
        # A text that comes again, such as the context of several questions, is copied once.
        return flat(ids, columns).pick(np.array([numbers[p] for p in places], dtype=np.int64))

    def _drop(self) -> None:
        """Forget the block that was used longest ago."""
        _, block = self.blocks.popitem(last=False)
        self.size -= block.size
        for text in block.texts:
            del self.rows[text]


_stores: OrderedDict[str, Store] = OrderedDict()
_lock = Lock()


def forget() -> None:
    """Drop all ids that are kept in memory; the next call encodes or reads them from disk."""
    with _lock:
        _stores.clear()


def encode_new(coder: Coder, texts: Sequence[Any]) -> Encoded:
    """Encode texts batch by batch: into memory, or into a file that is then mapped into it."""
    size = cache.size_of(texts)
    if size < cache.ON_DISK:
        return flat(list(chain.from_iterable(in_batches(coder, texts))), coder.columns)
    if cache.is_enabled():
        path = cache.FOLDER / f"{cache.digest((coder.key,), texts)}.ids"
        found = open_file(path, len(texts), coder.columns)
        if found is None:
            with suppress(OSError), cache.writing(path) as file:
                write(file, in_batches(coder, texts), coder.columns)
            found = open_file(path, len(texts), coder.columns)
        if found is not None:
            return found
    if size < IN_MEMORY:
        return flat(list(chain.from_iterable(in_batches(coder, texts))), coder.columns)
    with cache.scratch() as nameless:
        write(nameless, in_batches(coder, texts), coder.columns)
        nameless.flush()
        return map_file(nameless, len(texts), coder.columns)


def in_batches(coder: Coder, texts: Sequence[Any]) -> Iterator[Sequence[Ids]]:
    """Yield the ids of so many texts at a time that the memory they take is small."""
    batch: list[Any] = []
    size = 0
    for text in texts:
        batch.append(text.read() if hasattr(text, "read") else text)
        size += len(batch[-1])
        if size >= BATCH_CHARACTERS or len(batch) >= BATCH_TEXTS:
            yield coder(batch)
            batch, size = [], 0
    if batch:
        yield coder(batch)


def write(file: IO[bytes], batches: Iterable[Sequence[Ids]], columns: tuple[int, ...]) -> None:
    """Write a header, all ids, and where the text of each begins and the last one ends."""
    lengths: list[NDArray[np.int64]] = []
    file.write(HEADER.pack(b"", 0, 0, 0))
    for arrays in batches:
        lengths.append(np.array([len(ids) for ids in arrays], dtype=np.int64))
        file.write(np.concatenate(arrays).astype("<i4").tobytes())
    ends = np.cumsum(np.concatenate([np.zeros(1, np.int64), *lengths]))
    file.write(b"\0" * (-file.tell() % 8))
    file.write(ends.astype("<i8").tobytes())
    file.seek(0)
    file.write(HEADER.pack(MARK, len(ends) - 1, ends[-1], int(np.prod(columns, dtype=int))))


def open_file(path: Path, texts: int, columns: tuple[int, ...]) -> Encoded | None:
    """Map a file of ids into memory; None where there is none, or it is not whole."""
    try:
        with path.open("rb") as file:
            found = map_file(file, texts, columns)
    except (OSError, ValueError):
        return None
    cache.touch(path)
    return found


def map_file(file: IO[bytes], texts: int, columns: tuple[int, ...]) -> Encoded:
    """Map an open file of ids into memory.

    Raises:
        ValueError: If it is not whole, or holds another number of texts.
    """
    file.seek(0)
    header = file.read(HEADER.size)
    if len(header) < HEADER.size:
        raise ValueError("no header")
    mark, count, tokens, width = HEADER.unpack(header)
    middle = HEADER.size + 4 * tokens * width
    middle += -middle % 8
    known = (mark, count, width) == (MARK, texts, int(np.prod(columns, dtype=int)))
    if not known or file.seek(0, 2) != middle + 8 * (texts + 1):
        raise ValueError("not whole")
    shape = (tokens, *columns)
    ids = map_array(file, "<i4", HEADER.size, shape)
    bounds = np.asarray(map_array(file, "<i8", middle, (texts + 1,)))
    if sys.byteorder == "big":
        ids, bounds = ids.astype(np.int32), bounds.astype(np.int64)
    return Encoded(ids, bounds[:-1], bounds[1:])


def map_array(file: IO[bytes], kind: str, offset: int, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return an array that lies in a file; its parts are read when they are used."""
    if not np.prod(shape, dtype=int):  # nothing can be mapped
        return np.empty(shape, kind)
    # A plain array: each slice of numpy's memmap class costs four times as much.
    return np.asarray(np.memmap(file, kind, "r", offset, shape))


@dataclass(frozen=True, eq=False)
class Windows(Sequence[Sequence[Ids]]):
    """The windows of texts, each a view of the flat array that its text lies in.

    Args:
        pieces: All windows, in the order of the texts.
        bounds: (texts + 1,) the number of the first window of each text, and of all.
    """

    pieces: Encoded
    bounds: Places

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @overload
    def __getitem__(self, number: int) -> Encoded: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Encoded]: ...
    def __getitem__(self, number: "int | slice") -> "Encoded | Sequence[Encoded]":
        """Return the windows of a text, or of some."""
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        number = range(len(self))[number]
        return self.pieces[int(self.bounds[number]) : int(self.bounds[number + 1])]

    @property
    def texts(self) -> Places:
        """The number of the text of each window."""
        return np.repeat(np.arange(len(self)), np.diff(self.bounds))


def cut(encoded: Encoded, window: int, overlap: int) -> Windows:
    """Cut texts into windows of at most so many tokens that overlap by so many."""
    stride = window - overlap
    counts = np.maximum(1, -(-(encoded.lengths - overlap) // stride))
    bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    texts = np.repeat(np.arange(len(encoded)), counts)
    starts = encoded.starts[texts] + stride * (np.arange(bounds[-1]) - bounds[texts])
    ends = np.minimum(starts + window, encoded.ends[texts])
    return Windows(Encoded(encoded.ids, starts, ends), bounds)


class Rows(Sequence[Row], Generic[Row]):
    """Rows of batches that are made when they are asked for: a number, a window, a target.

    Args:
        make: The class of a row, from the number of its example, its window and its target.
        windows: Of the examples.
        targets: Of the examples.
    """

    def __init__(
        self,
        make: Callable[[int, Any, Any], Row],
        windows: Windows,
        targets: Sequence[Any] | NDArray[Any],
    ) -> None:
        self.make, self.windows, self.targets = make, windows.pieces, targets
        self.examples = windows.texts

    def __len__(self) -> int:
        return len(self.windows)

    @overload
    def __getitem__(self, number: int) -> Row: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Row]: ...
    def __getitem__(self, number: "int | slice") -> "Row | Sequence[Row]":
        """Return a row, or some."""
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        example = int(self.examples[number])
        return self.make(example, self.windows[number], self.targets[example])


def rows_of_windows(
    make: Callable[[int, Any, Any], Row],
    windows: Sequence[Sequence[Any]],
    targets: Sequence[Any] | NDArray[Any],
) -> Sequence[Row]:
    """Return a row for each window of each example, with the example's number and target.

    Args:
        make: The class of a row, from these three.
        windows: Those of each example, as a processor returns them.
        targets: That of each example.
    """
    if isinstance(windows, Windows):
        return Rows(make, windows, targets)
    return stack(
        [make(n, window, targets[n]) for n, several in enumerate(windows) for window in several]
    )

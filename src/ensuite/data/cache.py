"""What was made of texts once and is kept in ``runs/.cache``: token ids and learned tokenizers.

An entry is named by the hash of the texts and of everything else that it depends on, so that it is
never out of date. Small texts are kept in memory alone. Without the cache (``disabled``, or the
environment variable ``ENSUITE_NO_CACHE``) nothing is written to the folder or read from it.
"""

import hashlib
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

FOLDER = Path("runs") / ".cache"
"""Where entries lie: beside the runs, never beside the file that the texts came from."""

SWITCH = "ENSUITE_NO_CACHE"
"""Environment variable that turns the folder off, so that child processes know it too."""

ON_DISK = 2_000_000
"""Characters from which an entry is written to disk; fewer are encoded again in a second."""

HASHED = 256
"""Texts that are hashed by one call."""

MOST_BYTES = 20 * 10**9
"""Of the whole folder: beyond, the entries that were used longest ago are deleted."""

MOST_TEXTS = 32
"""Small entries, such as learned tokenizers, that are kept in memory."""

_kept: OrderedDict[str, str] = OrderedDict()


@contextmanager
def disabled() -> Iterator[None]:
    """Turn the folder off while the block runs, for this process and those it starts."""
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SWITCH]
        else:
            os.environ[SWITCH] = before


def is_enabled() -> bool:
    """Say whether entries may be written to the folder and read from it."""
    return not os.environ.get(SWITCH)


def is_pair(raw: Any) -> bool:
    """Say whether an input is several texts rather than one."""
    return isinstance(raw, tuple)


def size_of(texts: Iterable[Any]) -> int:
    """Return how many characters texts have, or pairs of texts."""
    return sum(sum(map(len, raw)) if is_pair(raw) else len(raw) for raw in texts)


def digest(parts: Sequence[str], texts: Iterable[Any]) -> str:
    """Return the hash of some options and of texts, or pairs of texts, in their order."""
    found = hashlib.sha256()
    contents = chain(map(_content, parts), _contents(texts))
    while batch := list(islice(contents, HASHED)):
        lengths = b" ".join(b"%d" % len(content) for content in batch)
        found.update(b"%d %d " % (len(batch), len(lengths)) + lengths)
        found.update(b"".join(batch))
    return found.hexdigest()


def _contents(texts: Iterable[Any]) -> Iterator[bytes]:
    """Yield the bytes that stand for each text, a pair of texts after how many they are."""
    for raw in texts:
        if is_pair(raw):
            yield b"(%d" % len(raw)
            yield from map(_content, raw)
        else:
            yield _content(raw)


def _content(text: Any) -> bytes:
    """Return a text as bytes; one that was not read yet has a name that stands for its content."""
    if isinstance(text, str):
        return b"=" + text.encode(errors="surrogatepass")
    return b"@" + repr(text).encode()


def remembered_text(key: str, make: Callable[[], str], size: int) -> str:
    """Return the text of an entry, made if it is not there.

    Args:
        key: Hash of everything the text depends on.
        make: Makes it.
        size: Characters that it is made from; an entry of few is kept in memory alone.
    """
    if key not in _kept:
        path = FOLDER / f"{key}.txt"
        lasting = size >= ON_DISK and is_enabled()
        content = read_text(path) if lasting else None
        if content is None:
            content = make()
            if lasting:
                with suppress(OSError), writing(path) as file:
                    file.write(with_hash(content))
        _kept[key] = content
    _kept.move_to_end(key)
    while len(_kept) > MOST_TEXTS:
        _kept.popitem(last=False)
    return _kept[key]


def with_hash(content: str) -> bytes:
    """Return a text as bytes after its own hash, by which damage is seen."""
    encoded = content.encode()
    return hashlib.sha256(encoded).hexdigest().encode() + b"\n" + encoded


def read_text(path: Path) -> str | None:
    """Return the text of an entry; None where there is none, or it is damaged."""
    try:
        stored, _, content = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if hashlib.sha256(content).hexdigest().encode() != stored:
        return None
    touch(path)
    return content.decode()


def touch(path: Path) -> None:
    """Note that an entry was used now."""
    with suppress(OSError):
        os.utime(path)


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """Write a file of the folder piece by piece: it appears whole when the block ends, or not.

    Raises:
        OSError: If it cannot be written; the caller goes on without the cache.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        prune(path.parent)
    finally:
        with suppress(OSError):  # it is there only where something went wrong
            temporary.unlink()


def prune(folder: Path) -> None:
    """Delete the entries that were used longest ago, until the folder is small enough."""
    entries = []
    for path in folder.iterdir():
        with suppress(OSError):  # another process may delete it
            found = path.stat()
            entries.append((found.st_mtime, found.st_size, path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries)[:-1]:  # never the one just written
        if total <= MOST_BYTES:
            return
        with suppress(OSError):
            path.unlink()
        total -= size


def scratch() -> IO[bytes]:
    """Return a file that is gone when nothing reads it any more, for what memory cannot hold."""
    return tempfile.TemporaryFile("w+b")

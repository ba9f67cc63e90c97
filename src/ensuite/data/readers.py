"""Read a file, standard input or an object in memory into a table.

Texts stay as they are: "null", "NA", an empty cell and a space at the end mean themselves. Only a
byte order mark at the start of a file is taken off.
"""

import hashlib
import io
import os
import re
import shlex
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from ensuite.core.errors import DataError
from ensuite.core.printable import one_line
from ensuite.core.table import Table
from ensuite.data import conll, images, stretches
from ensuite.data.arrays import fingerprint, map_file
from ensuite.data.delimited import Parsed, lines, parse
from ensuite.data.header import is_known
from ensuite.data.jsonfile import parse_json, parse_json_lines, to_columns
from ensuite.data.memory import from_memory
from ensuite.data.unpack import limit, too_large, unzip
from ensuite.data.walk import read_bytes, unreadable

KINDS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".npy": "npy",
    ".npz": "npz",
    ".txt": "txt",
    ".raw": "txt",  # as WikiText names its files
    **dict.fromkeys((".conll", ".conllu", ".iob", ".iob2", ".bio"), "conll"),
}

BYTE_ORDER_MARK = "a byte order mark at its start was taken off"


STANDARD_INPUT = "standard input"


def read(source: Any, *, name: str | None = None, header: bool | None = None) -> Table:
    """Read columns from a path, from ``-`` (standard input), or from memory.

    Args:
        source: A path to CSV, TSV, JSON, JSON lines, Parquet, ``.npz`` (arrays X and y), ``.npy``
            (X alone), plain text (one a line) or CoNLL (one token a line), each also as ``.gz``; or
            rows, columns, a DataFrame, a Dataset.
        name: What messages call it; by default the file's name. Its ending says of which kind it
            is; without one, as for standard input, that is seen from the content.
        header: Whether the first row of a CSV or TSV names the columns; None: see ``delimited``.

    Raises:
        DataError: If it cannot be read whole; the sentence says where and why.
    """
    if isinstance(source, Table):
        return source
    if not isinstance(source, str | os.PathLike):
        return from_memory(source, name or "the data")
    if source == "-":
        return read_content(read_input(), name or STANDARD_INPUT, header=header)
    path = Path(os.fspath(source))
    called = one_line(name or path.name)
    if is_long_text(path, called):
        return read_long_text(path, called)
    if found := map_arrays(path, called):
        return found
    return read_content(read_bytes(os.fspath(source)), called, header=header, path=path)


def read_input() -> bytes:
    """Return all of standard input."""
    return sys.stdin.buffer.read()


def read_content(
    content: bytes, name: str, *, header: bool | None = None, path: Path | None = None
) -> Table:
    """Read columns from what stands in a file.

    Args:
        content: All of it.
        name: What messages call it; see :func:`read`.
        header: As in :func:`read`.
        path: Where it lies, and what belongs to it; None for standard input.
    """
    name = one_line(name)
    if name.endswith(".gz") or content.startswith(b"\x1f\x8b"):
        content = unzip(content, name)
    kind = find_kind(name, content)
    parsed = parse_content(content, name, kind, header)
    columns, files = with_files(parsed, kind, path) if path else (parsed.columns, [])
    digest = hashlib.sha256(content)
    for file in files:
        digest.update(read_bytes(file))
    rows = len(next(iter(columns.values())))
    return Table(
        name,
        columns,
        rows,
        digest.hexdigest(),
        parsed.has_header,
        notes=parsed.notes,
        starts=parsed.starts,
        prose=kind == "txt",
        guessed_header=parsed.guessed_header,
    )


def is_long_text(path: Path, name: str | None) -> bool:
    """Say whether a file is plain text that is too large to read as a whole."""
    if KINDS.get(Path(name or path.name).suffix.lower()) != "txt":
        return False
    return path.is_file() and path.stat().st_size >= stretches.LARGE


def read_long_text(path: Path, name: str | None) -> Table:
    """Return the lines of a large text file without reading it into memory.

    Raises:
        DataError: If it cannot be read, or is not UTF-8.
    """
    try:
        found = stretches.scan(path)
    except OSError as error:
        raise unreadable(path, error) from None
    notes = (BYTE_ORDER_MARK,) if found.start else ()
    return Table(
        name or path.name,
        {"text": found},
        len(found),
        found.fingerprint,
        has_header=False,
        notes=notes,
        prose=True,
    )


def map_arrays(path: Path, name: str | None) -> Table | None:
    """Return the arrays of a NumPy file mapped into memory; None where that cannot be."""
    if KINDS.get(Path(name or path.name).suffix.lower()) not in ("npy", "npz"):
        return None
    arrays = map_file(path) if path.is_file() else None
    if arrays is None:
        return None
    columns = check_arrays(arrays, name or path.name).columns
    rows = len(next(iter(columns.values())))
    return Table(name or path.name, columns, rows, fingerprint(path))


def typed_lines(content: bytes) -> list[str] | None:
    """Return the lines that were typed to be answered; None where the first names columns.

    Nor are they such where the content shows that it is a file: JSON, Parquet, an archive.
    """
    name = STANDARD_INPUT
    if content.startswith(b"\x1f\x8b") or find_kind(name, content) not in ("csv", "tsv"):
        return None
    text = decode(content, name).removeprefix("\ufeff")
    if not text.strip():
        raise DataError(f"{name} is empty; give a line for each input.")
    found = lines(text)
    cells = re.split(r"[,;\t|]", found[0].replace('"', ""))
    return None if is_known(cells) else found


def with_files(parsed: Parsed, kind: str, path: Path) -> tuple[Mapping[str, Any], list[Path]]:
    """Return the columns with what lies beside a file, labels or pictures, and where that lies."""
    if kind != "idx":
        return images.located(parsed.columns, path.parent)
    pictures, labels = parsed.columns["image"], images.idx_labels(path)
    if labels is None:
        return parsed.columns, []
    numbers = np.asarray(read(labels).columns["image"])
    if numbers.shape != (len(pictures),):
        raise DataError(
            f"{labels.name} has {len(numbers):,} labels for {len(pictures):,} images; fetch the "
            "files again."
        )
    return {**parsed.columns, "label": [str(number) for number in numbers.tolist()]}, [labels]


def find_kind(name: str, content: bytes) -> str:
    """Return of which kind a file is: by the ending of its name, or else by how it starts."""
    if images.IDX_NAME.search(name):
        return "idx"
    ending = Path(name.removesuffix(".gz")).suffix.lower()
    if ending in KINDS:
        return KINDS[ending]
    if ending:
        raise DataError(
            f'{name} is of a kind that is not read here ("{ending}"); rename it to one of '
            f"{', '.join(KINDS)} if it is one, or convert it."
        )
    for start, kind in ((b"PAR1", "parquet"), (b"PK", "npz"), (b"[", "json"), (b"{", "jsonl")):
        if content.startswith(start):
            return kind
    return "tsv" if b"\t" in content.split(b"\n", 1)[0] else "csv"


def parse_content(content: bytes, name: str, kind: str, header: bool | None) -> Parsed:
    """Return the columns of a file's content."""
    if kind == "parquet":
        return parse_parquet(content, name)
    if kind in ("npy", "npz"):
        return parse_arrays(content, name, kind)
    if kind == "idx":
        return Parsed({"image": cast(Sequence[Any], images.parse_idx(content, name))})
    text = decode(content, name)
    notes: tuple[str, ...] = ()
    if text.startswith("\ufeff"):
        text, notes = text[1:], (BYTE_ORDER_MARK,)
    if not text.strip():
        raise DataError(f"{name} is empty; give a file with rows.")
    match kind:
        case "json" | "jsonl":
            parsed = parse_nested(text, name, parse_json if kind == "json" else parse_json_lines)
        case "txt":
            parsed = Parsed({"text": lines(text)}, has_header=False)
        case "conll":
            parsed = conll.parse(text, name)
        case _:
            parsed = parse(text, name, "\t" if kind == "tsv" else ",", header)
    return parsed._replace(notes=notes + parsed.notes)


def parse_nested(text: str, name: str, parse_text: Callable[[str, str], Parsed]) -> Parsed:
    """Return the columns of JSON; whatever goes through all that it holds may go too deep."""
    try:
        return parse_text(text, name)
    except RecursionError:
        raise DataError(f"{name} is nested too deeply; give a row for each example.") from None


def decode(content: bytes, name: str) -> str:
    """Return the text of a UTF-8 file."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{name} is UTF-16; convert it: {iconv('utf-16', name)}")
    if b"\0" in content:
        raise DataError(f"{name} is not a text file (byte {content.index(0):,} is zero).")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{name} is not UTF-8: byte {error.start:,}, on line {line:,}, is "
            f"0x{content[error.start]:02X}. Convert it, for example: "
            f"{iconv('windows-1252', name)}"
        ) from None


def iconv(encoding: str, name: str) -> str:
    """Return what to type to convert a file to UTF-8."""
    if name == STANDARD_INPUT:
        return f"... | iconv -f {encoding} -t utf-8 | ensuite ..."
    old, new = shlex.quote(name), shlex.quote(f"utf8-{name}")
    return f"iconv -f {encoding} -t utf-8 {old} > {new}"


def parse_parquet(content: bytes, name: str) -> Parsed:
    """Return the columns of a Parquet file."""
    import polars

    # A damaged file can make the reader panic, which is no Exception.
    failures = (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError)
    try:
        frame = polars.read_parquet(io.BytesIO(content))
    except (*failures, MemoryError, OverflowError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise DataError(f"{name} is not a whole Parquet file ({reason}).") from None
    return to_columns(frame, name)


def parse_arrays(content: bytes, name: str, kind: str) -> Parsed:
    """Return the arrays of a NumPy archive, or the one array of a file of it, as X."""
    return check_arrays(read_arrays(content, name, kind), name)


def check_arrays(arrays: Mapping[str, Any], name: str) -> Parsed:
    """Return arrays as columns; X is one of them, and all have as many rows."""
    if "X" not in arrays:
        shown = ", ".join(arrays)[:200] or "nothing"
        raise DataError(f"{name} has no array X; it has: {shown}. Save X, and y for the labels.")
    if scalars := [key for key, array in arrays.items() if array.ndim == 0]:
        raise DataError(f"The array {scalars[0]} of {name} is a single number; give one a row.")
    return to_columns(arrays, name)


def read_arrays(content: bytes, name: str, kind: str) -> dict[str, Any]:
    """Return the arrays of a NumPy file by their names; that of a ``.npy`` file is X.

    Raises:
        DataError: If it is damaged, holds pickled objects, or unpacks to what no honest file does.
    """
    try:
        if kind == "npy":
            if not content.startswith(b"\x93NUMPY"):  # np.load would take it for a pickle
                raise DataError(f"{name} is not a whole .npy file; save it with numpy.save.")
            return {"X": np.load(io.BytesIO(content), allow_pickle=False)}
        with zipfile.ZipFile(io.BytesIO(content)) as packed:  # np.load takes all else for a pickle
            if sum(each.file_size for each in packed.infolist()) > limit(content):
                raise too_large(name, limit(content))
            archive = np.load(io.BytesIO(content), allow_pickle=False)
        arrays = {key: archive[key] for key in archive if f"{key}.npy" in archive.zip.namelist()}
    except DataError:
        raise
    except Exception as error:  # a damaged header fails in as many ways as Python can
        if "allow_pickle" in str(error):
            raise DataError(
                f"{name} holds Python objects (pickled), which are never read; "
                "save arrays of numbers or of texts."
            ) from None
        reason = str(error)[:200] or type(error).__name__
        raise DataError(f"{name} is not a whole .{kind} file ({reason}).") from None
    return arrays

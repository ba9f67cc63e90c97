"""Read a file, standard input or an object in memory into a table.

Texts stay as they are: "null", "NA", an empty cell and a space at the end mean themselves. Only a
byte order mark at the start of a file is taken off.
"""

import gzip
import hashlib
import io
import json
import os
import sys
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from ensuite.core.errors import DataError, nearest
from ensuite.core.table import Table
from ensuite.data import conll, images, stretches
from ensuite.data.arrays import fingerprint, map_file
from ensuite.data.delimited import Parsed, lines, parse
from ensuite.data.memory import from_memory

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
    if source != "-" and is_long_text(Path(source), name):
        return read_long_text(Path(source), name)
    if source != "-" and (found := read_arrays(Path(source), name)):
        return found
    content = sys.stdin.buffer.read() if source == "-" else read_bytes(Path(source))
    name = name or ("standard input" if source == "-" else Path(source).name)
    if name.endswith(".gz") or content.startswith(b"\x1f\x8b"):
        content = unzip(content, name)
    kind = find_kind(name, content)
    parsed = parse_content(content, name, kind, header)
    columns, files = (parsed.columns, []) if source == "-" else with_files(parsed, kind, source)
    digest = hashlib.sha256(content)
    for file in files:
        digest.update(file.read_bytes())
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


def read_arrays(path: Path, name: str | None) -> Table | None:
    """Return the arrays of a NumPy file mapped into memory; None where that cannot be."""
    if KINDS.get(Path(name or path.name).suffix.lower()) not in ("npy", "npz"):
        return None
    arrays = map_file(path) if path.is_file() else None
    if arrays is None:
        return None
    columns = check_arrays(arrays, name or path.name).columns
    rows = len(next(iter(columns.values())))
    return Table(name or path.name, columns, rows, fingerprint(path))


def with_files(
    parsed: Parsed, kind: str, source: str | os.PathLike[str]
) -> tuple[Mapping[str, Any], list[Path]]:
    """Return the columns with what lies beside a file, labels or pictures, and where that lies."""
    if kind != "idx":
        return images.located(parsed.columns, Path(source).parent)
    pictures, labels = parsed.columns["image"], images.idx_labels(Path(source))
    if labels is None:
        return parsed.columns, []
    numbers = np.asarray(read(labels).columns["image"])
    if numbers.shape != (len(pictures),):
        raise DataError(
            f"{labels.name} has {len(numbers):,} labels for {len(pictures):,} images; fetch the "
            "files again."
        )
    return {**parsed.columns, "label": [str(number) for number in numbers.tolist()]}, [labels]


def read_bytes(path: Path) -> bytes:
    """Return what stands in a file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: OSError) -> DataError:
    """Return what to tell of a file that cannot be opened: the likeliest other one, if any."""
    if isinstance(error, FileNotFoundError):
        folder = path.parent
        beside = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        return DataError(f"There is no file {path}{nearest(path.name, beside) or '.'}")
    if isinstance(error, IsADirectoryError):
        files = sorted(entry.name for entry in path.iterdir() if entry.is_file())
        shown = ", ".join(files[:5]) + (", ..." if len(files) > 5 else "")
        return DataError(f"{path} is a folder; name a file in it ({shown or 'it has none'}).")
    return DataError(f"{path} cannot be read ({error.strerror}).")


def unzip(content: bytes, name: str) -> bytes:
    """Return the content of a gzip file."""
    try:
        return gzip.decompress(content)
    except gzip.BadGzipFile:
        raise DataError(f"{name} is not a gzip file; rename it, or zip it with gzip.") from None
    except (EOFError, zlib.error):
        raise DataError(f"{name} is cut short or damaged; fetch or write it again.") from None


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
        return check_arrays(parse_arrays(content, name, kind), name)
    if kind == "idx":
        return Parsed({"image": cast(Sequence[Any], images.parse_idx(content, name))})
    text = decode(content, name)
    notes: tuple[str, ...] = ()
    if text.startswith("\ufeff"):
        text, notes = text[1:], (BYTE_ORDER_MARK,)
    if not text.strip():
        raise DataError(f"{name} is empty; give a file with rows.")
    match kind:
        case "json":
            parsed = parse_json(text, name)
        case "jsonl":
            parsed = parse_json_lines(text, name)
        case "txt":
            parsed = Parsed({"text": lines(text)}, has_header=False)
        case "conll":
            parsed = conll.parse(text, name)
        case _:
            parsed = parse(text, name, "\t" if kind == "tsv" else ",", header)
    return parsed._replace(notes=notes + parsed.notes)


def decode(content: bytes, name: str) -> str:
    """Return the text of a UTF-8 file."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(
            f"{name} is UTF-16; convert it: iconv -f utf-16 -t utf-8 {name} > utf8-{name}"
        )
    if b"\0" in content:
        raise DataError(f"{name} is not a text file (byte {content.index(0):,} is zero).")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{name} is not UTF-8: byte {error.start:,}, on line {line:,}, is "
            f"0x{content[error.start]:02X}. Convert it, for example: "
            f"iconv -f windows-1252 -t utf-8 {name} > utf8-{name}"
        ) from None


def parse_json(text: str, name: str) -> Parsed:
    """Return the columns of an array of objects, or of an object of equally long arrays."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip().startswith("{"):
            note = "it is one JSON object a line"
            return parse_json_lines(text, name)._replace(notes=(note,))
        raise DataError(f"{name} is not JSON: line {error.lineno}, {error.msg}.") from None
    except RecursionError:
        raise DataError(f"{name} is nested too deeply; give an array of objects.") from None
    if isinstance(value, dict) and all(isinstance(column, list) for column in value.values()):
        return to_columns(value, name)
    if isinstance(value, list):
        for number, row in enumerate(value, 1):
            check_object(row, f"row {number} of {name}")
        return to_columns(value, name)
    raise DataError(
        f'{name} is JSON of another shape; give an array of objects: [{{"text": ...}}, ...].'
    )


def parse_json_lines(text: str, name: str) -> Parsed:
    """Return the columns of a file with one object a line; empty lines do not count."""
    rows = []
    for number, line in enumerate(lines(text), 1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except (json.JSONDecodeError, RecursionError) as error:
            reason = getattr(error, "msg", "nested too deeply")
            raise DataError(f"Line {number} of {name} is not JSON: {reason}.") from None
        check_object(rows[-1], f"Line {number} of {name}")
    return to_columns(rows, name)


def check_object(value: Any, where: str) -> None:
    """Refuse a row that does not name its values."""
    if not isinstance(value, Mapping):
        raise DataError(f'{where} is not an object; give {{"text": ..., "label": ...}}.')


def to_columns(source: Any, name: str) -> Parsed:
    """Return rows or columns from JSON by the rules of data in memory."""
    return Parsed(from_memory(source, name).columns)


def parse_parquet(content: bytes, name: str) -> Parsed:
    """Return the columns of a Parquet file."""
    import polars

    try:
        frame = polars.read_parquet(io.BytesIO(content))
    except polars.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{name} is not a whole Parquet file ({reason}).") from None
    return to_columns(frame, name)


def parse_arrays(content: bytes, name: str, kind: str) -> dict[str, Any]:
    """Return the arrays of a NumPy archive, or the one array of a file of it, as X."""
    try:
        if kind == "npy":
            if not content.startswith(b"\x93NUMPY"):  # np.load would take it for a pickle
                raise DataError(f"{name} is not a whole .npy file; save it with numpy.save.")
            return {"X": np.load(io.BytesIO(content), allow_pickle=False)}
        with zipfile.ZipFile(io.BytesIO(content)):  # np.load would take anything else for a pickle
            archive = np.load(io.BytesIO(content), allow_pickle=False)
        return {key: archive[key] for key in archive}
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise DataError(f"{name} is not a whole .{kind} file ({error}).") from None
        raise DataError(
            f"{name} holds Python objects (pickled), which are never read; "
            "save arrays of numbers or of texts."
        ) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise DataError(f"{name} is not a whole .{kind} file ({error}).") from None


def check_arrays(arrays: Mapping[str, Any], name: str) -> Parsed:
    """Return arrays as columns; X is one of them, and all have as many rows."""
    if "X" not in arrays:
        shown = ", ".join(arrays) or "nothing"
        raise DataError(f"{name} has no array X; it has: {shown}. Save X, and y for the labels.")
    if scalars := [key for key, array in arrays.items() if array.ndim == 0]:
        raise DataError(f"The array {scalars[0]} of {name} is a single number; give one a row.")
    return to_columns(arrays, name)

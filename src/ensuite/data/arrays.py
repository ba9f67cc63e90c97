"""NumPy files mapped into memory: what is not used is not read."""

import hashlib
import struct
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ensuite.core.errors import DataError

BLOCK = 8 * 1024 * 1024
"""Bytes that are hashed at once."""

LOCAL = struct.Struct("<4s22xHH")
"""Head of a member of a zip file: its mark, and how long its name and what follows that are."""


def map_file(path: Path) -> dict[str, NDArray[Any]] | None:
    """Return the arrays of a ``.npy`` file (as X) or ``.npz`` file, still on the disk.

    None where they cannot be mapped: an archive that is compressed, or no whole file.

    Raises:
        DataError: If an array holds Python objects.
    """
    try:
        if path.suffix == ".npy":
            with path.open("rb") as file:
                return {"X": map_array(file, path, 0)}
        return map_archive(path)
    except DataError:
        raise
    except Exception:  # a damaged header fails in as many ways as Python can
        return None  # the reader that takes the whole file says what is wrong with it


def map_archive(path: Path) -> dict[str, NDArray[Any]] | None:
    """Return the arrays of an archive; None where one is compressed."""
    arrays = {}
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        for member in archive.infolist():
            if member.compress_type != zipfile.ZIP_STORED or not member.filename.endswith(".npy"):
                return None
            file.seek(member.header_offset)
            mark, name, extra = LOCAL.unpack(file.read(LOCAL.size))
            if mark != b"PK\3\4":
                return None
            start = member.header_offset + LOCAL.size + name + extra
            array = map_array(file, path, start)
            if file.tell() + array.nbytes != start + member.file_size:
                return None
            arrays[member.filename.removesuffix(".npy")] = array
    return arrays


def map_array(file: IO[bytes], path: Path, start: int) -> NDArray[Any]:
    """Return the array that begins at a byte of a file, whose head is read."""
    file.seek(start)
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, by_columns, kind = read(file)
    if kind.hasobject:
        raise DataError(
            f"{path.name} holds Python objects (pickled), which are never read; "
            "save arrays of numbers or of texts."
        )
    if 0 in shape:
        return np.empty(shape, kind)
    order: Any = "F" if by_columns else "C"
    return np.asarray(np.memmap(path, kind, "r", file.tell(), shape, order))


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal, read block by block."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            found.update(block)
    return found.hexdigest()

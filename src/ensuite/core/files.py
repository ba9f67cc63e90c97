"""Write files atomically, and read them back; a failure is one sentence."""

import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from shutil import copymode
from threading import get_ident
from typing import Any

from torch import Tensor

from ensuite.core.errors import EnsuiteError, RunError, reason

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Errors of a disk without free space."""

DEVICES = Path("/dev")
"""Folder of files such as ``stdout``, which stay even if they lead to a usual file."""


def write_chunks(path: Path, chunks: Iterable[bytes | memoryview]) -> None:
    """Replace a file by the chunks, one after the other.

    After a crash the file holds the old content or the new. One chunk is in memory at a time. A
    link stays a link, and a file keeps its permissions. A pipe or a device is written to.

    Raises:
        EnsuiteError: If it cannot be written; the old file is left as it was.
    """
    device = path.exists() and (not path.is_file() or path.parent == DEVICES)
    path = path.resolve() if path.is_symlink() and not device else path
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if device:
            with path.open("wb") as file:
                file.writelines(chunks)
            return
        with temporary.open("wb") as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            copymode(path, temporary)
        temporary.replace(path)
    except OSError as error:
        space = "free some space or " if error.errno in FULL else ""
        raise EnsuiteError(
            f"{path} could not be written ({reason(error)}); {space}choose another --out."
        ) from error
    finally:
        with suppress(OSError):  # it is left over only where something went wrong
            temporary.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file by ``content``, as :func:`write_chunks` does."""
    write_chunks(path, [content])


def write_text(path: Path, text: str) -> None:
    """Replace a text file; half of a surrogate pair, as a path may have, is written as its code."""
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file.

    Raises:
        ValueError: If the value contains NaN or infinity, which JSON does not have.
    """
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Replace a safetensors file, tensor by tensor.

    No more than one tensor is copied at a time, and none that is contiguous and on the CPU.
    Tensors that share memory are each written whole.

    Source:
        The format: https://huggingface.co/docs/safetensors
    """
    write_chunks(path, _safetensors(tensors))


def _safetensors(tensors: Mapping[str, Tensor]) -> Iterator[bytes | memoryview]:
    """Return the length of the header, the header, and the bytes of each tensor."""
    described = {name: _describe(tensors[name]) for name in tensors}
    # Those of the widest numbers come first, so that each starts at a multiple of its own width.
    names = sorted(tensors, key=lambda name: (-described[name][0], name))
    header, end = dict[str, Any](), 0
    for name in names:
        width, kind, shape = described[name]
        start, end = end, end + width * prod(shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little")
    yield text
    for name in names:
        yield _bytes(tensors[name])


SAFETENSORS_TYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16",
    "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
"""Names of number types: torch's, and those of the safetensors format."""


def _describe(tensor: Tensor) -> tuple[int, str, list[int]]:
    """Return the bytes of one number of a tensor, the name of its type, and the shape."""
    kind = SAFETENSORS_TYPES[str(tensor.dtype).removeprefix("torch.")]
    return tensor.element_size(), kind, [*tensor.shape]


def _bytes(tensor: Tensor) -> memoryview:
    """Return the bytes of a tensor, without a copy where it is contiguous and on the CPU."""
    import torch

    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        RunError: If it is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path.parent} has no {path.name}: it is not a whole run.") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({reason(error)}); the run is damaged.") from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, mapped into memory: each is read when it is used.

    Changing one changes a copy in memory, never the file.

    Raises:
        RunError: If it is missing, truncated or of another format.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no dict
    except FileNotFoundError:
        raise RunError(f"{path.parent} has no {path.name}: it is not a whole run.") from None
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise RunError(f"{path} cannot be read ({reason(error)}); the run is damaged.") from error


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Lock a run folder for this process; the lock of a process that was killed does not count.

    Raises:
        RunError: If another process holds the lock; names the process.
    """
    from filelock import FileLock, Timeout

    owner = folder / ".process"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", blocking=False)
        lock.acquire()
    except Timeout:
        who = owner.read_text().strip() if owner.exists() else "unknown"
        raise RunError(
            f"{folder} is being trained by process {who}. Wait for it, or choose another --out."
        ) from None
    except OSError as error:
        raise RunError(
            f"{folder} cannot be written ({error.strerror}); choose another --out."
        ) from error
    try:
        write_text(owner, f"{os.getpid()}\n")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()

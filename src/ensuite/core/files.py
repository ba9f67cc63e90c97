"""Write files whole or not at all, read them back with a sentence where that fails."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from torch import Tensor

from ensuite.core.errors import EnsuiteError, RunError


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file by ``content``: after a crash it holds the old content or the new.

    Raises:
        EnsuiteError: If it cannot be written; what stood there is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise EnsuiteError(
            f"{path} could not be written ({reason}); free some space or choose another --out."
        ) from error
    finally:
        with suppress(OSError):  # it is there only where something went wrong
            temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Replace a text file; half of a surrogate pair, as a path may have, is written as its code."""
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file; NaN, which JSON lacks, is an error of the caller's."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Replace a safetensors file. Tensors that share memory are written once each."""
    from safetensors.torch import save

    whole = {name: t.detach().cpu().clone().contiguous() for name, t in tensors.items()}
    write_bytes(path, save(whole))


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
        raise RunError(f"{path} cannot be read ({error}); the run is damaged.") from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file.

    Raises:
        RunError: If it is missing, truncated or of another format.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return dict(load(path.read_bytes()))
    except FileNotFoundError:
        raise RunError(f"{path.parent} has no {path.name}: it is not a whole run.") from None
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} cannot be read ({error}); the run is damaged.") from error


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep a run folder to this process; a lock that a killed process left behind holds nothing.

    Raises:
        RunError: If another process has it; names the process.
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

"""Where a run lies: found before anything heavy is imported."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from ensuite.core.errors import RunError, UsageError

CONFIG = "config.json"
"""The file by which a folder is known to be a run."""


def find_run(path: Path) -> Path:
    """Return the folder of a run: the folder itself, or the winner of a comparison's.

    Raises:
        RunError: If it is neither.
    """
    try:
        for folder in (path, path / "best"):
            if (folder / CONFIG).exists():
                return folder
        there = path.exists()
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}).") from None
    if not there:
        raise RunError(
            f"There is no run at {path}; `ensuite train` and `ensuite compare` make them, and a "
            "published checkpoint is named by the folder that it was downloaded to."
        )
    if path.is_file():
        raise RunError(
            f"{path} is a file, not a run; give the folder that `ensuite train` or `ensuite "
            "compare` wrote, such as runs/classify-reviews-1."
        )
    raise RunError(f"{path} is not a run: it has no {CONFIG}.")


def is_run(path: str) -> bool:
    """Return whether a path is that of a run, or of a comparison."""
    try:
        return find_run(Path(path)) is not None
    except (RunError, ValueError):
        return False


def require_apart(out: str | Path | None, inputs: Sequence[Any]) -> None:
    """Refuse to write where an input stands, which would be lost.

    Args:
        out: Where to write; None: where nothing is.
        inputs: Paths among whatever else an input can be.

    Raises:
        UsageError: Names the input.
    """
    if out is None:
        return
    if not str(out):
        raise UsageError("--out is empty; give a path.")
    for source in inputs:
        if isinstance(source, str | PathLike) and is_same(out, source):
            raise UsageError(f"--out {out} is the input {source}; choose another --out.")


def is_same(one: str | Path, other: str | PathLike[str]) -> bool:
    """Say whether two paths lead to the same file or folder."""
    try:
        return Path(one).samefile(other)
    except (OSError, ValueError):
        return False

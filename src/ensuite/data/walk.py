"""Look into folders and files: what the system refuses is told in a sentence with the path."""

from os import PathLike
from pathlib import Path

from ensuite.core.errors import DataError, nearest

DROPPINGS = "__MACOSX"
"""A folder that zip files made on a Mac hold beside the real ones."""


def is_hidden(path: Path) -> bool:
    """Say whether something was put there by a system or an editor, not by the user."""
    return path.name.startswith(".") or path.name == DROPPINGS


def read_bytes(path: str | Path) -> bytes:
    """Return what stands in a file.

    Raises:
        DataError: If it cannot be read, and why.
    """
    if not str(path):
        raise DataError("The name of the file is empty; give a path.")
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        raise unreadable(Path(path), error) from None


def exists(path: str | PathLike[str]) -> bool:
    """Say whether something is there; a path that the system refuses leads to nothing."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # too long, a loop of links, a folder that is closed
        return False


def is_file(path: str | PathLike[str]) -> bool:
    """Say whether a file is there."""
    return exists(path) and Path(path).is_file()


def is_folder(path: str | PathLike[str]) -> bool:
    """Say whether a folder is there."""
    return exists(path) and Path(path).is_dir()


def entries(folder: Path) -> list[Path]:
    """Return what lies in a folder, in the order of the names, without what is hidden.

    Raises:
        DataError: If it cannot be listed, and why.
    """
    return [path for path in everything(folder) if not is_hidden(path)]


def hidden(folder: Path) -> list[Path]:
    """Return what a system or an editor left in a folder."""
    return [path for path in everything(folder) if is_hidden(path)]


def everything(folder: Path) -> list[Path]:
    """Return all that lies in a folder, in the order of the names."""
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"The folder {folder} {cannot(error)}.") from None


def files_below(folder: Path) -> list[Path]:
    """Return the files in a folder and in those within, in order, without what is hidden."""
    found = []
    for path in entries(folder):
        if path.is_dir() and not path.is_symlink():  # a link may lead to a folder around it
            found += files_below(path)
        else:
            found.append(path)
    return found


def unreadable(path: Path, error: Exception) -> DataError:
    """Return what to tell of a file that cannot be opened: the likeliest other one, if any."""
    if isinstance(error, FileNotFoundError):
        if path.is_symlink():
            return DataError(f"{path} is a link to a file that is not there; mend it.")
        return DataError(f"There is no file {path}{near(path) or '.'}")
    if isinstance(error, IsADirectoryError):
        names = [each.name for each in entries(path) if each.is_file()]
        few = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        return DataError(f"{path} is a folder; name a file in it ({few or 'it has none'}).")
    return DataError(f"{path} {cannot(error)}.")


def cannot(error: Exception) -> str:
    """Return why something cannot be read, as the end of a sentence."""
    return f"cannot be read ({getattr(error, 'strerror', None) or error})"


def near(path: Path) -> str:
    """Return '; did you mean X?' for the file beside with the closest name, or nothing."""
    try:
        beside = [each.name for each in path.parent.iterdir()]
    except OSError:
        return ""
    return nearest(path.name, beside)

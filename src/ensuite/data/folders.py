"""Folders of data: idx files, pictures by label, a table beside pictures, and given splits."""

import hashlib
from dataclasses import replace
from pathlib import Path

from ensuite.core.errors import DataError
from ensuite.core.printable import one_line
from ensuite.core.table import Table
from ensuite.data import images, readers, walk

SPLITS = {
    "train": "train", "training": "train", "t10k": "test", "test": "test", "testing": "test",
    "valid": "valid", "val": "valid", "validation": "valid", "dev": "valid",
}  # fmt: skip
"""What the parts of given splits are called, and what they are here."""

TABLES = ("metadata", "captions", "labels")
"""Names of a file, whatever its ending, that says what pictures beside it show."""


def read(folder: Path) -> dict[str, Table]:
    """Return the tables in a folder by the names of their splits; one, train, where none is given.

    In the folder, or in one folder for each split (train, valid, test), lie

    * idx files, as ``train-images-idx3-ubyte.gz`` with ``train-labels-idx1-ubyte.gz``, and t10k,
    * a table (metadata, captions or labels, .csv, .jsonl, ...) that names pictures beside it,
    * a folder of pictures for each label, or
    * pictures alone, to ask about.

    What systems and editors leave behind (names that begin with a dot, ``__MACOSX``) is left out.

    Raises:
        DataError: If it holds none of these, one split twice, or an empty folder.
    """
    found: dict[str, Table] = {}
    for name, path in _parts(folder):
        split = SPLITS.get(name.lower(), name)
        if split in found:
            raise DataError(f"{folder} has two parts called {split}; move one away.")
        shown = one_line(folder.name if split == "train" else f"{folder.name}/{name}")
        part = _read_part(path)
        beside = path if path.is_dir() else path.parent
        file = part.name and one_line(f"{beside.name}/{part.name}")
        found[split] = replace(part, name=shown, file=file)
    if "train" not in found and len(found) == 1:  # one set without a usual name
        return {"train": next(iter(found.values()))}
    if "train" not in found or not found.keys() <= set(SPLITS.values()):
        raise DataError(f"{folder} has the parts {', '.join(found)}; call them train, valid, test.")
    return found


def _parts(folder: Path) -> list[tuple[str, Path]]:
    """Return the name of each split, and the file or folder that holds it."""
    files = [each for each in walk.entries(folder) if images.IDX_NAME.search(each.name)]
    idx = [each for each in files if "images" in each.name]
    if idx:
        names = [each.name.partition("images")[0].rstrip("-_.") or "train" for each in idx]
        return [(name.replace("_", "-").rpartition("-")[2], each)
                for name, each in zip(names, idx, strict=True)]  # fmt: skip
    folders = [each for each in walk.entries(folder) if each.is_dir()]
    usual = [each for each in folders if each.name.lower() in SPLITS]
    if any(SPLITS[each.name.lower()] == "train" for each in usual):
        return [(each.name, each) for each in usual]
    return [("train", folder)]


def _read_part(path: Path) -> Table:
    if path.is_file():
        return readers.read(path)
    for each in walk.entries(path):
        if each.name.partition(".")[0].lower() in TABLES and each.is_file():
            return readers.read(each)
    folders = [each for each in walk.entries(path) if each.is_dir()]
    for each in (path, *folders):
        _require_content(each)
    labelled = [(file, one_line(each.name)) for each in folders for file in _pictures(each)]
    notes = _left_out([path, *folders])
    if labelled:
        return _table([file for file, _ in labelled], [name for _, name in labelled], notes)
    if files := _pictures(path):
        return _table(files, None, notes)
    return readers.read(path)  # says what is in it


def _require_content(folder: Path) -> None:
    """Refuse a folder without anything in it: a label that has no picture is a mistake."""
    if not walk.entries(folder):
        raise DataError(
            f"The folder {folder} is empty; put pictures into it (in one folder for "
            "each label, or beside a captions.csv that names them), or take it away."
        )


def _pictures(folder: Path) -> list[Path]:
    return [each for each in walk.files_below(folder) if images.is_picture(each.name)]


def _left_out(folders: list[Path]) -> tuple[str, ...]:
    """Tell what in folders was left out."""
    hidden = [each.name for folder in folders for each in walk.hidden(folder)]
    if not hidden:
        return ()
    names = sorted(set(hidden))
    shown = one_line(", ".join(names[:3])) + (", ..." if len(names) > 3 else "")
    return (f"{shown} left out: names that begin with a dot, and __MACOSX, are no data",)


def _table(files: list[Path], labels: list[str] | None, notes: tuple[str, ...]) -> Table:
    digest = hashlib.sha256(repr(labels).encode())
    for file in files:
        digest.update(walk.read_bytes(file))
    columns = {"image": [str(file) for file in files], **({"label": labels} if labels else {})}
    return Table("", columns, len(files), digest.hexdigest(), notes=notes)

"""Folders and files that the system refuses, or that it has put there itself."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ensuite.core.errors import DataError
from ensuite.data import folders, readers, walk
from ensuite.problem import open_problem, read_parts


def draw(path: Path, shade: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4), shade, np.uint8)).save(path)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for number in range(6):
        draw(tmp_path / "pictures" / "ab"[number % 2] / f"{number}.png", number)
    return tmp_path / "pictures"


def test_what_a_system_leaves_behind_is_no_data(pictures: Path) -> None:
    draw(pictures / ".ipynb_checkpoints/0.png")
    draw(pictures / "__MACOSX/a/0.png")
    draw(pictures / "a/.thumbnails/0.png")
    (pictures / "a/._0.png").write_bytes(b"\0\5\x16\7")
    (pictures / ".DS_Store").write_bytes(b"\0")
    table = folders.read(pictures)["train"]
    assert sorted(set(table.columns["label"])) == ["a", "b"]
    assert table.rows == 6
    assert "left out" in table.notes[0]
    assert ".DS_Store" in table.notes[0]


def test_a_folder_called_like_a_picture_is_looked_into(pictures: Path) -> None:
    draw(pictures / "a/sub.png/7.png")
    assert folders.read(pictures)["train"].rows == 7


def test_a_dead_link_is_told(pictures: Path) -> None:
    (pictures / "a/link.png").symlink_to("nowhere.png")
    with pytest.raises(DataError, match=r"link\.png is a link to a file that is not there"):
        read_parts(str(pictures))
    (pictures / "a/link.png").unlink()
    table = pictures / "metadata.csv"
    table.write_text("image,label\na/0.png,x\na/gone.png,y\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"row 2 of .*There is no picture .*gone\.png"):
        open_problem("classify", str(pictures))


@pytest.mark.parametrize("what", ["a/0.png", "a"])
def test_what_may_not_be_read_is_told(
    what: str, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path) -> None:
        if self == pictures / what:
            raise PermissionError(13, "Permission denied", str(self))
        return before(self)

    name = "read_bytes" if what.endswith(".png") else "iterdir"
    before = getattr(Path, name)
    monkeypatch.setattr(Path, name, refuse)
    with pytest.raises(DataError, match=rf"{what} cannot be read \(Permission denied\)"):
        read_parts(str(pictures))


@pytest.mark.parametrize("path", ["", "a" * 5000, "a\0b.csv", "loop.csv"])
def test_a_path_that_leads_nowhere_is_told(path: str, tmp_path: Path) -> None:
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    with pytest.raises(DataError, match=r"empty|cannot be read|no file|link"):
        readers.read(str(tmp_path / path) if path else path)
    assert not walk.is_file(tmp_path / path)


def test_a_name_that_is_no_utf8_is_escaped(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.csv"))
    path.write_text("text,label\na b,x\n", encoding="utf-8")
    assert readers.read(path).name == "caf\\xe9.csv"
    with pytest.raises(DataError, match=r"no file .*/caf\\xe8\.csv; did you mean caf\\xe9\.csv"):
        readers.read(path.with_name(os.fsdecode(b"caf\xe8.csv")))

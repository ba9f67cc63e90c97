"""Pictures in files: idx, folders by label, tables that name them; and what is no picture."""

import gzip
import struct
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image

from ensuite.core.errors import DataError, EnsuiteError, UsageError
from ensuite.data import folders, images, readers, shades
from ensuite.problem import open_problem, open_tables


def idx(array: Any, code: int = 8) -> bytes:
    """Return an array as an idx file holds it."""
    kind = np.dtype(images.IDX_TYPES[code])
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.astype(kind).tobytes()


def write_idx(folder: Path, name: str, pictures: Any, labels: Any, *, zipped: bool = False) -> None:
    ending, write = (".gz", gzip.compress) if zipped else ("", bytes)
    (folder / f"{name}-images-idx3-ubyte{ending}").write_bytes(write(idx(pictures)))
    (folder / f"{name}-labels-idx1-ubyte{ending}").write_bytes(write(idx(labels)))


def write_picture(path: Path, pixels: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path)


def drawn(rows: int, *shape: int) -> Any:
    return np.random.default_rng(rows).integers(0, 256, (rows, *shape), dtype=np.uint8)


class TestIdx:
    @given(
        some.sampled_from(sorted(images.IDX_TYPES)),
        some.lists(some.integers(0, 4), min_size=1, max_size=3),
    )
    def test_what_is_written_is_read(self, code: int, sizes: list[int]) -> None:
        array = np.arange(np.prod(sizes)).reshape(sizes)
        assert np.array_equal(images.parse_idx(idx(array, code), "x"), array)

    @given(some.binary(max_size=30) | some.binary(max_size=30).map(lambda end: b"\0\0\x08" + end))
    def test_any_bytes_are_read_or_refused(self, content: bytes) -> None:
        try:
            images.parse_idx(content, "x")
        except DataError:
            return
        assert content[:2] == b"\0\0"

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (b"", "x is not an idx file: it begins with nothing"),
            (b"PK\x03\x04abc", "not an idx file: it begins with 50 4b 03 04"),
            (b"\0\0\x08\x03\0\0", "cut short within its header"),
            (idx(np.zeros((2, 3)))[:-1], "header says 2 x 3, 6 bytes, and 5 follow; fetch it"),
            (idx(np.zeros(4)) + b"\0", "header says 4, 4 bytes, and 5 follow"),
        ],
    )
    def test_damage_is_told(self, content: bytes, sentence: str) -> None:
        with pytest.raises(DataError, match=sentence):
            images.parse_idx(content, "x")

    @pytest.mark.parametrize("zipped", [False, True])
    def test_a_folder_has_its_given_splits(self, tmp_path: Path, zipped: bool) -> None:
        train, test = drawn(5, 4, 3), drawn(2, 4, 3)
        write_idx(tmp_path, "train", train, np.arange(5), zipped=zipped)
        write_idx(tmp_path, "t10k", test, np.array([7, 8]), zipped=zipped)
        tables = open_tables(str(tmp_path))
        assert set(tables) == {"train", "test"}
        assert np.array_equal(tables["train"].columns["image"], train)
        assert tables["test"].columns["label"] == ["7", "8"]
        assert tables["train"].name == tmp_path.name

    def test_one_file_finds_its_labels(self, tmp_path: Path) -> None:
        write_idx(tmp_path, "train", drawn(3, 2, 2), np.array([1, 0, 1]))
        table = readers.read(tmp_path / "train-images-idx3-ubyte")
        assert table.columns["label"] == ["1", "0", "1"]
        before = table.fingerprint
        write_idx(tmp_path, "train", drawn(3, 2, 2), np.array([1, 1, 1]))
        assert readers.read(tmp_path / "train-images-idx3-ubyte").fingerprint != before

    def test_other_numbers_of_labels_are_told(self, tmp_path: Path) -> None:
        write_idx(tmp_path, "train", drawn(3, 2, 2), np.arange(4))
        with pytest.raises(DataError, match="labels-idx1-ubyte has 4 labels for 3 images"):
            folders.read(tmp_path)

    def test_one_split_twice_is_told(self, tmp_path: Path) -> None:
        for name in ("letters-train", "digits-train"):
            write_idx(tmp_path, name, drawn(3, 2, 2), np.arange(3))
        with pytest.raises(DataError, match="has two parts called train"):
            folders.read(tmp_path)


class TestFolders:
    def test_labels_are_the_names_of_folders(self, tmp_path: Path) -> None:
        for name in ("cat/1.png", "dog/2.JPG", "dog/more/3.png", "dog/notes.txt"):
            if name.endswith("txt"):
                (tmp_path / name).write_text("no picture")
            else:
                write_picture(tmp_path / name, drawn(4, 5))
        (table,) = folders.read(tmp_path).values()
        assert table.columns["label"] == ["cat", "dog", "dog"]
        assert [Path(each).name for each in table.columns["image"]] == ["1.png", "2.JPG", "3.png"]

    def test_splits_are_folders_too(self, tmp_path: Path) -> None:
        for part in ("train", "val", "test"):
            for label in ("a", "b"):
                write_picture(tmp_path / part / label / "1.png", drawn(4, 5))
        assert {n: t.columns["label"] for n, t in folders.read(tmp_path).items()} == {
            "train": ["a", "b"], "valid": ["a", "b"], "test": ["a", "b"]
        }  # fmt: skip

    def test_a_table_names_pictures_beside_it(self, tmp_path: Path) -> None:
        write_picture(tmp_path / "deep" / "1.png", drawn(4, 5))
        (tmp_path / "metadata.csv").write_text("file_name,label\ndeep/1.png,a\n")
        (table,) = folders.read(tmp_path).values()
        assert table.columns["file_name"] == [str(tmp_path / "deep" / "1.png")]
        before = table.fingerprint
        write_picture(tmp_path / "deep" / "1.png", drawn(5, 5))
        assert readers.read(tmp_path / "metadata.csv").fingerprint != before

    def test_pictures_alone_can_be_asked_about(self, tmp_path: Path) -> None:
        write_picture(tmp_path / "1.png", drawn(4, 5))
        assert set(folders.read(tmp_path)["train"].columns) == {"image"}
        with pytest.raises(DataError, match="has no column for the label"):
            open_problem("classify", str(tmp_path))

    def test_a_folder_of_something_else_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "reviews.csv").write_text("text,label\na,b\n")
        with pytest.raises(DataError, match="is a folder; name a file in it"):
            open_tables(str(tmp_path))

    @pytest.mark.parametrize("empty", ["", "cat", "train/cat"])
    def test_an_empty_folder_is_told(self, tmp_path: Path, empty: str) -> None:
        (tmp_path / empty).mkdir(parents=True, exist_ok=True)
        if empty:
            write_picture((tmp_path / empty).parent / "dog" / "1.png", drawn(4, 5))
        with pytest.raises(DataError, match=rf"The folder .*{empty} is empty; put pictures into"):
            folders.read(tmp_path)

    def test_what_is_no_picture_is_told_with_its_row(self, tmp_path: Path) -> None:
        write_picture(tmp_path / "a" / "1.png", drawn(4, 5))
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "2.png").write_text("not a picture")
        with pytest.raises(DataError, match=r"row 2 of .*2\.png is not a picture that can be read"):
            open_problem("classify", str(tmp_path))
        (tmp_path / "b" / "2.png").unlink()
        (tmp_path / "labels.csv").write_text("image,label\na/1.png,x\na/11.png,y\n")
        with pytest.raises(DataError, match=r"row 2 .*no picture .*11\.png; did you mean 1\.png"):
            open_problem("classify", str(tmp_path))


class TestPictures:
    @pytest.mark.parametrize(
        ("mode", "channels", "color", "found"),
        [
            ("L", 1, 80, 80),
            ("1", 1, 1, 255),
            ("I;16", 1, 80 * 256 + 9, 80),
            ("LA", 1, (80, 0), 255),
            ("RGB", 3, (1, 2, 3), [1, 2, 3]),
            ("RGBA", 3, (1, 2, 3, 255), [1, 2, 3]),
            ("RGBA", 3, (1, 2, 3, 0), [255, 255, 255]),
        ],
    )
    def test_every_mode_is_grey_or_coloured(
        self, tmp_path: Path, mode: str, channels: int, color: Any, found: Any
    ) -> None:
        path = str(tmp_path / "x.png")
        Image.new(mode, (5, 4), color).save(path)
        assert images.shape(path) == (4, 5, channels)
        pixels = images.decode(path, channels)
        assert pixels.shape[:2] == (4, 5)
        assert pixels[0, 0].tolist() == found

    def test_a_photograph_is_turned_as_the_camera_was_held(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        path = str(tmp_path / "x.jpg")
        Image.new("RGB", (9, 4)).save(path, exif=exif)
        assert images.shape(path) == (9, 4, 3)
        assert images.decode(path, 3).shape == (9, 4, 3)

    def test_a_damaged_picture_is_told(self, tmp_path: Path) -> None:
        write_picture(tmp_path / "x.png", drawn(40, 50))
        content = (tmp_path / "x.png").read_bytes()
        (tmp_path / "x.png").write_bytes(content[: len(content) // 2])
        with pytest.raises(DataError, match=r"x\.png is damaged"):
            images.shape(str(tmp_path / "x.png"))

    def test_a_changed_file_is_read_again(self, tmp_path: Path) -> None:
        path = tmp_path / "x.png"
        for value in (3, 4):
            write_picture(path, np.full((2, 2), value))
            stamp = path.stat().st_mtime_ns + value
            import os

            os.utime(path, ns=(stamp, stamp))
            assert images.decode(str(path), 1)[0, 0] == value

    def test_without_pillow_it_says_what_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_picture(tmp_path / "x.png", drawn(4, 5))
        monkeypatch.setitem(sys.modules, "PIL", None)
        with pytest.raises(UsageError, match=r'pip install "ensuite\[images\]"'):
            images.shape(str(tmp_path / "x.png"))

    @given(some.binary(max_size=60))
    def test_any_bytes_are_a_picture_or_a_sentence(self, content: bytes) -> None:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x.png"
            path.write_bytes(content)
            with pytest.raises(EnsuiteError, match=r"x\.png"):
                images.shape(str(path))

    def test_resized_keeps_what_is_alike(self) -> None:
        whole = np.full((9, 5, 3), 70, np.uint8)
        assert (images.resize(whole, 4) == np.full((4, 4, 3), 70)).all()
        halves = np.concatenate([np.zeros((8, 4)), np.ones((8, 4))], axis=1)
        assert images.resize(halves, 2) == pytest.approx(np.array([[0, 1], [0, 1]]), abs=0.2)


def test_fashion_as_debian_packs_it() -> None:
    folder = Path("/usr/share/datasets/fashion-mnist")
    if not folder.is_dir():
        pytest.skip("needs Debian's package dataset-fashion-mnist")
    tables = folders.read(folder)
    assert tables["train"].columns["image"].shape == (60000, 28, 28)
    assert tables["test"].columns["label"][:3] == ["9", "2", "1"]


class TestShades:
    """Greyscale of more than 8 bits is scaled by a range that is known, or refused."""

    def open(self, folder: Path, pixels: Any, **how: Any) -> Any:
        Image.fromarray(pixels).save(folder / "a.tif", **how)
        return images.decode(str(folder / "a.tif"), 1)

    def test_fractions_are_from_black_to_white(self, tmp_path: Path) -> None:
        pixels = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)
        np.testing.assert_array_equal(self.open(tmp_path, pixels), (pixels * 255).round())
        assert images.shape(str(tmp_path / "a.tif")) == (4, 4, 1)

    def test_bits_tell_which_number_is_white(self, tmp_path: Path) -> None:
        pixels = np.arange(16, dtype=np.uint16).reshape(4, 4) * 4369
        np.testing.assert_array_equal(self.open(tmp_path, pixels), pixels // 256)

        class Opened:
            mode = "I;16"
            tag_v2: ClassVar[dict[int, tuple[int]]] = {258: (12,)}

        assert shades.find_white(Opened(), np.array([[4095]])) == 4095
        assert shades.find_white(Opened(), np.array([[4096]])) is None

    @pytest.mark.parametrize(
        "pixels",
        [np.float32([[0, 2], [1, 1]]), np.float32([[-1, 0]]), np.float32([[np.nan, 0]]),
         np.int32([[0, 255]]), np.int32([[0, 2**20]]), np.int32([[-5, 5]])],
    )  # fmt: skip
    def test_what_tells_no_range_is_refused_with_its_row(self, pixels: Any, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="nothing tells which is white"):
            self.open(tmp_path, pixels)
        table = tmp_path / "a.csv"
        table.write_text("image,label\na.tif,x\n", encoding="utf-8")
        with pytest.raises(DataError, match=r"row 1 of a\.csv: .*a\.tif: .* which is white"):
            open_problem("classify", str(table))

    def test_a_small_file_of_very_many_pixels_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(images, "MOST_PIXELS", 60_000)
        monkeypatch.setattr(images, "MOST_PIXELS_A_BYTE", 100)
        Image.new("L", (300, 300)).save(tmp_path / "bomb.png")
        with pytest.raises(DataError, match="too large"):
            images.shape(str(tmp_path / "bomb.png"))
        Image.fromarray(drawn(300, 300)).save(tmp_path / "photo.png")
        assert images.shape(str(tmp_path / "photo.png"))[:2] == (300, 300)

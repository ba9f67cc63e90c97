"""Pictures: files of any usual format, and the idx files that MNIST and its kin come in."""

import math
import re
import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ensuite.core.errors import DataError, UsageError
from ensuite.data import shades
from ensuite.data.walk import exists, is_file, near, unreadable

if TYPE_CHECKING:
    from PIL.Image import Image as Opened

Pixels = NDArray[Any]
"""(height, width), or (height, width, channels)."""

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")

GREY = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B")
"""Pillow's names for what has one channel, with or without alpha."""

IDX_NAME = re.compile(r"idx\d-ubyte(\.gz)?$")
IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}

TURNED = range(5, 9)
"""EXIF orientations whose height and width change places."""

MOST_PIXELS, MOST_PIXELS_A_BYTE = 2**25, 1000
"""Pixels, in all and in a byte of the file, above both of which a picture is to fill memory."""

LOOKED_AT = 20
"""Cells of a column that say whether it names pictures."""

KEPT = 2**17
"""Decoded pictures that are kept, so that every candidate of a comparison shares them."""

BACKGROUND = 128
"""Shade between the pictures of a grid."""

THUMBNAIL = 160
"""Pixels along the longer side of a picture that is small enough for a page."""


class Shape(NamedTuple):
    """How large a picture is."""

    height: int
    width: int
    channels: int

    def __str__(self) -> str:
        words = {1: "greyscale", 3: "RGB"}
        return (
            f"{self.height} x {self.width} {words.get(self.channels, f'{self.channels}-channel')}"
        )


def is_picture(name: Any) -> bool:
    """Say whether a cell names a file that is a picture by its ending.

    >>> is_picture("cats/1.JPG"), is_picture("a cat"), is_picture(3)
    (True, False, False)
    """
    return isinstance(name, str) and name.lower().endswith(ENDINGS)


def parse_idx(content: bytes, name: str) -> NDArray[Any]:
    """Return the array of an idx file.

    Source: LeCun, Cortes & Burges, http://yann.lecun.com/exdb/mnist, "file formats".

    Raises:
        DataError: If it is none, or cut short.
    """
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in IDX_TYPES:
        raise DataError(
            f"{name} is not an idx file: it begins with {content[:4].hex(' ') or 'nothing'}, not "
            "with two zeros, a known type and the number of dimensions; fetch it again."
        )
    kind, dimensions = np.dtype(IDX_TYPES[content[2]]), content[3]
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise DataError(f"{name} is cut short within its header; fetch it again.")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    expected, found = math.prod(shape) * kind.itemsize, len(content) - start
    if found != expected:
        said = " x ".join(f"{size:,}" for size in shape)
        raise DataError(
            f"{name} is damaged: its header says {said}, {expected:,} bytes, and {found:,} follow; "
            "fetch it again."
        )
    return np.frombuffer(content, kind, offset=start).reshape(shape)


def idx_labels(path: Path) -> Path | None:
    """Return the file of labels that belongs to an idx file of images, or None.

    ``train-images-idx3-ubyte.gz`` has ``train-labels-idx1-ubyte.gz``, zipped or not.
    """
    if "images" not in path.name:
        return None
    name = re.sub(r"idx\d", "idx1", path.name.replace("images", "labels")).removesuffix(".gz")
    beside = (path.with_name(name), path.with_name(f"{name}.gz"))
    return next((each for each in beside if exists(each)), None)


def located(
    columns: Mapping[str, Sequence[Any]], folder: Path
) -> tuple[dict[str, Sequence[Any]], list[Path]]:
    """Let the names of pictures in a file begin where the file lies, if pictures lie there.

    Returns:
        All columns, and the pictures there are.
    """
    found: dict[str, Sequence[Any]] = dict(columns)
    pictures: list[Path] = []
    for name, cells in columns.items():
        first = [folder / cell for cell in cells[:LOOKED_AT] if is_picture(cell)]
        if any(map(is_file, first)):
            found[name] = [str(folder / cell) if is_picture(cell) else cell for cell in cells]
            pictures += [Path(cell) for cell in found[name] if is_picture(cell)]
    return found, [path for path in pictures if is_file(path)]


def shape(path: str) -> Shape:
    """Return how large a picture is; it is decoded once, so that a damaged one is told now.

    Raises:
        DataError: If there is no such file, or it is no whole picture.
    """
    return _shape(path, _stamp(path))


def decode(path: str, channels: int, size: int | None = None) -> Pixels:
    """Return the pixels of a picture, bytes, as greyscale (1 channel) or RGB (3).

    Transparent parts are white, a photograph is turned as its camera was held, and 16-bit
    greyscale loses its lower half.

    Args:
        path: Of the file.
        channels: 1 or 3.
        size: Height and width to bring it to; None: its own.

    Raises:
        DataError: If there is no such file, or it is no whole picture.
    """
    return _decode(path, _stamp(path), channels, size)


def resize(pixels: Pixels, size: int) -> Pixels:
    """Return a picture of that height and width; the whole of it, so its proportions may change."""
    import torch
    import torch.nn.functional as F

    if pixels.shape[:2] == (size, size):
        return pixels
    exact = pixels if pixels.dtype == np.uint8 else pixels.astype(np.float32)
    channels = torch.tensor(np.atleast_3d(exact)).permute(2, 0, 1)[None]
    resized = F.interpolate(channels, size=(size, size), mode="bilinear", antialias=True)
    return resized[0].permute(1, 2, 0).numpy().reshape(size, size, *pixels.shape[2:])


def grid(pictures: Pixels, columns: int, *, enlarge: int = 1) -> bytes:
    """Return pictures side by side as a PNG, a line of background between them.

    Args:
        pictures: Bytes, (pictures, height, width, channels), of 1 or 3 channels.
        columns: How many stand in a row.
        enlarge: How many pixels of the PNG a pixel is wide and high.

    Raises:
        UsageError: If Pillow is not installed.
        DataError: If pictures of so many channels cannot be shown.
    """
    try:
        from PIL import Image
    except ImportError:
        raise UsageError(
            'Pictures are written by Pillow, which is not installed: pip install "ensuite[images]"'
        ) from None
    count, height, width, channels = pictures.shape
    if channels not in (1, 3):
        raise DataError(
            f"A PNG holds pictures of 1 or 3 channels, and these have {channels}: write them as "
            "numbers (--out FILE.csv)."
        )
    rows = -(-count // columns)
    high, wide = enlarge * height + 1, enlarge * width + 1
    whole = np.full((rows * high + 1, columns * wide + 1, channels), BACKGROUND, np.uint8)
    for number, picture in enumerate(pictures):
        top, left = number // columns * high + 1, number % columns * wide + 1
        large = picture.repeat(enlarge, 0).repeat(enlarge, 1)
        whole[top : top + high - 1, left : left + wide - 1] = large
    file = BytesIO()
    Image.fromarray(whole.squeeze(2) if channels == 1 else whole).save(file, "PNG")
    return file.getvalue()


def thumbnail(pixels: Pixels) -> bytes | None:
    """Return a small PNG of bytes; None where Pillow is missing or cannot show the channels."""
    try:
        from PIL import Image
    except ImportError:
        return None
    plain = pixels.squeeze(2) if pixels.shape[2:] == (1,) else pixels
    if plain.shape[2:] not in ((), (3,)):
        return None
    small, file = Image.fromarray(plain), BytesIO()
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    small.save(file, "PNG")
    return file.getvalue()


def _stamp(path: str) -> int:
    """Return when a file was written, so that a changed one is read again."""
    try:
        return Path(path).stat().st_mtime_ns
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and not Path(path).is_symlink():
            hint = near(Path(path)) or "."
            raise DataError(f"There is no picture {path}{hint}") from None
        raise unreadable(Path(path), error) from None


@lru_cache(maxsize=KEPT)
def _shape(path: str, stamp: int) -> Shape:
    with _open(path) as picture, _decoding(path):
        picture.load()
        shades.to_bytes(picture, picture)
        width, height = picture.size
        if picture.getexif().get(0x0112) in TURNED:
            width, height = height, width
        return Shape(height, width, 1 if picture.mode in GREY else 3)


@lru_cache(maxsize=KEPT)
def _decode(path: str, stamp: int, channels: int, size: int | None) -> Pixels:
    from PIL import Image, ImageOps

    with _open(path) as opened, _decoding(path):
        opened.load()
        picture: Any = shades.to_bytes(ImageOps.exif_transpose(opened), opened)
        if picture.has_transparency_data:
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture.convert("RGBA"))
        pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    return pixels if size is None else resize(pixels, size)


def _open(path: str) -> "Opened":
    try:
        from PIL import Image
    except ImportError:
        raise UsageError(
            'Pictures are read by Pillow, which is not installed: pip install "ensuite[images]"'
        ) from None
    try:
        with _decoding(path):
            picture = Image.open(path)
    except OSError as error:
        raise unreadable(Path(path), error) from None
    pixels, size = math.prod(picture.size), Path(path).stat().st_size
    if pixels > MOST_PIXELS and pixels > MOST_PIXELS_A_BYTE * size:
        picture.close()
        raise DataError(
            f"{path} is too large ({pixels:,} pixels in {size:,} bytes); give a smaller picture."
        )
    return picture


@contextmanager
def _decoding(path: str) -> Iterator[None]:
    """Tell of whatever goes wrong within: each format has its own ways to be damaged.

    Pillow's warnings are left out, since it goes on to read what it warns of, or fails.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error).replace(repr(path), "it")
        if "DecompressionBomb" in type(error).__name__:
            raise DataError(f"{path} is too large ({reason}); give a smaller picture.") from None
        if "Unidentified" in type(error).__name__:
            raise DataError(
                f"{path} is not a picture that can be read; mend it, or take it out."
            ) from None
        raise DataError(f"{path} is damaged ({reason}); mend it, or take it out.") from None

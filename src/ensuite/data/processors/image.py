"""Pictures to tensors."""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ensuite.core.backbone import Pretrained
from ensuite.core.batch import Batch, Inputs
from ensuite.core.batch import Image as ImageKind
from ensuite.core.errors import DataError
from ensuite.core.presentation import Finding
from ensuite.data import images
from ensuite.data.images import Shape
from ensuite.data.processors.processor import Processor, Window
from ensuite.data.walk import read_bytes

LEARNED = {"learned": True}


@dataclass(frozen=True, kw_only=True)
class Image(Processor):
    """Read pictures of one size: files, or arrays (height, width) or (height, width, channels).

    Files are greyscale where all the training pictures are, else RGB.

    Args:
        size: Height and width that every picture is brought to; None: they are of one size.
        shape: Height, width and channels of the training pictures, learned.
        smallest: The number that becomes 0: 0, or less where training pictures have less.
        largest: The number that becomes 1: 255 for bytes, else the largest in training pictures.
    """

    size: int | None = None
    shape: tuple[int, int, int] = field(default=(0, 0, 0), metadata=LEARNED)
    smallest: float = field(default=0.0, metadata=LEARNED)
    largest: float = field(default=255.0, metadata=LEARNED)

    kind: ClassVar[str] = "image"

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 1:
            raise ValueError("size must be 1 or more")

    def prepare(self, raws: Sequence[Any], pretrained: Pretrained | None = None) -> Self:
        size = pretrained.image[0] if pretrained and pretrained.image else self.size
        shapes = [self._resized(_shape(raw), size) for raw in raws]
        _require_one_size(raws, shapes)
        channels = max(each.channels for each in shapes)
        arrays = [np.asarray(raw) for raw in raws if not _is_file(raw)]
        if any(array.dtype != np.uint8 for array in arrays):
            low, high = min(a.min() for a in arrays), max(a.max() for a in arrays)
            limits = min(0.0, float(low)), float(high) if high > low else float(low) + 1
        else:
            limits = 0.0, 255.0
        learned = replace(self, size=size, smallest=limits[0], largest=limits[1])
        return replace(learned, shape=(shapes[0].height, shapes[0].width, channels))

    @property
    def inputs(self) -> Inputs:
        height, width, channels = self.shape
        return {"image": ImageKind(channels, height, width)}

    def windows(self, raws: Sequence[Any]) -> list[list[Window]]:
        return [[self._pixels(raw)] for raw in raws]

    def _pixels(self, raw: Any) -> Window:
        """Return a picture in the learned shape and in its own type: a batch converts it."""
        found = self._resized(_shape(raw), self.size)
        self._require(raw, found)
        if _is_file(raw):
            return images.decode(str(raw), self.shape[2], self.size)
        pixels = np.asarray(raw)
        if pixels.dtype.kind not in "bui" and not np.isfinite(pixels).all():
            raise DataError("A picture has a number that is NaN or infinite; give finite numbers.")
        return pixels if self.size is None else images.resize(pixels, self.size)

    def collate(self, windows: Sequence[Window]) -> Batch:
        pixels = torch.from_numpy(np.stack(windows)).to(torch.float32)  # bytes until here
        pixels = pixels.sub_(self.smallest).div_(self.largest - self.smallest)
        image = pixels.view(len(windows), *self.shape).permute(0, 3, 1, 2).contiguous()
        return Batch(inputs={"image": image})

    def restore(self, values: Window) -> Window:
        """Return images, (..., channels, height, width), as (..., height, width, channels).

        Their numbers lie between ``smallest`` and ``largest``, as those of the input do.
        """
        pixels = np.moveaxis(values, -3, -1).clip(0, 1)
        restored: Window = pixels * (self.largest - self.smallest) + self.smallest
        return restored

    def key(self, raw: Any) -> Hashable:
        return sha256(read_bytes(Path(raw))).digest() if _is_file(raw) else super().key(raw)

    def show(self, raw: Any) -> str:
        return str(raw) if _is_file(raw) else f"{_shape(raw)} image"

    def picture(self, raw: Any) -> bytes | None:
        return images.thumbnail(self.shades(self._pixels(raw)))

    def shades(self, pixels: Window) -> NDArray[np.uint8]:
        """Return pictures as bytes: 0 for the smallest number, 255 for the largest."""
        shares = (pixels - self.smallest) / (self.largest - self.smallest)
        return (shares.clip(0, 1) * 255).astype(np.uint8)

    def check(self, raws: Sequence[Any]) -> list[Finding]:
        shapes = [_shape(raw) for raw in raws]
        for raw, found in zip(raws, shapes, strict=True):
            self._require(raw, self._resized(found, self.size))
        counts = Counter(map(str, shapes)).most_common()
        shown = ", ".join(f"{count:,} of {each}" for each, count in counts[:6])
        rest = f" and {len(counts) - 6} other sizes" if len(counts) > 6 else ""
        brought = "" if self.size is None else f"; all brought to {Shape(*self.shape)}"
        return [Finding("image", f"{shown}{rest}{brought}")]

    def _resized(self, found: Shape, size: int | None) -> Shape:
        return found if size is None else found._replace(height=size, width=size)

    def _require(self, raw: Any, found: Shape) -> None:
        """Refuse a picture of another size than in training; a file may have other channels."""
        wanted = Shape(*self.shape)
        if found[:2] == wanted[:2] and (_is_file(raw) or found == wanted):
            return
        way = "" if found[:2] == wanted[:2] else f", or give --set size={wanted.height}"
        raise DataError(
            f"The input, {_name(raw)}, is {found}, but the model was trained on {wanted}; bring it "
            f"to that{way}."
        )


def _is_file(raw: Any) -> bool:
    return isinstance(raw, str | PathLike)


def _shape(raw: Any) -> Shape:
    if _is_file(raw):
        return images.shape(str(raw))
    array = np.asarray(raw)
    if array.ndim not in (2, 3) or not array.size or array.dtype.kind not in "buif":
        raise DataError(
            f"An input is numbers of shape {array.shape}: a picture is a file, or an array "
            "(height, width) or (height, width, channels)."
        )
    return Shape(*array.shape, *([1] if array.ndim == 2 else []))


def _name(raw: Any) -> str:
    return str(raw) if _is_file(raw) else "a picture"


def _require_one_size(raws: Sequence[Any], shapes: Sequence[Shape]) -> None:
    """Refuse training pictures of several sizes.

    Raises:
        DataError: Names two, and the option that helps.
    """
    first = shapes[0]
    for raw, found in zip(raws, shapes, strict=True):
        if found[:2] != first[:2]:
            raise DataError(
                f"Pictures are read in one size, but {_name(raws[0])} is {first} and {_name(raw)} "
                f"{found}; bring all to one: --set size={min(32, *first[:2])}"
            )
        if found.channels != first.channels and not _is_file(raw):
            raise DataError(f"A picture is {first} and one is {found}; give all the same channels.")

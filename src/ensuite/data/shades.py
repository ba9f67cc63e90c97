"""Greyscale pictures of more than 8 bits to bytes, where the file tells which number is white."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensuite.core.errors import DataError

BITS_PER_SAMPLE = 258
"""The tag of a TIFF file that says how large its numbers may be."""

MOST_BITS = 16


def to_bytes(picture: Any, opened: Any) -> Any:
    """Return a picture of Pillow's with 8 bits a pixel; what has no more is as it was.

    Args:
        picture: Decoded.
        opened: The file it is from, before it was turned, which has the tags.

    Raises:
        DataError: If nothing tells which number is white.
    """
    from PIL import Image

    if picture.mode[0] not in "IF":
        return picture
    pixels = np.asarray(picture)
    white = find_white(opened, pixels)
    if white is None:
        raise DataError(
            f"its pixels are numbers from {pixels.min():g} to {pixels.max():g}, and nothing tells "
            "which is white; save it with 8 or 16 bits, or give arrays (.npz)."
        )
    shades = np.empty(pixels.shape, np.uint8)
    for row, numbers in enumerate(pixels):  # one after the other, so that little is held twice
        if opened.mode == "F":
            shades[row] = (numbers * 255).round()
        else:
            shades[row] = numbers * (256 / (white + 1))  # the upper bits
    return Image.fromarray(shades)


def find_white(opened: Any, pixels: NDArray[Any]) -> float | None:
    """Return the number that is white: the largest of its bits, 1 of fractions; None: not told."""
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and np.isfinite(high)):
        return None
    if opened.mode == "F":
        return 1.0 if high <= 1 else None
    bits = opened.tag_v2.get(BITS_PER_SAMPLE, MOST_BITS) if hasattr(opened, "tag_v2") else MOST_BITS
    white = 2.0 ** (bits[0] if isinstance(bits, tuple) else bits) - 1
    return white if high <= white < 2**MOST_BITS else None

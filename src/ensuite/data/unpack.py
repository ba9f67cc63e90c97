"""Unpack gzip files, and no more of them than a machine can hold."""

import gzip
import io
import zlib

from ensuite.core.errors import DataError

LARGEST = 2**31
"""Bytes that any file may unpack to."""

MOST_TIMES = 50
"""Times its own size that a file may unpack to, where that is more: texts shrink to a tenth."""

PIECE = 2**20


def unzip(content: bytes, name: str) -> bytes:
    """Return the content of a gzip file.

    Raises:
        DataError: If it is none, is damaged, or unpacks to what no honest file does.
    """
    most, unpacked = limit(content), bytearray()
    try:
        with gzip.open(io.BytesIO(content)) as file:
            while piece := file.read(PIECE):
                unpacked += piece
                if len(unpacked) > most:
                    raise too_large(name, most)
    except gzip.BadGzipFile:
        raise DataError(f"{name} is not a gzip file; rename it, or zip it with gzip.") from None
    except (EOFError, zlib.error):
        raise DataError(f"{name} is cut short or damaged; fetch or write it again.") from None
    return bytes(unpacked)


def limit(content: bytes) -> int:
    """Return the most bytes that a packed file may unpack to."""
    return max(LARGEST, MOST_TIMES * len(content))


def too_large(name: str, most: int) -> DataError:
    """Return what to tell of a file that unpacks to more."""
    return DataError(
        f"{name} unpacks to more than {most:,} bytes; if that is right, unpack it before."
    )

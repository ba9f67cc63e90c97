"""Text that is safe to print and to write, whatever stands in it."""

import re
from typing import Any

UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control codes but tabs and line ends, marks that turn the direction of a line, surrogates."""


def printable(text: Any) -> str:
    r"""Return a text in which whatever a terminal would obey stands as its code.

    A label or a file's name may hold an escape sequence that clears the screen, or a byte that is
    no UTF-8.

    >>> printable("\x1b[31mred"), printable("caf\udce9.csv"), printable("été")
    ('\\x1b[31mred', 'caf\\xe9.csv', 'été')
    """
    return UNPRINTABLE.sub(lambda match: _escape(match[0]), str(text))


def one_line(text: Any) -> str:
    r"""Return a printable text that stays on its line: names of columns may have several.

    >>> one_line("Rating\n(1 to 5)")
    'Rating\\n(1 to 5)'
    """
    return printable(text).replace("\n", "\\n")


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a path that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"

"""CSV and TSV as people write them: with a standard's quotation marks, or with a text's own.

A text may begin with a quotation mark in a file that knows no quoting. A reader that takes the
mark for syntax loses it, or swallows the rows up to the next one. So a file is read both ways, and
quoting must show itself before it is believed.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ensuite.core.errors import DataError
from ensuite.data.header import is_known, is_number

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}

SEPARATOR = re.compile(r'"?sep=([^"\w\s]|\t)"?', re.IGNORECASE)

Rows = list[list[str]]


class Parsed(NamedTuple):
    """What a file holds: columns by name, whether it names them, and what was done to it.

    ``starts`` are the lines at which its rows begin, where a row is a sentence of several lines;
    ``guessed_header`` is as in a table.
    """

    columns: Mapping[str, Sequence[Any]]
    has_header: bool = True
    notes: tuple[str, ...] = ()
    starts: Sequence[int] | None = None
    guessed_header: bool = False


def parse(text: str, name: str, delimiter: str, header: bool | None = None) -> Parsed:
    """Split a file's text into columns; no cell is changed.

    Args:
        text: The whole file.
        name: What messages call it.
        delimiter: What its kind separates cells by; another is taken where the first line lacks it.
        header: Whether the first row names the columns; None: unless it is all numbers;
            see also :func:`ensuite.data.header.settle`.

    Raises:
        DataError: If rows differ in length, quoting is broken, a column name stands twice, or
            there are no rows.
    """
    text, notes, delimiter = choose_delimiter(text, delimiter)
    if not text.strip():
        raise DataError(f"{name} is empty; give a file with rows.")
    rows, note = split_rows(text, delimiter)
    check_even(rows, name, text, header is not False)
    guessed = header is None and not is_known(rows[0])
    if guessed and (why := why_no_header(rows)):
        header = guessed = False
        notes.append(f"{why}, so it has no header; columns are counted from 0")
    names = [str(i) for i in range(len(rows[0]))] if header is False else rows.pop(0)
    if repeated := [column for column, count in Counter(names).items() if count > 1]:
        raise DataError(
            f'{name} has {names.count(repeated[0])} columns named "{repeated[0]}"; '
            "give each a name of its own."
        )
    if not rows:
        raise DataError(f"{name} has a header and no rows; add rows below it.")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    return Parsed(columns, header is not False, (*notes, *note), guessed_header=guessed)


def choose_delimiter(text: str, usual: str) -> tuple[str, list[str], str]:
    """Return the text to split, notes, and what separates its cells.

    A first line ``sep=;`` is an instruction to Excel, which writes and reads it, and no row.
    """
    first, _, rest = text.partition("\n" if "\n" in text else "\r")
    if match := SEPARATOR.fullmatch(first.rstrip("\r")):
        return rest, [f'its first line says that cells are separated by "{match[1]}"'], match[1]
    delimiter = find_delimiter(text, usual)
    told = [f"its columns are separated by {DELIMITERS[delimiter]}"] if delimiter != usual else []
    return text, told, delimiter


def why_no_header(rows: Rows) -> str | None:
    """Say by what a first row that holds no usual name shows that it names nothing."""
    if all(is_number(cell) for cell in rows[0]):
        return "its first row is numbers"
    return "its first row is its only one" if len(rows) == 1 else None


def lines(text: str) -> list[str]:
    r"""Return the lines between \n, \r\n, or the \r of old Macintosh files.

    Not ``str.splitlines``, which also cuts a text at the rarer separators of Unicode.

    >>> lines("a\u2028b\r\n\nc")
    ['a\u2028b', '', 'c']
    """
    found = [line.removesuffix("\r") for line in text.split("\n")]
    if len(found) == 1:
        found = text.split("\r")
    return found if found[-1] else found[:-1]


def find_delimiter(text: str, usual: str) -> str:
    """Return the usual delimiter, or one that splits every line where the first lacks the usual."""
    first = lines(text)[0]
    for other in DELIMITERS:
        if usual not in first and other in first:
            rows = split_rows(text, other)[0]
            if len(rows) > 1 and first_uneven(rows) is None:
                return other
    return usual


def split_rows(text: str, delimiter: str) -> tuple[Rows, list[str]]:
    """Return the cells of each line, header included, and notes on how they were read."""
    plain = [line.split(delimiter) if line else [] for line in lines(text)]
    quoted = parse_quoted(text, delimiter) if '"' in text else None
    plain_is_even = first_uneven(plain) is None
    notes = []
    if quoted and is_quoting(quoted, plain) and (first_uneven(quoted) is None or not plain_is_even):
        rows = quoted
        if plain_is_even and len(quoted) < len(plain):  # two readings, so say which
            notes.append("quotation marks join some of its lines to one cell")
    else:
        rows = plain
        if any(cell.startswith('"') for row in plain for cell in row):
            notes.append("it does not quote its cells; the quotation marks in its texts are kept")
    if len(rows[0]) == 1:
        return [row or [""] for row in rows], notes  # an empty line is an empty text
    filled = [row for row in rows if row]
    if empty := len(rows) - len(filled):
        notes.append(f"{empty:,} empty {'line was' if empty == 1 else 'lines were'} left out")
    return filled, notes


def parse_quoted(text: str, delimiter: str) -> Rows | None:
    """Return the cells by the rules of RFC 4180, or None where the text breaks them."""
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # 128 KiB is less than a book
    try:
        return list(csv.reader(whole_lines(text), delimiter=delimiter, strict=True))
    except csv.Error:
        return None


def whole_lines(text: str) -> Iterator[str]:
    r"""Yield the lines with what ends them; a ``StringIO`` would hold four bytes a character.

    >>> list(whole_lines("a\r\nb")), list(whole_lines("a\rb\r"))
    (['a\r\n', 'b'], ['a\r', 'b\r'])
    """
    end, start = "\n" if "\n" in text else "\r", 0
    while (at := text.find(end, start) + 1) > 0:
        yield text[start:at]
        start = at
    if start < len(text):
        yield text[start:]


def is_quoting(quoted: Rows, plain: Rows) -> bool:
    """Say whether quotation marks are syntax, given the cells without them and with them.

    They are where they hold a delimiter, a line's end or a doubled mark, stand around a column's
    name, or around at least half of a column. A few texts in quotation marks are just that.
    """
    if list(map(len, quoted)) != list(map(len, plain)) or quoted[0] != plain[0]:
        return True
    marked: Counter[int] = Counter()
    for with_syntax, as_it_stands in zip(quoted, plain, strict=True):
        if with_syntax == as_it_stands:
            continue
        for column, cell in enumerate(as_it_stands):
            if cell != with_syntax[column]:
                if '""' in cell or "\r" in cell:
                    return True
                marked[column] += 1
    return any(2 * count >= len(plain) - 1 for count in marked.values())


def first_uneven(rows: Rows) -> int | None:
    """Return the first line with more or fewer cells than the header; empty lines do not count."""
    width = len(rows[0])
    return next((i for i, row in enumerate(rows) if row and len(row) != width), None)


def check_even(rows: Rows, name: str, text: str, header: bool) -> None:
    """Refuse rows of different lengths, naming the first."""
    row = first_uneven(rows)
    if row is None:
        return
    first = "header" if header else "first row"
    hint = ", or its quotation marks (inside a quoted cell they are doubled)" if '"' in text else ""
    raise DataError(
        f"row {row if header else row + 1} of {name} has {len(rows[row])} cells where the {first} "
        f"has {len(rows[0])}; mend its delimiters{hint}."
    )

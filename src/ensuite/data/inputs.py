"""Which columns are the input, and which processor reads them."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ensuite.core.errors import DataError
from ensuite.core.table import Table
from ensuite.data import columns, images
from ensuite.data.processors import BY_KIND, Image, Processor
from ensuite.data.processors.numbers import Scaled
from ensuite.data.sound import say_too_large, too_large

TEXT_NAMES = (
    "text", "sentence", "review", "content", "document", "question", "title", "comment",
    "message", "sentence1", "premise", "input",
)  # fmt: skip
PAIR_NAMES = ("text_pair", "sentence2", "hypothesis")
SERIES_NAMES = ("series", "values", "sequence")
IMAGE_NAMES = ("image", "file_name", "picture", "photo")

USUAL: dict[str, tuple[str, ...]] = {
    "text": TEXT_NAMES,
    "text_pair": PAIR_NAMES,
    "series": SERIES_NAMES,
    "image": IMAGE_NAMES,
}
"""The roles that a column of inputs can be given, and the usual names of such columns."""

ROLES = tuple(USUAL)


def read(
    table: Table, given: Mapping[str, str], kind: str, processor: Processor, *, but: Collection[str]
) -> tuple[list[Any], Processor]:
    """Return the raw inputs of a table, and the processor that reads them.

    Args:
        table: A file's columns.
        given: Column by role, where the user names them: text, text_pair, series, image.
        kind: What an input is (text, series, image, row), or auto.
        processor: Kept where it already reads inputs of that kind.
        but: The columns that are no input.

    Raises:
        DataError: If no column can be the input, or a cell is not what it should be.
    """
    if kind in ("auto", "image"):
        pictures = _pictures(table, given, kind, but)
        if kind == "image" or pictures is not None:
            return _images(table, pictures), processor if processor.kind == "image" else Image()
    name = _arrays(table, given, but)
    arrays: Any = None if name is None else table.columns[name]
    text = None if arrays is not None else _text_column(table, given, but)
    if kind == "auto":
        kind = _kind(table, arrays, text)
    processor = processor if processor.kind == kind else BY_KIND[kind]()
    if kind == "text":
        return _texts(table, given, text), processor
    if arrays is None and isinstance(processor, Scaled):
        names = _names(table, processor, but)
        # Without a header names are but numbers, and change with the columns beside them.
        processor = replace(processor, names=tuple(names) if table.has_header else ())
        arrays = np.stack([columns.numbers(table, name) for name in names], axis=1)
        table.note(kind, *names)
    elif name is not None:
        table.note(kind, name)
    return _series(table, arrays) if kind == "series" else _rows(table, arrays), processor


def _kind(table: Table, arrays: Any, text: str | None) -> str:
    if arrays is None:
        return "text" if text else "row"
    uneven = len({len(cell) for cell in arrays if hasattr(cell, "__len__")}) > 1
    return "series" if uneven or _array(table, 0, arrays[0]).ndim == 2 else "row"


def _pictures(
    table: Table, given: Mapping[str, str], kind: str, but: Collection[str]
) -> str | None:
    """Return the name of the column of pictures, or None.

    They are files, or arrays: those of a usual name, or of three dimensions a row, or of two that
    hold bytes; any for ``kind`` image. Files beside a column of texts are left to that kind alone.
    """
    named = columns.find(table, "image", IMAGE_NAMES, given)
    if "image" in given:
        return named
    texts = kind == "auto" and columns.find(table, "text", TEXT_NAMES, given)
    names = [name for name in table.columns if name not in but]
    for name in sorted(names, key=lambda name: name != named):
        cells = table.columns[name]
        if images.is_picture(cells[0]) and not texts:
            return name
        if _are_pixels(cells, sure=kind == "image" or name == named):
            return name
    return None


def _are_pixels(cells: Any, *, sure: bool) -> bool:
    """Say whether arrays are pictures: by their dimensions, or by bytes where these do not tell."""
    if not isinstance(cells[0], list | tuple | np.ndarray):
        return False
    try:
        first = np.asarray(cells[0])
    except ValueError:  # lists of different lengths
        return False
    return first.ndim == 3 or (first.ndim == 2 and (sure or first.dtype == np.uint8))


def _images(table: Table, name: str | None) -> list[Any]:
    """Return the paths or arrays of a column."""
    if name is None:
        raise DataError(
            f"{table.name} has no column of pictures: name it, --column image=NAME, of files or of "
            "arrays (height, width) or (height, width, channels)."
        )
    cells = table.columns[name]
    table.note("image", name)
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "bui":
        return list(cells)
    return [_image(table, row, cell) for row, cell in enumerate(cells)]


def _image(table: Table, row: int, cell: Any) -> Any:
    if not isinstance(cell, str):
        return _array(table, row, cell)
    try:
        images.shape(cell)
    except DataError as error:
        raise DataError(f"{table.where(row)}: {error}") from None
    return cell


def _arrays(table: Table, given: Mapping[str, str], but: Collection[str]) -> str | None:
    """Return the name of the column that holds whole arrays or lists, or None."""
    named = columns.find(table, "series", SERIES_NAMES, given)
    for name in [named] if named else table.columns:
        cells = table.columns[name]
        if name not in but and len(cells) and isinstance(cells[0], list | tuple | np.ndarray):
            return name
    return None


def _text_column(table: Table, given: Mapping[str, str], but: Collection[str]) -> str | None:
    """Return the column of texts: named, of a usual name, or the only one that is not numbers.

    Beside numbers, single words are no texts, nor are those that come again and again: they name
    a row, or a group of rows.
    """
    named = columns.find(table, "text", TEXT_NAMES, given)
    if named:
        return named
    others = [n for n in table.columns if n not in but]
    words = [n for n in others if columns.is_words(table, n)]
    if len(words) != 1:
        return None
    cells = [str(cell).strip() for cell in table.columns[words[0]]]
    single = 2 * sum(" " in cell for cell in cells) <= len(cells)
    repeated = 2 * len(set(cells)) <= len(cells)
    return None if (single or repeated) and len(others) > 1 else words[0]


def _texts(table: Table, given: Mapping[str, str], name: str | None) -> list[Any]:
    name = name or columns.require(table, "text", TEXT_NAMES, given)
    for row, cell in enumerate(table.columns[name]):
        if not isinstance(cell, str):
            raise DataError(f"{table.where(row)}: {cell!r} in the column {name} is not a text.")
    texts = list(table.columns[name])
    table.note("text", name)
    pair = columns.find(table, "text_pair", PAIR_NAMES, given)
    if pair:
        table.note("text_pair", pair)
    return list(zip(texts, map(str, table.columns[pair]), strict=True)) if pair else texts


def _names(table: Table, processor: Scaled, but: Collection[str]) -> list[str]:
    """Return the columns of numbers to read side by side: those learned from, if they had names."""
    if processor.names and table.has_header:
        if missing := [name for name in processor.names if name not in table.columns]:
            raise DataError(
                f"{table.name} has no column {', '.join(missing)}, which the model reads; it has: "
                f"{columns.listed(table)}."
            )
        return list(processor.names)
    names = [name for name in table.columns if name not in but]
    words = [name for name in names if columns.is_words(table, name)]
    if len(words) == len(names):
        raise DataError(
            f"{table.name} has no column to read: give one of texts (--column text=NAME), or "
            "columns of numbers beside the answers."
        )
    if words:
        raise DataError(
            f"{table.name} has words in the column {words[0]}, beside columns of numbers; read it "
            f"as a text (--column text={words[0]}), or leave it out "
            f"(--column ignore={','.join(words)})."
        )
    return names


def _series(table: Table, cells: Any) -> list[Any]:
    """Return (time, features) arrays; a row of plain numbers is one value a step."""
    if _is_whole(table, cells, (2, 3)):
        return list(cells.reshape(*cells.shape[:2], -1))
    series = []
    for row, cell in enumerate(cells):
        values = _array(table, row, cell)
        if values.ndim == 1:
            values = values[:, None]
        if values.ndim != 2 or not len(values):
            raise DataError(
                f"{table.where(row)} is not a series: give a list of steps, each a number or a "
                "list of numbers."
            )
        series.append(values)
    width = series[0].shape[1]
    for row, values in enumerate(series):
        if values.shape[1] != width:
            raise DataError(
                f"{table.where(row)} has steps of {values.shape[1]} numbers where the first row "
                f"has {width}; give every step the same columns."
            )
    return series


def _rows(table: Table, cells: Any) -> list[Any]:
    if _is_whole(table, cells, range(2, 9)):
        return list(cells.reshape(len(cells), -1))
    rows = [_array(table, row, cell).reshape(-1) for row, cell in enumerate(cells)]
    for row, values in enumerate(rows):
        if len(values) != len(rows[0]):
            raise DataError(
                f"{table.where(row)} has {len(values)} numbers where the first has {len(rows[0])}; "
                "give all as many, or read them as series: --set input=series"
            )
    return rows


def _is_whole(table: Table, cells: Any, dimensions: Collection[int]) -> bool:
    """Say whether cells are one array of finite numbers: then no row need be looked at alone."""
    if not (isinstance(cells, np.ndarray) and cells.ndim in dimensions and cells.size):
        return False
    if cells.dtype.kind not in "biuf":
        return False
    finite = np.isfinite(cells).reshape(len(cells), -1).all(1)
    if not finite.all():
        _refuse_infinite(table, int(finite.argmin()))
    for row in np.flatnonzero(too_large(cells).reshape(len(cells), -1).any(1))[:1]:
        _refuse_large(table, int(row), cells[row])
    return True


def _array(table: Table, row: int, cell: Any) -> Any:
    try:
        values = np.asarray(cell, dtype=float)
    except (ValueError, TypeError, OverflowError):
        raise DataError(
            f"{table.where(row)} has steps with different numbers of columns, or something that "
            "is not a number; give every step the same numbers."
        ) from None
    if not np.isfinite(values).all():
        _refuse_infinite(table, row)
    if too_large(values).any():
        _refuse_large(table, row, values)
    return values


def _refuse_infinite(table: Table, row: int) -> NoReturn:
    raise DataError(f"{table.where(row)} has a number that is NaN or infinite; mend the row.")


def _refuse_large(table: Table, row: int, values: Any) -> NoReturn:
    place = np.unravel_index(np.abs(values).argmax(), np.shape(values))
    column = f" in column {place[-1]} of its numbers" if place else ""
    raise DataError(f"{table.where(row)}: {say_too_large(values[place])}{column}.")


def ask(raw: Any, processor: Processor) -> Any:
    """Return what a person types or hands over as the raw input that a processor reads.

    Numbers may be typed: 5.1 3.5 1.4. Columns of a row may be named: {"age": 61, "pulse": 80}.

    Raises:
        DataError: If it is not what the processor reads, or a column of a row is not given.
    """
    if isinstance(raw, Mapping):
        names = processor.names if isinstance(processor, Scaled) else ()
        if missing := [name for name in names if name not in raw]:
            raise DataError(f"The input has no {', '.join(missing)}; give every column of a row.")
        found = [next((n for n in usual if n in raw), None) for usual in (TEXT_NAMES, PAIR_NAMES)]
        if processor.kind == "text" and found[0]:  # other keys are not read
            names = tuple(name for name in found if name)
        values = [raw[name] for name in names or raw]
        single = len(values) == 1 and not isinstance(processor, Scaled)
        raw = values[0] if single else tuple(values)
    if isinstance(processor, Scaled):
        return to_numbers(raw, processor)
    parts = raw if isinstance(raw, tuple) else (raw,)
    if processor.kind == "text" and not (parts and all(isinstance(each, str) for each in parts)):
        raise DataError(f"{str(raw)[:60]} is not a text; give one in quotation marks.")
    return raw


def to_numbers(raw: Any, processor: Scaled) -> NDArray[np.float64]:
    """Return numbers as an array, (time, features) of a series."""
    if isinstance(raw, str):
        raw = typed_numbers(raw)
    try:
        values = np.asarray(raw, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        shown = " ".join(map(str, raw)) if isinstance(raw, list | tuple) else str(raw)
        raise DataError(
            f'"{shown[:60]}" is not numbers; give the numbers of one {processor.kind}.'
        ) from None
    if too_large(values).any():
        raise DataError(f"{say_too_large(np.abs(values).max())}.")
    return values[:, None] if values.ndim == 1 and processor.kind == "series" else values


def typed_numbers(text: str) -> list[str]:
    """Return the numbers that a person typed, with blanks or commas between them.

    Raises:
        DataError: If commas may be decimal points: "1,5 2,5" has blanks between its numbers.
    """
    if re.search(r"\d,\d", text) and re.search(r"\d\s+[-+.\d]", text):
        raise DataError(
            f'"{text[:60]}" has commas and blanks between its digits: write decimal points, and '
            "blanks between the numbers."
        )
    return text.replace(",", " ").split()

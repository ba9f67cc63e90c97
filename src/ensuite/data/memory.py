"""Data that is already in memory: rows, columns, a DataFrame, a datasets.Dataset."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensuite.core.errors import DataError
from ensuite.core.table import Table
from ensuite.data.sound import check_texts
from ensuite.data.values import collected, plain

BLOCK = 8 * 1024 * 1024
"""Bytes of an array that are hashed at once."""


def from_memory(source: Any, name: str) -> Table:
    """Make a table of rows (a list of mappings) or of columns.

    Columns are a mapping, or anything that names them in ``columns`` or ``column_names`` and hands
    one out by its name, as pandas, polars and datasets do.

    Raises:
        DataError: If it is neither, has no rows, or columns differ in length or share a name.
    """
    columns = {}
    for column, values in named_columns(collected(source), name):
        if isinstance(values, str) or not hasattr(values, "__len__"):
            raise DataError(f"The column {column} of {name} is one value; give one for each row.")
        columns[column] = to_values(values)
    first = next(iter(columns), "")
    rows = len(columns.get(first, ()))
    if rows == 0:
        raise DataError(f"{name} has no rows; give at least one.")
    for column, values in columns.items():
        if len(values) != rows:
            raise DataError(
                f"The columns of {name} differ in length ({first} has {rows:,} rows, "
                f"{column} {len(values):,}); make them equal."
            )
    return check_texts(Table(name, columns, rows, fingerprint(columns)))


def named_columns(source: Any, name: str) -> list[tuple[str, Any]]:
    """Return the columns of whatever holds some, as they are."""
    if isinstance(source, Mapping):
        keys: list[Any] = list(source)
    elif isinstance(source, Sequence) and all(isinstance(row, Mapping) for row in source):
        keys = list(dict.fromkeys(key for row in source for key in row))
        source = {key: [row.get(key) for row in source] for key in keys}
    elif hasattr(source, "column_names"):
        keys = list(source.column_names)
    elif hasattr(source, "columns"):
        keys = list(source.columns)
    else:
        raise DataError(
            f"{name} is of type {type(source).__name__}; give a path, a list of mappings "
            '(one {"text": ..., "label": ...} a row), a mapping of columns, or a DataFrame.'
        )
    names = [str(key) for key in keys]  # a DataFrame without names counts its columns
    if len(set(names)) < len(names):
        raise DataError(f"{name} has two columns of one name ({', '.join(names)}); rename one.")
    return [(column, source[key]) for column, key in zip(names, keys, strict=True)]


def to_values(values: Any) -> Any:
    """Return a column as a list, missing values as None, or as the array of numbers it is."""
    values = plain(values)
    if hasattr(values, "to_list"):
        values = values.to_list()
    elif hasattr(values, "__array__"):
        values = np.asarray(values)
        if values.dtype.kind in "biuf":
            return values
        values = values.tolist()
    return [None if is_missing(value) else value for value in values]


def is_missing(value: Any) -> bool:
    """Say whether a value is what pandas puts where there is none: None, NaN, NA, NaT."""
    if isinstance(value, float):
        return value != value
    return value is None or type(value).__name__ in {"NAType", "NaTType"}


def fingerprint(columns: Mapping[str, Any]) -> str:
    """Return the SHA-256 of names and values, in hexadecimal."""
    digest = hashlib.sha256()
    for name, values in columns.items():
        if isinstance(values, np.ndarray):
            kind, size = f"{values.dtype.str} {values.shape}", values.nbytes
            content: Iterable[bytes] = array_bytes(values)
        else:
            whole = repr(values).encode(errors="surrogatepass")
            kind, size, content = "list", len(whole), [whole]
        digest.update(repr((name, kind, size)).encode(errors="surrogatepass"))
        for part in content:
            digest.update(part)
    return digest.hexdigest()


def array_bytes(array: NDArray[Any]) -> Iterator[bytes]:
    """Yield the bytes of an array, some rows at a time: it may be larger than memory."""
    step = max(1, BLOCK // max(1, array[:1].nbytes))
    for start in range(0, len(array), step):
        yield array[start : start + step].tobytes()

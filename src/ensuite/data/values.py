"""Columns as other libraries hold them, to NumPy arrays and lists: lazy, masked, on a device."""

from typing import Any

import numpy as np

from ensuite.core.errors import DataError


def collected(source: Any) -> Any:
    """Return what holds columns; a query that is yet to run (polars' LazyFrame) is run."""
    return source.collect() if type(source).__name__ == "LazyFrame" else source


def plain(values: Any) -> Any:
    """Return a column as NumPy or a list has it.

    Arrow's columns become lists, tensors arrays, wherever they are, and what a mask hides is
    missing: None, or NaN among numbers of more than one dimension.

    Raises:
        DataError: If bytes that should be texts are no UTF-8.
    """
    if hasattr(values, "to_pylist"):
        return values.to_pylist()
    if hasattr(values, "detach"):
        return from_tensor(values)
    if isinstance(values, np.ma.MaskedArray):
        return values.tolist() if values.ndim < 2 else np.ma.filled(values.astype(float), np.nan)
    if isinstance(values, np.ndarray) and values.dtype.kind == "S":
        return [decoded(value) for value in values.ravel().tolist()]
    if isinstance(values, list | tuple) and any(hasattr(each, "detach") for each in values[:1]):
        arrays = [from_tensor(each) for each in values]
        return [array.item() if array.ndim == 0 else array for array in arrays]
    return values


def from_tensor(tensor: Any) -> Any:
    """Return a tensor of PyTorch as an array."""
    held = tensor.detach().cpu()
    try:
        return held.numpy()
    except TypeError:  # NumPy has no bfloat16
        return held.float().numpy()


def decoded(value: bytes) -> str:
    """Return bytes as the text they are."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise DataError(f"{value[:40]!r} is not UTF-8; give texts, not bytes.") from None

"""Columns of other libraries: lazy, masked, on a device, in bytes."""

from typing import Any

import numpy as np
import polars
import pytest
import torch

from ensuite.core.errors import DataError
from ensuite.data.memory import from_memory
from ensuite.problem import open_problem


class Arrow:
    """Columns as pyarrow holds them."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def to_pylist(self) -> list[Any]:
        return self.values


class ArrowTable:
    """A table as pyarrow has it."""

    column_names = ("text", "n")

    def __getitem__(self, name: str) -> Arrow:
        return Arrow(["a", None] if name == "text" else [1, None])


def column(values: Any) -> Any:
    return from_memory({"c": values}, "the data").columns["c"]


def test_a_query_is_run() -> None:
    frame = polars.DataFrame({"text": ["a", "b"]}).lazy().filter(polars.col("text") == "b")
    assert from_memory(frame, "the data").columns == {"text": ["b"]}


def test_arrows_columns_are_lists() -> None:
    table = from_memory(ArrowTable(), "the data")
    assert table.columns == {"text": ["a", None], "n": [1, None]}


def test_tensors_are_arrays_wherever_they_are() -> None:
    weights = torch.ones(3, 2, requires_grad=True)
    np.testing.assert_array_equal(column(weights), np.ones((3, 2)))
    np.testing.assert_array_equal(column(torch.ones(3, dtype=torch.bfloat16)), np.ones(3))
    assert column([torch.tensor(1), torch.tensor(0)]) == [1, 0]
    parts = column([torch.ones(2), torch.ones(3)])
    assert [len(part) for part in parts] == [2, 3]


def test_what_a_mask_hides_is_missing() -> None:
    masked = np.ma.array([1, 2, 3], mask=[False, True, False])
    assert column(masked) == [1, None, 3]
    with pytest.raises(DataError, match="row 2 of the data has no label"):
        rows = np.ma.array(np.arange(6.0).reshape(3, 2), mask=False)
        open_problem("classify", {"x": rows, "label": masked})
    hidden = np.ma.array(np.ones((3, 2)), mask=[[0, 0], [0, 1], [0, 0]])
    with pytest.raises(DataError, match="row 2 of the data has a number that is NaN"):
        open_problem("classify", {"x": hidden, "label": ["a", "b", "a"]})


def test_bytes_are_texts() -> None:
    assert column(np.array([b"a", "é".encode()])) == ["a", "é"]
    with pytest.raises(DataError, match="is not UTF-8"):
        column(np.array([b"\xff"]))

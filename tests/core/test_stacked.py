from typing import Any, NamedTuple

import numpy as np
import pytest

from ensuite.core import stacked
from ensuite.core.stacked import Stacked, column, stack, take


class Item(NamedTuple):
    example: int
    window: Any
    label: Any


def items(*lengths):
    return [
        Item(number, np.full((length, 2), number, np.float32), number % 2)
        for number, length in enumerate(lengths)
    ]


def equal(one, other):
    pairs = zip(one, other, strict=True)
    return all(np.array_equal(a, b) for rows in pairs for a, b in zip(*rows, strict=True))


def test_rows_of_one_shape_are_stacked_and_read_as_before():
    rows = items(3, 3, 3, 3)
    whole = stack(rows)
    assert isinstance(whole, Stacked)
    assert len(whole) == 4
    assert equal(whole, rows)
    assert equal(whole[1:3], rows[1:3])
    assert isinstance(whole[0], Item)
    assert whole[0].window.dtype == np.float32


@pytest.mark.parametrize("rows", [[], items(3, 2), [Item(0, {"no": "array"}, 1)]])
def test_other_rows_stay_as_they_are(rows):
    assert stack(rows) is rows


def test_rows_that_would_take_much_memory_twice_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(stacked, "MOST_BYTES", 3 * 2 * 4 * 4 - 1)
    rows = items(3, 3, 3, 3)
    assert stack(rows) is rows
    assert isinstance(stack(rows[1:]), Stacked)


@pytest.mark.parametrize("rows", [items(3, 3, 3), items(3, 2, 1)])
def test_some_rows_are_taken_and_a_field_is_read(rows):
    some = take(stack(rows), [2, 0])
    assert equal(some, [rows[2], rows[0]])
    assert list(column(some, "label")) == [0, 0]
    assert [len(window) for window in column(some, "window")] == [len(rows[2].window), 3]


def test_rows_of_a_large_mapped_file_are_not_copied(tmp_path, monkeypatch):
    file = np.lib.format.open_memmap(tmp_path / "rows.npy", "w+", np.float32, (8, 2))
    file[:] = np.arange(16).reshape(8, 2)
    rows = [Item(number, row, 0) for number, row in enumerate(np.asarray(file))]
    assert isinstance(stack(rows), Stacked)
    monkeypatch.setattr(stacked, "MOST_MAPPED", 32)
    kept = stack(rows)
    assert isinstance(kept, list)
    assert stacked.is_mapped(kept[0].window)
    assert equal(take(kept, [5, 2]), [rows[5], rows[2]])

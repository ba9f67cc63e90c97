"""Tables: rows keep their numbers, whatever is selected."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ensuite.core.table import Table


@given(st.lists(st.integers(0, 9)), st.lists(st.integers(0, 9), min_size=10, max_size=10))
def test_selected_rows_keep_their_numbers(chosen: list[int], first: list[int]) -> None:
    table = Table("a.csv", {"text": list("abcdefghij"), "X": np.eye(10)}, rows=10)
    once = table.select(first)
    twice = once.select(np.array(chosen, dtype=int))
    assert twice.rows == len(chosen)
    assert twice.columns["text"] == ["abcdefghij"[first[i]] for i in chosen]
    np.testing.assert_array_equal(twice.columns["X"], np.eye(10)[[first[i] for i in chosen]])
    for row, i in enumerate(chosen):
        assert twice.where(row) == f"row {first[i] + 1} of a.csv"

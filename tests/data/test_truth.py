"""True and False are read as 1 and 0, and what is neither is refused with its row."""

from typing import Any

import numpy as np
import pytest

from ensuite.core.errors import DataError
from ensuite.core.table import Table
from ensuite.data import truth


def read(cells: Any) -> list[float]:
    return truth.read(Table("f.csv", {"open": cells}, len(cells)), "open").tolist()


def test_words_and_values() -> None:
    for cells in ([True, False], ["True", "false"], [" TRUE ", "False"], np.array([True, False])):
        assert truth.is_truth(cells)
        assert read(cells) == [1, 0]


@pytest.mark.parametrize("cells", [["yes", "no"], [1, 0], ["", None], ["True", "sun"], []])
def test_what_is_no_truth(cells: Any) -> None:
    assert not truth.is_truth(cells)


def test_empty_cells_and_others() -> None:
    assert np.isnan(read(["True", "", None])[1:]).all()
    with pytest.raises(DataError, match=r'row 2 of f.csv: "maybe" in the column open is neither'):
        read(["True", "maybe"])

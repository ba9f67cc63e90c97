"""Series and rows to scaled tensors; scales come from training alone."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from ensuite.core.batch import Values
from ensuite.core.errors import DataError
from ensuite.data.processors import numbers
from ensuite.data.processors.numbers import Columns, Series

FINITE = some.floats(-1e6, 1e6)


@given(some.lists(some.tuples(FINITE, FINITE), min_size=2, max_size=9))
def test_training_columns_have_mean_0_and_deviation_1(rows: list[tuple[float, float]]) -> None:
    raws = [np.array(row) for row in rows]
    columns = Columns().prepare(raws)
    scaled = columns.normalise(np.stack([window for (window,) in columns.windows(raws)]))
    assert np.isfinite(scaled).all()
    for column, given_ in zip(scaled.T, np.stack(raws).T, strict=True):
        assert column.mean() == pytest.approx(0, abs=1e-3)
        if given_.std() > 1e-3:
            assert column.std() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("scale", ["standard", "minmax"])
@pytest.mark.parametrize("unit", [1e-60, 1e-28, 1e-12, 1e-6, 1e9])
def test_the_unit_of_a_column_changes_nothing(unit: float, scale: Any) -> None:
    rows = np.random.default_rng(0).normal(3, 2, (20, 2))
    rows[:, 1] = 7.1  # it never changes

    def scaled(raws: Any) -> Any:
        return Columns(scale=scale).prepare(list(raws)).normalise(raws)

    np.testing.assert_allclose(scaled(rows * unit)[:, 0], scaled(rows)[:, 0], rtol=1e-4)
    assert Columns(scale=scale).prepare(list(rows * unit)).deviation[1] == 1


def test_series_of_any_length_share_their_scale() -> None:
    raws = [np.array([[0.0, 1], [2, 1]]), np.array([[4.0, 1]])]
    series = Series().prepare(raws)
    assert series.inputs == {"values": Values(2, steps=max(map(len, raws)))}
    assert series.mean == (2.0, 1.0)
    assert series.deviation == (pytest.approx(np.std([0, 2, 4])), 1.0)  # one never changes
    batch = series.collate([window for (window,) in series.windows(raws)])
    assert batch.inputs["values"].dtype == torch.float32
    assert batch.inputs["values"][1, 1].tolist() == [0, 0]
    assert batch.mask is not None
    assert batch.mask.tolist() == [[True, True], [True, False]]


@given(some.lists(some.integers(1, 6), min_size=1, max_size=5))
def test_a_batch_holds_each_series_scaled_and_zeros_after_it(lengths: list[int]) -> None:
    random = np.random.default_rng(0)
    raws = [random.normal(3, 2, (length, 2)) for length in lengths]
    series = Series(mean=(3.0, 2.0), deviation=(2.0, 0.5))
    batch = series.collate([window for (window,) in series.windows(raws)])
    assert batch.mask is not None
    assert batch.mask.sum(1).tolist() == lengths
    for raw, values, real in zip(raws, batch.inputs["values"], batch.mask, strict=True):
        scaled = torch.from_numpy((raw - series.mean) / np.array(series.deviation)).float()
        torch.testing.assert_close(values[real], scaled, rtol=0, atol=1e-6)  # of float32
        assert real[: len(raw)].all()
        assert not values[~real].any()


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32, np.float64])
def test_numbers_stay_as_they_are_until_a_batch_needs_them(kind: type) -> None:
    whole = np.arange(24, dtype=kind).reshape(4, 3, 2)
    series = Series().prepare(list(whole))
    windows = [window for (window,) in series.windows(list(whole))]
    assert all(window.dtype == kind and np.shares_memory(window, whole) for window in windows)
    values = series.collate(windows).inputs["values"]
    assert values.dtype == torch.float32
    assert values.mean((0, 1)).tolist() == pytest.approx([0, 0], abs=1e-6)


def test_times_keep_their_digits() -> None:
    rows = [np.array([1.7e9 + second]) for second in range(4)]
    scaled = Columns().prepare(rows).normalise(np.stack(rows))
    assert np.diff(scaled[:, 0]).tolist() == pytest.approx([1 / np.std([0, 1, 2, 3])] * 3)


@given(some.lists(some.integers(1, 5), min_size=1, max_size=6), some.integers(1, 8))
def test_moments_do_not_depend_on_the_blocks(lengths: list[int], size: int) -> None:
    random = np.random.default_rng(0)
    raws = [random.normal(5, 3, (length, 2)) for length in lengths]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbers, "BLOCK", size)
        mean, deviation = numbers.moments(raws)
    whole = np.concatenate(raws)
    np.testing.assert_allclose(mean, whole.mean(0), rtol=1e-12)
    np.testing.assert_allclose(deviation, whole.std(0), rtol=1e-9, atol=1e-12)


def test_nothing_asked_makes_no_windows() -> None:
    assert Series(mean=(1.0, 2.0), deviation=(1.0, 1.0)).windows([]) == []


def test_other_columns_and_numbers_that_are_none_are_told() -> None:
    columns = Columns().prepare([np.array([1.0, 2]), np.array([2.0, 3])])
    with pytest.raises(DataError, match="An input has 3 columns, but the model was trained on 2"):
        columns.windows([np.array([1.0, 2, 3])])
    with pytest.raises(DataError, match="NaN or infinite"):
        columns.windows([np.array([1.0, np.nan])])


def test_the_check_says_what_there_is() -> None:
    raws = [np.zeros((3, 2)), np.zeros((1200, 2))]
    assert Series().check(raws)[0].sentence == "3 to 1,200 steps of 2 values; nothing will be cut"
    assert Columns().check([np.zeros(4)])[0].sentence == "4 numbers each"
    assert Columns().show(np.arange(10.0)) == "0 1 2 3 4 5 6 7 ..."

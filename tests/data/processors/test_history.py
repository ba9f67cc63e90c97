"""Rows of a batch hold what lies before their origin, scaled as was learned in training."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensuite.core.errors import DataError
from ensuite.data.flat import fill
from ensuite.data.future import refuse_short_future
from ensuite.data.processors.history import History
from ensuite.data.series import Series
from ensuite.data.windows import Windows

STEPS = np.stack([np.arange(20.0), 100 + 5 * np.arange(20.0)], axis=1)


def series(name: str = "", steps: Any = STEPS, **more: Any) -> Series:
    return replace(Series.plain(name, 0, np.asarray(steps)), **more)


def windows(*given: Series, horizon: int = 2) -> Windows:
    lengths = [len(each) for each in given]
    return Windows.between(given, [1] * len(given), lengths, horizon)


def prepared(found: Windows, **options: Any) -> History:
    return History(**{"look_back": 4, **options}).prepare(found, 2)


def test_histories_shorter_than_the_look_back_are_padded_on_the_left() -> None:
    found = windows(series())
    history = prepared(found)
    values, mask = history.collate(history.rows(found[:1]))
    assert mask.tolist() == [[False, False, False, True]] * 2
    assert values[:, :3].abs().sum() == 0


@pytest.mark.parametrize("per_column", [True, False])
@pytest.mark.parametrize("normalise", ["last", "window", "none"])
def test_scaled_targets_come_back(normalise: Any, per_column: bool) -> None:
    found = windows(series())
    history = prepared(found, normalise=normalise, per_column=per_column)
    rows = history.rows(found)
    offset, divisor = history.normal(rows)
    assert offset.shape == (len(rows), 1 if per_column else 2)
    if normalise == "none":
        assert np.unique(offset).tolist() == [9.5, 147.5]
    elif normalise == "last":
        last = STEPS[found.origins - 1]
        np.testing.assert_array_equal(offset.ravel(), last.ravel())
    else:
        first = STEPS[:1]  # the only step before the first window
        np.testing.assert_allclose(offset.reshape(-1, 2)[0], first[0])
    assert (divisor > 0).all()


def test_segments_join_steps() -> None:
    found = windows(series())
    history = prepared(found, segment=2, normalise="none", per_column=False)
    values, _mask = history.collate(history.rows(found)[5:6])
    assert values.shape == (1, 2, 4)
    assert history.inputs["values"].features == 4
    expected = (STEPS[2:6] - STEPS.mean(0)) / STEPS.std(0)
    np.testing.assert_allclose(values.numpy().reshape(4, 2), expected, atol=1e-6)


def test_known_columns_are_future_ones_and_then_static_ones() -> None:
    known, seen = np.arange(20.0)[:, None], -np.arange(20.0)[:, None]
    pair = [series(name, known=known, seen=seen, static=np.array([size]))
            for name, size in (("a", 1.0), ("b", 3.0))]  # fmt: skip
    found = windows(*pair)
    history = prepared(found)
    assert history.known == 2
    assert history.inputs["values"].features == 1 + 3
    rows = history.rows(found)
    future = history.future(rows, 2).numpy()
    assert future.shape == (len(rows), 2, 2)
    assert sorted({round(float(each), 3) for each in future[..., 1].ravel()}) == [-1, 1]
    first = future[0, :, 0] * known.std() + known.mean()
    np.testing.assert_allclose(first, [1, 2], atol=1e-5)


def test_missing_values_are_read_as_the_last_and_are_no_targets() -> None:
    steps = STEPS.copy()
    steps[5] = np.nan
    found = windows(series(steps=steps))
    history = prepared(found, normalise="none", per_column=False)
    rows = history.rows(found)
    values, _ = history.collate(rows[5:6])
    np.testing.assert_array_equal(values[0, -1], values[0, -2])
    assert np.isnan(history.targets(rows, 2)[3:5]).any(axis=(1, 2)).all()


def test_a_series_that_never_changes_is_divided_by_one() -> None:
    history = prepared(windows(series(steps=np.full((20, 1), 7.0))))
    assert (history.mean, history.deviation) == (((7.0,),), ((1.0,),))


@pytest.mark.parametrize("normalise", ["last", "window", "none"])
@pytest.mark.parametrize("unit", [1e-28, 1e-12, 1e28])
def test_the_unit_of_a_series_changes_nothing(unit: float, normalise: Any) -> None:
    steps = np.random.default_rng(0).normal(3, 2, (20, 1))
    read = []
    for each in (steps, steps * unit):
        found = windows(series(steps=each))
        history = prepared(found, normalise=normalise)
        read.append(history.collate(history.rows(found))[0].numpy())
    np.testing.assert_allclose(read[0], read[1], rtol=1e-4, atol=1e-6)


def test_scales_of_new_series() -> None:
    learned = windows(series("a"))
    history = prepared(learned)
    new = series("new", 1000 + STEPS)
    mean, deviation = history.scale(new, 10)
    np.testing.assert_allclose(mean, 1000 + STEPS[:10].mean(0))
    np.testing.assert_allclose(deviation, STEPS[:10].std(0))
    mean, deviation = history.scale(series("one", [[5.0, 6.0]]), 1)
    assert mean.tolist() == [5, 6]
    np.testing.assert_allclose(deviation, STEPS.std(0))  # what is usual, as it has not changed


def test_series_without_training_windows_are_new() -> None:
    history = prepared(windows(series("a"), series("short", STEPS[:2])))
    assert history.names == ("a",)


def test_options_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="must be a multiple of segment"):
        History(look_back=5, segment=2)
    with pytest.raises(ValueError, match="segment 1 or more"):
        History(segment=0)


@pytest.mark.parametrize(("rows", "missing"), [(20, 2), (21, 1), (22, 0)])
def test_columns_that_do_not_reach_into_the_future(rows: int, missing: int) -> None:
    known = np.zeros((22, 1))
    known[rows:] = np.nan  # the rows are there, and the cells are empty
    asked = Windows([series("a", known=known)], np.array([0]), np.array([20]))
    if not missing:
        refuse_short_future(asked, 2, ("price",))
        return
    sentence = (
        f"The series a gives price for {2 - missing} of the 2 steps to forecast: add {missing} rows"
    )
    with pytest.raises(DataError, match=sentence):
        refuse_short_future(asked, 2, ("price",))


@given(st.lists(st.one_of(st.none(), st.integers(-9, 9)), min_size=1, max_size=12))
def test_filling_never_looks_ahead(cells: list[int | None]) -> None:
    values = np.array([[np.nan if cell is None else float(cell)] for cell in cells])
    filled = fill(values, np.array([0.5]))[:, 0].tolist()
    last = 0.5
    for cell, found in zip(cells, filled, strict=True):
        last = last if cell is None else float(cell)
        assert found == last

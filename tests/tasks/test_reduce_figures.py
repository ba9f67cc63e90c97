"""Figures of codes and reconstructions show what the numbers are, and say it in words."""

import json
from typing import Any

import numpy as np
import pytest

from ensuite.baselines.principal import Principal
from ensuite.core.presentation import Figure
from ensuite.data import readers
from ensuite.tasks import reduce_figures as figures
from ensuite.tasks.reduce import Reduce


def drawn(rows: list[dict[str, Any]], size: int = 3, **options: Any) -> list[Figure]:
    task, examples = Reduce(**options).read(readers.read(rows), {})
    task = task.prepare(examples)
    predictions = Principal.fit(task, examples, [], 0, size=size).predict(task, examples)
    found = task.figures(predictions, examples)
    json.dumps([(figure.data, figure.layout) for figure in found], allow_nan=False)
    assert all(figure.words and figure.caption for figure in found)
    return found


def numbers(*shape: int) -> Any:
    return np.random.default_rng(0).normal(size=shape)


def test_rows_have_a_map_and_what_is_lost_of_each_column() -> None:
    names = ("a", "<b>", "c", "d")
    rows = [dict(zip(names, row, strict=True)) for row in numbers(20, 4).tolist()]
    rows = [{**row, "label": "xy"[n % 2]} for n, row in enumerate(rows)]
    codes, lost = drawn(rows)
    assert codes.title == "Map of the codes"
    assert "two principal components, which hold" in codes.caption
    assert [trace["name"] for trace in codes.data] == ["x", "y"]
    assert codes.words[0].startswith("x: 10 codes around (")
    assert "&lt;b&gt;" in lost.data[0]["y"]
    assert sorted(lost.data[0]["x"]) == lost.data[0]["x"]  # the largest on top
    assert float(lost.words[0].rpartition(": ")[2].rstrip(" %.")) == pytest.approx(
        lost.data[0]["x"][-1], abs=0.06
    )


def test_codes_of_one_and_two_units_are_their_own_map() -> None:
    rows = [dict(zip("abc", row, strict=True)) for row in numbers(9, 3).tolist()]
    assert "along its single unit" in drawn(rows, 1)[0].caption
    assert "along its two units." in drawn(rows, 2)[0].caption


def test_labels_that_are_missing_or_too_many_are_one_group() -> None:
    rows = [dict(zip("abc", row, strict=True)) for row in numbers(30, 3).tolist()]
    some = [{**row, "label": "x" if n % 3 else ""} for n, row in enumerate(rows)]
    assert [trace["name"] for trace in drawn(some)[0].data] == ["x", "without label"]
    many = [{**row, "label": str(n)} for n, row in enumerate(rows)]
    assert [trace["name"] for trace in drawn(many)[0].data] == ["examples"]
    assert [trace["name"] for trace in drawn(rows)[0].data] == ["examples"]


@pytest.mark.parametrize(("channels", "kind"), [(1, "heatmap"), (3, "image")])
def test_pictures_stand_above_their_reconstructions(channels: int, kind: str) -> None:
    random = np.random.default_rng(0)
    cells = random.integers(0, 256, (12, 6, 4, channels)).astype(np.uint8)
    _, shown = drawn([{"image": each} for each in cells], 20)
    (trace,) = shown.data
    assert trace["type"] == kind
    z = np.array(trace["z"])
    assert z.shape[:2] == (2 * 8, 10 * 6)
    above, below = z[1:7, 1:5], z[9:15, 1:5]
    assert np.array_equal(above.reshape(6, 4, channels), cells[0])
    assert np.abs(above.astype(int) - below).max() <= 1  # the code holds nearly everything


def test_pictures_that_no_screen_shows_have_a_map_alone() -> None:
    cells = np.random.default_rng(0).integers(0, 256, (12, 5, 4, 2)).astype(np.uint8)
    assert [figure.title for figure in drawn([{"image": each} for each in cells])] == [
        "Map of the codes"
    ]


def test_large_pictures_are_thinned_out() -> None:
    assert figures.framed(np.zeros((200, 100, 1))).shape == (50 + 2, 25 + 2, 1)


def test_series_are_drawn_with_what_they_are_decoded_to() -> None:
    series = [{"series": numbers(n % 3 + 3, 2).tolist()} for n in range(9)]
    _, first, *_ = found = drawn(series)
    assert len(found) == 1 + figures.SERIES
    actual, decoded = first.data
    assert actual["y"] == pytest.approx([row[0] for row in series[0]["series"]])
    assert len(decoded["y"]) == len(actual["y"])


def test_nothing_is_drawn_of_nothing() -> None:
    assert Reduce().figures([], []) == []

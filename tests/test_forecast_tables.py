"""The tables of forecasts are made on tiny data; Naive2 is that of the M4 competition."""

from pathlib import Path

import numpy as np
import pytest
from benchmarks import forecast_tables
from benchmarks.forecast_tables import TABLES, Size
from benchmarks.naive2 import naive2, score_naive2


@pytest.fixture(scope="module")
def size(tmp_path_factory: pytest.TempPathFactory) -> Size:
    """Return a size that takes seconds, on files of the layout of the real ones."""
    folder = tmp_path_factory.mktemp("tables")
    hours = np.datetime64("2016-07-01T00", "h") + np.arange(400)
    names = ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]
    values = np.cumsum(np.random.default_rng(0).normal(size=(400, 7)), axis=0).round(3)
    lines = [f"{str(h).replace('T', ' ')}:00:00,{','.join(map(str, row))}"
             for h, row in zip(hours, values.tolist(), strict=True)]  # fmt: skip
    (folder / "ett.csv").write_text("\n".join([f"date,{','.join(names)}", *lines]))
    for part, steps in (("train", 120), ("test", 48)):
        heading = ",".join(f"V{n + 1}" for n in range(steps + 1))
        daily = 100 + 10 * np.sin(2 * np.pi * np.arange(steps) / 24)
        day = (daily + np.random.default_rng(1).normal(size=steps)).round(3).tolist()
        rows = [f"H{n},{','.join(str(v + n) for v in day)}" for n in range(3)]
        (folder / f"{part}.csv").write_text("\n".join([heading, *rows]))
    hourly = folder / "train.csv", folder / "test.csv"
    prices = np.exp(np.cumsum(np.random.default_rng(2).normal(0, 0.02, size=(60, 2)), axis=0))
    weeks = (np.datetime64("2018-01-01") + 7 * np.arange(60)).astype(str)
    lines = [f"{week},{a},{b}" for week, (a, b) in zip(weeks, prices.tolist(), strict=True)]
    (folder / "stocks.csv").write_text("\n".join(["date,GOOG,AAPL", *lines]))
    return Size(
        "2steps", 1, folder / "out", folder / "ett.csv", hourly, folder / "stocks.csv",
        horizons=(48,), look_backs=(12,), split="time:2016-07-07,2016-07-12", steps=400, width=4,
        folds=2,
    )  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_each_table_is_made(name: str, size: Size) -> None:
    table = TABLES[name](size)
    assert table.rows
    assert {len(row) for row in table.rows} == {len(table.headings)}
    assert str(table).startswith(f"### {table.title}\n\n| {table.headings[0]} |")


def test_naive2_by_hand() -> None:
    season = np.array([1.0, 2.0, 3.0, 2.0])
    values = np.tile(season, 6) * 5
    np.testing.assert_allclose(naive2(values, 4, 6), [5, 10, 15, 10, 5, 10])
    noise = np.random.default_rng(0).normal(size=60)
    assert naive2(noise, 7, 3).tolist() == [noise[-1]] * 3


def test_naive2_is_that_of_the_competition(data_folder: Path) -> None:
    hourly = data_folder / "m4"
    smape, mase = score_naive2(hourly / "Hourly-train.csv.gz", hourly / "Hourly-test.csv.gz")
    assert (round(smape, 3), round(mase, 3)) == (18.383, 2.395)


def test_published_results_are_there_for_each_horizon() -> None:
    assert set(forecast_tables.PUBLISHED) == set(
        Size("", 1, Path(), Path(), (Path(), Path()), Path()).horizons
    )

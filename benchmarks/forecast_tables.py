"""Tables of forecasts on public data, beside published results and simple methods.

    python -m benchmarks.forecast_tables etth1 m4 look-back exogenous stocks walk coverage adaptive

The data lie in the folder ``$ENSUITE_DATA``: ``ett/ETTh1.csv.gz`` (Zhou et al. 2021) and
``m4/Hourly-train.csv.gz`` with ``m4/Hourly-test.csv.gz`` (Makridakis et al. 2020). Stock prices
are those that plotly comes with. Finished comparisons are kept in ``--out`` and not repeated. Each
table is printed as Markdown.
"""

import argparse
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import plotly
from numpy.typing import NDArray

from benchmarks.naive2 import score_naive2
from ensuite.api import compare_models
from ensuite.comparison.experiment import LEADERBOARD, Comparison
from ensuite.predictor import Predictor
from ensuite.problem import Problem
from ensuite.report.values import Leaderboard
from ensuite.tasks.forecast_stream import ForecastStream

ETT_SPLIT = "time:2017-06-26,2017-10-24,2018-02-21"
"""12, 4 and 4 months of 30 days each, as in all published tables."""

PUBLISHED = {
    96: {"SegRNN": (0.368, 0.395), "PatchTST": (0.414, 0.419), "DLinear": (0.386, 0.400)},
    192: {"SegRNN": (0.408, 0.419), "PatchTST": (0.460, 0.445), "DLinear": (0.437, 0.432)},
    336: {"SegRNN": (0.444, 0.440), "PatchTST": (0.501, 0.466), "DLinear": (0.481, 0.459)},
    720: {"SegRNN": (0.446, 0.457), "PatchTST": (0.500, 0.488), "DLinear": (0.519, 0.516)},
}
"""MSE and MAE on ETTh1 at look-back 96, z-scored on the training part.

Sources: Lin et al. (2023), https://arxiv.org/abs/2308.11200; PatchTST and DLinear as measured at
look-back 96 by Liu et al. (2024), https://arxiv.org/abs/2310.06625, appendix.
"""

SEGMENTS = {
    "look_back": "96", "segment": "48", "decode": "positions",
    "recipe.learning_rate": "1e-3", "recipe.batch_size": "64",
}  # fmt: skip
"""Segments of steps as one position, and one position of the forecast at a time, as in SegRNN."""


RATES = (0.0, 0.005, 0.02, 0.05)
"""How far the intervals of a stream move after each reading."""


@dataclass(frozen=True)
class Size:
    """What is run, and how long.

    Args:
        budget: Of each model and seed.
        seeds: Runs of each model.
        out: Where comparisons are kept.
        ett: The file of ETTh1.
        m4: Training and test file of M4 hourly.
        stocks: Weekly prices of six companies.
        horizons: On ETTh1.
        look_backs: On M4 hourly.
        m4_horizon: Steps of the test part of each M4 series.
        split: Of ETTh1.
        steps: Of a generated series.
        width: Of each network.
        folds: Of the backtest on prices.
    """

    budget: str
    seeds: int
    out: Path
    ett: Path
    m4: tuple[Path, Path]
    stocks: Path
    horizons: Sequence[int] = (96, 192, 336, 720)
    look_backs: Sequence[int] = (12, 24, 48, 168)
    m4_horizon: int = 48
    split: str = ETT_SPLIT
    steps: int = 3000
    width: int = 64
    folds: int = 4


@dataclass(frozen=True)
class Table:
    """A table in Markdown."""

    title: str
    headings: Sequence[str]
    rows: list[Sequence[str | float | None]] = field(default_factory=list)

    def __str__(self) -> str:
        """Format it, numbers with three decimals."""
        lines = [list(self.headings), ["---"] * len(self.headings)]
        lines += [[_cell(cell) for cell in row] for row in self.rows]
        return f"### {self.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(cell: str | float | None) -> str:
    return "" if cell is None else cell if isinstance(cell, str) else f"{cell:.3f}"


def run(
    size: Size, name: str, data: Any, models: Sequence[str], settings: dict[str, Any], **how: Any
) -> tuple[Comparison, Problem]:
    """Compare models with the baselines, or open the comparison that is kept under a name."""
    return compare_models(
        "forecast", data, models=models, seeds=size.seeds, budget=size.budget,
        settings=settings, out=size.out / name, **how,
    )  # fmt: skip


def cells(width: int) -> list[str]:
    """Return a network of each kind of cell."""
    return [f"{cell}:width={width},dropout=0" for cell in ("rnn", "lstm", "gru")]


def hourly(size: Size, **more: Any) -> dict[str, Any]:
    """Return the options of forecasts of M4 hourly."""
    return {"horizon": size.m4_horizon, "season": 24, "criterion": "absolute", **more}


# The tables


def run_etth1(size: Size, horizon: int) -> Leaderboard:
    """Compare a GRU on segments with the baselines at one horizon."""
    found, _ = run(
        size, f"etth1-{horizon}", str(size.ett), [f"gru:width={4 * size.width},dropout=0.5"],
        {**SEGMENTS, "horizon": horizon}, split=size.split, metric="scaled_mse",
    )  # fmt: skip
    return found.leaderboard


def run_m4(size: Size) -> Leaderboard:
    """Compare networks on segments with the baselines on M4 hourly."""
    found, _ = run(
        size, "m4", str(size.m4[0]), cells(2 * size.width),
        hourly(size, look_back=168, segment=24), test=str(size.m4[1]),
    )  # fmt: skip
    return found.leaderboard


def run_sales(size: Size, number: int, **more: str) -> Leaderboard:
    """Compare a GRU with the baselines on generated sales."""
    found, _ = run(
        size, f"exogenous-{number}", sales(size.steps), [f"gru:width={size.width}"],
        {"horizon": 24, "look_back": 48, **more}, columns={"value": "sales"},
    )  # fmt: skip
    return found.leaderboard


def etth1(size: Size) -> Table:
    """Compare a GRU on segments with the published models, at each horizon."""
    table = Table(
        "ETTh1, all seven columns, look-back 96", ("horizon", "model", "MSE", "MAE", "published")
    )
    for horizon in size.horizons:
        for row in run_etth1(size, horizon).rows:
            scores = row.metrics["scaled_mse"], row.metrics["scaled_mae"]
            table.rows.append((str(horizon), row.name, *scores, "no"))
        for name, (squared, absolute) in PUBLISHED.get(horizon, {}).items():
            table.rows.append((str(horizon), name, squared, absolute, "yes"))
    return table


def m4(size: Size) -> Table:
    """Compare networks on M4 hourly with Naive2, by which the competition scaled its results."""
    smape, mase = score_naive2(*size.m4)
    table = Table("M4 hourly", ("model", "sMAPE", "MASE", "OWA"))
    for row in run_m4(size).rows:
        mine = row.metrics["smape"], row.metrics["mase"]
        table.rows.append((row.name, *mine, (mine[0] / smape + mine[1] / mase) / 2))
    table.rows.append(("Naive2", smape, mase, 1.0))
    return table


def look_back(size: Size) -> Table:
    """Show what a window shorter than the season costs each kind of cell."""
    table = Table("M4 hourly by look-back", ("look-back", "model", "MASE", "sMAPE"))
    for steps in size.look_backs:
        found, _ = run(
            size, f"look-back-{steps}", str(size.m4[0]), cells(2 * size.width),
            hourly(size, look_back=steps, segment=12), test=str(size.m4[1]),
        )  # fmt: skip
        for row in found.leaderboard.rows:
            if row.kind == "trained":
                scores = row.metrics["mase"], row.metrics["smape"]
                table.rows.append((str(steps), row.name, *scores))
    return table


def exogenous(size: Size) -> Table:
    """Compare a GRU with and without the columns beside the values."""
    table = Table("With and without other columns", ("data", "columns beside", "model", "MASE"))
    ett = {"horizon": 24, "look_back": 96}
    loads = "HUFL,HULL,MUFL,MULL,LUFL,LULL"
    name = "ETTh1, oil temperature"
    for number, (beside, more) in enumerate(
        (("none", {}), ("loads, past only", {"past": loads}), ("calendar", {"calendar": "true"}))
    ):
        found, _ = run(
            size, f"exogenous-{number}", str(size.ett), [f"gru:width={size.width}"], ett | more,
            columns={"value": "OT"}, split=size.split,
        )  # fmt: skip
        table.rows.extend(beside_rows(name, beside, found.leaderboard))
    name, beside = "generated sales", "promotion, known ahead"
    table.rows.extend(beside_rows(name, "none", run_sales(size, 3)))
    table.rows.extend(beside_rows(name, beside, run_sales(size, 4, future="promotion")))
    return table


def beside_rows(name: str, beside: str, found: Leaderboard) -> list[Sequence[str | float | None]]:
    """Return the rows of all models without other columns, with them of the network alone."""
    return [
        (name, beside, row.name, row.metrics["mase"])
        for row in found.rows
        if row.kind == "trained" or beside == "none"
    ]


def stocks(size: Size) -> Table:
    """Show that the last value is hard to beat on prices, in a backtest of several folds."""
    settings = {"horizon": 4, "look_back": 12, "season": 1}
    found, _ = run(size, "stocks", str(size.stocks), cells(size.width), settings, folds=size.folds)
    table = Table("Weekly prices of six companies, 2018 and 2019", ("model", "MASE", "group"))
    table.rows.extend((r.name, r.metrics["mase"], r.tie_group) for r in found.leaderboard.rows)
    return table


def walk(size: Size) -> Table:
    """Show that nothing beats the last value on a random walk, as stock prices nearly are."""
    steps = np.cumsum(np.random.default_rng(0).normal(0, 0.02, size.steps))
    found, _ = run(
        size, "walk", {"close": (100 * np.exp(steps)).tolist()},
        cells(size.width),
        {"horizon": 5, "look_back": 60},
    )  # fmt: skip
    table = Table("A generated stock price (geometric random walk)", ("model", "MASE", "group"))
    table.rows.extend((r.name, r.metrics["mase"], r.tie_group) for r in found.leaderboard.rows)
    return table


def coverage(size: Size) -> Table:
    """Show what the intervals hold on the test parts, at the first, middle and last step.

    Comparisons that are kept are read as they are, whatever their budget was.
    """
    table = Table(
        "Coverage of the intervals of a GRU, in per cent",
        ("data", "95 %", "95 % by horizon", "80 %"),
    )
    sold = partial(run_sales, size, 4, future="promotion")
    cases: dict[str, tuple[str, Callable[[], Leaderboard]]] = {
        f"ETTh1, horizon {h}": (f"etth1-{h}", partial(run_etth1, size, h)) for h in size.horizons
    }
    cases |= {
        "M4 hourly": ("m4", partial(run_m4, size)), "generated sales": ("exogenous-4", sold),
    }  # fmt: skip
    for name, (folder, make) in cases.items():
        metrics = metrics_of_gru(size.out / folder, make)
        by = [f"{100 * v:.0f}" for k, v in metrics.items() if k.startswith("coverage_95_h")]
        held = [f"{100 * metrics[key]:.1f}" for key in ("coverage_95", "coverage_80")]
        table.rows.append((name, held[0], ", ".join(by), held[1]))
    return table


def metrics_of_gru(folder: Path, make: Callable[[], Leaderboard]) -> dict[str, float]:
    """Return the metrics of the GRU of a comparison, which is run if it is not kept."""
    path = folder / LEADERBOARD
    if not path.exists():
        make()
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    found: dict[str, float] = next(row["metrics"] for row in rows if row["name"].startswith("gru"))
    return found


def adaptive(size: Size) -> Table:
    """Show what intervals hold that follow the series, on the test part of ETTh1."""
    horizon = size.horizons[0]
    folder = size.out / f"etth1-{horizon}"
    if not folder.exists():
        run_etth1(size, horizon)
    predictor = Predictor.load(folder)
    rows = np.loadtxt(size.ett, dtype=str, delimiter=",", skiprows=1)
    stamps, values = rows[:, 0].astype("datetime64[s]"), rows[:, 1:].astype(float)
    _, begin, *end = size.split.removeprefix("time:").split(",")
    first, last = np.searchsorted(
        stamps, [np.datetime64(begin), np.datetime64((end or ["2100"])[0])]
    )
    table = Table(
        f"ETTh1 as a stream, horizon {horizon}, intervals that follow it",
        ("rate", "95 %", "width", "80 %", "width"),
    )
    for rate in RATES:
        held, wide = follow(predictor, values[:first], values[first:last], rate)
        cells = [each for pair in zip(held[::-1], wide[::-1], strict=True) for each in pair]
        table.rows.append((f"{rate:g}", *cells))
    return table


def follow(
    predictor: Predictor, history: NDArray[np.float64], readings: NDArray[np.float64], rate: float
) -> tuple[list[float], list[float]]:
    """Forecast from every reading; return the share that each interval holds, and its mean width.

    Widths are in deviations of each column in training.
    """
    stream = ForecastStream(predictor, history, rate=rate)
    horizon, held, wide = predictor.task.horizon, [], []
    for step in range(len(readings) - horizon + 1):
        given, truth = stream.forecast(), readings[step : step + horizon]
        held.append(((given.lower <= truth) & (truth <= given.upper)).mean((1, 2)))
        wide.append(((given.upper - given.lower) / stream.deviation).mean((1, 2)))
        stream.read(readings[step])
    return np.mean(held, axis=0).tolist(), np.mean(wide, axis=0).tolist()


def sales(steps: int) -> dict[str, Any]:
    """Return hourly sales with a daily season, lifted by promotions that are known ahead."""
    random = np.random.default_rng(0)
    start = np.datetime64("2024-01-01T00", "h") + np.arange(steps)
    promotion = (random.random(steps) < 0.1).astype(int)
    daily = 20 * np.sin(2 * np.pi * np.arange(steps) / 24)
    values = 100 + daily + 25 * promotion + random.normal(0, 4, steps)
    times = [f"{str(time).replace('T', ' ')}:00" for time in start]
    return {"time": times, "sales": values.tolist(), "promotion": promotion.tolist()}


TABLES: dict[str, Callable[[Size], Table]] = {
    "etth1": etth1, "m4": m4, "look-back": look_back, "exogenous": exogenous, "stocks": stocks,
    "walk": walk, "coverage": coverage, "adaptive": adaptive,
}  # fmt: skip


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tables", nargs="+", choices=TABLES)
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--horizons", default="96,192,336,720", help="on ETTh1 (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/forecast-tables"))
    asked = parser.parse_args()
    data = Path(os.environ["ENSUITE_DATA"])
    hourly = data / "m4/Hourly-train.csv.gz", data / "m4/Hourly-test.csv.gz"
    prices = Path(plotly.__file__).parent / "package_data/datasets/stocks.csv.gz"
    ett = data / "ett/ETTh1.csv.gz"
    horizons = [int(horizon) for horizon in asked.horizons.split(",")]
    size = Size(asked.budget, asked.seeds, asked.out, ett, hourly, prices, horizons)
    for name in asked.tables:
        print(TABLES[name](size), flush=True)
        how = f"--budget {asked.budget} --seeds {asked.seeds}"
        print(f"\n`python -m benchmarks.forecast_tables {name} {how}`\n")


if __name__ == "__main__":
    main()

"""Forecasting with a GRU, beside the same model in plain torch loops.

    python -m benchmarks.forecast

A GRU reads 96 steps of a series less its last value and forecasts the next 24 by one linear layer;
absolute error, batches of 32 windows, gradients clipped. All contenders have the same data, model
and initial weights; a test compares their outputs.

* An update. Ours is what ``ensuite train`` repeats: it gathers windows out of the series, looks for
  gradients that are not finite, and counts the values that are known.
* torch, DataLoader: the version of tutorials. A data set cuts a window out of its series and a
  DataLoader puts 32 of them together; torch's default Adam.
* torch, one tensor: a careful version. All series have one length and lie in one tensor, windows
  are views of it, and the optimizer is fused.
* neuralforecast: its GRU of the same size with as many windows in an update, where it is installed.
  The trainer's preparation is not timed.
* 10,000 series in one call: from series in memory to forecasts in their units with two calibrated
  intervals. torch, one tensor: the points alone, all series of one length, in batches of 512.
  torch, series by series: the points alone, in a Python loop. neuralforecast: the points alone,
  from one table to another.

The last table shows the memory that training takes by the number of windows: copies of all windows
need (96 + 24) numbers each, ours two whole numbers, and two more for a row of a batch.
"""

import tempfile
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.peers import NeuralForecast
from benchmarks.protocol import (
    Contender,
    Effort,
    Found,
    Missing,
    Row,
    ceilings,
    compare,
    publish,
    timed,
)
from benchmarks.translate import copy_cell
from ensuite.candidates import Trained
from ensuite.core.recipe import Recipe
from ensuite.data import readers
from ensuite.data.processors.history import History, Rows
from ensuite.data.series import Series
from ensuite.data.windows import Windows, gather
from ensuite.models.recurrent import RecurrentOptions
from ensuite.problem import open_problem
from ensuite.tasks.forecast import Forecast
from ensuite.training.budget import Budget
from ensuite.training.evaluate import predict
from ensuite.training.loop import fit
from ensuite.training.training import Training

AT_ONCE = 512
"""Series in a batch of the peer that forecasts from one tensor."""

RATE = 3e-3

Peer = Contender | Missing


@dataclass(frozen=True)
class Size:
    """Sizes of the model and the data.

    Args:
        width: Hidden size of the GRU.
        look_back: Steps that are read.
        horizon: Steps that are forecast.
        batch: Windows in an update.
        series: Number of series to train on.
        steps: Of each of them.
        asked: Number of series to forecast in one call.
    """

    width: int = 64
    look_back: int = 96
    horizon: int = 24
    batch: int = 32
    series: int = 20
    steps: int = 1000
    asked: int = 10_000

    @property
    def flops(self) -> float:
        """Multiplications and additions of an update's matrix products, forward and backward."""
        cell = 3 * self.width * (self.width + 1) * self.look_back
        return 6.0 * (cell + self.width * self.horizon) * self.batch


def measure(size: Size | None = None, effort: Effort | None = None) -> Found:
    """Measure updates and forecasts; return the rows of the table."""
    size = size or Size()
    training = begin(size)
    with tempfile.TemporaryDirectory() as folder, NeuralForecast() as other:
        path = Path(folder) / "series.npz"
        np.savez(
            path, train=invent(size.series, size.steps), asked=invent(size.asked, size.look_back)
        )
        names = ("width", "look_back", "horizon", "batch", "series")
        how = {name: getattr(size, name) for name in names} | {"data": str(path), "rate": RATE}
        rows = learning(training, size, other.contender("update", **how), effort)
        rows += asking(training, size, other.contender("predict", **how), effort)
        return Found(rows, other.versions)


def invent(count: int, steps: int) -> NDArray[np.float64]:
    """Return hourly series with a season of a day and noise, (series, steps)."""
    generator = np.random.default_rng(0)
    level, phase = generator.uniform(50, 100, (count, 1)), generator.uniform(0, 24, (count, 1))
    season = np.sin(2 * np.pi * (np.arange(steps) + phase) / 24)
    return np.asarray(level + 10 * season + generator.normal(0, 1, (count, steps)))


def table(values: NDArray[np.float64]) -> dict[str, Any]:
    """Return series, (series, steps), as the columns of a long table."""
    count, steps = values.shape
    names = np.repeat([f"s{number}" for number in range(count)], steps)
    return {"unique_id": names.tolist(), "y": values.ravel().tolist()}


def begin(size: Size) -> Training:
    """Return an ensuite training that never ends, before its first update."""
    settings = {
        "horizon": str(size.horizon), "look_back": str(size.look_back), "season": "24",
        "criterion": "absolute",
    }  # fmt: skip
    data = table(invent(size.series, size.steps))
    problem = open_problem("forecast", data, settings=settings)
    options = RecurrentOptions(cell="gru", width=size.width, dropout=0.0)
    recipe = Recipe(batch_size=size.batch, learning_rate=RATE, schedule="constant", clip=1.0)
    budget = Budget(1e12, "steps", patience=None)
    return Trained("gru", "gru", options, recipe).begin(problem, budget, seed=0)


# An update


def learning(training: Training, size: Size, other: Peer, effort: Effort | None) -> list[Row]:
    """Measure an update, from series in memory to new weights."""
    task, rows = cast(Forecast, training.task), cast(Rows, training.items)
    last = int(rows.windows.origins.max())
    data = scaled(task, rows)
    cut = data[:, : last + size.horizon]
    peers = [
        timed("torch, DataLoader", stepper(updates(plain(training), loaded(cut, size), False))),
        timed("torch, one tensor", stepper(updates(plain(training), viewed(cut, size), True))),
        other,
    ]
    job = f"gru of {size.width} units, {size.look_back} steps read, {size.horizon} forecast"
    ours = {f"{job}, an update": timed("ensuite", stepper(fit(training)))}
    return compare(ours, peers, effort, amount=size.batch, flops=size.flops)


def stepper(steps: Iterator[object]) -> Callable[[], object]:
    """Return what takes one step of an endless loop."""
    return lambda: next(steps)


def scaled(task: Forecast, rows: Rows) -> Tensor:
    """Return the training series in their deviations, (series, steps)."""
    flat = rows.flat
    values = np.stack([series.values[:, 0] for series in flat.series])
    return torch.from_numpy(((values - flat.mean) / flat.deviation).astype(np.float32))


class Cuts(Dataset[tuple[Tensor, Tensor]]):
    """Cut a window out of its series, as data sets of tutorials do."""

    def __init__(self, data: Tensor, size: Size) -> None:
        self.data, self.size = data, size
        self.each = data.shape[1] - size.look_back - size.horizon + 1

    def __len__(self) -> int:
        return len(self.data) * self.each

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        series, start = divmod(number, self.each)
        middle = start + self.size.look_back
        read = self.data[series, start:middle]
        ahead = self.data[series, middle : middle + self.size.horizon]
        return read - read[-1], ahead - read[-1]


def loaded(data: Tensor, size: Size) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches from a DataLoader, for ever."""
    loader = DataLoader(Cuts(data, size), batch_size=size.batch, shuffle=True, drop_last=True)
    while True:
        yield from loader


def viewed(data: Tensor, size: Size) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of views of one tensor, for ever."""
    windows = data.unfold(1, size.look_back + size.horizon, 1)
    each = windows.shape[1]
    while True:
        for numbers in torch.randperm(len(data) * each).split(size.batch)[:-1]:
            both = windows[numbers // each, numbers % each]
            read, ahead = both.split([size.look_back, size.horizon], dim=1)
            last = read[:, -1:]
            yield read - last, ahead - last


def updates(
    model: "Plain", batches: Iterator[tuple[Tensor, Tensor]], fused: bool
) -> Iterator[float]:
    """Train for ever in plain torch; a step is an update."""
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=fused)
    for read, ahead in batches:
        loss = F.l1_loss(model(read), ahead)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        yield loss.item()


# Forecasts


def asking(training: Training, size: Size, other: Peer, effort: Effort | None) -> list[Row]:
    """Measure forecasts of many series, from values in memory to values in their units."""
    task, model = cast(Forecast, training.task), training.model.eval()
    asked = ask(task, size)
    answers = predict(task, model, asked)
    task = task.calibrate(answers, asked)
    values = np.stack([series.values[:, 0] for series in asked.series])
    peer = plain(training).eval()
    expected = np.stack([answer.point[:, 0] for answer in answers])
    peers: list[Peer] = [other]
    for name, work in (
        ("torch, series by series", peer.one_by_one),
        ("torch, one tensor", peer.all),
    ):
        np.testing.assert_allclose(work(values), expected, rtol=1e-3)
        peers.append(timed(name, partial(work, values)))
    mine = timed("ensuite", lambda: predict(task, model, asked))
    return compare({f"{size.asked:,} series in one call": mine}, peers, effort, amount=size.asked)


def ask(task: Forecast, size: Size) -> Windows:
    """Return the window after the end of each of many series that training did not have."""
    data = table(invent(size.asked, size.look_back))
    data["unique_id"] = [f"new {name}" for name in data["unique_id"]]
    _, asked = task.read(readers.read(data), {}, asking=True)
    return gather(asked)


# The model in plain torch


class Plain(nn.Module):
    """A GRU and a linear layer on its last state."""

    def __init__(self, width: int, horizon: int) -> None:
        super().__init__()
        self.gru = nn.GRU(1, width, batch_first=True)
        self.out = nn.Linear(width, horizon)

    def forward(self, read: Tensor) -> Tensor:
        """Forecast (batch, horizon) from (batch, look_back)."""
        _, last = self.gru(read[..., None])
        values: Tensor = self.out(last[-1])
        return values

    @torch.inference_mode()
    def all(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Forecast all rows of (series, steps), some at a time."""
        last, deviation = values[:, -1:], values.std(1, keepdims=True)
        read = torch.from_numpy(((values - last) / deviation).astype(np.float32))
        found = torch.cat([self(part) for part in read.split(AT_ONCE)]).double().numpy()
        return np.asarray(found * deviation + last)

    @torch.inference_mode()
    def one_by_one(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Forecast all rows of (series, steps), each alone."""
        found = []
        for series in values:
            last, deviation = series[-1], series.std()
            read = torch.from_numpy(((series - last) / deviation).astype(np.float32))
            found.append(self(read[None])[0].double().numpy() * deviation + last)
        return np.stack(found)


@torch.no_grad()
def plain(training: Training) -> Plain:
    """Return the plain model with a copy of our weights."""
    recurrent = cast(Any, training.model.backbone).recurrent
    head = cast(Any, training.model.head).forecast.from_summary
    model = Plain(recurrent.width, head.out_features)
    copy_cell(recurrent.cells[0], model.gru, "")
    model.out.load_state_dict(head.state_dict())
    return model


# Memory


class Held(NamedTuple):
    """Memory by the number of windows, in bytes."""

    windows: int
    numbers: int  # of the windows of a part and the rows of its batches
    batch: int  # most that one batch takes while it is made
    copies: int  # of all windows, in single precision


def held(counts: Sequence[int], size: Size | None = None) -> list[Held]:
    """Measure one long series, cut into several numbers of windows."""
    size = size or Size()
    found = []
    for count in counts:
        task, windows = cut(
            replace(size, series=1, steps=count + size.look_back + size.horizon - 1)
        )
        rows = cast(Rows, task.items(windows))
        task.collate(rows[: size.batch])
        tracemalloc.start()
        task.collate(rows.take(np.linspace(0, count - 1, size.batch).astype(int)))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        arrays = (windows.numbers, windows.origins, rows.places, rows.columns)
        copies = 4 * count * (size.look_back + size.horizon)
        found.append(Held(count, sum(each.nbytes for each in arrays), most, copies))
    return found


def cut(size: Size) -> tuple[Forecast, Windows]:
    """Return a prepared task, and all windows of one series."""
    history = History(look_back=size.look_back)
    task = Forecast(horizon=size.horizon, season=24, history=history, columns=("y",))
    series = Series.plain("", 1, invent(1, size.steps).T)
    windows = Windows.between([series], [size.look_back], [size.steps], size.horizon)
    return task.prepare(windows), windows


if __name__ == "__main__":
    print(publish("forecast", measure(), ceilings()))
    print("\n   windows  numbers (MB)  a batch (kB)  copies (MB)")
    for each in held((1_000, 10_000, 100_000, 1_000_000)):
        print(
            f"{each.windows:10,d}  {each.numbers / 1e6:12.2f}  {each.batch / 1e3:12.0f}  "
            f"{each.copies / 1e6:11.1f}"
        )

"""Baselines of forecast: last value, seasonal naive, drift, and one linear layer."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ensuite.core.baseline import Baseline
from ensuite.data.flat import Flat
from ensuite.data.processors.history import Rows
from ensuite.data.seasonal import seasonal_naive
from ensuite.data.windows import Window, Windows, gather
from ensuite.tasks.forecast import Forecast
from ensuite.tasks.forecast_answers import Prediction

Numbers = NDArray[np.float64]

ROWS_AT_ONCE = 4096
"""Rows of a window each whose sums are made together; more need more memory, not less time."""

PENALTIES = (1e-3, 1e-1, 1e1, 1e3)
"""Ridge penalties tried, as a share of the mean square of the inputs."""


@dataclass(frozen=True, eq=False)
class Naive(Baseline):
    """A rule that learns nothing."""

    @classmethod
    def fits(cls, task: Forecast) -> bool:
        return True

    @classmethod
    def fit(
        cls, task: Forecast, train: Sequence[Window], valid: Sequence[Window], seed: int
    ) -> Self:
        return cls()

    def predict(self, task: Forecast, examples: Sequence[Window]) -> list[Prediction]:
        windows = gather(examples)
        flat = task.history.flat(windows)
        starts, origins = flat.starts[windows.numbers], windows.origins
        values = self.forecast(task, flat, starts, origins)
        return task.predictions(examples, values[..., None])

    @abstractmethod
    def reads(self, task: Forecast) -> int | None:
        """Return how many steps it reads; None if it reads each series from its beginning."""

    @abstractmethod
    def forecast(
        self, task: Forecast, flat: Flat, starts: NDArray[np.int64], origins: NDArray[np.int64]
    ) -> Numbers:
        """Return the forecasts, (windows, horizon, columns).

        Args:
            task: Has the horizon and the season.
            flat: The values of all series.
            starts: (windows,), where the series of each window begins in them.
            origins: (windows,), the first step to forecast, counted from there.
        """

    @property
    def parameters(self) -> int:
        return 0


@dataclass(frozen=True, eq=False)
class LastValue(Naive):
    """Repeat the last value."""

    name: ClassVar[str] = "last value"

    def reads(self, task: Forecast) -> int | None:
        return 1

    def forecast(
        self, task: Forecast, flat: Flat, starts: NDArray[np.int64], origins: NDArray[np.int64]
    ) -> Numbers:
        return seasonal_naive(flat.values, starts, origins, season=1, horizon=task.horizon)


@dataclass(frozen=True, eq=False)
class SeasonalNaive(Naive):
    """Repeat the last season; the last value if there is not a whole season yet."""

    name: ClassVar[str] = "seasonal naive"

    @classmethod
    def fits(cls, task: Forecast) -> bool:
        return task.season > 1

    def reads(self, task: Forecast) -> int | None:
        return task.season

    def forecast(
        self, task: Forecast, flat: Flat, starts: NDArray[np.int64], origins: NDArray[np.int64]
    ) -> Numbers:
        return seasonal_naive(
            flat.values, starts, origins, season=task.season, horizon=task.horizon
        )


@dataclass(frozen=True, eq=False)
class Drift(Naive):
    """Continue the line from the first value of a series to the last.

    Source:
        Hyndman & Athanasopoulos (2021), Forecasting: Principles and Practice, section 5.2
    """

    name: ClassVar[str] = "drift"

    def reads(self, task: Forecast) -> int | None:
        return None

    def forecast(
        self, task: Forecast, flat: Flat, starts: NDArray[np.int64], origins: NDArray[np.int64]
    ) -> Numbers:
        first, last = flat.values[starts], flat.values[starts + origins - 1]
        slope = (last - first) / np.maximum(origins - 1, 1)[:, None]
        steps = np.arange(1, task.horizon + 1)
        line: Numbers = last[:, None] + slope[:, None] * steps[:, None]
        return line


@dataclass(frozen=True, eq=False)
class LinearLayer(Baseline):
    """Forecast each step by a linear function of the window less its last value (ridge regression).

    All columns and series share the weights. The penalty is the best of a few on the validation
    part.

    Args:
        weight: (look_back + 1, horizon), the last row is the bias.

    Sources:
        Zeng et al. (2023), NLinear, https://arxiv.org/abs/2205.13504, section 4
        Toner & Darlow (2024), https://arxiv.org/abs/2403.14587 (closed form)
    """

    weight: Numbers

    name: ClassVar[str] = "linear layer"

    @classmethod
    def fits(cls, task: Forecast) -> bool:
        return True

    @classmethod
    def fit(
        cls, task: Forecast, train: Sequence[Window], valid: Sequence[Window], seed: int
    ) -> Self:
        size = task.history.look_back + 1
        products, targets, count = np.zeros((size, size)), np.zeros((size, task.horizon)), 0
        for inputs, wanted, _, _ in _batches(task, gather(train)):
            whole = ~np.isnan(wanted).any(1)
            x, y = inputs[whole], wanted[whole]
            products += x.T @ x
            targets += x.T @ y
            count += len(x)
        scale = np.trace(products[:-1, :-1]) / max(1, size - 1)
        ridge = np.diag([*np.ones(size - 1), 0.0]) * scale + 1e-9 * np.eye(size)
        fitted = [cls(np.linalg.solve(products + share * ridge, targets)) for share in PENALTIES]
        some = gather(task.validation_subset(valid))
        if not len(some):
            return fitted[0]
        return min(fitted, key=lambda each: each.squared_error(task, some))

    def squared_error(self, task: Forecast, windows: Windows) -> float:
        """Return the mean squared error over windows, in deviations of the series."""
        errors = [
            (inputs @ self.weight - wanted)[~np.isnan(wanted)]
            for inputs, wanted, _, _ in _batches(task, windows)
        ]
        return float(np.mean(np.concatenate(errors) ** 2))

    def predict(self, task: Forecast, examples: Sequence[Window]) -> list[Prediction]:
        values = [
            inputs @ self.weight * divisor + offset
            for inputs, _, offset, divisor in _batches(task, gather(examples))
        ]
        whole = np.concatenate(values)
        shape = (len(examples), len(task.columns), task.horizon)
        return task.predictions(examples, whole.reshape(shape).transpose(0, 2, 1)[..., None])

    @property
    def parameters(self) -> int:
        return int(self.weight.size)


def _batches(
    task: Forecast, windows: Windows
) -> Iterator[tuple[Numbers, Numbers, Numbers, Numbers]]:
    """Yield inputs with a 1 appended, targets and their scale, one row for each column."""
    plain = replace(task.history, per_column=True, normalise="last", segment=1)
    rows: Rows = plain.rows(windows)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = rows[start : start + ROWS_AT_ONCE]
        values, _ = plain.collate(part)
        offset, divisor = plain.normal(part)
        wanted = (plain.targets(part, task.horizon) - offset[:, None]) / divisor[:, None]
        inputs = values.numpy()[:, :, 0].astype(np.float64)
        yield np.hstack([inputs, np.ones((len(inputs), 1))]), wanted[..., 0], offset, divisor

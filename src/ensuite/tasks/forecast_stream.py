"""Forecast a series whose readings come one at a time, in constant memory.

stream = ForecastStream(ensuite.load("runs/forecast-load-1"), history=readings_so_far)
for reading in sensor:
    stream.read(reading)
    print(stream.forecast().point)
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ensuite.core.backbone import Steps
from ensuite.core.batch import Batch, Carry, States
from ensuite.core.errors import DataError, UsageError
from ensuite.core.model import Model
from ensuite.data.series import TIMELESS, Series
from ensuite.data.windows import Window
from ensuite.metrics import conformal
from ensuite.tasks.forecast import Forecast
from ensuite.tasks.forecast_answers import INTERVALS, Prediction

Numbers = NDArray[np.float64]

CLOSE = 1e-4
"""How far the carried state may be from that of a batch, in deviations of the series."""


class Predicts(Protocol):
    """What a stream needs of a predictor; a frozen dataclass."""

    @property
    def task(self) -> Any: ...
    @property
    def model(self) -> Any: ...
    @property
    def fitted(self) -> Any: ...
    def predict_examples(self, examples: Sequence[Any]) -> list[Any]:
        """Return one prediction for each example."""
        ...


@runtime_checkable
class Reads(Protocol):
    """A fitted method that reads more or fewer steps than ``look_back``."""

    def reads(self, task: Any) -> int | None:
        """Return how many; None if it reads each series from its beginning."""
        ...


class ForecastStream:
    """Read one step of a series at a time, and forecast whenever asked.

    As many readings are kept as the model reads (``look_back``, if it is a network), and a forecast
    is the same as that of a file which ends with the last reading. A reading may be NaN: it is
    missing.

    Args:
        predictor: A run of the task forecast, a network or a baseline.
        history: (steps,) or (steps, columns), the readings so far, at least one. The scale of a
            series that is not one of the training file is measured on them.
        series: The id of the series in the training file.
        carry: Carry the state of the network along instead of reading the last readings anew:
            each forecast then takes the time of one step, and depends on all readings from the
            beginning. For networks that go step by step, on runs with ``normalise=none`` and
            ``segment=1``.
        rate: How far the intervals move after each reading, in deviations of the series; 0: they
            stay as they were calibrated. Try 0.02 to 0.1 if the series has changed since training.

    Raises:
        UsageError: If the run reads columns beside the values or each series from its beginning,
            or cannot carry a state.
        DataError: If the history is no list of numbers.
    """

    def __init__(
        self,
        predictor: Predicts,
        history: ArrayLike,
        *,
        series: str = "",
        carry: bool = False,
        rate: float = 0.0,
    ) -> None:
        task: Forecast = predictor.task
        if task.history.features:
            raise UsageError("A stream cannot read columns beside the values, as this run does.")
        values = task.ask(history).series.values
        mean, deviation = task.history.scale(Series.plain(series, TIMELESS, values), len(values))
        scaled = replace(
            task.history, names=(series,), mean=(tuple(mean.tolist()),),
            deviation=(tuple(deviation.tolist()),),
        )  # fmt: skip
        shape = (len(INTERVALS), task.horizon, len(task.columns))
        self.margins = np.array(task.margins) if task.margins else np.zeros(shape)
        self.task = replace(task, history=scaled, margins=())
        self.predictor: Any = replace(cast(Any, predictor), task=self.task)
        self.rate, self.deviation = rate, deviation
        self.last = mean
        self.steps = 0
        self.buffer: deque[Numbers] = deque(maxlen=_kept(predictor, task))
        self.given: deque[tuple[int, Prediction]] = deque(maxlen=task.horizon)
        self.state = None
        if carry:
            _State(self.task, predictor.model).check(self.task)
            self.state = _State(self.task, predictor.model)
        for row in values:
            self.read(row)

    def read(self, reading: ArrayLike) -> None:
        """Take in one step: a number, or one for each column.

        Raises:
            DataError: If it is not as many numbers as there are columns.
        """
        values = np.asarray(reading, dtype=np.float64).reshape(-1)
        if len(values) != len(self.task.columns):
            raise DataError(
                f"A reading has {len(values)} numbers; give {len(self.task.columns)}, one for each "
                f"of {', '.join(self.task.columns)}."
            )
        self._adapt(values)
        self.last = np.where(np.isnan(values), self.last, values)
        self.steps += 1
        self.buffer.append(self.last)
        if self.state is not None:
            self.state.read((self.last - self.task.history.mean[0]) / self.deviation)

    def forecast(self) -> Prediction:
        """Return the forecast of the steps after the last reading."""
        if self.state is None:
            window = _window(self.task, np.stack(self.buffer))
            (found,) = self.predictor.predict_examples([window])
        else:
            found = self.state.forecast(self.task)
        added = self.margins * self.deviation
        lower, upper = conformal.widen(
            found.point[None], found.lower[None], found.upper[None], added
        )
        prediction = Prediction(found.point, lower[0], upper[0])
        self.given.append((self.steps, prediction))
        return prediction

    def _adapt(self, values: Numbers) -> None:
        """Move the margins by the forecasts that were given for this step."""
        if not self.rate:
            return
        for made, prediction in self.given:
            step = self.steps - made
            if step < self.task.horizon:
                self.margins[:, step] = conformal.adapt(
                    self.margins[:, step], prediction.lower[:, step], prediction.upper[:, step],
                    values, INTERVALS, self.rate,
                )  # fmt: skip


def _kept(predictor: Predicts, task: Forecast) -> int:
    """Return how many readings are kept."""
    if not isinstance(predictor.fitted, Reads):
        return task.history.look_back
    steps = predictor.fitted.reads(task)
    if steps is None:
        raise UsageError(
            "This run reads each series from its beginning, and a stream keeps a fixed number of "
            "readings; choose another run."
        )
    return steps


class _State:
    """The state of a network that goes step by step, after all readings."""

    def __init__(self, task: Forecast, model: Any) -> None:
        history = task.history
        able = isinstance(model, Model) and hasattr(model.backbone, "step")
        if not able or history.normalise != "none" or history.segment != 1:
            raise UsageError(
                "carry=True needs a network that goes step by step (rnn, lstm or gru in one "
                "direction), trained with normalise=none and segment=1."
            )
        if task.decode == "recursive":
            raise UsageError("carry=True needs a run with decode=direct or decode=positions.")
        self.model = model.eval()
        self.rows = len(task.columns) if history.per_column else 1
        self.device = next(self.model.parameters()).device
        empty = torch.zeros(self.rows, 0, device=self.device)
        self.carry: Carry = cast(Steps, self.model.backbone).begin(Batch(inputs={"values": empty}))
        self.states: States | None = None

    @torch.inference_mode()
    def read(self, scaled: Numbers) -> None:
        """Take in one scaled step, (columns,)."""
        values = torch.tensor(scaled, dtype=torch.float32, device=self.device)
        inputs = {"values": values.view(self.rows, -1)}
        self.states, self.carry = cast(Steps, self.model.backbone).step(inputs, self.carry)

    @torch.inference_mode()
    def forecast(self, task: Forecast) -> Prediction:
        """Return the forecast of the head."""
        values = self.model.head(self.states, Batch(inputs={})).cpu().double().numpy()
        last = _window(task, np.zeros((1, len(task.columns))))
        (found,) = task.merge([last], task.items([last]), list(values))
        return found

    def check(self, task: Forecast) -> None:
        """Refuse a network whose summary of a few steps is not its last state."""
        history = task.history
        mean, deviation = (np.array(part[0]) for part in (history.mean, history.deviation))
        scaled = np.array([0.0, 1.0, -1.0])[: history.look_back, None]
        steps = np.repeat(scaled, len(task.columns), axis=1)
        for row in steps:
            self.read(row)
        window = _window(task, steps * deviation + mean)
        items = task.items([window])
        with torch.inference_mode():
            pieces = task.predict(self.model, task.collate(items).to(self.device))
        (batch,) = task.merge([window], items, pieces)
        if not (np.abs(self.forecast(task).point - batch.point) < CLOSE * deviation).all():
            raise UsageError("carry=True needs a network with summary=last.")


def _window(task: Forecast, values: Numbers) -> Window:
    """Return the window that forecasts what comes after all values."""
    return Window(Series.plain(task.history.names[0], TIMELESS, values), len(values))

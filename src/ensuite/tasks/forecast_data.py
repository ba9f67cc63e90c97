"""The data of forecasts: how series are read, divided and made into batches."""

from abc import ABC
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ensuite.core.backbone import BackboneOptions, Pretrained
from ensuite.core.batch import FUTURE, Batch, Inputs, Values
from ensuite.core.errors import DataError, UsageError
from ensuite.core.keys import Keys, Split
from ensuite.core.table import Table
from ensuite.core.task import Task
from ensuite.data import series_split
from ensuite.data.future import refuse_holes, refuse_short_future
from ensuite.data.panel import Layout, Panel, add_calendar, read_panel
from ensuite.data.processors.history import History, Row, Rows
from ensuite.data.roles import SERIES_NAMES, TIME_NAMES, VALUE_NAMES
from ensuite.data.series import TIMELESS, Clock, Series, is_steady
from ensuite.data.timestamps import DateOrder
from ensuite.data.windows import Window, Windows, gather
from ensuite.tasks.forecast_answers import Prediction

VALIDATION_WINDOWS = 2000
"""Most windows that the best weights are selected by, evenly over all of them."""

READING = ("look_back", "segment", "per_column", "normalise")
"""Options of the history that the weights depend on."""


@dataclass(frozen=True, kw_only=True)
class ForecastData(Task[Window, Row, Prediction], ABC):
    """Read the steps before each forecast, and the ``horizon`` steps that follow them.

    Args:
        horizon: How many steps are forecast.
        season: Steps of a season, for the seasonal naive forecast; 0: by the frequency.
        future: Columns that are known in the future too, with commas between them.
        past: Columns that are known in the past only.
        static: Columns that do not change within a series.
        calendar: Whether time of day, day of the week and month are read beside the values.
        layout: columns: time runs down the rows, one or several values a row, of one or several
            series; rows: each row is a whole series.
        dates: How 03/04/2024 is read if the file does not decide it.
        stride: Steps between two forecasts that are scored.
        history: Turns the steps before a forecast into tensors.
        columns: Names of the columns to forecast.
        named: Role and column of the time stamps and the series ids of the training file.
        clock: How steps become time stamps.
        trained: The options that the weights depend on, as they were in training.
        notes: What a user should know of how the file was read.

    Attributes:
        fixed: Names of the options that the weights depend on, beside those of the history.
    """

    horizon: int = 24
    season: int = 0
    future: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    calendar: bool = False
    layout: Layout = "auto"
    dates: DateOrder = "auto"
    stride: int = 1
    history: History = field(default_factory=History, metadata={"options": True})
    columns: tuple[str, ...] = field(default=(), metadata={"learned": True})
    named: tuple[tuple[str, str], ...] = field(default=(), metadata={"learned": True})
    clock: Clock = field(default_factory=Clock, metadata={"learned": True})
    trained: tuple[str, ...] = field(default=(), metadata={"learned": True})
    notes: tuple[str, ...] = field(
        default=(), compare=False, metadata={"learned": True, "saved": False}
    )

    roles: ClassVar[tuple[str, ...]] = ("time", "series", "value")
    usual_names: ClassVar[Mapping[str, Sequence[str]]] = {
        "time": TIME_NAMES,
        "series": SERIES_NAMES,
        "value": VALUE_NAMES,
    }
    fixed: ClassVar[tuple[str, ...]] = ("horizon", "future", "past", "static", "calendar")

    def __post_init__(self) -> None:
        if self.horizon < 1 or self.stride < 1 or self.season < 0:
            raise ValueError("horizon and stride must be 1 or more, season 0 or more")
        for was, now in zip(self.trained, self._typed(), strict=False):
            if was != now:
                raise ValueError(
                    f"{now} cannot be set after training, which had {was}: the weights depend on "
                    "it; train another run"
                )

    def _typed(self) -> tuple[str, ...]:
        """Return the options that the weights depend on, as they are typed."""
        own = {name: getattr(self, name) for name in self.fixed}
        pairs = own | {name: getattr(self.history, name) for name in READING}
        return tuple(
            f"{name}={','.join(value) if isinstance(value, tuple) else value}"
            for name, value in pairs.items()
        )

    @property
    def unit(self) -> str:
        return "window"

    # From a file to parts

    def read(
        self, table: Table, given: Mapping[str, str], *, asking: bool = False
    ) -> tuple[Self, Sequence[Window]]:
        remembered = {role: name for role, name in self.named if name in table.columns}
        panel = read_panel(
            table, remembered | dict(given), future=self.future, past=self.past,
            static=self.static, layout=self.layout, dates=self.dates, values=self.columns,
            frequency=self.clock.frequency,
        )  # fmt: skip
        if self.calendar:
            panel = add_calendar(panel, self.horizon)
        panel.roles.note(table)
        task = self._settle(panel, table)
        lengths = [len(series) for series in panel.series]
        if asking:
            numbers = np.arange(len(lengths), dtype=np.int64)
            asked = Windows(panel.series, numbers, np.array(lengths, dtype=np.int64))
            refuse_short_future(asked, self.horizon, self.future)
            refuse_holes(asked, self.horizon, self.future, task.clock)
            return task, asked
        first = [min(task.look_back, max(1, each - self.horizon)) for each in lengths]
        windows = Windows.between(panel.series, first, lengths, self.horizon, self.stride)
        return task, windows

    def _settle(self, panel: Panel, table: Table) -> Self:
        """Take over what the file decides: columns, clock and season.

        Raises:
            DataError: If it decides otherwise than the training file did.
        """
        if self.columns and panel.columns != self.columns:
            raise DataError(
                f"{table.name} has the columns {', '.join(panel.columns)} to forecast; training "
                f"had {', '.join(self.columns)}. Give the same."
            )
        frequency = panel.clock.frequency
        if self.clock.frequency is not None and frequency not in (None, self.clock.frequency):
            raise DataError(
                f"The steps of {table.name} are {frequency}, those of the training file were "
                f"{self.clock.frequency}; bring them to the same distance."
            )
        clock = panel.clock if self.clock.frequency is None else self.clock
        seasons = frequency.seasons if frequency is not None else ()
        season = self.season or next(iter(seasons), 1)
        named = self.named or panel.roles.named
        dates = self.dates if self.columns or self.dates != "auto" else panel.dates
        return replace(
            self, columns=panel.columns, named=named, clock=clock, season=season, dates=dates,
            notes=panel.notes,
        )  # fmt: skip

    @property
    def look_back(self) -> int:
        """Steps that are read: as the user says, or two seasons, at least the horizon."""
        segment = self.history.segment
        steps = max(self.horizon, 2 * self.season)
        return self.history.look_back or -(-steps // segment) * segment

    def ask(self, raw: Any) -> Window:
        """Take the values of one series, (steps,) or (steps, columns), the latest last.

        Raises:
            DataError: If they are no such numbers.
            UsageError: If the run reads other columns too.
        """
        if isinstance(raw, Window):
            return raw
        if self.history.features:
            raise UsageError("This run reads other columns too: give it a file, --file FILE.")
        raw = raw["value"] if isinstance(raw, Mapping) and "value" in raw else raw
        raw = raw.strip("[]").replace(",", " ").split() if isinstance(raw, str) else raw
        try:
            values = np.asarray(raw, dtype=np.float64)
        except (TypeError, ValueError):
            raise DataError(
                "The series to forecast is no list of numbers; give its values, the latest last, "
                'as in "5 6 7", or a file: --file FILE.'
            ) from None
        values = values[:, None] if values.ndim == 1 else values
        fits = values.ndim == 2 and values.shape[1] == len(self.columns)
        if not fits or np.isnan(values).all() or np.isinf(values).any():
            wanted = "numbers" if len(self.columns) == 1 else f"rows of {len(self.columns)} numbers"
            raise DataError(f"The series to forecast is not a list of {wanted}; give one.")
        return Window(Series.plain("", TIMELESS, values), len(values))

    def keys(self, example: Window) -> Keys:
        return Keys((example.series.name, id(example.series), example.origin), time=example.origin)

    def identities(self, examples: Sequence[Window]) -> Sequence[Hashable]:
        return ()  # windows of a series differ in where they are

    def divide(
        self, parts: Mapping[str, Sequence[Window]], how: Split
    ) -> tuple[Mapping[str, Sequence[Window]], str]:
        """Split by time inside every series: a forecast may look back over a border.

        Raises:
            DataError: If the series are too short, never change, or the parts do not fit together.
            UsageError: If the split is not by time.
        """
        series = {name: gather(part).series for name, part in parts.items()}
        windows, said = series_split.divide(series, how, self._cut)
        self._refuse_steady(windows["train"])
        return windows, said

    def folds(
        self, examples: Sequence[Window], how: Split, count: int
    ) -> Sequence[tuple[Mapping[str, Sequence[Window]], str]]:
        """Test each fold on the steps that follow those it is trained on (rolling origin).

        Raises:
            DataError: If the series are too short for so many folds, or never change.
            UsageError: If the split is not by time.
        """
        found = series_split.folds(gather(examples).series, how, count, self._cut)
        for windows, _ in found:
            self._refuse_steady(windows["train"])
        return found

    @property
    def _cut(self) -> series_split.Cut:
        return series_split.Cut(
            horizon=self.horizon, look_back=self.look_back, stride=self.stride, clock=self.clock
        )

    def _refuse_steady(self, train: Windows) -> None:
        pairs = zip(train.series, train.ends(self.horizon), strict=True)
        if all(is_steady(series.values[:end]) for series, end in pairs if end):
            raise DataError(
                f"{', '.join(self.columns)} never changes in the training part, so that there is "
                "nothing to learn; name the column to forecast: --column value=NAME."
            )

    def prepare(
        self,
        examples: Sequence[Window],
        options: BackboneOptions | None = None,
        pretrained: Pretrained | None = None,
    ) -> Self:
        history = replace(self.history, look_back=self.look_back)
        history = history.prepare(gather(examples), self.horizon)
        prepared = replace(self, history=history, trained=())
        return replace(prepared, trained=prepared._typed())

    def validation_subset(self, examples: Sequence[Window]) -> Sequence[Window]:
        windows = gather(examples)
        step = max(1, ceil(len(windows) / VALIDATION_WINDOWS))
        return windows[::step]

    # From examples to batches

    @property
    def steps(self) -> int:
        """The number of steps that are forecast at once."""
        return self.horizon

    @property
    def inputs(self) -> Inputs:
        if not self.history.known:
            return self.history.inputs
        future = Values(self.history.known, steps=self.horizon, reader="head")
        return {**self.history.inputs, FUTURE: future}

    def items(self, examples: Sequence[Window], *, asking: bool = False) -> Sequence[Row]:
        windows = gather(examples)
        refuse_short_future(windows, self.horizon, self.future)
        return self.history.rows(windows)

    def lengths(self, items: Sequence[Row]) -> NDArray[Any]:
        return np.full(len(items), self.history.look_back // self.history.segment)

    def extent(self, example: Window) -> int:
        return min(example.origin, self.history.look_back)

    def collate(self, items: Sequence[Row], generator: torch.Generator | None = None) -> Batch:
        rows = cast(Rows, items)
        values, mask = self.history.collate(rows)
        offset, divisor = self.history.normal(rows)
        truths = self.history.targets(rows, self.steps)
        scaled = (truths - offset[:, None]) / divisor[:, None]
        inputs = {"values": values}
        if self.history.known:
            inputs[FUTURE] = self.history.future(rows, self.horizon)
        return Batch(
            inputs=inputs,
            mask=mask,
            targets={"value": torch.from_numpy(scaled.astype(np.float32))},
            counts={"value": int(np.count_nonzero(~np.isnan(scaled)))},
        )

"""Forecast: the next steps of one or many time series, with calibrated intervals."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ensuite.core.backbone import Backbone, BackboneOptions, Pretrained, Trait
from ensuite.core.batch import Batch, Inputs, Outputs, States, Values
from ensuite.core.display import Display
from ensuite.core.errors import DataError, UsageError
from ensuite.core.keys import Keys, Split
from ensuite.core.loss import Loss, Part
from ensuite.core.model import Model
from ensuite.core.presentation import Figure, Finding
from ensuite.core.score import Score
from ensuite.core.table import Table
from ensuite.core.task import Task
from ensuite.data import series_split
from ensuite.data.panel import Layout, Panel, add_calendar, read_panel
from ensuite.data.processors.history import History, Row, Rows, refuse_short_future
from ensuite.data.roles import SERIES_NAMES, TIME_NAMES, VALUE_NAMES
from ensuite.data.seasonal import seasonal_error
from ensuite.data.series import TIMELESS, Clock, Series
from ensuite.data.timestamps import DateOrder
from ensuite.data.windows import Window, Windows, gather
from ensuite.metrics import conformal
from ensuite.metrics import forecasting as metrics
from ensuite.nn.forecasting import ForecastHead, PositionHead, quantile_loss
from ensuite.tasks import forecast_figures

INTERVALS = (0.8, 0.95)
"""The shares of the truths that the two intervals of a forecast promise to hold."""

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
"""The quantiles that are learned: the ends of both intervals and the median."""

ENDS = {0.8: (1, 3), 0.95: (0, 4)}
"""Places of the ends of each interval among the levels."""

VALIDATION_WINDOWS = 2000
"""Most windows that the best weights are selected by, evenly over all of them."""

FEWEST_BLOCKS = 30
"""Blocks of windows from which all series of one time make a block together."""

SCORED_AT_ONCE = 256
"""Windows whose errors are computed together; more need more memory, not less time."""

DISPLAYS = {
    "mase": Display(name="MASE"), "smape": Display(name="sMAPE"), "mae": Display(name="MAE"),
    "rmse": Display(name="RMSE"), "wql": Display(name="WQL"),
    "scaled_mse": Display(name="scaled MSE"), "scaled_mae": Display(name="scaled MAE"),
}  # fmt: skip
"""How metrics are printed, if not by their keys."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Prediction:
    """The next steps of a series, in the units of the file.

    Args:
        point: (horizon, columns), the median.
        lower: (intervals, horizon, columns), where each interval begins.
        upper: (intervals, horizon, columns), where it ends.
    """

    point: Numbers
    lower: Numbers
    upper: Numbers

    def __eq__(self, other: object) -> bool:
        """Compare number by number."""
        return isinstance(other, Prediction) and all(
            np.array_equal(mine, theirs)
            for mine, theirs in zip(
                (self.point, self.lower, self.upper),
                (other.point, other.lower, other.upper),
                strict=True,
            )
        )

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class Forecast(Task[Window, Row, Prediction]):
    """Forecast the next ``horizon`` steps of each series from those before them.

    Args:
        horizon: How many steps are forecast.
        decode: direct: all steps at once; positions: segment by segment, all at once, from a
            learned vector for each segment; recursive: one segment, which is then read as if it
            had come, and so on.
        criterion: The loss: of five quantiles, or of the point alone, absolute or squared.
        season: Steps of a season, for the seasonal naive forecast; 0: by the frequency.
        future: Columns that are known in the future too, with commas between them.
        past: Columns that are known in the past only.
        static: Columns that do not change within a series.
        calendar: Whether time of day, day of the week and month are read beside the values.
        layout: columns: time runs down the rows, one or several values a row, of one or several
            series; rows: each row is a whole series.
        dates: How 03/04/2024 is read if the file does not decide it.
        stride: Steps between two forecasts that are scored.
        head_dropout: Dropout rate before the last layer.
        history: Turns the steps before a forecast into tensors.
        columns: Names of the columns to forecast.
        named: Role and column of the time stamps and the series ids of the training file.
        clock: How steps become time stamps.
        trained: The options that the weights depend on, as they were in training.
        margins: (intervals, horizon, columns), in deviations of the series: by how much intervals
            are widened so that they hold the share that they promise.
        notes: What a user should know of how the file was read.

    Sources:
        Direct and recursive: Ben Taieb et al. (2012), https://arxiv.org/abs/1108.3259
        Positions: Lin et al. (2023), https://arxiv.org/abs/2308.11200
        Margins: Romano, Patterson & Candes (2019), https://arxiv.org/abs/1905.03222
    """

    horizon: int = 24
    decode: Literal["direct", "positions", "recursive"] = "direct"
    criterion: Literal["quantile", "absolute", "squared"] = "quantile"
    season: int = 0
    future: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    calendar: bool = False
    layout: Layout = "auto"
    dates: DateOrder = "auto"
    stride: int = 1
    head_dropout: float = 0.0
    history: History = field(default_factory=History, metadata={"options": True})
    columns: tuple[str, ...] = field(default=(), metadata={"learned": True})
    named: tuple[tuple[str, str], ...] = field(default=(), metadata={"learned": True})
    clock: Clock = field(default_factory=Clock, metadata={"learned": True})
    trained: tuple[str, ...] = field(default=(), metadata={"learned": True})
    margins: tuple[tuple[tuple[float, ...], ...], ...] = field(
        default=(), metadata={"learned": True}
    )
    notes: tuple[str, ...] = field(
        default=(), compare=False, metadata={"learned": True, "saved": False}
    )

    needs: ClassVar[frozenset[Trait]] = frozenset()
    roles: ClassVar[tuple[str, ...]] = ("time", "series", "value")
    usual_names: ClassVar[Mapping[str, Sequence[str]]] = {
        "time": TIME_NAMES,
        "series": SERIES_NAMES,
        "value": VALUE_NAMES,
    }
    several_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.horizon < 1 or self.stride < 1 or self.season < 0:
            raise ValueError("horizon and stride must be 1 or more, season 0 or more")
        if not 0 <= self.head_dropout < 1:
            raise ValueError("head_dropout must be from 0 to less than 1")
        if self.decode == "recursive" and self.past:
            raise ValueError(
                f"decode=recursive reads its own forecasts, and {', '.join(self.past)} is known in "
                "the past only; take decode=direct, or name it under future"
            )

        for was, now in zip(self.trained, self._fixed(), strict=False):
            if was != now:
                raise ValueError(
                    f"{now} cannot be set after training, which had {was}: the weights depend on "
                    "it; train another run"
                )

    def _fixed(self) -> tuple[str, ...]:
        """Return the options that the weights depend on, as they are typed."""
        names = ("horizon", "decode", "criterion", "future", "past", "static", "calendar")
        own = {name: getattr(self, name) for name in names}
        inner = ("look_back", "segment", "per_column", "normalise")
        pairs = own | {name: getattr(self.history, name) for name in inner}
        return tuple(
            f"{name}={','.join(value) if isinstance(value, tuple) else value}"
            for name, value in pairs.items()
        )

    # Data

    def read(
        self, table: Table, given: Mapping[str, str], *, asking: bool = False
    ) -> tuple[Self, Sequence[Window]]:
        remembered = {role: name for role, name in self.named if name in table.columns}
        panel = read_panel(
            table, remembered | dict(given), future=self.future, past=self.past,
            static=self.static, layout=self.layout, dates=self.dates, values=self.columns,
            frequency=self.clock.frequency,
        )  # fmt: skip
        panel.roles.note(table)
        if self.calendar:
            panel = add_calendar(panel, self.horizon)
        task = self._settle(panel, table)
        lengths = [len(series) for series in panel.series]
        if asking:
            numbers = np.arange(len(lengths), dtype=np.int64)
            asked = Windows(panel.series, numbers, np.array(lengths, dtype=np.int64))
            refuse_short_future(asked, self.horizon, self.future)
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
        return replace(
            self, columns=panel.columns, named=named, clock=clock, season=season, notes=panel.notes
        )

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
        if values.ndim != 2 or values.shape[1] != len(self.columns) or np.isnan(values).all():
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
        if all(is_steady(series.values) for series in gather(parts["train"]).series):
            raise DataError(
                f"{', '.join(self.columns)} never changes, so that there is nothing to learn; name "
                "the column to forecast: --column value=NAME."
            )
        return series_split.divide(
            {name: gather(part).series for name, part in parts.items()},
            how,
            horizon=self.horizon,
            look_back=self.look_back,
            stride=self.stride,
            clock=self.clock,
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
        return replace(prepared, trained=prepared._fixed())

    @property
    def inputs(self) -> Inputs:
        if not self.history.known:
            return self.history.inputs
        future = Values(self.history.known, steps=self.horizon, reader="head")
        return {**self.history.inputs, "future": future}

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
            inputs["future"] = self.history.future(rows, self.horizon)
        return Batch(
            inputs=inputs,
            mask=mask,
            targets={"value": torch.from_numpy(scaled.astype(np.float32))},
            counts={"value": int(np.count_nonzero(~np.isnan(scaled)))},
        )

    # Model

    @property
    def steps(self) -> int:
        """The number of steps that the head forecasts at once."""
        return self.history.segment if self.decode == "recursive" else self.horizon

    @property
    def levels(self) -> tuple[float, ...]:
        """The quantiles that are learned; the median alone if only the point is."""
        return LEVELS if self.criterion == "quantile" else (0.5,)

    def head(self, backbone: Backbone) -> "Head":
        columns = 1 if self.history.per_column else len(self.columns)
        future = 0 if self.decode == "recursive" else self.history.known
        sizes = {"columns": columns, "levels": len(self.levels), "future": future}
        if self.decode == "positions":
            made: nn.Module = PositionHead(
                backbone.width, self.steps, segment=self.history.segment,
                dropout=self.head_dropout, **sizes,
            )  # fmt: skip
        else:
            made = ForecastHead(backbone.width, self.steps, dropout=self.head_dropout, **sizes)
        return Head(made, future=future > 0)

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        values, targets = outputs.values, batch.targets["value"]
        if self.criterion == "squared":
            known = ~targets.isnan()
            error = (values[..., 0] - torch.where(known, targets, 0)) * known
            return Loss({"value": Part(error.square().sum())})
        levels = values.new_tensor(self.levels)
        return Loss({"value": Part(quantile_loss(values, targets, levels))})

    def predict(self, model: Model, batch: Batch) -> list[Numbers]:
        values = model(batch).values if self.decode != "recursive" else self._recur(model, batch)
        return list(values.cpu().double().numpy())

    def _recur(self, model: Model, batch: Batch) -> Tensor:
        """Forecast a segment, read its median as if it had come, and go on to the horizon."""
        segment, found = self.history.segment, []
        values, mask = batch.inputs["values"], cast(Tensor, batch.mask)
        rows = len(values)
        for start in range(0, self.horizon, segment):
            one = replace(batch, inputs={**batch.inputs, "values": values}, mask=mask)
            quantiles = model(one).values
            found.append(quantiles)
            median = quantiles[..., len(self.levels) // 2]
            if self.history.known:
                future = batch.inputs["future"][:, start : start + segment]
                short = segment - future.shape[1]
                future = torch.nn.functional.pad(future, (0, 0, 0, short))
                median = torch.cat([median, future], dim=2)
            values = torch.cat([values[:, 1:], median.reshape(rows, 1, -1)], dim=1)
            mask = torch.cat([mask[:, 1:], mask.new_ones(rows, 1)], dim=1)
        return torch.cat(found, dim=1)[:, : self.horizon]

    def merge(
        self, examples: Sequence[Window], items: Sequence[Row], pieces: Sequence[Numbers]
    ) -> list[Prediction]:
        """Scale answers back to the units of the file, and join the columns of each window."""
        if not len(pieces):
            return []
        rows = cast(Rows, items)
        offset, divisor = self.history.normal(rows)
        values = np.stack(pieces) * divisor[:, None, :, None] + offset[:, None, :, None]
        if self.history.per_column:
            shape = (len(examples), len(self.columns), self.horizon, len(self.levels))
            values = values.reshape(shape).transpose(0, 2, 1, 3)
        return self.predictions(examples, values)

    def predictions(self, examples: Sequence[Window], values: Numbers) -> list[Prediction]:
        """Make predictions of quantiles, (examples, horizon, columns, levels), or of the median.

        Without quantiles the intervals are as wide as the calibrated margins; without either they
        are the point.
        """
        middle = values.shape[-1] // 2
        point = values[..., middle]
        whole = values.shape[-1] == len(LEVELS)
        ends = [ENDS[share] if whole else (middle, middle) for share in INTERVALS]
        lower = np.stack([values[..., low] for low, _ in ends], axis=1)
        upper = np.stack([values[..., high] for _, high in ends], axis=1)
        if self.margins:
            added = np.array(self.margins) * self.deviations(examples)[:, None, None]
            lower, upper = conformal.widen(point, lower, upper, added)
        return [Prediction(*each) for each in zip(point, lower, upper, strict=True)]

    # Judgement

    def truths(self, examples: Sequence[Window]) -> Numbers:
        """Return the true values, (examples, horizon, columns); NaN where one is not known."""
        found = np.full((len(examples), self.horizon, len(self.columns)), np.nan)
        for place, example in enumerate(examples):
            true = example.series.values[example.origin : example.origin + self.horizon]
            found[place, : len(true)] = true
        return found

    def deviations(self, examples: Sequence[Window]) -> Numbers:
        """Return the deviation of each example's series in training, (examples, columns)."""
        windows = gather(examples)
        return self.history.flat(windows).deviation[windows.numbers]

    def naive_errors(self, examples: Sequence[Window]) -> Numbers:
        """Return the unit of MASE, (examples, columns).

        That is the mean absolute error of the seasonal naive forecast over the steps before the
        first example of each series.
        """
        windows = gather(examples)
        pairs = zip(windows.series, windows.firsts.tolist(), strict=True)
        errors = [seasonal_error(series.values[:end], self.season) for series, end in pairs]
        return np.array(errors)[windows.numbers]

    def score(
        self, predictions: Sequence[Prediction], examples: Sequence[Window]
    ) -> dict[str, Score]:
        """Judge predictions by the truth, some windows at a time.

        Raises:
            DataError: If there are no windows.
        """
        windows = gather(examples)
        if not len(windows):
            raise DataError(
                f"No series has more than the {self.horizon:,} steps that are to be forecast, so "
                "that there is nothing to score; give longer ones."
            )
        units, deviations = self.naive_errors(windows), self.deviations(windows)
        parts = []
        for start in range(0, len(windows), SCORED_AT_ONCE):
            at = slice(start, start + SCORED_AT_ONCE)
            parts.append(
                self._score(predictions[at], self.truths(windows[at]), units[at], deviations[at])
            )
        return {
            name: replace(
                score,
                statistics=np.concatenate([part[name].statistics for part in parts]),
                display=DISPLAYS.get(name, score.display),
            )
            for name, score in parts[0].items()
        }

    def _score(
        self,
        predictions: Sequence[Prediction],
        truths: Numbers,
        units: Numbers,
        deviations: Numbers,
    ) -> dict[str, Score]:
        """Judge some predictions by their truths, (examples, horizon, columns)."""
        point = np.stack([each.point for each in predictions])
        lower = np.stack([each.lower for each in predictions])
        upper = np.stack([each.upper for each in predictions])
        quantiles = np.concatenate([lower, point[:, None], upper], axis=1)
        shares = np.array(INTERVALS)
        levels = [*(1 - shares) / 2, 0.5, *(1 + shares) / 2]
        scores = {
            "mase": metrics.mean_absolute_error(point, truths, units),
            "smape": metrics.symmetric_percentage_error(point, truths),
            "coverage_95": metrics.coverage(lower[:, 1], upper[:, 1], truths),
            "mae": metrics.mean_absolute_error(point, truths),
            "rmse": metrics.root_mean_squared_error(point, truths),
            "wql": metrics.quantile_loss(quantiles, truths, levels),
            "coverage_80": metrics.coverage(lower[:, 0], upper[:, 0], truths),
            "width_95": metrics.interval_width(lower[:, 1], upper[:, 1], truths),
            "scaled_mse": metrics.mean_squared_error(point, truths, deviations),
            "scaled_mae": metrics.mean_absolute_error(point, truths, deviations),
        }
        for step in sorted({1, (self.horizon + 1) // 2, self.horizon}):
            at = slice(step - 1, step)
            scores[f"mae_h{step}"] = metrics.mean_absolute_error(point[:, at], truths[:, at])
            scores[f"coverage_95_h{step}"] = metrics.coverage(
                lower[:, 1, at], upper[:, 1, at], truths[:, at]
            )
        return scores

    def blocks(self, examples: Sequence[Window]) -> Sequence[int] | None:
        """Put windows that overlap into one block.

        Series that begin at one time move together, so that a block holds all of them; unless
        that leaves fewer than 30 blocks: then each series has its own.
        """
        windows = gather(examples)
        starts = np.array([series.start for series in windows.series])[windows.numbers]
        block = windows.origins // (2 * self.horizon)
        if len(np.unique(starts)) == 1 and len(np.unique(block)) >= FEWEST_BLOCKS:
            return list(block.tolist())
        pairs = np.stack([windows.numbers, block], axis=1)
        numbers: list[int] = np.unique(pairs, axis=0, return_inverse=True)[1].ravel().tolist()
        return numbers

    def validation_subset(self, examples: Sequence[Window]) -> Sequence[Window]:
        windows = gather(examples)
        step = max(1, len(windows) // VALIDATION_WINDOWS)
        return windows[::step]

    def calibrate(self, predictions: Sequence[Prediction], held_out: Sequence[Window]) -> Self:
        """Learn by how much intervals must be wider to hold what they promise, step by step."""
        if not predictions:
            return self
        found = conformal.margins(
            np.stack([each.lower for each in predictions]),
            np.stack([each.upper for each in predictions]),
            self.truths(held_out), self.deviations(held_out), INTERVALS,
        )  # fmt: skip
        nested = tuple(tuple(tuple(row) for row in part) for part in found.tolist())
        return replace(self, margins=nested)

    # Presentation

    @property
    def unit(self) -> str:
        return "window"

    @property
    def pipeline(self) -> str:
        return "time-series-forecasting"

    def show(self, example: Window) -> str:
        (last,) = self.clock.write(example.series.start, np.array([example.origin - 1]))
        whose = f"{example.series.name}, " if example.series.name else ""
        return f"{whose}after {last}"

    def truth(self, example: Window) -> str:
        return self._words(self.truths([example])[0])

    def describe(self, prediction: Prediction) -> tuple[str, float | None]:
        return self._words(prediction.point), None

    def _words(self, values: Numbers) -> str:
        """Write the first and the last step of a forecast."""
        if np.isnan(values).all():
            return ""
        lines = [
            f"{name} {series[0]:.4g} ... {series[-1]:.4g}"
            for name, series in zip(self.columns, values.T, strict=True)
        ]
        return ", ".join(lines[:3]) + (", ..." if len(lines) > 3 else "")

    def records(self, example: Window, prediction: Prediction) -> list[dict[str, Any]]:
        """Return one row for each step and column: time stamp, forecast, and the intervals."""
        steps = np.arange(example.origin, example.origin + self.horizon)
        stamps = self.clock.write(example.series.start, steps)
        rows = []
        for column, name in enumerate(self.columns):
            for step, stamp in enumerate(stamps):
                row: dict[str, Any] = {"series": example.series.name} if example.series.name else {}
                row |= {"time": stamp}
                if len(self.columns) > 1:
                    row["column"] = name
                row["forecast"] = float(prediction.point[step, column])
                for place, share in enumerate(INTERVALS):
                    row[f"lower_{100 * share:.0f}"] = float(prediction.lower[place, step, column])
                    row[f"upper_{100 * share:.0f}"] = float(prediction.upper[place, step, column])
                rows.append(row)
        return rows

    def error(self, prediction: Prediction, example: Window) -> float:
        """Return the mean absolute error, in deviations of the series."""
        _, deviation = self.history.scale(example.series, example.origin)
        distance = np.abs(prediction.point - self.truths([example])[0]) / deviation
        return float(np.nanmean(distance)) if not np.isnan(distance).all() else 0.0

    def remarks(
        self, name: str, predictions: Sequence[Prediction], examples: Sequence[Window]
    ) -> list[str]:
        """Say how errors and coverage change with the horizon."""
        windows = gather(examples)
        errors = forecast_figures.errors(self, predictions, windows)
        covered = forecast_figures.coverage(self, predictions, windows)
        return [
            forecast_figures.say_errors(name, errors),
            *forecast_figures.say_coverage(name, covered, INTERVALS),
        ]

    def figures(
        self, predictions: Sequence[Prediction], examples: Sequence[Window]
    ) -> list[Figure]:
        if not predictions:
            return []
        windows = gather(examples)
        return [
            *forecast_figures.forecasts(self, predictions, windows, INTERVALS),
            forecast_figures.errors_by_horizon(self, predictions, windows),
            forecast_figures.coverage_by_horizon(self, predictions, windows, INTERVALS),
        ]

    def check(self, parts: Mapping[str, Sequence[Window]]) -> list[Finding]:
        windows = gather(parts["train"])
        findings = [Finding("series", self._size(windows.series))]
        steady = [s.name or self.columns[0] for s in windows.series if is_steady(s.values)]
        if steady:
            shown = ", ".join(steady[:3]) + (", ..." if len(steady) > 3 else "")
            many = "1 series never changes" if len(steady) == 1 else f"{len(steady):,} never change"
            findings.append(Finding("constant", f"{many}: {shown}; MASE leaves it out"))
        findings += [Finding("reading", note) for note in self.notes]
        reading = f"{self.look_back:,} steps are read, {self.horizon:,} forecast; " + (
            f"a season has {self.season:,}" if self.season > 1 else "no season is known"
        )
        return [*findings, Finding("forecast", reading)]

    def _size(self, series: Sequence[Series]) -> str:
        """Say how many series of how many steps there are, and what is forecast."""
        lengths = [len(each) for each in series]
        size = f"{lengths[0]:,} steps"
        if len(lengths) > 1:
            longer = f" to {max(lengths):,}" if max(lengths) > min(lengths) else ""
            size = f"{len(lengths):,} series of {min(lengths):,}{longer} steps"
        frequency = f", {self.clock.frequency}" if self.clock.dated else ""
        beside = [
            f"{role}: {', '.join(names)}"
            for role, names in (
                ("known in the future", self.future), ("in the past only", self.past),
                ("static", self.static),
            )
            if names
        ]  # fmt: skip
        return "; ".join([f"{size}{frequency}: {', '.join(self.columns)}", *beside])


class Head(nn.Module):
    """A head of forecasts on the summary.

    Args:
        forecast: From the summary and what is known of the future to quantiles.
        future: Whether it reads what is known of the future.
    """

    def __init__(self, forecast: nn.Module, *, future: bool) -> None:
        super().__init__()
        self.forecast, self.future = forecast, future

    def forward(self, states: States, batch: Batch) -> Tensor:
        """Return the quantiles, (batch, steps, columns, levels)."""
        future = batch.inputs["future"] if self.future else None
        values: Tensor = self.forecast(states.summary, future)
        return values


def is_steady(values: Numbers) -> bool:
    """Return whether no column of a series ever changes."""
    lowest, highest = (
        fill.reduce(np.where(np.isnan(values), other, values), axis=0)
        for fill, other in ((np.minimum, np.inf), (np.maximum, -np.inf))
    )
    return bool((lowest >= highest).all())

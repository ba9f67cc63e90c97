"""Forecast: the next steps of one or many time series, with calibrated intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from ensuite.core.backbone import Backbone, Trait
from ensuite.core.batch import Batch, Outputs
from ensuite.core.errors import DataError
from ensuite.core.loss import Loss, Part
from ensuite.core.model import Model
from ensuite.core.presentation import Figure, Finding
from ensuite.core.score import Score
from ensuite.data.processors.history import Row, Rows
from ensuite.data.windows import Window, gather
from ensuite.metrics import conformal
from ensuite.nn.forecasting import ForecastHead, PositionHead
from ensuite.tasks import forecast_figures, forecast_scores, forecast_words
from ensuite.tasks.forecast_answers import INTERVALS, LEVELS, Prediction, from_quantiles
from ensuite.tasks.forecast_data import ForecastData
from ensuite.tasks.forecast_model import Head, pinball_loss, recur, squared_loss

Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Forecast(ForecastData):
    """Forecast the next ``horizon`` steps of each series from those before them.

    Args:
        decode: direct: all steps at once; positions: segment by segment, all at once, from a
            learned vector for each segment; recursive: one segment, which is then read as if it
            had come, and so on.
        criterion: The loss: of five quantiles, or of the point alone, absolute or squared.
        head_dropout: Dropout rate before the last layer.
        margins: (intervals, horizon, columns), in deviations of the series: by how much intervals
            are widened so that they hold the share that they promise.

    The other options are those of :class:`~ensuite.tasks.forecast_data.ForecastData`.

    Sources:
        Direct and recursive: Ben Taieb et al. (2012), https://arxiv.org/abs/1108.3259
        Positions: Lin et al. (2023), https://arxiv.org/abs/2308.11200
        Margins: Romano, Patterson & Candes (2019), https://arxiv.org/abs/1905.03222
    """

    decode: Literal["direct", "positions", "recursive"] = "direct"
    criterion: Literal["quantile", "absolute", "squared"] = "quantile"
    head_dropout: float = 0.0
    margins: tuple[tuple[tuple[float, ...], ...], ...] = field(
        default=(), metadata={"learned": True}
    )

    needs: ClassVar[frozenset[Trait]] = frozenset()
    fixed: ClassVar[tuple[str, ...]] = (
        "horizon", "decode", "criterion", "future", "past", "static", "calendar",
    )  # fmt: skip
    several_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.head_dropout < 1:
            raise ValueError("head_dropout must be from 0 to less than 1")
        if self.decode == "recursive" and self.past:
            raise ValueError(
                f"decode=recursive reads its own forecasts, and {', '.join(self.past)} is known in "
                "the past only; take decode=direct, or name it under future"
            )
        super().__post_init__()

    # Model

    @property
    def steps(self) -> int:
        return self.history.segment if self.decode == "recursive" else self.horizon

    @property
    def levels(self) -> tuple[float, ...]:
        """The quantiles that are learned; the median alone if only the point is."""
        return LEVELS if self.criterion == "quantile" else (0.5,)

    def head(self, backbone: Backbone) -> Head:
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
            return Loss({"value": Part(squared_loss(values, targets))})
        return Loss({"value": Part(pinball_loss(values, targets, self.levels))})

    def predict(self, model: Model, batch: Batch) -> list[Numbers]:
        if self.decode == "recursive":
            values = recur(
                lambda one: cast(Tensor, model(one).values), batch,
                horizon=self.horizon, segment=self.history.segment,
            )  # fmt: skip
        else:
            values = model(batch).values
        return list(values.cpu().double().numpy())

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

        The intervals are widened by the calibrated margins.
        """
        if not self.margins:
            return from_quantiles(values)
        deviations = self.deviations(examples)[:, None, None]
        return from_quantiles(values, np.array(self.margins) * deviations)

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

    def score(
        self, predictions: Sequence[Prediction], examples: Sequence[Window]
    ) -> dict[str, Score]:
        """Judge predictions by the truth.

        Raises:
            DataError: If there are no windows.
        """
        windows = gather(examples)
        if not len(windows):
            raise DataError(
                f"No series has more than the {self.horizon:,} steps that are to be forecast, so "
                "that there is nothing to score; give longer ones."
            )
        return forecast_scores.score(
            predictions, windows, self.truths,
            units=forecast_scores.naive_errors(windows, self.season),
            deviations=self.deviations(windows),
        )  # fmt: skip

    def blocks(self, examples: Sequence[Window]) -> Sequence[int] | None:
        return forecast_scores.blocks(gather(examples), self.horizon)

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
    def pipeline(self) -> str:
        return "time-series-forecasting"

    def show(self, example: Window) -> str:
        (last,) = self.clock.write(example.series.start, np.array([example.origin - 1]))
        whose = f"{example.series.name}, " if example.series.name else ""
        return f"{whose}after {last}"

    def truth(self, example: Window) -> str:
        return forecast_words.in_a_line(self.truths([example])[0], self.columns)

    def describe(self, prediction: Prediction) -> tuple[str, float | None]:
        return forecast_words.in_a_line(prediction.point, self.columns), None

    def records(self, example: Window, prediction: Prediction) -> list[dict[str, Any]]:
        """Return one row for each step and column: time stamp, forecast, and the intervals."""
        return forecast_words.in_rows(example, prediction, self.columns, self.clock)

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
        series = gather(parts["train"]).series
        beside = {
            "known in the future": self.future,
            "in the past only": self.past,
            "static": self.static,
        }
        size = forecast_words.say_size(series, self.columns, self.clock, beside)
        reading = f"{self.look_back:,} steps are read, {self.horizon:,} forecast; " + (
            f"a season has {self.season:,}" if self.season > 1 else "no season is known"
        )
        return [
            Finding("series", size),
            *forecast_words.find_steady(series, self.columns),
            *(Finding("reading", note) for note in self.notes),
            Finding("forecast", reading),
        ]

"""Detect in long series: each step is scored by the windows that it is in."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ensuite.core.batch import Batch
from ensuite.core.errors import DataError, UsageError
from ensuite.core.keys import Keys, Split
from ensuite.core.presentation import Figure, Finding
from ensuite.core.score import Score
from ensuite.core.table import Table
from ensuite.data import anomaly, inputs, readings
from ensuite.data.panel import Panel, read_panel
from ensuite.data.processors import Processor
from ensuite.data.processors import Series as SeriesProcessor
from ensuite.data.readings import UNKNOWN, Reading, Readings, Track, Windows, gather
from ensuite.data.series import TIMELESS, Clock, Series
from ensuite.metrics import detection as metrics
from ensuite.tasks import detect_figures, detect_words
from ensuite.tasks.detect import Detect, Prediction

__all__ = ["Detect", "DetectSteps"]

TRAIN, CALIBRATION, VALID = 0.4, 0.55, 0.65
"""Shares of a series at which the training, calibration and validation part end; the test part is
the rest. Where it has a file of its own, these are shares of what ``VALID`` leaves."""

MARK = "ensuite: mark"
"""The column of the marks of the steps, 1 for an anomaly, while a series is put on its grid."""

Numbers = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class DetectSteps(Detect):
    """Find the anomalous steps of long series, each row of the file being a step.

    Args:
        processor: Scales the columns.
        names: The columns of values.
        named: Role and column of the time stamps and the series ids of the training file.
        clock: How steps become time stamps.
        notes: What a user should know of how the file was read.
    """

    processor: Processor = field(default_factory=SeriesProcessor, metadata={"options": True})
    names: tuple[str, ...] = field(default=(), metadata={"learned": True})
    named: tuple[tuple[str, str], ...] = field(default=(), metadata={"learned": True})
    clock: Clock = field(default_factory=Clock, metadata={"learned": True})
    notes: tuple[str, ...] = field(
        default=(), compare=False, metadata={"learned": True, "saved": False}
    )

    several_rows: ClassVar[bool] = True
    label_names: ClassVar[tuple[str, ...]] = anomaly.PLAIN_NAMES

    @classmethod
    def of(cls, task: Detect) -> Self:
        """Return the task with the options of one that was not yet known to read steps."""
        if isinstance(task, cls):
            return task
        kept = {each.name: getattr(task, each.name) for each in fields(task)}
        if task.input not in ("auto", "series"):
            raise UsageError(f"window={task.window} reads series, not input={task.input}.")
        scale: Any = getattr(task.processor, "scale", "standard")
        return cls(**{**kept, "input": "series", "processor": SeriesProcessor(scale=scale)})

    # Data

    def read(
        self, table: Table, given: Mapping[str, str], *, asking: bool = False
    ) -> tuple[Self, Readings]:
        task, anomalous = self.read_labels(table, given, asking=asking)
        panel = task._panel(table, given, anomalous)
        task = task._settle(panel, table)
        marks = [
            np.where(np.isnan(series.seen[:, 0]), UNKNOWN, series.seen[:, 0]).astype(np.int64)
            for series in panel.series
        ]
        pairs = zip(panel.series, marks, strict=True)
        tracks = [Track(series, 0, len(series), 0, mark) for series, mark in pairs]
        if short := [track for track in tracks if len(track) < self.window]:
            raise DataError(self._too_short(short[0].series.name or table.name, len(short[0])))
        return task, Readings.of(tracks)

    def _panel(
        self, table: Table, given: Mapping[str, str], anomalous: Sequence[bool | None]
    ) -> Panel:
        """Put the rows on the grids of their series, their marks beside them."""
        marks = [None if each is None else float(each) for each in anomalous]
        hidden = {self.label_column, given.get("label", "")}
        cells = {name: each for name, each in table.columns.items() if name not in hidden}
        if self.names and (gone := [name for name in self.names if name not in cells]):
            raise DataError(
                f"{table.name} has no column {', '.join(gone)}, which the model reads; it has: "
                f"{', '.join(cells)}."
            )
        marked = replace(table, columns={**cells, MARK: marks})
        roles = {role: name for role, name in self.named if name in cells} | {
            role: name for role, name in given.items() if role in ("time", "series", "value")
        }
        return read_panel(
            marked, roles, past=(MARK,), layout="columns", values=self.names,
            frequency=self.clock.frequency,
        )  # fmt: skip

    def _settle(self, panel: Panel, table: Table) -> Self:
        """Take over what the file decides: its columns and its clock.

        Raises:
            DataError: If it decides otherwise than the training file did.
        """
        frequency = panel.clock.frequency
        if self.clock.frequency is not None and frequency not in (None, self.clock.frequency):
            raise DataError(
                f"The steps of {table.name} are {frequency}, those of the training file were "
                f"{self.clock.frequency}; bring them to the same distance."
            )
        clock = panel.clock if self.clock.frequency is None else self.clock
        return replace(
            self, names=panel.columns, named=self.named or panel.roles.named, clock=clock,
            processor=replace(cast(SeriesProcessor, self.processor), names=panel.columns),
            notes=tuple(note for note in panel.notes if not note.startswith("not read")),
        )  # fmt: skip

    def _too_short(self, name: str, steps: int) -> str:
        return (
            f"{name} has {steps:,} steps, fewer than a window of {self.window:,}; give longer "
            "series, or train with a smaller window (--set window=...)."
        )

    def ask(self, raw: Any) -> Reading:
        """Take the values of one series, the latest last, and ask about its last step."""
        if isinstance(raw, Reading):
            return raw
        values = inputs.to_numbers(raw, cast(SeriesProcessor, self.processor))
        if values.ndim != 2 or values.shape[1] != len(self.names):
            raise DataError(
                f"The series is not a list of steps of {len(self.names)} numbers each; give one."
            )
        if len(values) < self.window:
            raise DataError(self._too_short("The series", len(values)))
        if not np.isfinite(values).all():
            raise DataError("The series has a number that is NaN or infinite; give finite ones.")
        marks = np.full(len(values), UNKNOWN, dtype=np.int64)
        series = Series.plain("", TIMELESS, values)
        return Reading(Track(series, 0, len(values), 0, marks), len(values) - 1)

    def keys(self, example: Reading) -> Keys:
        identity = (example.track.series.name, example.step)
        return Keys(identity, time=example.step, learn=example.anomalous is not True)

    def identities(self, examples: Sequence[Reading]) -> Sequence[Hashable]:
        return ()  # steps of a series differ in where they are

    def divide(
        self, parts: Mapping[str, Sequence[Reading]], how: Split
    ) -> tuple[Mapping[str, Readings], str]:
        """Divide each series by time; what is trained and calibrated on holds no anomaly.

        Raises:
            DataError: If no part of a series without anomalies is as long as a window, or there
                are too few normal steps for the promise.
            UsageError: If the split is not by time.
        """
        if how.kind != "time" and how.chosen:
            raise UsageError(
                f"--split {how.kind}: steps of a series are in order; choose --split time or "
                "time:DATE,DATE."
            )
        tracks = gather(parts["train"]).tracks
        divided = {name: Readings.of(self._part(tracks, name, how, parts)) for name in PARTS}
        for name in ("valid", "test"):
            if name in parts:
                divided[name] = gather(parts[name])
        for name, part in divided.items():
            if not len(part):
                raise DataError(
                    f"No stretch of steps without an anomaly in the {name} part is as long as a "
                    f"window of {self.window:,}; give a smaller window, or longer series."
                )
        if self.decides_by_cost:
            raise UsageError(
                "cost needs anomalies that are held out, and a series is divided by time; ask for "
                "false_alarms instead."
            )
        whole = sum(int((track.marks != 1).sum()) for track in tracks)
        self.require_promise(len(divided["calibration"]), whole)
        detect_words.require_both(divided["test"].marks)
        return divided, self._say_parts(divided, tracks[0], how, "test" in parts)

    def _part(
        self, tracks: Sequence[Track], part: str, how: Split, parts: Mapping[str, Any]
    ) -> list[Track]:
        """Return the stretches of a part, of all series."""
        found = []
        for track in tracks:
            borders = self._borders(track.series, how, "test" in parts)
            begin, end = borders[PARTS.index(part)], borders[PARTS.index(part) + 1]
            cut = readings.whole if part == "test" else readings.stretches
            found += cut(track.series, track.marks, begin, end, self.window)
        return found

    def _borders(self, series: Series, how: Split, tested: bool) -> tuple[int, ...]:
        """Return the steps of a series at which its parts begin, and where the last one ends."""
        steps = len(series)
        if not how.dates:
            whole = steps / VALID if tested else steps
            places = [min(steps, round(share * whole)) for share in SHARES]
            return (0, *places, steps)
        if not self.clock.dated or self.clock.frequency is None:
            raise UsageError(
                "--split time:DATE,DATE needs time stamps, and the rows have none; name their "
                "column (--column time=NAME), or choose --split time."
            )
        times = self.clock.frequency.after(series.start, np.arange(steps))
        places = [int(np.searchsorted(times, microseconds(date))) for date in how.dates]
        valid, test, end = (*places, steps)[:3]
        return 0, round(valid * TRAIN / CALIBRATION), valid, test, end

    def _say_parts(
        self, divided: Mapping[str, Readings], track: Track, how: Split, tested: bool
    ) -> str:
        """Say how many steps each part has, and where the parts of the first series begin."""
        sizes = ", ".join(f"{len(part):,} {name}" for name, part in divided.items())
        names = [name for name in PARTS[1:] if not (tested and name == "test")]
        steps = np.array(self._borders(track.series, how, tested)[1 : 1 + len(names)])
        stamps = self.clock.write(track.series.start, steps.clip(0, len(track.series) - 1))
        begins = ", ".join(f"{name} at {at}" for name, at in zip(names, stamps, strict=True))
        return f"{sizes} steps, by time within each series: {begins}; --test FILE to give your own"

    def raws(self, examples: Sequence[Reading]) -> list[Any]:
        """Return the windows that examples are in, (steps, columns) each."""
        return list(self.items(examples).values)

    @property
    def usual_stride(self) -> int:
        """Steps between two windows: as the user says, or a quarter of a window."""
        return self.stride or max(1, self.window // 4)

    def items(self, examples: Sequence[Reading], *, asking: bool = False) -> Any:
        # Training reads all windows of its stride, whichever of their steps is scored.
        live = self.live and asking
        return readings.windows_of(gather(examples), self.window, self.usual_stride, live=live)

    def lengths(self, items: Sequence[Any]) -> NDArray[Any]:
        return np.full(len(items), self.window)

    def length(self, item: Any) -> int:
        return self.window

    def extent(self, example: Reading) -> int:
        return self.window

    def collate(self, items: Sequence[Any], generator: torch.Generator | None = None) -> Batch:
        rows = items.values if isinstance(items, Windows) else [each.window for each in items]
        return self.with_targets(self.processor.collate(cast(Any, np.asarray(rows))))

    # Model and judgement

    def merge(
        self, examples: Sequence[Any], items: Sequence[Any], pieces: Sequence[Any]
    ) -> list[Prediction]:
        """Average the errors of the windows that each step is in."""
        windows = cast(Windows, items)
        if not len(windows):
            return self.judge(np.full(len(examples), np.nan))
        found = readings.spread(gather(examples), windows, pieces, live=self.live)
        return self.predictions(list(found.astype(np.float32)))

    def merge_scores(
        self, examples: Sequence[Any], items: Sequence[Any], scores: Numbers
    ) -> list[Prediction]:
        windows, steps = cast(Windows, items), np.ones(self.window)
        pieces = [score * steps for score in scores]
        return self.judge(readings.spread(gather(examples), windows, pieces, live=self.live))

    def independent(self, examples: Sequence[Any]) -> float:
        """Count the windows that do not overlap: steps of one window resemble each other."""
        return max(1.0, len(examples) / self.window)

    def truths(self, examples: Sequence[Any]) -> NDArray[np.int64]:
        return gather(examples).marks

    def score(self, predictions: Sequence[Prediction], examples: Sequence[Any]) -> dict[str, Score]:
        found = super().score(predictions, examples)
        if "alarm_rate" not in found:
            alarms = np.array([each.alarm for each in predictions], dtype=bool)
            marks = self.truths(examples)
            found["event_f1"] = metrics.event_f1(alarms, marks, places(gather(examples)))
        return found

    def blocks(self, examples: Sequence[Any]) -> Sequence[int] | None:
        """Put steps whose windows overlap into one block."""
        found = gather(examples)
        names = np.array([id(track.series) for track in found.tracks])[found.numbers]
        pairs = np.stack([names, found.steps // (2 * self.window)], axis=1)
        numbers: list[int] = np.unique(pairs, axis=0, return_inverse=True)[1].ravel().tolist()
        return numbers

    # Presentation

    @property
    def unit(self) -> str:
        return "step"

    def show(self, example: Reading) -> str:
        series = example.track.series
        (stamp,) = self.clock.write(series.start, np.array([example.step]))
        return f"{series.name}, {stamp}" if series.name else stamp

    def picture(self, example: Reading) -> bytes | None:
        return None

    def records(self, example: Reading, prediction: Prediction) -> list[dict[str, Any]]:
        series = example.track.series
        (stamp,) = self.clock.write(series.start, np.array([example.step]))
        where: dict[str, Any] = {"series": series.name} if series.name else {}
        (row,) = super().records(example, prediction)
        return [where | {"time": stamp} | row]

    def check(self, parts: Mapping[str, Sequence[Any]]) -> list[Finding]:
        tracks = gather(parts["train"]).tracks
        several = len({id(track.series) for track in tracks})
        shown = f"{several:,} series" if several > 1 else "1 series"
        marks = np.concatenate([gather(part).marks for part in parts.values()])
        reading = (
            f"{shown} of {', '.join(self.names)}, read in windows of {self.window:,} steps; each "
            f"step is scored by {'the window that ends with it' if self.live else 'all of its'}"
        )
        return [
            Finding("series", reading),
            *(Finding("reading", note) for note in self.notes),
            Finding("labels", detect_words.say_labels(marks, self.label_column)),
            Finding("threshold", self.say_promise(len(parts["calibration"]))),
        ]

    def remarks(
        self, name: str, predictions: Sequence[Prediction], examples: Sequence[Any]
    ) -> list[str]:
        said = super().remarks(name, predictions, examples)
        found = gather(examples)
        marks, alarms = found.marks, np.array([each.alarm for each in predictions], dtype=bool)
        if not alarms.any() or not (marks == 1).any():
            return said
        f1, guess = (
            rule(alarms, marks, places(found))
            for rule in (metrics.point_adjusted_f1, metrics.random_point_adjusted_f1)
        )
        return [*said, detect_words.say_point_adjusted(name, f1, guess)]

    def figures(self, predictions: Sequence[Prediction], examples: Sequence[Any]) -> list[Figure]:
        if not len(predictions):
            return []
        return [
            *detect_figures.time_lines(self, predictions, gather(examples)),
            *super().figures(predictions, examples),
        ]


PARTS = ("train", "calibration", "valid", "test")
"""The parts of a series in their order in time."""

SHARES = (TRAIN, CALIBRATION, VALID)


def places(found: Readings) -> NDArray[np.int64]:
    """Return a number for each reading, consecutive only for consecutive steps of a series."""
    longest = max((len(track.marks) for track in found.tracks), default=0) + 2
    return found.numbers * longest + found.steps


def microseconds(date: datetime) -> int:
    """Return a point in time as series count it."""
    return int(date.timestamp() * 1_000_000)

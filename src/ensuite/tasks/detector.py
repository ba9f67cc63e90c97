"""What every detector does: a threshold that keeps a promise, and scores by column."""

from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from ensuite.core.batch import Batch
from ensuite.core.errors import DataError
from ensuite.core.model import Model
from ensuite.core.presentation import Figure, Finding
from ensuite.core.score import Score
from ensuite.core.split import CALIBRATION
from ensuite.core.task import LOSS
from ensuite.data.processors.numbers import Scaled
from ensuite.metrics import detection as metrics
from ensuite.metrics import promise, ranking
from ensuite.metrics.promise import Cost, HeldOut, Threshold
from ensuite.tasks import detect_figures, detect_words
from ensuite.tasks.detect_words import ANOMALY, NORMAL
from ensuite.tasks.reconstruction import Item, Piece, Reconstruction

USUAL_RATE = 0.01
"""Rate of false alarms where none is asked for and enough normal examples are held out."""

LEAST_USUAL = 1e-6
"""Least mean squared error that errors are divided by, in scaled units: nothing divides by 0."""

CULPRITS = 3
"""Columns that are named as the cause of a score."""

MOST_ANOMALIES = 1000
"""Most scores of held-out anomalies that are kept, evenly over all of them."""

Numbers = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Prediction:
    """Whether an input raises an alarm, and why.

    Args:
        alarm: Whether its score is above the threshold.
        score: How badly it is reconstructed: 1 for an error as large as usual.
        errors: Squared errors in scaled units, in the shape of the input; None of a method that
            scores whole inputs, whose score has a unit of its own.
    """

    alarm: bool
    score: float
    errors: Numbers | None = None

    def __eq__(self, other: object) -> bool:
        """Compare number by number."""
        if not isinstance(other, Prediction):
            return NotImplemented
        if self.errors is None or other.errors is None:
            same = self.errors is other.errors
        else:
            same = np.array_equal(self.errors, other.errors)
        return same and (self.alarm, self.score) == (other.alarm, other.score)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class Detector(Reconstruction[Any, Prediction], ABC):
    """Judge inputs by their reconstruction errors; subclasses say what an input is.

    An example has the attribute ``anomalous``: True, False, or None where that is not known.

    Args:
        false_alarms: Share of normal inputs that may raise an alarm. none: 0.01, or the lowest that
            the held-out rows can promise. It may be changed after training.
        cost: What mistakes cost, ``miss:500,alarm:5``: the threshold is the one with the lowest
            expected cost, unless false_alarms is given. Half of the labelled anomalies are held out
            for it. Anomalies are as frequent as in the file, or as ``,rate:0.001`` says.
        label_column: The column of labels, where the file has one.
        rate: Share of anomalies among the labelled rows of the training file; None without labels.
        usual: Mean squared error of each column over the held-out normal inputs, in scaled units.
        held_out: Scores of the held-out normal inputs.
        anomalies: Scores of held-out anomalies.
        suspicious: How many of the held-out inputs have scores far above the others.
    """

    false_alarms: float | None = None
    cost: str = ""
    label_column: str = field(default="", metadata={"learned": True})
    rate: float | None = field(default=None, metadata={"learned": True})
    usual: tuple[float, ...] = field(default=(), metadata={"learned": True})
    held_out: HeldOut = field(default_factory=HeldOut, metadata={"learned": True})
    anomalies: tuple[float, ...] = field(default=(), metadata={"learned": True})
    suspicious: int = field(default=0, metadata={"learned": True})

    calibration_share: ClassVar[float] = 0.25

    def __post_init__(self) -> None:
        if self.false_alarms is not None and not 0 < self.false_alarms < 1:
            raise ValueError("false_alarms is a share, more than 0 and less than 1")
        if self.cost:
            Cost.parse(self.cost, 0.0)
        count = self.held_out.count
        if not count:
            return
        if self.false_alarms is not None and promise.fewest(self.false_alarms) > count:
            raise ValueError(detect_words.too_few(self.false_alarms, count))
        if self.decides_by_cost and not self.anomalies:
            raise ValueError(
                "cost needs the scores of labelled anomalies, and this run has held none out; "
                "train with --set cost=..., or ask for false_alarms"
            )

    @property
    def decides_by_cost(self) -> bool:
        """Whether the threshold is the cheapest, rather than one that keeps a promise."""
        return bool(self.cost) and self.false_alarms is None

    def require_promise(self, count: int, whole: int) -> None:
        """Refuse a promise that so many held-out normal examples cannot carry.

        Args:
            count: Held-out normal examples.
            whole: Normal examples of the training file.
        """
        if self.false_alarms is None or promise.fewest(self.false_alarms) <= count:
            return
        needed = promise.fewest(self.false_alarms) * whole / max(1, count)
        said = detect_words.too_few(self.false_alarms, count)
        raise DataError(f"{said}, or give about {int(np.ceil(needed)):,} normal rows in all.")

    # Model

    def predict(self, model: Model, batch: Batch) -> list[Any]:
        """Return the squared errors of each row, without padding."""
        whole = replace(batch, targets={self.field_name: batch.inputs[self.field_name]})
        return self._errors(self.pieces(model(batch), whole))

    def _errors(self, pieces: Sequence[Piece]) -> list[Numbers]:
        """Return squared errors in the shape of the input: of pictures the channels come last."""
        errors = [np.square(p.values - p.targets, dtype=np.float32) for p in pieces]
        pictures = self.processor.kind == "image"
        return [np.moveaxis(each, 0, -1) for each in errors] if pictures else errors

    def conclude(
        self, examples: Sequence[Any], items: Sequence[Item], pieces: Sequence[Piece]
    ) -> list[Prediction]:
        return self.merge(examples, items, self._errors(pieces))

    def merge(
        self, examples: Sequence[Any], items: Sequence[Item], pieces: Sequence[Any]
    ) -> list[Prediction]:
        return self.predictions(pieces)

    def merge_scores(
        self, examples: Sequence[Any], items: Sequence[Any], scores: Numbers
    ) -> list[Prediction]:
        """Make predictions of the scores of items, (items,), by a method without errors."""
        return self.judge(scores)

    @property
    def columns(self) -> int:
        """Number of columns whose errors are told apart; 1 for images."""
        return len(self.processor.mean) if isinstance(self.processor, Scaled) else 1

    def by_column(self, errors: Sequence[Numbers]) -> Numbers:
        """Return the mean error of each column, (inputs, columns)."""
        return np.array([each.reshape(-1, self.columns).mean(0) for each in errors], dtype=float)

    def predictions(self, errors: Sequence[Numbers]) -> list[Prediction]:
        """Return a prediction for each input by its squared errors."""
        if not len(errors):
            return []
        by = self.by_column(errors)
        scores = (by / self.usual if self.usual else by).mean(1)
        return self.judge(scores, errors)

    def judge(
        self, scores: Numbers, errors: Sequence[Numbers | None] | None = None
    ) -> list[Prediction]:
        """Return a prediction for each score, (inputs,); NaN raises no alarm."""
        limit = np.inf if self.threshold is None else self.threshold.value
        causes = [None] * len(scores) if errors is None else errors
        triples = zip((scores > limit).tolist(), scores.tolist(), causes, strict=True)
        return [Prediction(*each) for each in triples]

    # Judgement

    @cached_property
    def threshold(self) -> Threshold | None:
        """The threshold, and the rate of false alarms that it promises; None before calibration."""
        if not self.held_out.count:
            return None
        if self.decides_by_cost:
            costs = Cost.parse(self.cost, self.rate or 0.0)
            return self.held_out.cheapest(self.anomalies, costs)
        lowest = promise.lowest(self.held_out.count)
        return self.held_out.promise(self.false_alarms or max(USUAL_RATE, lowest))

    def calibrate(self, predictions: Sequence[Prediction], held_out: Sequence[Any]) -> Self:
        """Learn what errors are usual, and keep the scores that the threshold is set on."""
        task, odd = self, self.truths(held_out) == 1
        errors = [each.errors for each in predictions]
        if all(each is not None for each in errors):
            by = self.by_column(cast("list[Numbers]", errors))
            usual = np.maximum(np.nanmean(by[~odd], axis=0), LEAST_USUAL)
            task = replace(self, usual=tuple(usual.tolist()))
            predictions = task.predictions(cast("list[Numbers]", errors))
        scores = np.array([each.score for each in predictions])
        known = ~np.isnan(scores)
        normal_scores, anomalies = scores[known & ~odd], np.sort(scores[known & odd])
        some = np.linspace(0, len(anomalies) - 1, min(len(anomalies), MOST_ANOMALIES))
        return replace(
            task,
            held_out=HeldOut.of(normal_scores, self.independent(held_out)),
            anomalies=tuple(anomalies[some.round().astype(int)].tolist()),
            suspicious=promise.far_off(normal_scores),
        )

    def independent(self, examples: Sequence[Any]) -> float:
        """Return how many independent examples carry as much information as these."""
        return float(len(examples))

    @property
    def ranks_by(self) -> str | None:
        return "" if self.rate is not None else None

    @property
    def selects(self) -> str:
        return LOSS

    def truths(self, examples: Sequence[Any]) -> NDArray[np.int64]:
        """Return 1 for each anomaly, 0 for each normal example, -1 where that is not known."""
        marks = [each.anomalous for each in examples]
        return np.array([-1 if each is None else int(each) for each in marks], dtype=np.int64)

    def score(self, predictions: Sequence[Prediction], examples: Sequence[Any]) -> dict[str, Score]:
        truths = self.truths(examples)
        scores = np.array([each.score for each in predictions], dtype=float)
        alarms = np.array([each.alarm for each in predictions], dtype=bool)
        truths = np.where(np.isnan(scores), -1, truths)
        if self.rate is None and not (truths >= 0).any():
            return {"alarm_rate": metrics.alarm_rate(alarms)}
        found = {
            "auroc": detect_words.named(ranking.roc_auc(scores, truths), "AUROC"),
            "average_precision": ranking.average_precision(scores, truths),
            "false_alarm_rate": metrics.false_alarm_rate(alarms, truths),
            "recall": metrics.recall(alarms, truths),
        }
        if self.cost:
            costs = Cost.parse(self.cost, self.rate or 0.0)
            found["cost"] = metrics.expected_cost(alarms, truths, costs)
        return found

    # Presentation

    @property
    def choices(self) -> Sequence[str]:
        return (NORMAL, ANOMALY)

    def truth(self, example: Any) -> str:
        return "" if example.anomalous is None else ANOMALY if example.anomalous else NORMAL

    def describe(self, prediction: Prediction) -> tuple[str, float | None]:
        return ANOMALY if prediction.alarm else NORMAL, None

    def records(self, example: Any, prediction: Prediction) -> list[dict[str, Any]]:
        answer, _ = self.describe(prediction)
        limit = None if self.threshold is None else self.threshold.value
        row: dict[str, Any] = {"answer": answer, "score": prediction.score, "threshold": limit}
        cause = self.cause(prediction)
        return [row | ({} if cause is None else {"because": cause})]

    def cause(self, prediction: Prediction) -> str | None:
        """Return the columns with the largest shares in a score, or the worst step of a series."""
        if prediction.errors is None or not isinstance(self.processor, Scaled):
            return None
        if self.columns == 1:
            steps = prediction.errors.reshape(-1)
            return f"step {int(steps.argmax()) + 1}" if len(steps) > 1 else None
        if np.isnan(prediction.score):
            return ""
        shares = self.shares(prediction)
        names = self.processor.names or [str(column) for column in range(self.columns)]
        worst = np.argsort(-shares, kind="stable")[:CULPRITS].tolist()
        return ", ".join(f"{names[at]} {100 * shares[at]:.0f} %" for at in worst)

    def shares(self, prediction: Prediction) -> Numbers:
        """Return the share of each column in a score, (columns,)."""
        assert prediction.errors is not None, "a method without errors has no shares"
        (by,) = self.by_column([prediction.errors])
        return metrics.shares(by, self.usual or np.ones(self.columns))

    def error(self, prediction: Prediction, example: Any) -> float:
        """Return 0 for a right answer, and else 1 and how far the score is from the threshold."""
        answer, _ = self.describe(prediction)
        if self.truth(example) in ("", answer) or self.threshold is None:
            return 0.0
        low, high = sorted([max(prediction.score, 0.0), max(self.threshold.value, 0.0)])
        return 2.0 - low / high if high else 1.0

    def check(self, parts: Mapping[str, Sequence[Any]]) -> list[Finding]:
        truths = [self.truths(part) for part in parts.values()]
        held_out = int((self.truths(parts.get(CALIBRATION, ())) != 1).sum())
        return [
            *super().check(parts),
            Finding("labels", detect_words.say_labels(np.concatenate(truths), self.label_column)),
            Finding("threshold", self.say_promise(held_out)),
        ]

    def say_promise(self, count: int) -> str:
        """Say how the threshold will be set on so many normal examples."""
        if self.decides_by_cost:
            return f"the cheapest for {self.cost}, set on {count:,} normal rows and the anomalies"
        asked = self.false_alarms or max(USUAL_RATE, promise.lowest(count))
        return detect_words.say_promise(asked, count)

    def remarks(
        self, name: str, predictions: Sequence[Prediction], examples: Sequence[Any]
    ) -> list[str]:
        truths, alarms = self.truths(examples), np.array([each.alarm for each in predictions])
        said = [] if self.threshold is None else [
            detect_words.say_threshold(name, self.threshold, self.held_out, truths, alarms)
        ]  # fmt: skip
        if self.suspicious:
            said.append(detect_words.say_suspicious(self.suspicious, self.held_out.count))
        return [*said, *detect_words.say_one_kind(truths)]

    def figures(self, predictions: Sequence[Prediction], examples: Sequence[Any]) -> list[Figure]:
        if not len(predictions):
            return []
        return [detect_figures.scores(self, predictions, self.truths(examples))]

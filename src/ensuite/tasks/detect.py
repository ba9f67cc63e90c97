"""Detect: anomalies, by how badly an autoencoder of normal data reconstructs them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self, cast

import numpy as np

from ensuite.core.errors import DataError
from ensuite.core.keys import Keys, Split
from ensuite.core.split import CALIBRATION
from ensuite.core.table import Table
from ensuite.data import anomaly, inputs
from ensuite.metrics.promise import Cost
from ensuite.tasks import detect_words
from ensuite.tasks.detector import Detector, Prediction

__all__ = ["Detect", "Example", "Prediction"]


class Example(NamedTuple):
    """An input, and whether it is an anomaly; None where that is not known."""

    input: Any
    anomalous: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Detect(Detector):
    """Find anomalies after training on normal data alone.

    The score of an input is its mean squared reconstruction error, each column divided by its mean
    error over held-out normal inputs. An input whose score is above the threshold raises an alarm.
    The threshold is set on normal inputs that choose no weights: a quarter of the training rows.

    Args:
        normal: What marks a normal row in the column of labels; empty: 0, normal, false or no. Any
            other mark is that of an anomaly, which is scored and never trained on.
        window: Steps of the windows that a long series is read in, each row of the file being a
            step, which has a score of its own. 0: each row is an input of its own.
        stride: Steps between the beginnings of two windows. 0: a quarter of a window.
        live: Score each step by the window that ends with it, as a stream does, instead of by all
            windows that it is in. The first steps of a series, before a whole window, have none.

    Sources:
        Autoencoders: Sakurada & Yairi (2014), https://doi.org/10.1145/2689746.2689747
        Thresholds on held-out data: Laxhammar & Falkman (2010),
        https://doi.org/10.1145/1833280.1833287 (conformal anomaly detection)
    """

    normal: str = ""
    window: int = 0
    stride: int = 0
    live: bool = False

    roles: ClassVar[tuple[str, ...]] = ("label", "time", "series", "value", "image")
    label_names: ClassVar[tuple[str, ...]] = anomaly.NAMES

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window < 0 or self.window == 1 or not 0 <= self.stride <= self.window:
            raise ValueError("window must be 2 or more, or 0; stride at most as large as a window")

    # Data

    def read(
        self, table: Table, given: Mapping[str, str], *, asking: bool = False
    ) -> tuple[Self, Sequence[Any]]:
        if self.window:
            from ensuite.tasks.detect_steps import DetectSteps  # here, since it builds on this

            found: Any = DetectSteps.of(self).read(table, given, asking=asking)
            return cast("tuple[Self, Sequence[Any]]", found)
        labelled, anomalous = self.read_labels(table, given, asking=asking)
        but = {labelled.label_column, *given.get("label", "").split(","), given.get("time", "")}
        task, raws = labelled.read_inputs(table, given, but)
        if labelled.label_column in table.columns:
            table.note("label", labelled.label_column)
        return task, [Example(*pair) for pair in zip(raws, anomalous, strict=True)]

    def read_labels(
        self, table: Table, given: Mapping[str, str], *, asking: bool
    ) -> tuple[Self, list[bool | None]]:
        """Return the task that knows the column of labels, and whether each row is an anomaly.

        Raises:
            DataError: If no training row is normal.
        """
        column = anomaly.find(table, given, self.label_column, self.label_names)
        if column is None:
            return self, [None] * table.rows
        anomalous = anomaly.read(table, column, self.normal)
        known = [each for each in anomalous if each is not None]
        if self.rate is None and not asking:  # the training file
            anomaly.require_normal(table, column, anomalous)
            rate = sum(known) / max(1, len(known))
            return replace(self, label_column=column, rate=rate), anomalous
        return self, [None] * table.rows if asking else anomalous

    def ask(self, raw: Any) -> Any:
        return raw if isinstance(raw, Example) else Example(inputs.ask(raw, self.processor))

    def keys(self, example: Any) -> Keys:
        return super().keys(example)._replace(learn=example.anomalous is not True)

    def divide(
        self, parts: Mapping[str, Sequence[Any]], how: Split
    ) -> tuple[Mapping[str, Sequence[Any]], str]:
        """Divide the normal rows; anomalies are tested on, and held out where costs decide.

        Raises:
            DataError: If there are too few normal rows for the promise, or the labels of the test
                part are all the same.
        """
        found, said = super().divide(parts, how)
        divided = dict(found)
        if self.decides_by_cost:
            divided, added = self._hold_out_anomalies(parts, divided)
            said = f"{said}; {added}"
        self.require_promise(count_normal(divided[CALIBRATION]), count_normal(parts["train"]))
        detect_words.require_both(self.truths(divided["test"]))
        return divided, said

    def _hold_out_anomalies(
        self, parts: Mapping[str, Sequence[Any]], divided: Mapping[str, Sequence[Any]]
    ) -> tuple[dict[str, Sequence[Example]], str]:
        """Move half of the anomalies of the training file to the calibration part.

        Where the test part has a file of its own, they are all moved.
        """
        odd = [example for example in parts["train"] if example.anomalous]
        costs = Cost.parse(self.cost, self.rate or 0.0)
        if not odd or not costs.rate:
            raise DataError(
                "cost needs labelled anomalies in the training file, and there is none: name the "
                "column of labels (--column label=NAME), or ask for false_alarms instead."
            )
        order = np.random.default_rng(0).permutation(len(odd))
        half = len(odd) if "test" in parts else max(1, len(odd) // 2)
        moved = [odd[place] for place in sorted(order[:half])]
        gone = {id(each) for each in moved}
        kept = [each for each in divided["test"] if id(each) not in gone]
        together = [*divided[CALIBRATION], *moved]
        sentence = f"{len(moved):,} anomalies held out to set the threshold by cost"
        return {**divided, "test": kept, CALIBRATION: together}, sentence


def count_normal(examples: Sequence[Any]) -> int:
    """Count the examples that are taken for normal."""
    return sum(example.anomalous is not True for example in examples)

"""Watch a series whose readings come one at a time, in constant memory.

stream = DetectStream(ensuite.load("runs/detect-pump-1"))
for reading in sensor:
    if stream.read(reading).alarm:
        print("anomaly")
"""

from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ensuite.core.errors import DataError, UsageError
from ensuite.data.readings import UNKNOWN, Reading, Track
from ensuite.data.series import TIMELESS, Series
from ensuite.tasks.detect import Prediction
from ensuite.tasks.detect_steps import DetectSteps

Numbers = NDArray[np.float64]


class Predicts(Protocol):
    """What a stream needs of a predictor."""

    @property
    def task(self) -> Any: ...
    def predict_examples(self, examples: Sequence[Any]) -> list[Any]:
        """Return one prediction for each example."""
        ...


class DetectStream:
    """Score one reading at a time by the window that ends with it.

    The last ``window`` readings are kept, and an answer is the same as that for the last row of a
    file which ends with the reading. A reading may be NaN: it is missing, and has no score.

    Args:
        predictor: A run of the task detect over the steps of a series, a network or a baseline.

    Raises:
        UsageError: If the run scores steps by readings that come later, or reads no series.
    """

    def __init__(self, predictor: Predicts) -> None:
        task = predictor.task
        if not isinstance(task, DetectSteps) or not task.live:
            raise UsageError(
                "A stream needs a run that scores each step by the window that ends with it: train "
                "with --set task.window=STEPS and --set task.live=true."
            )
        self.predictor, self.task = predictor, task
        self.buffer: deque[Numbers] = deque(maxlen=task.window)

    def read(self, reading: ArrayLike) -> Prediction:
        """Take in one step, a number or one for each column, and return its score and alarm.

        The score is NaN before a whole window has come.

        Raises:
            DataError: If it is not as many numbers as there are columns.
        """
        values = np.asarray(reading, dtype=np.float64).reshape(-1)
        if len(values) != len(self.task.names):
            raise DataError(
                f"A reading has {len(values)} numbers; give {len(self.task.names)}, one for each "
                f"of {', '.join(self.task.names)}."
            )
        self.buffer.append(values)
        if len(self.buffer) < self.task.window or np.isnan(values).all():
            return Prediction(False, np.nan)
        series = Series.plain("", TIMELESS, np.stack(self.buffer))
        marks = np.full(len(series), UNKNOWN, dtype=np.int64)
        last = Reading(Track(series, 0, len(series), 0, marks), len(series) - 1)
        prediction: Prediction = self.predictor.predict_examples([last])[0]
        return prediction

"""Baseline of fill: the frequency of each token."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ensuite.core.baseline import Baseline
from ensuite.data.processors.documents import ID
from ensuite.tasks.fill import Fill
from ensuite.tasks.fill_answers import Piece, Prediction, choose
from ensuite.tasks.fill_examples import Example


@dataclass(frozen=True, eq=False)
class Unigram(Baseline):
    """Predict each hidden token by its frequency in training, whatever stands around it.

    Each token is counted once more than it was seen (Laplace smoothing). Whether a text follows
    another is not known: every pair is said to follow.

    Args:
        shares: (vocabulary,), the probability of each token.
    """

    shares: NDArray[np.float64]

    name: ClassVar[str] = "unigram"

    @classmethod
    def fits(cls, task: Fill) -> bool:
        return True

    @classmethod
    def fit(cls, task: Fill, train: Sequence[Example], valid: Sequence[Example], seed: int) -> Self:
        reading = task.reading
        counts = np.zeros(reading.size)
        counts[reading.ordinary] = 1.0
        if reading.special.unknown is not None:
            counts[reading.special.unknown] = 1.0
        for ids in reading.encode(task.raws(train)):
            counts += np.bincount(ids[:, ID], minlength=len(counts))
        return cls(counts / counts.sum())

    def predict(self, task: Fill, examples: Sequence[Example]) -> list[Prediction]:
        items = task.items(examples, asking=True)
        most, choices = int(self.shares.argmax()), choose(self.shares, task.reading, task.k)
        pieces = []
        for item in items:
            hidden = np.zeros(len(item.first), bool) if item.hidden is None else item.hidden
            ids = item.first[hidden, ID]
            asked = [choices] * int((item.first[:, ID] == task.reading.mask_id).sum())
            ids = ids[ids != task.reading.mask_id]
            pieces.append(Piece(-np.log2(self.shares[ids]), ids == most, asked, 0.5))
        return task.merge(examples, items, pieces)

    @property
    def parameters(self) -> int:
        return len(self.shares)

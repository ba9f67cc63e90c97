"""Baseline of tag: the most frequent tag of each word."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ensuite.core.baseline import Baseline
from ensuite.data.processors.text import UNKNOWN
from ensuite.tasks.tag import Example, Prediction, Tag


@dataclass(frozen=True, eq=False)
class MostFrequentTag(Baseline):
    """Predict the most frequent tag of each word in training; among equals the first in tag order.

    A word that is not in the training examples gets the most frequent tag of all.

    Args:
        tags: (vocabulary,), number of the tag of each word, by the word's id.
        shares: (vocabulary,), share of the occurrences of the word that have it.
    """

    tags: NDArray[np.int32]
    shares: NDArray[np.float32]

    name: ClassVar[str] = "most frequent tag"

    @classmethod
    def fits(cls, task: Tag) -> bool:
        return True

    @classmethod
    def fit(cls, task: Tag, train: Sequence[Example], valid: Sequence[Example], seed: int) -> Self:
        counts = np.zeros((task.processor.size, len(task.labels)), dtype=np.int64)
        known = [example for example in train if example.tags]
        words = task.processor.encode(task.raws(known))
        for example, rows in zip(known, words, strict=True):
            np.add.at(counts, (rows[:, 0], task.targets(example)), 1)
        unseen = counts.sum(1) == 0
        unseen[UNKNOWN] = True
        counts[unseen] = counts.sum(0)
        shares = counts.max(1) / counts.sum(1)
        return cls(counts.argmax(1).astype(np.int32), shares.astype(np.float32))

    def predict(self, task: Tag, examples: Sequence[Example]) -> list[Prediction]:
        encoded = task.processor.encode(task.raws(examples))
        words = [rows[:, 0] for rows in encoded]
        return [
            task.prediction(example.tokens, self.tags[ids], self.shares[ids])
            for example, ids in zip(examples, words, strict=True)
        ]

    @property
    def parameters(self) -> int:
        return self.tags.size

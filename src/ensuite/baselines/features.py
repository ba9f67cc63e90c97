"""What linear methods read: the terms of a text, or the numbers of a row, an image or a series."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ensuite.baselines.text import inverse_document_frequency, learn_terms, make_counter, weigh
from ensuite.core.baseline import Baseline
from ensuite.data.processors import Processor

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import CountVectorizer

Numbers = NDArray[Any]

STEADY = 1e-6
"""Deviation, of numbers scaled to 1, below which a column counts as never changing."""

LONGEST_FLAT = 5_000
"""Numbers of a series up to which each of them is a column of its own."""

UNFITTED = np.zeros((0, 0))
"""Weights that are still to be fitted."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Linear(Baseline):
    """Weighs columns and adds them up; what they are is left to those who extend it.

    Args:
        weights: (columns, outputs).
        bias: (outputs,).
    """

    weights: Numbers
    bias: Numbers

    kinds: ClassVar[tuple[str, ...]]
    """What an input may be."""

    @classmethod
    def fits(cls, task: Any) -> bool:
        return task.processor.kind in cls.kinds

    @abstractmethod
    def features(self, processor: Processor, raws: Sequence[Any]) -> Any:
        """Return an array or sparse matrix, (inputs, columns)."""

    @property
    def parameters(self) -> int:
        return self.weights.size + self.bias.size


@dataclass(frozen=True, eq=False, kw_only=True)
class OnTerms(Linear):
    """Reads which words, or characters, a text has; blind to their order.

    Args:
        terms: The columns, as :func:`ensuite.baselines.text.learn_terms` packs them.
        idf: (columns,), inverse document frequency.
        characters: Whether terms are runs of characters rather than of words.
        lowercase: Whether upper and lower case are the same.
    """

    terms: Numbers
    idf: Numbers
    characters: bool
    lowercase: bool

    kinds: ClassVar[tuple[str, ...]] = ("text",)

    @classmethod
    def learn(
        cls, processor: Processor, raws: Sequence[Any], most: int
    ) -> tuple[dict[str, Any], Any]:
        """Return the fields above for a set of texts, and the features of those.

        Args:
            processor: As prepared for the networks.
            raws: The texts.
            most: How many terms are kept, the most frequent.
        """
        how = {
            "characters": getattr(processor, "unit", "words") == "characters",
            "lowercase": bool(getattr(processor, "lowercase", True)),
        }
        terms, counts = learn_terms(raws, **how, most=most)
        idf = inverse_document_frequency(counts)
        return {"terms": terms, "idf": idf, **how}, weigh(counts, idf)

    @cached_property
    def counter(self) -> "CountVectorizer":
        """What counts the terms of a text."""
        return make_counter(self.terms, characters=self.characters, lowercase=self.lowercase)

    def features(self, processor: Processor, raws: Sequence[Any]) -> Any:
        return weigh(self.counter.transform(raws), self.idf)


@dataclass(frozen=True, eq=False, kw_only=True)
class OnNumbers(Linear):
    """Reads the numbers of a row, an image, or a series.

    Series of one length are read number by number. Those of several, or of more than 5,000
    numbers, are described: mean, deviation, first and last value of each feature, and length.

    Args:
        mean: (columns,), over the training rows.
        deviation: (columns,), likewise; 1 where a column never changes.
        flat: Whether inputs are read number by number.
    """

    mean: Numbers
    deviation: Numbers
    flat: bool

    kinds: ClassVar[tuple[str, ...]] = ("series", "row", "image")

    @classmethod
    def learn(cls, processor: Processor, raws: Sequence[Any]) -> tuple[dict[str, Any], Numbers]:
        """Return the fields above for a set of inputs, and the features of those."""
        arrays = _arrays(processor, raws)
        sizes = {array.size for array in arrays}
        flat = processor.kind != "series" or (len(sizes) == 1 and max(sizes) <= LONGEST_FLAT)
        columns = np.stack([_describe(array, flat) for array in arrays])
        mean, deviation = columns.mean(0), columns.std(0)
        deviation[deviation < STEADY] = 1.0
        columns -= mean
        columns /= deviation
        return {"mean": mean, "deviation": deviation, "flat": flat}, columns

    def features(self, processor: Processor, raws: Sequence[Any]) -> Numbers:
        features = np.zeros((len(raws), len(self.mean)))  # a missing end is taken as the mean
        for row, array in zip(features, _arrays(processor, raws), strict=True):
            columns = _describe(array, self.flat)[: len(row)]
            end = len(columns)
            row[:end] = (columns - self.mean[:end]) / self.deviation[:end]
        return features


def _arrays(processor: Processor, raws: Sequence[Any]) -> list[Numbers]:
    """Return inputs as the processor scales and checks them, each whole."""
    return [processor.scale(np.concatenate(w)) for w in processor.windows(raws)]


def _describe(array: Numbers, flat: bool) -> Numbers:
    """Return an input as columns: its numbers, or what sums up a series (time, features)."""
    if flat:  # pictures of bytes are many: half the memory, and twice as fast
        return array.ravel().astype(np.float32 if array.dtype == np.uint8 else float)
    steps = array.astype(float)
    return np.concatenate([steps.mean(0), steps.std(0), steps[0], steps[-1], [len(steps)]])

"""Features of linear methods: the terms of a text, the numbers of a row, an image or a series."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ensuite.baselines.text import inverse_document_frequency, learn_terms, make_counter, weigh
from ensuite.core.baseline import Baseline
from ensuite.data.processors import Processor

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import CountVectorizer

Numbers = NDArray[Any]

STEADY = 1e-6
"""Standard deviation, of scaled numbers, below which a column counts as constant."""

LONGEST_FLAT = 5_000
"""Most numbers of a series of which each is a column of its own."""

UNFITTED = np.zeros((0, 0))
"""Weights before they are fitted."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Linear(Baseline):
    """A linear function of features; subclasses say which features, and how it is fitted.

    Args:
        weights: (columns, outputs).
        bias: (outputs,).
    """

    weights: Numbers
    bias: Numbers

    kinds: ClassVar[tuple[str, ...]]
    """The kinds of input that it reads."""

    @classmethod
    def fits(cls, task: Any) -> bool:
        return task.processor.kind in cls.kinds

    @classmethod
    def fit(cls, task: Any, train: Sequence[Any], valid: Sequence[Any], seed: int) -> Self:
        train, valid = cls.labelled(task, train), cls.labelled(task, valid)
        learned, features = cls.learn(task.processor, task.raws(train), cls.most_terms(task))
        unfitted = cls(**learned, weights=UNFITTED, bias=UNFITTED)
        held_out = unfitted.features(task.processor, task.raws(valid)) if valid else None
        weights, bias = cls.solve(task, (features, held_out), (train, valid))
        return replace(unfitted, weights=weights, bias=bias)

    def outputs(self, task: Any, examples: Sequence[Any]) -> Numbers:
        """Return the linear function of each example, (examples, outputs)."""
        outputs: Numbers = self.features(task.processor, task.raws(examples)) @ self.weights
        return outputs + self.bias

    # What a task says

    @classmethod
    @abstractmethod
    def labelled(cls, task: Any, examples: Sequence[Any]) -> list[Any]:
        """Return the examples whose truth is known."""

    @classmethod
    @abstractmethod
    def most_terms(cls, task: Any) -> int:
        """Return the most terms of texts that are features."""

    @classmethod
    @abstractmethod
    def solve(
        cls, task: Any, features: tuple[Any, Any], parts: Sequence[Sequence[Any]]
    ) -> tuple[Numbers, Numbers]:
        """Return weights and bias, with the penalty that does best on the validation examples.

        Args:
            task: Prepared.
            features: (examples, columns) of the training and of the validation examples; None
                where there are none of the latter.
            parts: The training and validation examples.
        """

    # What the kind of input says

    @classmethod
    @abstractmethod
    def learn(
        cls, processor: Processor, raws: Sequence[Any], most: int
    ) -> tuple[dict[str, Any], Any]:
        """Return the fields that the features depend on, and the features of the training inputs.

        Args:
            processor: As prepared for the networks.
            raws: The training inputs.
            most: Most terms that are kept, the most frequent; of inputs that are texts.
        """

    @abstractmethod
    def features(self, processor: Processor, raws: Sequence[Any]) -> Any:
        """Return an array or sparse matrix, (inputs, columns)."""

    @property
    def parameters(self) -> int:
        return self.weights.size + self.bias.size


@dataclass(frozen=True, eq=False, kw_only=True)
class OnTerms(Linear):
    """Features that count the words, or runs of characters, of a text (TF-IDF).

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
        how = {
            "characters": getattr(processor, "unit", "words") == "characters",
            "lowercase": bool(getattr(processor, "lowercase", True)),
        }
        terms, counts = learn_terms(raws, **how, most=most)
        idf = inverse_document_frequency(counts)
        return {"terms": terms, "idf": idf, **how}, weigh(counts, idf)

    @cached_property
    def counter(self) -> "CountVectorizer":
        """Counts the terms of a text."""
        return make_counter(self.terms, characters=self.characters, lowercase=self.lowercase)

    def features(self, processor: Processor, raws: Sequence[Any]) -> Any:
        return weigh(self.counter.transform(raws), self.idf)


@dataclass(frozen=True, eq=False, kw_only=True)
class OnNumbers(Linear):
    """Features that are the numbers of a row, an image, or a series.

    Series of one length have a column for each number. Those of several lengths, or of more than
    5,000 numbers, are summarised: mean, deviation, first and last value of each feature, length.

    Args:
        mean: (columns,), over the training rows.
        deviation: (columns,), likewise; 1 where a column never changes.
        flat: Whether each number is a column.
    """

    mean: Numbers
    deviation: Numbers
    flat: bool

    kinds: ClassVar[tuple[str, ...]] = ("series", "row", "image")

    @classmethod
    def learn(
        cls, processor: Processor, raws: Sequence[Any], most: int
    ) -> tuple[dict[str, Any], Numbers]:
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
        features = np.zeros(
            (len(raws), len(self.mean))
        )  # zero: the mean, for the end of a shorter series
        for row, array in zip(features, _arrays(processor, raws), strict=True):
            columns = _describe(array, self.flat)[: len(row)]
            end = len(columns)
            row[:end] = (columns - self.mean[:end]) / self.deviation[:end]
        return features


def _arrays(processor: Processor, raws: Sequence[Any]) -> list[Numbers]:
    """Return each whole input, scaled and checked by the processor."""
    return [processor.normalise(np.concatenate(windows)) for windows in processor.windows(raws)]


def _describe(array: Numbers, flat: bool) -> Numbers:
    """Return an input as columns: its numbers, or a summary of a series (time, features)."""
    if flat:  # float32 for images of bytes: half the memory, and twice as fast
        return array.ravel().astype(np.float32 if array.dtype == np.uint8 else float)
    steps = array.astype(float)
    return np.concatenate([steps.mean(0), steps.std(0), steps[0], steps[-1], [len(steps)]])

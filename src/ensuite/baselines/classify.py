"""What a classifier must beat: the most frequent label, and logistic regression."""

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ensuite.baselines.text import inverse_document_frequency, learn_terms, make_counter, weigh
from ensuite.core.baseline import Baseline
from ensuite.metrics.classification import log_loss, multilabel_log_loss
from ensuite.tasks.classify import Classify, Example, Prediction, each_label

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import CountVectorizer

Numbers = NDArray[Any]

TEXT_STRENGTHS = (10.0, 1.0)
NUMBER_STRENGTHS = (1.0, 0.01)
"""Inverse penalties (scikit-learn's C) that are tried; the first where nothing tells them apart."""

MOST_ITERATIONS = 300
"""Of L-BFGS. Texts need about 20; numbers that overlap little may go on for ever."""

MOST_WEIGHTS = 5_000_000
"""Terms times labels that are fitted: L-BFGS holds some twenty copies, 400 MB."""

STEADY = 1e-6
"""Deviation, of numbers scaled to 1, below which a column counts as never changing."""

UNFITTED = np.zeros((0, 0))
"""Weights that are still to be fitted."""

LONGEST_FLAT = 5_000
"""Numbers of a series up to which each of them is a column of its own."""


@dataclass(frozen=True, eq=False)
class MostFrequent(Baseline):
    """Always answer the label that most training rows have.

    Args:
        shares: (labels,), share of the training rows that have each label.
    """

    shares: Numbers

    name: ClassVar[str] = "most frequent"

    @classmethod
    def fits(cls, task: Classify) -> bool:
        return True

    @classmethod
    def fit(
        cls, task: Classify, train: Sequence[Example], valid: Sequence[Example], seed: int
    ) -> Self:
        return cls(_indicators(task, _labelled(train)).mean(0))

    def predict(self, task: Classify, examples: Sequence[Example]) -> list[Prediction]:
        return task.predictions(np.tile(self.shares, (len(examples), 1)))

    @property
    def parameters(self) -> int:
        return 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Logistic(Baseline):
    """Logistic regression; what an input's columns are is left to those who extend it.

    Args:
        weights: (columns, outputs).
        bias: (outputs,). Of two labels that exclude each other there is one output, the log odds
            of the second; else there is one for each label.
    """

    weights: Numbers
    bias: Numbers

    @abstractmethod
    def features(self, task: Classify, examples: Sequence[Example]) -> Any:
        """Return an array or sparse matrix, (examples, columns)."""

    def predict(self, task: Classify, examples: Sequence[Example]) -> list[Prediction]:
        logits = self.features(task, examples) @ self.weights + self.bias
        return task.predictions(_probabilities(logits, task))

    @property
    def parameters(self) -> int:
        return self.weights.size + self.bias.size


@dataclass(frozen=True, eq=False, kw_only=True)
class TfidfLogistic(Logistic):
    """Logistic regression on which words, or characters, a text has; blind to their order.

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

    name: ClassVar[str] = "TF-IDF + logistic"

    @classmethod
    def fits(cls, task: Classify) -> bool:
        return task.processor.kind == "text"

    @classmethod
    def fit(
        cls, task: Classify, train: Sequence[Example], valid: Sequence[Example], seed: int
    ) -> Self:
        train, valid = _labelled(train), _labelled(valid)
        characters = getattr(task.processor, "unit", "words") == "characters"
        lowercase = bool(getattr(task.processor, "lowercase", True))
        terms, counts = learn_terms(
            [e.input for e in train],
            characters=characters, lowercase=lowercase, most=MOST_WEIGHTS // len(task.labels),
        )  # fmt: skip
        unfitted = cls(
            terms=terms, idf=inverse_document_frequency(counts), weights=UNFITTED, bias=UNFITTED,
            characters=characters, lowercase=lowercase,
        )  # fmt: skip
        features = (weigh(counts, unfitted.idf), unfitted.features(task, valid))
        weights, bias = _best_fit(task, features, (train, valid), TEXT_STRENGTHS)
        return replace(unfitted, weights=weights, bias=bias)

    @cached_property
    def counter(self) -> "CountVectorizer":
        """What counts the terms of a text."""
        return make_counter(self.terms, characters=self.characters, lowercase=self.lowercase)

    def features(self, task: Classify, examples: Sequence[Example]) -> Any:
        return weigh(self.counter.transform([e.input for e in examples]), self.idf)


@dataclass(frozen=True, eq=False, kw_only=True)
class NumberLogistic(Logistic):
    """Logistic regression on numbers: a row, an image, or a series.

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

    name: ClassVar[str] = "logistic regression"

    @classmethod
    def fits(cls, task: Classify) -> bool:
        return task.processor.kind in ("series", "row", "image")

    @classmethod
    def fit(
        cls, task: Classify, train: Sequence[Example], valid: Sequence[Example], seed: int
    ) -> Self:
        train, valid = _labelled(train), _labelled(valid)
        arrays = _arrays(task, train)
        sizes = {array.size for array in arrays}
        flat = task.processor.kind != "series" or (len(sizes) == 1 and max(sizes) <= LONGEST_FLAT)
        columns = np.stack([_describe(array, flat) for array in arrays])
        mean, deviation = columns.mean(0), columns.std(0)
        deviation[deviation < STEADY] = 1.0
        unfitted = cls(mean=mean, deviation=deviation, flat=flat, weights=UNFITTED, bias=UNFITTED)
        features = ((columns - mean) / deviation, unfitted.features(task, valid))
        weights, bias = _best_fit(task, features, (train, valid), NUMBER_STRENGTHS)
        return replace(unfitted, weights=weights, bias=bias)

    def features(self, task: Classify, examples: Sequence[Example]) -> Numbers:
        features = np.zeros((len(examples), len(self.mean)))  # a missing end is taken as the mean
        for row, array in zip(features, _arrays(task, examples), strict=True):
            columns = _describe(array, self.flat)[: len(row)]
            end = len(columns)
            row[:end] = (columns - self.mean[:end]) / self.deviation[:end]
        return features


def _arrays(task: Classify, examples: Sequence[Example]) -> list[Numbers]:
    """Return inputs as the processor scales and checks them, each whole."""
    cut = task.processor.windows([e.input for e in examples])
    return [np.concatenate(windows) for windows in cut]


def _describe(array: Numbers, flat: bool) -> Numbers:
    """Return an input as columns: its numbers, or what sums up a series (time, features)."""
    if flat:
        return array.ravel().astype(float)
    steps = array.astype(float)
    return np.concatenate([steps.mean(0), steps.std(0), steps[0], steps[-1], [len(steps)]])


def _labelled(examples: Sequence[Example]) -> list[Example]:
    return [e for e in examples if e.label is not None]


def _indicators(task: Classify, examples: Sequence[Example]) -> Numbers:
    """Return 1 where an example has a label and 0 elsewhere, (examples, labels)."""
    indicators = np.zeros((len(examples), len(task.labels)))
    for row, example in zip(indicators, examples, strict=True):
        row[[task.labels.encode(name) for name in each_label(example.label)]] = 1
    return indicators


def _best_fit(
    task: Classify,
    features: Sequence[Any],
    parts: Sequence[Sequence[Example]],
    strengths: Sequence[float],
) -> tuple[Numbers, Numbers]:
    """Return weights and bias for the penalty that does best on the validation rows.

    Args:
        task: Prepared.
        features: (examples, columns) of the training rows, and of the validation rows.
        parts: Their examples.
        strengths: Inverse penalties to choose from; the first where there are no validation rows.
    """
    learn, held_out = (_indicators(task, part) for part in parts)
    if not len(held_out):
        return _fit(task, features[0], learn, strengths[0])

    def loss(fitted: tuple[Numbers, Numbers]) -> float:
        weights, bias = fitted
        probabilities = _probabilities(features[1] @ weights + bias, task)
        if task.several:
            return multilabel_log_loss(probabilities, held_out).value
        return log_loss(probabilities, held_out.argmax(1)).value

    return min((_fit(task, features[0], learn, each) for each in strengths), key=loss)


def _fit(
    task: Classify, features: Any, indicators: Numbers, strength: float
) -> tuple[Numbers, Numbers]:
    if not task.several:
        return _regress(features, indicators.argmax(1), strength)
    fitted = [_regress(features, column, strength) for column in indicators.T]
    weights, biases = zip(*fitted, strict=True)
    return np.hstack(weights), np.concatenate(biases)


def _regress(features: Any, targets: Numbers, strength: float) -> tuple[Numbers, Numbers]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(targets)) == 1:  # a label that all rows have, or none
        log_odds = np.log(len(targets) + 1)  # Laplace's rule of succession
        return np.zeros((features.shape[1], 1)), np.array([log_odds if targets[0] else -log_odds])
    model = LogisticRegression(C=strength, max_iter=MOST_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, targets)
    return np.ascontiguousarray(model.coef_.T), model.intercept_


def _probabilities(logits: Numbers, task: Classify) -> Numbers:
    """Return probabilities, (examples, labels): of each label alone, or of one among all."""
    logits = np.asarray(logits, dtype=float)
    if not task.several and logits.shape[1] == 1:
        logits = np.hstack([np.zeros_like(logits), logits])
    norm = np.logaddexp(0, logits) if task.several else np.logaddexp.reduce(logits, 1)[:, None]
    probabilities: Numbers = np.exp(logits - norm)
    return probabilities

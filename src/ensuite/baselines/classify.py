"""Baselines of classify: the most frequent label, and logistic regression."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ensuite.baselines.features import Linear, OnNumbers, OnTerms
from ensuite.core.baseline import Baseline
from ensuite.metrics.classification import log_loss, multilabel_log_loss
from ensuite.tasks.classify import Classify, Example, Prediction, each_label

Numbers = NDArray[Any]

MOST_ITERATIONS = 300
"""Most iterations of L-BFGS. Texts need about 20; separable numbers may never converge."""

MOST_WEIGHTS = 5_000_000
"""Most terms times labels: L-BFGS holds about twenty copies, 400 MB."""


@dataclass(frozen=True, eq=False)
class MostFrequent(Baseline):
    """Always predict the most frequent label of the training examples.

    Args:
        shares: (labels,), share of the training examples that have each label.
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
class Logistic(Linear):
    """Logistic regression.

    Of two labels that exclude each other there is one output, the log odds of the second;
    otherwise there is one for each label.
    """

    strengths: ClassVar[tuple[float, ...]]
    """Inverse penalties (scikit-learn's C) to choose from; the first without validation rows."""

    @classmethod
    def labelled(cls, task: Classify, examples: Sequence[Example]) -> list[Example]:
        return _labelled(examples)

    @classmethod
    def most_terms(cls, task: Classify) -> int:
        return MOST_WEIGHTS // len(task.labels)

    @classmethod
    def solve(
        cls, task: Classify, features: tuple[Any, Any], parts: Sequence[Sequence[Example]]
    ) -> tuple[Numbers, Numbers]:
        return _best_fit(task, features, parts, cls.strengths)

    def predict(self, task: Classify, examples: Sequence[Example]) -> list[Prediction]:
        return task.predictions(_probabilities(self.outputs(task, examples), task))


@dataclass(frozen=True, eq=False, kw_only=True)
class TfidfLogistic(OnTerms, Logistic):
    """Logistic regression on the terms of a text."""

    name: ClassVar[str] = "TF-IDF + logistic"
    strengths: ClassVar[tuple[float, ...]] = (10.0, 1.0)


@dataclass(frozen=True, eq=False, kw_only=True)
class NumberLogistic(OnNumbers, Logistic):
    """Logistic regression on the numbers of a row, an image or a series."""

    name: ClassVar[str] = "logistic regression"
    strengths: ClassVar[tuple[float, ...]] = (1.0, 0.01)


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
    """Return weights and bias for the penalty with the lowest validation loss.

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

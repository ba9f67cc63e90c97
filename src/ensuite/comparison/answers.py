"""What a trial keeps of its answers to the test examples: scores, words and errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ensuite.core.errors import RunError
from ensuite.core.files import read_json, read_tensors, write_json, write_tensors
from ensuite.core.score import Score
from ensuite.core.task import Task

WORDS, NUMBERS = "test.json", "test.safetensors"
"""Files of a run folder: the identity of the run with its answers in words, and all numbers."""

STATISTICS = "statistics."
"""Begins the name of a tensor that holds the statistics of a metric."""


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of one trial, as reports show them.

    Args:
        words: Each answer in words.
        probabilities: (examples,) the probability of each; NaN where it has none.
        errors: (examples,) the error of each; 0 if it is correct.
    """

    words: Sequence[str]
    probabilities: NDArray[np.float64]
    errors: NDArray[np.float64]

    @classmethod
    def describe(
        cls, task: Task[Any, Any, Any], predictions: Sequence[Any], examples: Sequence[Any]
    ) -> Self:
        """Return the answers that predictions of the test examples are."""
        described = [task.describe(prediction) for prediction in predictions]
        pairs = zip(predictions, examples, strict=True)
        return cls(
            words=[word for word, _ in described],
            probabilities=np.array([p for _, p in described], dtype=float),  # None becomes NaN
            errors=np.array([task.error(*pair) for pair in pairs], dtype=float),
        )

    def said(self) -> list[tuple[str, float | None]]:
        """Return each answer in words, and its probability."""
        known = [None if np.isnan(p) else float(p) for p in self.probabilities]
        return list(zip(self.words, known, strict=True))

    def save(self, folder: Path, identity: Mapping[str, Any], scores: Mapping[str, Score]) -> None:
        """Write the answers and the scores into the run folder.

        Scores whose statistics are sparse, such as AUROC, depend on every example in a way that
        their statistics do not tell. Where a task has one, no score is stored.

        Args:
            folder: Of the run.
            identity: Of the run; what is stored is read only for a run of the same identity.
            scores: On the test examples.
        """
        numbers: dict[str, NDArray[Any]] = {
            "probabilities": self.probabilities, "errors": self.errors,
        }  # fmt: skip
        dense = all(isinstance(score.statistics, np.ndarray) for score in scores.values())
        if dense:
            numbers |= {f"{STATISTICS}{name}": each.statistics for name, each in scores.items()}
        write_tensors(folder / NUMBERS, {n: torch.from_numpy(each) for n, each in numbers.items()})
        values = {name: repr(score.value) for name, score in scores.items()} if dense else None
        stored = {"identity": identity, "values": values, "words": list(self.words)}
        write_json(folder / WORDS, stored)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the answers that :meth:`save` wrote.

        Raises:
            RunError: If they are missing or damaged.
        """
        stored, numbers = read_json(folder / WORDS), read_tensors(folder / NUMBERS)
        try:
            arrays = (numbers[name].numpy() for name in ("probabilities", "errors"))
            found = cls(stored["words"], *arrays)
            if not len(found.words) == len(found.probabilities) == len(found.errors):
                raise ValueError("as many words as numbers were expected")
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{folder / WORDS} cannot be read ({error}); delete it.") from error
        return found


def row_by_row(scores: Mapping[str, Score]) -> dict[str, Score]:
    """Return the scores with their statistics in the order in which they are stored.

    Numbers in another order are added up in another order, which changes the last digits of a sum.
    """
    return {
        name: replace(score, statistics=np.ascontiguousarray(score.statistics))
        if isinstance(score.statistics, np.ndarray)
        else score
        for name, score in scores.items()
    }


def stored_scores(
    folder: Path, identity: Mapping[str, Any], some: Mapping[str, Score]
) -> dict[str, Score] | None:
    """Return the scores that :meth:`Answers.save` stored; None where they must be computed anew.

    Args:
        folder: Of the run.
        identity: Of the run.
        some: Scores of a few examples, whose functions the stored statistics are given to.
    """
    try:
        stored, numbers = read_json(folder / WORDS), read_tensors(folder / NUMBERS)
    except RunError:
        return None
    if not isinstance(stored, dict) or stored.get("identity") != identity:
        return None
    values = stored.get("values")
    if not isinstance(values, dict) or list(values) != list(some):
        return None
    found = {}
    for name, score in some.items():
        statistics = numbers.get(f"{STATISTICS}{name}")
        if statistics is None or statistics.shape[1:] != score.statistics.shape[1:]:
            return None
        found[name] = replace(score, statistics=statistics.numpy())
        if repr(found[name].value) != values[name]:  # its function depends on more
            return None
    return found

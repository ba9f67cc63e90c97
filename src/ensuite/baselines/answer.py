"""Baseline of answer: the sentence that has most words of the question."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Self

from ensuite.core.baseline import Baseline
from ensuite.data.prose import sentence_starts
from ensuite.metrics.answers import normalise
from ensuite.tasks.answer import Answer, Prediction
from ensuite.tasks.answer_examples import Example


@dataclass(frozen=True, eq=False)
class BestOverlap(Baseline):
    """Answer with the sentence of the context that has most of the question's words.

    Among equals it is the first. Its odds are the number of these words.
    """

    name: ClassVar[str] = "best overlap"

    @classmethod
    def fits(cls, task: Answer) -> bool:
        return True

    @classmethod
    def fit(
        cls, task: Answer, train: Sequence[Example], valid: Sequence[Example], seed: int
    ) -> Self:
        return cls()

    def predict(self, task: Answer, examples: Sequence[Example]) -> list[Prediction]:
        return [task.decide(self._best(task, example)) for example in examples]

    def _best(self, task: Answer, example: Example) -> Prediction:
        asked = set(normalise(example.question, task.articles).split())

        def shared(span: tuple[int, int]) -> int:
            words = normalise(example.context[slice(*span)], task.articles).split()
            return len(asked.intersection(words))

        start, end = max(sentences(example.context), key=shared)
        text = example.context[start:end]
        return Prediction(text, None, start, end, float(shared((start, end))), text)

    @property
    def parameters(self) -> int:
        return 0


def sentences(text: str) -> list[tuple[int, int]]:
    """Return where each sentence of a text begins and ends, without blanks around it.

    >>> sentences("It rains. Why? ")
    [(0, 9), (10, 14)]
    """
    found, line_start = [], 0
    for line in text.split("\n"):
        starts = [*sentence_starts(line), len(line)]
        for start, end in pairwise(starts):
            inner = line[start:end]
            first = start + len(inner) - len(inner.lstrip())
            if inner.strip():
                found.append((line_start + first, line_start + first + len(inner.strip())))
        line_start += len(line) + 1
    return found or [(0, len(text))]

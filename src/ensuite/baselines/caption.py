"""Baseline of caption: the most frequent caption."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from ensuite.core.baseline import Baseline
from ensuite.tasks.caption import Caption
from ensuite.tasks.writer import Example, Prediction


@dataclass(frozen=True, eq=False, kw_only=True)
class MostFrequentCaption(Baseline):
    """Always answer with the most frequent caption of the training images; among equals the first.

    Args:
        text: That caption.
        share: Share of the training examples that have it.
    """

    text: str
    share: float

    name: ClassVar[str] = "most frequent caption"

    @classmethod
    def fits(cls, task: Any) -> bool:
        return isinstance(task, Caption)

    @classmethod
    def fit(
        cls, task: Caption, train: Sequence[Example], valid: Sequence[Example], seed: int
    ) -> Self:
        counts = Counter(e.target for e in train if e.target is not None)
        ((text, count),) = counts.most_common(1)
        return cls(text=text, share=count / counts.total())

    def predict(self, task: Caption, examples: Sequence[Example]) -> list[Prediction]:
        return [Prediction(self.text, self.share)] * len(examples)

    @property
    def parameters(self) -> int:
        return 0

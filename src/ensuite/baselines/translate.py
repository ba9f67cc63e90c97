"""Baselines of translate: the source, its first sentence, the target of the nearest source."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ensuite.baselines.text import inverse_document_frequency, learn_terms, make_counter, weigh
from ensuite.core.baseline import Baseline
from ensuite.tasks.translate import Translate
from ensuite.tasks.writer import Example, Prediction

MOST_TERMS = 200_000

AT_ONCE = 256
"""Texts whose similarities to all pairs are computed at once, which bounds the memory."""


END_OF_SENTENCE = re.compile(r"(?<=[.!?…])[\"'»”)]*\s+|\n+")


class Unlearned(Baseline):
    """A rule that learns nothing."""

    @classmethod
    def fits(cls, task: Any) -> bool:
        return isinstance(task, Translate)

    @classmethod
    def fit(
        cls, task: Translate, train: Sequence[Example], valid: Sequence[Example], seed: int
    ) -> Self:
        return cls()

    @property
    def parameters(self) -> int:
        return 0


@dataclass(frozen=True, eq=False)
class Copy(Unlearned):
    """Answer with the source, unchanged."""

    name: ClassVar[str] = "copy"

    def predict(self, task: Translate, examples: Sequence[Example]) -> list[Prediction]:
        return [Prediction(example.source) for example in examples]


@dataclass(frozen=True, eq=False)
class LeadSentence(Unlearned):
    """Answer with the first sentence of the source, a strong baseline for news summaries.

    Source:
        Narayan, Cohen & Lapata (2018), https://arxiv.org/abs/1808.08745, section 4 (LEAD)
    """

    name: ClassVar[str] = "lead sentence"

    @classmethod
    def fits(cls, task: Any) -> bool:
        return super().fits(task) and task.processor.unit != "characters"

    def predict(self, task: Translate, examples: Sequence[Example]) -> list[Prediction]:
        return [Prediction(first_sentence(example.source)) for example in examples]


def first_sentence(text: str) -> str:
    """Return a text up to the end of its first sentence, or line.

    >>> first_sentence("He won. She lost."), first_sentence("no end")
    ('He won.', 'no end')
    """
    return END_OF_SENTENCE.split(text.strip(), maxsplit=1)[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class NearestPair(Baseline):
    """Answer with the target of the most similar training source, by cosine of TF-IDF.

    Args:
        terms: The terms of the sources, packed.
        idf: (terms,), inverse document frequency.
        pairs: All sources and targets, as bytes of JSON.
        characters: Whether terms are runs of characters.
    """

    terms: NDArray[Any]
    idf: NDArray[Any]
    pairs: NDArray[Any]
    characters: bool

    name: ClassVar[str] = "nearest pair"

    @classmethod
    def fits(cls, task: Any) -> bool:
        return isinstance(task, Translate)

    @classmethod
    def fit(
        cls, task: Translate, train: Sequence[Example], valid: Sequence[Example], seed: int
    ) -> Self:
        known = [e for e in train if e.target is not None]
        characters = task.processor.unit == "characters"
        terms, counts = learn_terms(
            [e.source for e in known], characters=characters, lowercase=True, most=MOST_TERMS
        )
        pairs = json.dumps([[e.source for e in known], [e.target for e in known]])
        return cls(
            terms=terms,
            idf=inverse_document_frequency(counts),
            pairs=np.frombuffer(pairs.encode(), dtype=np.uint8),
            characters=characters,
        )

    @cached_property
    def _known(self) -> tuple[Any, Any, list[str]]:
        """The term counter, the TF-IDF weights of all sources as columns, and their targets."""
        sources, targets = json.loads(self.pairs.tobytes())
        counter = make_counter(self.terms, characters=self.characters, lowercase=True)
        return counter, weigh(counter.transform(sources), self.idf).T.tocsr(), targets

    def predict(self, task: Translate, examples: Sequence[Example]) -> list[Prediction]:
        counter, known, targets = self._known
        asked = weigh(counter.transform([e.source for e in examples]), self.idf)
        found: list[Prediction] = []
        for at in range(0, len(examples), AT_ONCE):
            similar = asked[at : at + AT_ONCE] @ known
            nearest = np.asarray(similar.argmax(axis=1)).reshape(-1)
            found += [Prediction(targets[number]) for number in nearest]
        return found

    @property
    def parameters(self) -> int:
        return int(self.idf.size)

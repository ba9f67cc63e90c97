"""Say in words what a picture shows: it goes in once, words come out one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from ensuite.core.score import Score
from ensuite.core.table import Table
from ensuite.data import columns, inputs
from ensuite.data.processors import Image
from ensuite.data.processors.writing import Writing
from ensuite.metrics import writing as metrics
from ensuite.tasks.writer import Example, Prediction, Writer, read_texts

TEXT_NAMES = ("text", "caption", "sentence", "description", "title")


@dataclass(frozen=True, kw_only=True)
class Caption(Writer):
    """Write a text for each picture. Several captions of one picture are as many rows.

    Args:
        processor: How a picture becomes tensors.
        writing: How a caption does, word by word if not told otherwise, and how it is read.

    Source:
        Vinyals et al. (2015), https://arxiv.org/abs/1411.4555
    """

    processor: Image = field(default_factory=Image, metadata={"options": True})
    writing: Writing = field(
        default_factory=lambda: Writing(unit="words", byte_fallback=False),
        metadata={"options": True, "prefix": "target_"},
    )

    # From data to tensors

    def read(
        self, table: Table, given: Mapping[str, str], *, asking: bool = False
    ) -> tuple[Self, list[Example]]:
        columns.only(given, ("image", "text", "group", "time"))
        find = columns.find if asking else columns.require
        text = find(table, "text", TEXT_NAMES, given)
        but = [text] if text else []
        pictures, _ = inputs.read(table, given, "image", self.processor, but=but)
        if text is None:
            return self, [Example(each) for each in pictures]
        texts = read_texts(table, text)
        return self, [Example(*pair) for pair in zip(pictures, texts, strict=True)]

    def ask(self, raw: Any) -> Example:
        return raw if isinstance(raw, Example) else Example(inputs.ask(raw, self.processor))

    def extent(self, example: Example) -> int:
        """Return how many words the caption has: pictures are of one size."""
        return len(self.truth(example).split())

    # From outputs to answers

    def score(
        self, predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> dict[str, Score]:
        texts, references = [each.text for each in predictions], self.references(examples)
        orders = metrics.orders_within(references)  # of four words it is 0 for shorter captions
        return {
            "bleu": metrics.bleu(texts, references, orders),
            "exact_match": metrics.exact_match(texts, references),
        }

    # For the data check, splits, tables and reports

    @property
    def unit(self) -> str:
        return "image"

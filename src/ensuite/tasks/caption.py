"""Caption: a text for each image (one to many)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

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
    """Write a text for each image. Several captions of one image are several rows.

    Args:
        processor: Turns an image into tensors.
        writing: Turns a caption into tokens, by default words, and tokens into a text.

    Source:
        Vinyals et al. (2015), https://arxiv.org/abs/1411.4555
    """

    processor: Image = field(default_factory=Image, metadata={"options": True})
    writing: Writing = field(
        default_factory=lambda: Writing(unit="words", byte_fallback=False),
        metadata={"options": True, "prefix": "target_"},
    )

    roles: ClassVar[tuple[str, ...]] = ("image", "text")
    usual_names: ClassVar[Mapping[str, Sequence[str]]] = {
        "image": inputs.IMAGE_NAMES,
        "text": TEXT_NAMES,
    }

    # Data

    def read(
        self, table: Table, given: Mapping[str, str], *, asking: bool = False
    ) -> tuple[Self, list[Example]]:
        find = columns.find if asking else columns.require
        text = find(table, "text", TEXT_NAMES, given)
        but = [text] if text else []
        pictures, _ = inputs.read(table, given, "image", self.processor, but=but)
        if text is None:
            return self, [Example(each) for each in pictures]
        texts = read_texts(table, text)
        table.note("text", text)
        return self, [Example(*pair) for pair in zip(pictures, texts, strict=True)]

    def extent(self, example: Example) -> int:
        """Return the number of words of the caption, since all images have one size."""
        return len(self.truth(example).split())

    # Judgement

    def score(
        self, predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> dict[str, Score]:
        texts, references = [each.text for each in predictions], self.references(examples)
        orders = metrics.orders_within(references)  # BLEU of 4-grams is 0 for captions of 3 words
        return {
            "bleu": metrics.bleu(texts, references, orders),
            "exact_match": metrics.exact_match(texts, references),
        }

    # Presentation

    @property
    def pipeline(self) -> str:
        return "image-to-text"

"""Translate: a text for a text (translation, summaries, correction, pronunciation)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from ensuite.core.backbone import BackboneOptions, Pretrained
from ensuite.core.display import Display
from ensuite.core.errors import DataError
from ensuite.core.presentation import Finding
from ensuite.core.score import Score
from ensuite.core.table import Table
from ensuite.data import columns
from ensuite.data.processors import Text
from ensuite.data.processors.tokenizer import choose_unit
from ensuite.metrics import writing as metrics
from ensuite.tasks.writer import Example, Prediction, Writer, read_texts

SOURCE_NAMES = ("source", "src", "input", "text", "question", "document", "word")
TARGET_NAMES = ("target", "tgt", "output", "translation", "summary", "answer")

ALL_REFERENCES = Display(name="BLEU all references", points=1)


@dataclass(frozen=True, kw_only=True)
class Translate(Writer):
    """Write a text for each text: another language, phonemes, a summary, a correction.

    Args:
        processor: Turns a source into tokens; only the beginning of a long source is read.
    """

    processor: Text = field(
        default_factory=lambda: Text(window=256, overlap=0, truncation="head", lowercase=False),
        metadata={"options": True},
    )

    roles: ClassVar[tuple[str, ...]] = ("source", "target")
    usual_names: ClassVar[Mapping[str, Sequence[str]]] = {
        "source": SOURCE_NAMES,
        "target": TARGET_NAMES,
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.processor.truncation == "windows":
            raise ValueError(
                "truncation must be head or tail: an answer is written from one window"
            )

    # Data

    def read(
        self, table: Table, given: Mapping[str, str], *, asking: bool = False
    ) -> tuple[Self, list[Example]]:
        source, target = self._columns(table, given, asking)
        sources = read_texts(table, source)
        table.note("source", source)
        if target is None:
            return self, [Example(each) for each in sources]
        targets = read_texts(table, target)
        table.note("target", target)
        return self, [Example(*pair) for pair in zip(sources, targets, strict=True)]

    def _columns(
        self, table: Table, given: Mapping[str, str], asking: bool
    ) -> tuple[str, str | None]:
        """Return the columns of sources and targets; of two columns of words the first is read."""
        source = columns.find(table, "source", SOURCE_NAMES, given)
        target = columns.find(table, "target", TARGET_NAMES, given)
        if source is None and target is None and len(table.columns) == 2:
            source, target = table.columns
        source = source or columns.require(table, "source", SOURCE_NAMES, given)
        if target is None and not asking:
            target = columns.require(table, "target", TARGET_NAMES, given)
        return source, target

    def ask(self, raw: Any) -> Example:
        if isinstance(raw, Example):
            return raw
        source = raw.get("source") if isinstance(raw, Mapping) else raw
        if not isinstance(source, str) or not source.strip():
            raise DataError("There is nothing to write from: the source is empty; give a text.")
        return Example(source)

    def prepare(
        self,
        examples: Sequence[Example],
        options: BackboneOptions | None = None,
        pretrained: Pretrained | None = None,
    ) -> Self:
        if self.processor.unit != "auto":
            return super().prepare(examples, options, pretrained)
        short = choose_unit(self.raws(examples)) == "characters"
        processor = replace(self.processor, unit="characters" if short else "pieces")
        return replace(self, processor=processor).prepare(examples, options, pretrained)

    def extent(self, example: Example) -> int:
        return len(example.source.split())

    # Judgement

    def score(
        self, predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> dict[str, Score]:
        texts = [prediction.text for prediction in predictions]
        one = [[self.truth(e)] for e in examples]
        several = self.references(examples)
        all_references = metrics.bleu(texts, several)
        return {
            "chrf": metrics.chrf(texts, one),
            "bleu": metrics.bleu(texts, one),
            "bleu_all_references": replace(all_references, display=ALL_REFERENCES),
            "rouge_l": metrics.rouge_l(texts, one),
            "exact_match": metrics.exact_match(texts, several),
            "word_error_rate": metrics.word_error_rate(texts, several),
        }

    # Presentation

    @property
    def pipeline(self) -> str:
        return "translation"

    def check(self, parts: Mapping[str, Sequence[Example]]) -> list[Finding]:
        signature = f"as sacreBLEU counts it: {metrics.bleu_signature()}"
        return [*super().check(parts), Finding("bleu", signature)]

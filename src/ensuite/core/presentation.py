"""How a task shows its examples and predictions, in tables, reports and the data check."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

Example = TypeVar("Example")
Prediction = TypeVar("Prediction")


class Finding(NamedTuple):
    """One line of the data check: what it is about, and what was found."""

    topic: str
    sentence: str


class Ledger(NamedTuple):
    """What was cut off when examples were read.

    Attributes:
        rows: Examples that were cut.
        tokens: Tokens that were cut off.
        total: Tokens of all examples, those that were cut off included.
    """

    rows: int = 0
    tokens: int = 0
    total: int = 0


class Written(NamedTuple):
    """What a model writes for an example, beside what the example holds.

    Attributes:
        source: What it was given.
        truth: How the example goes on.
        answer: What the model wrote.
    """

    source: str
    truth: str
    answer: str


Part = dict[str, Any]
"""An object of plotly's JSON."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of a report.

    Args:
        title: Its heading.
        caption: How to read it, in a sentence or two.
        words: Its content as text, a line for each thing it shows, for readers who cannot see it.
        data: Traces of plotly.
        layout: Layout of plotly; the height is kept, the width is that of the page.
    """

    title: str
    caption: str
    words: tuple[str, ...]
    data: tuple[Part, ...]
    layout: Part


class Presentation(Generic[Example, Prediction]):
    """The methods of a task that only present; nothing that is learned or scored depends on them.

    All have defaults. They follow from :meth:`raw`, from the task's ``processor`` if it has one,
    and from the order of the fields of examples and predictions: an example is its input and then
    the truth, a prediction is the answer and then, under the name ``probability``, how sure it is.

    Attributes:
        processor: Turns the raw input of an example into tensors; None for a task without one.
        several_rows: Whether an answer is a table of its own, whose rows :meth:`records` returns.
    """

    processor: Any = None
    several_rows: ClassVar[bool] = False

    def raw(self, example: Example) -> Any:
        """Return the input of an example as the processor reads it: by default its first field."""
        return example[0] if isinstance(example, tuple) else example

    def raws(self, examples: Sequence[Example]) -> list[Any]:
        """Return the input of each example."""
        return [self.raw(example) for example in examples]

    # One example

    @property
    def unit(self) -> str:
        """What one input is called: text, image, row, ..."""
        return "row" if self.processor is None else str(self.processor.kind)

    def show(self, example: Example) -> str:
        """Return the input as a line of text."""
        raw = self.raw(example)
        return str(raw) if self.processor is None else str(self.processor.show(raw))

    def picture(self, example: Example) -> bytes | None:
        """Return the input as a PNG image; None for an input that is shown as text."""
        if self.processor is None:
            return None
        image: bytes | None = self.processor.picture(self.raw(example))
        return image

    def truth(self, example: Example) -> str:
        """Return the correct answer in the words of :meth:`describe`; empty if it is not known.

        By default it is the second field of a named tuple.
        """
        known = hasattr(example, "_fields") and len(example) > 1  # type: ignore[arg-type]
        return written(example[1]) if known else ""  # type: ignore[index]

    # One prediction

    def describe(self, prediction: Prediction) -> tuple[str, float | None]:
        """Return the answer in words, and its probability if there is one."""
        named = hasattr(prediction, "_fields")
        answer = prediction[0] if named else prediction  # type: ignore[index]
        return written(answer), getattr(prediction, "probability", None)

    def records(self, example: Example, prediction: Prediction) -> list[dict[str, Any]]:
        """Return the rows of a table that hold the prediction; the columns by name, as JSON.

        One example is one row by default. A forecast, for example, has one for each step.
        """
        answer, probability = self.describe(prediction)
        sure = {} if probability is None else {"probability": probability}
        return [{"answer": answer} | sure]

    def distribution(self, prediction: Prediction) -> Mapping[str, float]:
        """Return the probability of each possible answer; empty if none is told."""
        return {}

    def error(self, prediction: Prediction, example: Example) -> float:
        """Return how wrong a prediction is, 0 if it is correct.

        By default a wrong prediction has an error of 1 and its probability, so that those that
        the model was surest of come first among the mistakes of a report.
        """
        answer, probability = self.describe(prediction)
        return 0.0 if answer == self.truth(example) else 1.0 + (probability or 0.0)

    # The whole task

    @property
    def pipeline(self) -> str:
        """The name of the task on model hubs (``pipeline_tag`` of a model card); empty if none."""
        return ""

    @property
    def choices(self) -> Sequence[str]:
        """The words that an answer is one of; empty if an answer may be anything."""
        return ()

    def usage(self, run: str) -> str:
        """Return the command that asks a saved run."""
        typed = {"text": '"your own text"', "sentence": '"your own text"', "image": "PICTURE.png"}
        return f"ensuite predict {shlex.quote(run)} {typed.get(self.unit, '--file FILE')}"

    def check(self, parts: Mapping[str, Sequence[Example]]) -> list[Finding]:
        """Return what the user should know of the data before anything is trained."""
        if self.processor is None:
            return []
        every = [example for part in parts.values() for example in part]
        return list(self.processor.check(self.raws(every)))

    def ledger(self, examples: Sequence[Example]) -> Ledger:
        """Count what is cut off when the examples are read."""
        if self.processor is None:
            return Ledger()
        cut: Ledger = self.processor.ledger(self.raws(examples))
        return cut

    def remarks(
        self, name: str, predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> list[str]:
        """Return sentences on the predictions of the model of a name for the test examples.

        They are printed below the scores of a run, and below the verdict of a comparison for the
        model that it recommends.
        """
        return []

    def write_examples(self, fitted: Any, examples: Sequence[Example]) -> list[Written]:
        """Return what a fitted model writes for examples, to be shown in the report.

        None by default: the predictions in words are shown instead. It is for a task whose
        predictions are numbers about a text, while its models write texts.
        """
        return []

    def figures(
        self, predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> list[Figure]:
        """Return figures of the predictions for the test examples, to be shown in the report."""
        return []


def written(answer: Any) -> str:
    """Return an answer as a person reads it.

    >>> written("yes"), written(2.5000001), written(("a", "b")), written(()), written(None)
    ('yes', '2.5', 'a, b', 'none', '')
    """
    if answer is None:
        return ""
    if isinstance(answer, float):
        return f"{answer:.6g}"
    if isinstance(answer, tuple | list):
        return ", ".join(map(written, answer)) or "none"
    return str(answer)

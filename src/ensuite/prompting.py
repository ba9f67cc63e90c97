"""Prompting: a language model that is asked for one of the choices of a task by a template."""

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from ensuite.core.errors import UsageError, reason
from ensuite.core.fitted import FittedModel
from ensuite.core.options import to_json
from ensuite.core.task import Task
from ensuite.decoding.likelihood import MOST_ROWS, log_likelihoods
from ensuite.decoding.sampling import Sampling
from ensuite.tasks.generate import Generate

BETWEEN = "\n\n"
"""Stands between two examples of a prompt."""

NATS_PER_BYTE = 8 * np.log(2)
"""What each byte costs that no token of the vocabulary stands for: as in ``generate``, 8 bits."""

Answer = Literal["likelihood", "generate"]
"""How a language model is asked: how likely each choice is, or what it writes by itself."""

SURE = 0.9
"""Probability of a choice that was written; the others share the rest. Calibration corrects it."""


@dataclass(frozen=True)
class Template:
    """The text of a prompt, in which {field} stands for a field of the example.

    The answer follows the template. Space at its end belongs to the answer, so that both are split
    into tokens as they are in running text; where there is none, a space separates them.

    Args:
        text: With a placeholder for at least one field; {{ and }} are braces.
        place: Where it came from, for messages.

    Raises:
        UsageError: If a brace is not closed, or no field is named.
    """

    text: str
    place: str = "the template"

    def __post_init__(self) -> None:
        if not self.fields:
            raise UsageError(
                f"{self.place} names no field of an example, so every prompt would be the same; "
                "write {input}, or {text}, where the input belongs."
            )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a template file; the end of its last line is not part of it."""
        try:
            return cls(path.read_text(encoding="utf-8").removesuffix("\n"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"template={path}: it cannot be read ({reason(error)}).") from error

    @property
    def fields(self) -> list[str]:
        """The names between braces."""
        try:
            parts = list(string.Formatter().parse(self.text))
        except ValueError as error:
            raise UsageError(
                f"{self.place} is not a template: {error}. Write {{{{ or }}}} for a brace."
            ) from error
        if any(spec or conversion for _, _, spec, conversion in parts):
            raise UsageError(f"{self.place}: give only the name of a field between braces.")
        return [name for _, name, _, _ in parts if name is not None]

    @property
    def gap(self) -> str:
        """What stands between the template and the answer."""
        return self.text[len(self.text.rstrip()) :] or " "

    def fill(self, fields: Mapping[str, str]) -> str:
        """Return the prompt of an example, without the gap.

        Raises:
            UsageError: If the example has no field of some name; names those that it has.
        """
        if missing := [name for name in self.fields if name not in fields]:
            raise UsageError(
                f"{self.place} names the field {{{missing[0]}}}, which an example does not have; "
                f"there is: {', '.join(fields)}."
            )
        return self.text.rstrip().format_map(fields)


def fields_of(task: Task[Any, Any, Any], example: Any) -> dict[str, str]:
    """Return the fields of an example's input as texts, by name; never its truth."""
    raw = example[0] if isinstance(example, tuple) else example
    parts = raw if isinstance(raw, tuple) else (raw,)
    named = dict(zip(task.fields, parts, strict=False))
    texts = {name: part for name, part in named.items() if isinstance(part, str)}
    return {"input": task.show(example), **texts}


def solved(template: Template, task: Task[Any, Any, Any], examples: Sequence[Any]) -> str:
    """Return the text of examples with their answers, to stand before a prompt."""
    prompts = [template.fill(fields_of(task, example)) for example in examples]
    pairs = zip(prompts, map(task.truth, examples), strict=True)
    return "".join(f"{prompt}{template.gap}{truth}{BETWEEN}" for prompt, truth in pairs)


class PromptedModel(FittedModel):
    """A language model that answers a prompt with one of the choices of a task.

    Args:
        language: The task ``generate`` of the model, prepared.
        fitted: The language model.
        template: The prompt of one example.
        beginning: Solved examples that stand before each prompt; may be empty.
        answer: likelihood: the choice that is most likely after the prompt; generate: the choice
            that the model writes, greedily.
    """

    kind = "prompted"

    def __init__(
        self,
        language: Generate,
        fitted: FittedModel,
        template: Template,
        beginning: str = "",
        answer: Answer = "likelihood",
    ) -> None:
        self.language, self.fitted = language, fitted
        self.template, self.beginning, self.answer = template, beginning, answer

    @property
    def parameters(self) -> int:
        return self.fitted.parameters

    @property
    def context(self) -> int | None:
        return self.fitted.context

    def to(self, device: str) -> Self:
        self.fitted.to(device)
        return self

    def predict(self, task: Task[Any, Any, Any], examples: Sequence[Any]) -> list[Any]:
        """Return a prediction for each example.

        After an answer that names none of the choices, all are equally likely.

        Raises:
            UsageError: If a prompt is longer than the language model can read.
        """
        if self.answer == "likelihood":
            return task.from_choices(self.scores(task, examples))
        count = len(task.choices)
        scores = np.full((len(examples), count), -np.log(count))
        for row, chosen in enumerate(self.answers(task, examples)):
            if chosen is not None:
                scores[row] = np.log((1 - SURE) / max(1, count - 1))
                scores[row, chosen] = np.log(SURE)
        return task.from_choices(scores)

    def scores(self, task: Task[Any, Any, Any], examples: Sequence[Any]) -> NDArray[np.float64]:
        """Return the log probability of each choice after each prompt, (examples, choices)."""
        spelled = self.language.writing.spell([self.template.gap + each for each in task.choices])
        rows = [each if each.ndim == 2 else np.stack([each, 0 * each], axis=1) for each in spelled]
        choices = [each[:, 0].tolist() for each in rows]
        prompts = self.prompts(task, examples, max(map(len, choices)))
        scores = log_likelihoods(self.fitted.language_model, prompts, choices)
        unknown_bytes = np.array(
            [each[:, 1].sum() for each in rows]
        )  # bytes that the ids leave open
        likely: NDArray[np.float64] = scores - NATS_PER_BYTE * unknown_bytes
        return likely

    def answers(self, task: Task[Any, Any, Any], examples: Sequence[Any]) -> list[int | None]:
        """Let the model write; return the number of the choice that each answer begins with.

        Upper and lower case make no difference. None: the answer begins with no choice, so it is
        not well formed.
        """
        texts = [self.template.gap + each for each in task.choices]
        longest = int(self.language.writing.encode(texts).lengths.max()) + 1  # where a word ends
        written = self.written(self.prompts(task, examples, longest), longest)
        return [named_choice(text, task.choices) for text in written]

    def written(self, prompts: Sequence[Sequence[int]], longest: int) -> list[str]:
        """Return what the model writes after each prompt, at most so many tokens.

        Prompts of similar length are continued together, a limited number at once, since each has
        a state of its own.
        """
        texts = [""] * len(prompts)
        sampling = Sampling(temperature=0, max_new_tokens=longest)
        generator = self.language.generator(self.fitted.language_model, self.context)
        order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
        for start in range(0, len(order), MOST_ROWS):
            numbers = order[start : start + MOST_ROWS]
            together = [prompts[number] for number in numbers]
            for row, piece in generator.stream(together, sampling):
                texts[numbers[row]] += piece
        return texts

    def prompts(
        self, task: Task[Any, Any, Any], examples: Sequence[Any], answer: int
    ) -> list[list[int]]:
        """Return the tokens of each prompt, after the solved examples.

        Args:
            task: Asked for its choices.
            examples: To be answered.
            answer: Tokens of the longest answer.

        Raises:
            UsageError: If a prompt with its answer is longer than the language model can read.
        """
        prompts = [self.prompt(task, example) for example in examples]
        longest = max(map(len, prompts), default=0) + answer - 1
        if self.context is not None and longest > self.context:
            raise UsageError(
                f"A prompt with its answer has {longest:,} tokens, and the language model reads "
                f"{self.context:,} at most; shorten {self.template.place}, or give fewer shots."
            )
        return prompts

    def prompt(self, task: Task[Any, Any, Any], example: Any) -> list[int]:
        """Return the tokens of the prompt of an example, after the solved examples."""
        return self.language.prompt_ids(
            self.beginning + self.template.fill(fields_of(task, example))
        )

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the language model: a saved run does not need the run that it came from."""
        language = {"kind": self.fitted.kind, **self.fitted.save(folder)}
        return {
            "language_model": language,
            "language": to_json(self.language),
            "template": self.template.text,
            "beginning": self.beginning,
            "answer": self.answer,
        }


def named_choice(text: str, choices: Sequence[str]) -> int | None:
    """Return the number of the choice that a text begins with; None if it begins with none.

    >>> [named_choice(text, ["good", "good film"]) for text in (" Good film.", "good", "goodness")]
    [1, 0, None]
    """
    found = None
    for number, choice in enumerate(choices):
        longer = found is None or len(choice) > len(choices[found])
        if longer and re.match(rf"\s*{re.escape(choice)}(?!\w)", text, re.IGNORECASE):
            found = number
    return found

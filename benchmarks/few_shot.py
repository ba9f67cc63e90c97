"""Prompting a language model with 0 to 8 examples, by several templates, beside its form.

    python -m benchmarks.few_shot FOLDER [ROWS]

FOLDER is a run of ``generate``, or a published decoder such as SmolLM2-135M-Instruct. It is asked
for the sentiment of sentences of SST-2's test part (ENSUITE_DATA names the folder with it), drawn
by a seed. Two accuracies are printed: of the label that is most likely after the prompt, and of the
label that the model writes, with the share of written answers that name a label at all.
"""

import csv
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ensuite.predictor import Predictor
from ensuite.problem import Problem, open_problem
from ensuite.prompting import PromptedModel, Template, solved

TEMPLATES: Mapping[str, str] = {
    "review": "Review: {text}\nSentiment:",
    "question": "Is this review positive or negative? {text}\nAnswer:",
    "bare": "{text} =",
}

SHOTS: Mapping[str, Sequence[int]] = {
    "review": (0, 1, 2, 4, 8),
    "question": (0, 4),
    "bare": (0, 4),
}
"""How many solved examples stand before the prompt, for each template."""

LABELS = ("negative", "positive")


class Answered(NamedTuple):
    """How well a template did with so many examples; shares of the test rows."""

    template: str
    shots: int
    likely: float
    written: float
    formed: float


def measure(
    language: Predictor,
    problem: Problem,
    templates: Mapping[str, str] = TEMPLATES,
    shots: Mapping[str, Sequence[int]] = SHOTS,
    seed: int = 0,
) -> list[Answered]:
    """Ask for the label of every test row, by every template."""
    task, tests, train = problem.task, problem.parts["test"], problem.parts["train"]
    right = [task.choices.index(task.truth(example)) for example in tests]
    found = []
    for name, text in templates.items():
        template = Template(text, name)
        for count in shots[name]:
            drawn = np.random.default_rng(seed).choice(len(train), count, replace=False)
            before = solved(template, task, [train[number] for number in drawn])
            model = PromptedModel(language.language, language.fitted, template, before)
            likely = model.scores(task, tests).argmax(1)
            written = model.answers(task, tests)
            formed = np.mean([answer is not None for answer in written])
            told = np.mean([answer == truth for answer, truth in zip(written, right, strict=True)])
            each = Answered(
                name, count, float(np.mean(likely == right)), float(told), float(formed)
            )
            print(line(each), flush=True)
            found.append(each)
    return found


def line(answered: Answered) -> str:
    """Return one line of the table."""
    likely, written, formed = (f"{share:6.1%}" for share in answered[2:])
    return f"{answered.template:9s} {answered.shots:5d}  {likely}   {written}       {formed}"


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a part of SST-2, with words for labels."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [{"text": row["text"], "label": LABELS[int(row["label"])]} for row in rows]


def sentences(rows: int) -> Problem:
    """Return so many test rows of SST-2, and 400 to draw examples from."""
    folder = Path(os.environ["ENSUITE_DATA"]) / "sst2"
    train, test = read(folder / "train.tsv"), read(folder / "test.tsv")
    drawn = np.random.default_rng(0).choice(len(test), rows, replace=False)
    asked = [test[number] for number in drawn]
    return open_problem("classify", train[:400], valid=train[400:410], test=asked)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("template  shots  likely   written  names a label")
    measure(Predictor.load(sys.argv[1]), sentences(int((sys.argv[2:] or ["100"])[0])))

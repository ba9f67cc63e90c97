"""Encoders of the family of BERT beside a GPT of equal size, at the same hidden characters.

    python -m benchmarks.masked [BUDGET]

All have 4 layers of width 128 and learn tiny shakespeare (ENSUITE_DATA names the folder with it)
by characters for one budget, such as 60s of CPU time. Then 15 % of the characters of the validation
part are hidden, in windows of 126. An encoder sees the rest of the window on both sides; the GPT
sees the whole left side, in which nothing is hidden. Line breaks are read as spaces, so that
all have the same tokens.
"""

import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.language_model import train_only
from benchmarks.pretrain import require_shakespeare
from ensuite.candidates import Trained
from ensuite.core.batch import Batch
from ensuite.core.options import set_options
from ensuite.problem import open_problem
from ensuite.specs import model_options
from ensuite.tasks.fill_rows import Item
from ensuite.training.budget import Budget
from ensuite.training.training import Training

WINDOW, HIDDEN = 126, 0.15

MUON = {"optimizer": "muon", "learning_rate": "8e-3", "batch_size": "32"}

ADAM = {"optimizer": "adam", "learning_rate": "2e-3", "batch_size": "32"}

BERT = "bert-mini:width=128,dropout=0,attention_dropout=0"

MODERN = "modernbert:width=128,layers=4,heads=4,inner=336"

CONTENDERS = (
    ("GPT, Muon", "generate", f"gpt:context={WINDOW}", MUON),
    ("BERT, Muon", "fill", BERT, MUON),
    ("ModernBERT, Muon", "fill", MODERN, MUON),
    ("GPT, AdamW", "generate", f"gpt:context={WINDOW}", ADAM),
    ("BERT, AdamW", "fill", BERT, ADAM),
    ("ModernBERT, AdamW", "fill", MODERN, ADAM),
)
"""Name, task, model and recipe of each."""


class Found(NamedTuple):
    """How one contender did."""

    name: str
    parameters: int
    characters: int  # read while it was trained
    accuracy: float


def cut(text: str) -> list[str]:
    """Return the whole windows of a text, without line breaks."""
    flat = " ".join(text.split())
    return [flat[at : at + WINDOW] for at in range(0, len(flat) - WINDOW + 1, WINDOW)]


def train(
    windows: Sequence[str], task: str, model: str, recipe: dict[str, str], budget: str
) -> tuple[Training, int]:
    """Train one contender; return it and the number of characters that it read."""
    rows = [{"text": each} for each in (windows if task == "fill" else ["".join(windows)])]
    settings = {"unit": "characters"} | ({"window": f"{WINDOW + 2}"} if task == "fill" else {})
    few = [{"text": windows[0]}]
    problem = open_problem(task, rows, valid=few, test=few, settings=settings)
    name, options = model_options(model)
    told = set_options(options.recipe(), recipe, "the recipe")
    candidate = Trained(name, name, options, told)
    training = candidate.begin(problem, Budget.parse(budget), seed=0)
    count = sum(1 for _ in train_only(training))
    return training, count * WINDOW * told.batch_size


def hide(windows: Sequence[str]) -> NDArray[np.bool_]:
    """Return which characters are hidden, (windows, characters); never the first of a window."""
    random = np.random.default_rng(0)
    hidden = random.random((len(windows), WINDOW)) < HIDDEN
    hidden[:, 0] = False
    return hidden


@torch.inference_mode()
def filled(training: Training, windows: Sequence[str], hidden: NDArray[np.bool_]) -> list[bool]:
    """Return whether an encoder tells each hidden character."""
    task, right = training.task, list[bool]()
    ids = task.reading.encode(windows)
    items = [
        Item(n, rows, hidden=own) for n, (rows, own) in enumerate(zip(ids, hidden, strict=True))
    ]
    for start in range(0, len(items), 64):
        batch = task.collate(items[start : start + 64])
        right += [
            bool(each) for piece in task.predict(training.model, batch) for each in piece.right
        ]
    return right


@torch.inference_mode()
def foretold(training: Training, windows: Sequence[str], hidden: NDArray[np.bool_]) -> list[bool]:
    """Return whether the GPT tells each hidden character from those before it."""
    encoded, right = training.task.writing.encode(windows), list[bool]()
    ids = torch.from_numpy(encoded.ids.astype("int64")).view(-1, WINDOW)
    chosen = torch.from_numpy(hidden)[:, 1:]
    for rows, own in zip(ids.split(64), chosen.split(64), strict=True):
        best = training.model(Batch(inputs={"tokens": rows[:, :-1]})).values.argmax(-1)
        right += (best == rows[:, 1:])[own].tolist()
    return right


def measure(train_text: str, test_text: str, budget: str) -> list[Found]:
    """Train and test every contender; print a line of the table for each."""
    windows, found = cut(train_text), list[Found]()
    tests = [each for each in cut(test_text) if each == each.strip()]  # as ``fill`` reads a text
    hidden = hide(tests)
    for name, task, model, recipe in CONTENDERS:
        training, read = train(windows, task, model, recipe, budget)
        training.model.eval()
        right = (filled if task == "fill" else foretold)(training, tests, hidden)
        assert len(right) == hidden.sum(), "one answer for each hidden character"
        size = sum(parameter.numel() for parameter in training.model.parameters())
        found.append(Found(name, size, read, float(np.mean(right))))
        print(f"| {name} | {size:,} | {read:,} | {found[-1].accuracy:.3f} |", flush=True)
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("| | parameters | characters read | accuracy |\n|---|--:|--:|--:|")
    measure(*require_shakespeare(), budget=(sys.argv[1:] or ["60s"])[0])

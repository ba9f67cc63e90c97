"""The first losses and the last of every backbone: what a change moves without meaning to.

python -m tests.golden.test_losses            writes losses.json anew
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ensuite.catalog import BACKBONES
from ensuite.core.backbone import BackboneOptions
from ensuite.data.readers import read
from ensuite.problem import find_task
from ensuite.specs import model_options
from ensuite.training.budget import Budget
from ensuite.training.loop import fit
from ensuite.training.training import Training

GOLDEN = Path(__file__).with_name("losses.json")
RENEW = "If that is meant: python -m tests.golden.test_losses, and say why in CHANGELOG.md."

UPDATES, SHOWN, ROWS, VALID = 20, 5, 80, 16

CLOSE = 1e-4
"""Kernels and threads add float32 numbers in different orders: without oneDNN, or on one thread,
these numbers move by 1e-7 of themselves at most. A learning rate a tenth higher moves those of each
backbone by 2e-4 or more, another seed by 2e-2."""


def distinct() -> list[str]:
    """Return the names of all rows but those that differ in size alone from one before."""
    seen: dict[BackboneOptions, str] = {}
    for name, row in BACKBONES.items():
        seen.setdefault(row.load()(**row.preset).tiny(), name)
    return list(seen.values())


CASES = [(name, kind) for name in distinct() for kind in BACKBONES[name].reads]

TASKS = {"characters": "tag"}
WRITTEN = {"tokens": "translate", "image": "caption"}
"""What a kind of input is read for, where it is not to classify, and where a model only writes."""


def task_of(name: str, kind: str) -> str:
    """Return the task that a backbone is trained on with one kind of input."""
    traits = BACKBONES[name].traits
    if "codes" in traits:
        return "reduce"
    only_writes = "decodes" in traits and "sequence" not in traits
    return WRITTEN[kind] if only_writes else TASKS.get(kind, "classify")


def rows(kind: str) -> list[dict[str, Any]]:
    """Return inputs of one kind in two classes that their numbers or words distinguish."""
    random = np.random.default_rng(0)
    made: list[dict[str, Any]] = []
    for number in range(ROWS):
        label, length = number % 2, int(random.integers(4, 9))
        if kind in ("tokens", "characters"):
            words = random.choice(("film", "very", "seen", ("good", "bad")[label]), length).tolist()
            tags = [word[:1].upper() for word in words]
            both = {"text": " ".join(words)}, {"tokens": words, "tags": tags}
            made.append(both[kind == "characters"])
        elif kind == "values":
            made.append({"series": (random.normal(size=(length, 2)) + label).tolist()})
        elif kind == "image":
            made.append({"image": random.integers(128 * label, 128 + 128 * label, (6, 5)).tolist()})
        else:
            made.append(dict(zip("abc", random.normal(size=3) + label, strict=True)))
        made[-1]["label"] = "no" if label else "yes"
    return made


def table(name: str, kind: str) -> list[dict[str, Any]]:
    """Return the rows in the form that the task of a backbone reads."""
    found = rows(kind)
    if task_of(name, kind) == "translate":
        return [{"source": row["text"], "target": row["label"]} for row in found]
    if task_of(name, kind) == "caption":
        return [{"image": row["image"], "text": row["label"]} for row in found]
    return [{k: v for k, v in row.items() if k != "label" or kind != "characters"} for row in found]


def measure(name: str, kind: str) -> dict[str, Any]:
    """Train the smallest model of a name, without dropout, as its masks differ between CPUs."""
    task, examples = find_task(task_of(name, kind)).read(read(table(name, kind)), {})
    train, valid = examples[VALID:], examples[:VALID]
    options = model_options(name)[1].tiny()
    training = Training.start(
        task.prepare(train), options, train, valid,
        recipe=options.recipe(), budget=Budget(UPDATES, "steps", None), seed=0,
    )  # fmt: skip
    progress = list(fit(training))
    losses = [float(each.loss.value.detach()) for each in progress]
    return {"losses": [*losses[:SHOWN], losses[-1]]}


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_training_goes_as_it_did(name: str, kind: str) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert f"{name} {kind}" in golden, f"There is no golden number yet. {RENEW}"
    found, expected = measure(name, kind), golden[f"{name} {kind}"]
    np.testing.assert_allclose(found["losses"], expected["losses"], rtol=CLOSE, err_msg=RENEW)


def test_nothing_golden_is_left_of_what_is_gone() -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert set(golden) == {f"{name} {kind}" for name, kind in CASES}, RENEW


if __name__ == "__main__":
    numbers = {f"{name} {kind}": measure(name, kind) for name, kind in CASES}
    GOLDEN.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")

"""Pretraining a GPT: accumulation is exact by sum and count, and a cut changes no bit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ensuite.core.recipe import Recipe
from ensuite.models.gpt import GPTOptions
from ensuite.tasks.generate import Example, Generate
from ensuite.training.budget import Budget
from ensuite.training.loop import add_gradients, fit
from ensuite.training.training import Training
from stress.harness import check_equal, cut

# Texts of unequal length: chunks have unequal counts of targets.
TEXTS = [Example("the cat sat on the mat. " * count, count) for count in (1, 2, 5, 1, 7, 3)]


def start(budget: str = "6steps", **recipe: Any) -> Training:
    options = replace(GPTOptions().tiny(), context=16, dropout=0.1)
    task = Generate().prepare(TEXTS, options)
    how = {"optimizer": "muon", "batch_size": 4, **recipe}
    return Training.start(
        task, options, TEXTS, TEXTS[:1], recipe=Recipe(**how), budget=Budget.parse(budget)
    )


def accumulated(**recipe: Any) -> dict[str, torch.Tensor]:
    """Return the gradients of the first update, without dropout."""
    training = start(**recipe)
    training.model.eval()
    add_gradients(training)
    return {name: p.grad for name, p in training.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(("rows", "batches"), [(1, 12), (3, 4), (4, 3), (6, 2)])
def test_accumulated_batches_give_the_gradients_of_one(rows: int, batches: int) -> None:
    whole = accumulated(batch_size=12)
    parts = accumulated(batch_size=rows, accumulate=batches)
    # float32, added up in another order
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["muon", "adam"])
def test_a_cut_changes_no_bit(tmp_path: Path, optimizer: str) -> None:
    how = {"optimizer": optimizer, "schedule": "cosine", "warmup": 0.3, "accumulate": 2}
    whole = start(**how)
    for _ in fit(whole):
        pass
    check_equal(whole, cut(lambda: start(**how), tmp_path / "cut", 3), tmp_path)


def test_muon_learns_the_text_in_few_updates() -> None:
    training = start("40steps", learning_rate=1e-2, batch_size=16)
    losses = [float(progress.loss.value) for progress in fit(training)]
    assert sum(losses[-3:]) / 3 < 0.6 * losses[0]

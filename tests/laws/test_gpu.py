"""A GPU gives what a CPU gives: every backbone, every task, and a run that was trained there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from test_backbones import CASES as BACKBONES
from test_backbones import answered
from test_backbones import build as build_backbone
from test_tasks import CASES as TASKS
from test_tasks import build, make, smallest

import ensuite
from ensuite.core.backbone import BackboneOptions
from ensuite.core.batch import Inputs
from ensuite.core.recipe import Recipe
from ensuite.laws import alike, random_batch
from ensuite.training.budget import Budget
from ensuite.training.evaluate import predict
from ensuite.training.loop import fit
from ensuite.training.training import Training

if not torch.cuda.is_available():
    pytest.skip("needs a GPU", allow_module_level=True)

GPU = torch.device("cuda")


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    """Multiply in float32 throughout, as a CPU does; cuDNN would round to 10 bits."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.mark.parametrize(("options", "inputs"), BACKBONES)
def test_every_backbone(options: BackboneOptions, inputs: Inputs) -> None:
    batch = random_batch(inputs, rows=5, longest=9)
    backbone = build_backbone(options, inputs)
    expected = answered(backbone, batch)
    found = answered(backbone.to(GPU), batch.to(GPU))
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", TASKS)
class TestTasks:
    def test_answers(self, case: str) -> None:
        task, examples = make(case)
        task = task.prepare(examples)
        model = build(task)
        answers = [predict(task, each, examples) for each in (model, model.to(GPU))]
        rows = [
            [task.records(*pair) for pair in zip(examples, each, strict=True)] for each in answers
        ]
        assert alike(*rows)

    @pytest.mark.parametrize("precision", ["float32", "bfloat16"])
    def test_updates(self, case: str, precision: Any) -> None:
        task, examples = make(case)
        task = task.prepare(examples)
        losses = []
        for device in ("cpu", "cuda"):
            training = Training.start(
                task, smallest(task), examples, examples, seed=0, device=torch.device(device),
                recipe=Recipe(learning_rate=0.01, batch_size=4, precision=precision),
                budget=Budget(4, "steps", None),
            )  # fmt: skip
            losses.append([progress.loss.value.item() for progress in fit(training)])
        near = 1e-3 if precision == "float32" else 0.05
        assert losses[1] == pytest.approx(losses[0], rel=near, abs=near)


@pytest.mark.parametrize("model", ["lstm", "gru", "bert-tiny"])
def test_a_run_of_a_gpu_answers_on_a_cpu(tmp_path: Path, model: str) -> None:
    texts = [{"text": f"a {word} film, number {n}", "label": word} for n in range(40)
             for word in ("good", "bad")]  # fmt: skip
    ensuite.train(
        "classify", texts, model=model, budget="6steps", device="cuda", out=tmp_path / "run"
    )
    here, there = (
        ensuite.load(tmp_path / "run", device=device).predict(["a good film", "so bad"])
        for device in ("cpu", "cuda")
    )
    for cpu, gpu in zip(here, there, strict=True):
        assert gpu.label == cpu.label
        assert gpu.probabilities == pytest.approx(cpu.probabilities, abs=1e-3)


@pytest.mark.parametrize("model", ["gpt:layers=2,width=32", "lstm"])
def test_text_is_continued_alike(tmp_path: Path, model: str) -> None:
    texts = [{"text": f"{n} to be or not to be. " * 20} for n in range(20)]
    ensuite.train(
        "generate", texts, model=model, budget="30steps", settings={"unit": "characters"},
        device="cuda", out=tmp_path / "run",
    )  # fmt: skip
    here, there = (
        ensuite.load(tmp_path / "run", device=device).generate(
            "to ", max_new_tokens=20, temperature=0
        )
        for device in ("cpu", "cuda")
    )
    assert there == here

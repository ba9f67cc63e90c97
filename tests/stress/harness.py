"""What every toy must do on the real core: learn, answer in order, go on bit-equal after a cut."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ensuite.core.backbone import Backbone, BackboneOptions, Trait
from ensuite.core.batch import IGNORE, Batch, Inputs, States, sum_counts
from ensuite.core.files import read_json, read_tensors
from ensuite.core.loss import Part
from ensuite.core.recipe import Recipe
from ensuite.core.score import Score
from ensuite.core.task import Task
from ensuite.training.budget import Budget
from ensuite.training.evaluate import predict
from ensuite.training.loop import fit
from ensuite.training.training import Training, checkpoints

Start = Callable[[], Training]


class Toy(Task[Any, Any, Any]):
    """A task over made examples, judged by the mean quality of its predictions."""

    def read(self, table: Any, given: Mapping[str, str], *, asking: bool = False) -> Any:
        raise NotImplementedError("the examples of a toy are made")

    def quality(self, prediction: Any, example: Any) -> float:
        return float(prediction == example.truth)

    def score(self, predictions: Sequence[Any], examples: Sequence[Any]) -> dict[str, Score]:
        qualities = [self.quality(*pair) for pair in zip(predictions, examples, strict=True)]
        return {"quality": Score.mean(qualities, np.ones(len(qualities)))}


@dataclass(frozen=True, kw_only=True)
class Made(BackboneOptions):
    """Options of a backbone that a toy makes itself."""

    make: Callable[[Inputs], Backbone]
    reads = frozenset({"tokens", "row"})

    @property
    def traits(self) -> frozenset[Trait]:
        return frozenset()

    def build(self, inputs: Inputs) -> Backbone:
        return self.make(inputs)

    def tiny(self) -> Self:
        return self


class Reader(Backbone):
    """Both ways over rows of one length, with dropout, for toys whose point is elsewhere."""

    def __init__(self, inputs: Inputs, width: int = 32) -> None:
        super().__init__()
        self.width = 2 * width
        self.embed = nn.Sequential(nn.Embedding(inputs["tokens"].size, width), nn.Dropout(0.05))
        self.read = nn.GRU(width, width, batch_first=True, bidirectional=True)

    def forward(self, batch: Batch) -> States:
        sequence, last = self.read(self.embed(batch.inputs["tokens"]))
        return States(torch.cat([*last], -1), sequence)


class SummaryHead(nn.Linear):
    """Read the state of each row."""

    def forward(self, states: States, batch: Batch) -> Tensor:
        return super().forward(states.summary)


class SequenceHead(nn.Linear):
    """Read the state of every position, or of the one position of a step."""

    def forward(self, states: States, batch: Batch) -> Tensor:
        return super().forward(states.sequence)


def pad(rows: Sequence[Sequence[int]], value: int = 0) -> Tensor:
    """Return (batch, time) numbers, shorter rows filled up with ``value``."""
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)


def entropy(values: Tensor, targets: Tensor) -> Part:
    """Return the cross-entropy summed over targets; the labels are the last dimension."""
    return Part(F.cross_entropy(values.movedim(-1, 1), targets, reduction="sum"))


def counted(batch: Batch) -> Batch:
    """Return the batch with the number of targets in each part."""
    counts = {name: int((t != IGNORE).sum()) for name, t in batch.targets.items()}
    return replace(batch, counts=counts)


def rows(batch: Batch, some: slice) -> Batch:
    """Return some rows of a batch as a batch of their own."""
    inputs = {name: tensor[some] for name, tensor in batch.inputs.items()}
    targets = {name: tensor[some] for name, tensor in batch.targets.items()}
    return counted(Batch(inputs=inputs, targets=targets))


def starter(task: Toy, make: Any, *data: Sequence[Any], budget: str, **recipe: Any) -> Start:
    """Return what makes a training, each time from the same beginning."""
    how = {"budget": Budget.parse(budget), "recipe": Recipe(**recipe)}
    return lambda: Training.start(task, Made(make=make), *data, **how)


def check(start: Start, folder: Path, *, least: float) -> Training:
    """Train twice from ``start``, once with a cut in the middle; return the uninterrupted run."""
    before, whole = quality(start()), start()
    updates = sum(1 for _ in fit(whole))
    assert before < least <= quality(whole)
    check_order(whole)
    went_on = cut(start, folder / "cut", updates // 2)
    assert whole.state.history
    check_equal(whole, went_on, folder)
    return whole


def quality(training: Training) -> float:
    """Judge the weights as they are now on the validation examples."""
    predictions = predict(training.task, training.model, training.valid)
    return training.task.score(predictions, training.valid)["quality"].value


def check_order(training: Training) -> None:
    """Assert one prediction per example, each beside its own, whatever the batches."""
    task, model, examples = training.task, training.model, training.valid
    predictions = predict(task, model, examples)
    assert len(predictions) == len(examples)
    backwards = predict(task, model, examples[::-1], size=3)
    torch.testing.assert_close(backwards[::-1], predictions)


def cut(start: Start, folder: Path, updates: int) -> Training:
    """Train for so many updates, save, and finish with all things made anew."""
    for progress in fit(first := start()):
        if progress.update == updates:
            first.save(folder)
            break
    training = start()
    torch.manual_seed(12345)  # whatever this process drew before, the checkpoint's numbers count
    assert training.resume(folder)
    assert training.state == first.state
    for _ in fit(training):
        pass
    return training


def check_equal(one: Training, other: Training, folder: Path) -> None:
    """Assert that two trainings are equal in every bit a checkpoint holds, but for the clock."""
    saved = []
    for name, training in (("one", one), ("other", other)):
        training.save(folder / name)
        (checkpoint,) = checkpoints(folder / name)
        state = read_json(checkpoint / "training_state.json")
        for spent in (state["spent"], *state["history"]):
            del spent["seconds"], spent["wall_seconds"]
        saved.append((state, read_tensors(checkpoint / "state.safetensors")))
    (state, tensors), (other_state, other_tensors) = saved
    assert state == other_state
    assert tensors.keys() == other_tensors.keys()
    unequal = [name for name, t in tensors.items() if not t.equal(other_tensors[name])]
    assert unequal == []


def gradients(training: Training, batches: Sequence[Batch]) -> dict[str, Tensor]:
    """Return the gradient of one update over ``batches``, by parameter, without dropout."""
    training.model.eval().zero_grad()
    counts = sum_counts(batches)
    for batch in batches:
        (training.forward(batch) / counts).value.backward()
    return {name: p.grad.clone() for name, p in training.model.named_parameters()}

"""All that training is made of at a moment: what a checkpoint holds, and goes on from."""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from ensuite.core.backbone import BackboneOptions
from ensuite.core.batch import Batch, Carry, check_ranges
from ensuite.core.display import PLAIN
from ensuite.core.errors import DataError, NonFiniteGradientError, RunError
from ensuite.core.files import read_json, read_tensors, write_json, write_tensors
from ensuite.core.loss import Loss
from ensuite.core.model import Model
from ensuite.core.recipe import Recipe
from ensuite.core.stacked import take
from ensuite.core.task import Task, rank
from ensuite.training.budget import Budget, Spent
from ensuite.training.device import precision
from ensuite.training.evaluate import predict
from ensuite.training.optimizer import make_optimizer

TOLERATED = 5
"""Updates in a row whose gradient may be not finite before training gives up."""

EVALUATIONS = 20
"""At least so many evaluations over a budget, and one an epoch where epochs are shorter..."""

STEPS_BETWEEN = 50
"""...but never more often than this many updates."""


class Progress(NamedTuple):
    """What one update brought."""

    update: int
    loss: Loss
    norm: Tensor
    share: float  # of the budget, 0 to 1
    scores: Mapping[str, float]  # on the validation examples; empty between evaluations


@dataclass
class TrainingState:
    """Progress of training and of its best weights so far; every field is JSON."""

    spent: Spent = field(default_factory=Spent)
    epoch: int = 0
    batch: int = 0  # within the epoch
    failures: int = 0  # updates in a row with a gradient that is not finite
    evaluated_steps: int = 0
    evaluated_epochs: float = 0.0
    evaluated_share: float = 0.0
    stale: int = 0  # evaluations since the last gain
    best: float | None = None
    best_share: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)


class Training:
    """A model being trained: its optimizer, its position in the data, what it has spent.

    Args:
        task: Prepared on the training examples.
        model: The backbone with the task's head.
        train: Examples to learn from.
        valid: Examples to choose the best weights by.
        recipe: The hyper-parameters.
        budget: What may be spent.
        seed: Of the order of examples, of noise and of dropout.
        device: Where to compute.
        metric: What the best weights are best by; None for the task's first.

    Raises:
        DataError: If there is nothing to learn from.
    """

    def __init__(
        self,
        task: Task[Any, Any, Any],
        model: Model,
        train: Sequence[Any],
        valid: Sequence[Any],
        *,
        recipe: Recipe,
        budget: Budget,
        seed: int = 0,
        device: torch.device | None = None,
        metric: str | None = None,
    ) -> None:
        self.device = device or torch.device("cpu")
        self.task, self.model = task, model.to(self.device)
        self.items = task.items(train)
        if not len(self.items):
            raise DataError("There is no example to learn from; give at least one row to train on.")
        self.valid = task.validation_subset(valid)
        self.valid_items = task.items(self.valid, asking=True)
        self.recipe, self.budget, self.seed, self.metric = recipe, budget, seed, metric
        learned = [each for each in self.model.parameters() if each.requires_grad]
        self.optimizer = make_optimizer(learned, recipe)
        self.state = TrainingState()
        self.display = PLAIN  # of the metric, known from the first evaluation on
        self.carry: Carry | None = None
        self.best_weights: dict[str, Tensor] = {}
        self._order: tuple[int, list[list[int]]] | None = None

    @classmethod
    def start(
        cls, task: Task[Any, Any, Any], options: BackboneOptions, *data: Sequence[Any], **how: Any
    ) -> Self:
        """Build a model from its options, its weights drawn from the seed, ready to train."""
        torch.manual_seed(how.get("seed", 0))
        return cls(task, Model.build(options, task), *data, **how)

    # What one update needs

    @property
    def share(self) -> float:
        """Share of the budget that is spent."""
        return self.budget.share(self.state.spent)

    @property
    def over(self) -> bool:
        """Whether the budget is spent, or no gain came for as long as it allows."""
        patience = self.budget.patience
        return self.share >= 1 or (patience is not None and self.state.stale >= patience)

    @property
    def order(self) -> list[list[int]]:
        """The item numbers of every batch of this epoch."""
        if self._order is None or self._order[0] != self.state.epoch:
            size, epoch = self.recipe.batch_size, self.state.epoch
            self._order = epoch, self.task.order(self.items, size, epoch, self.seed)
        return self._order[1]

    def next_batches(self) -> list[Batch]:
        """Return the batches of the next update; the last update of an epoch may have fewer."""
        state, order = self.state, self.order
        last = min(state.batch + self.recipe.accumulate, len(order))
        batches = [self._collate(index) for index in range(state.batch, last)]
        state.batch = last
        return batches

    def _collate(self, index: int) -> Batch:
        number = (self.seed * 1_000_003 + self.state.epoch) * 1_000_003 + index
        generator = torch.Generator().manual_seed(number % 2**63)
        batch = self.task.collate(take(self.items, self.order[index]), generator)
        check_ranges(batch, self.task.inputs)
        self.state.spent.tokens += batch.positions
        return batch

    def forward(self, batch: Batch) -> Loss:
        """Return the loss of a batch; hand its carry on, detached, where the task has lanes."""
        batch = replace(batch.to(self.device).after(self.carry), progress=min(self.share, 1.0))
        with precision(self.recipe.precision, self.device):
            outputs = self.task.forward(self.model, batch)
            loss = self.task.loss(outputs, batch).with_penalties(outputs.states.penalties)
        if self.task.carries and outputs.states.carry is not None:
            self.carry = {name: t.detach() for name, t in outputs.states.carry.items()}
        return loss

    def update(self, norm: Tensor) -> None:
        """Apply the gradients, unless they are not finite: then the weights stay as they were.

        Raises:
            NonFiniteGradientError: After several in a row.
        """
        state = self.state
        if math.isfinite(norm.item()):
            state.failures = 0
            self.optimizer.step(self.recipe.learning_rate_at(self.share))
        else:
            state.failures += 1
            self.carry = None  # it may be what is not finite
            if state.failures >= TOLERATED:
                raise NonFiniteGradientError(
                    f"{TOLERATED} updates in a row had gradients that are not finite, the last at "
                    f"batch {state.batch} of epoch {state.epoch + 1} (examples "
                    f"{self.order[state.batch - 1][:5]}...). The weights are those before them. "
                    "Try a smaller rate: --set recipe.learning_rate="
                    f"{self.recipe.learning_rate / 10:g}"
                )
        self.optimizer.zero_grad()

    def advance(self, began: float) -> None:
        """Charge the update to the budget, and go on to the next epoch where this one ends."""
        state = self.state
        state.spent.steps += 1
        state.spent.epochs = state.epoch + state.batch / len(self.order)
        if state.batch == len(self.order):
            state.epoch, state.batch, self.carry = state.epoch + 1, 0, None
        state.spent.seconds += perf_counter() - began

    # Between two updates

    def evaluate_if_due(self) -> dict[str, float]:
        """Score the validation examples where it is time to, and keep the best weights."""
        state, share = self.state, self.share
        epochs = state.spent.epochs - state.evaluated_epochs
        steps = state.spent.steps - state.evaluated_steps
        due = epochs >= 1 and steps >= STEPS_BETWEEN
        if not (due or share - state.evaluated_share >= 1 / EVALUATIONS or share >= 1):
            return {}
        state.evaluated_epochs, state.evaluated_steps = state.spent.epochs, state.spent.steps
        state.evaluated_share = share
        return self.evaluate()

    def evaluate(self) -> dict[str, float]:
        """Score the validation examples; weights as good as the best so far replace them."""
        predictions = predict(self.task, self.model, self.valid, items=self.valid_items)
        scores = self.task.score(predictions, self.valid)
        self.metric = rank(scores, self.metric or self.task.selects)[0]
        self.display, ranking = scores[self.metric].display, scores[self.metric]
        value, state = ranking.value * (1 if ranking.higher_is_better else -1), self.state
        best = -math.inf if state.best is None else state.best
        if value > best:  # never true of NaN
            state.best, state.best_share, state.stale = value, self.share, 0
        else:
            state.stale += 1
        if value >= best:  # among equals the one trained longest
            weights = self.model.state_dict().items()
            self.best_weights = {name: tensor.detach().clone() for name, tensor in weights}
        values = {name: score.value for name, score in scores.items()}
        known = {name: v if math.isfinite(v) else None for name, v in values.items()}
        state.history.append({**asdict(state.spent), "share": self.share, "scores": known})
        return values

    @property
    def converged(self) -> bool:
        """Whether the best score came before the last fifth of what was spent."""
        patience = self.budget.patience
        stopped = patience is not None and self.state.stale >= patience
        return stopped or self.state.best_share <= 0.8 * self.share

    def restore_best(self) -> None:
        """Put the best weights into the model."""
        if self.best_weights:
            self.model.load_state_dict(self.best_weights)

    # On disk

    def save(self, folder: Path) -> None:
        """Write a checkpoint below ``folder``, whole or not at all, and drop the older ones."""
        older, draft = checkpoints(folder), folder / ".draft"
        shutil.rmtree(draft, ignore_errors=True)
        write_tensors(draft / "state.safetensors", self._tensors())
        state = {**asdict(self.state), "threads": torch.get_num_threads()}
        write_json(draft / "training_state.json", state)
        number = int(older[-1].name) + 1 if older else 1
        draft.rename(folder / f"{number:06d}")
        for each in older:
            shutil.rmtree(each, ignore_errors=True)

    def resume(self, folder: Path) -> bool:
        """Go on from the newest checkpoint below ``folder``; False where there is none.

        Raises:
            RunError: If it is damaged, or of another model.
        """
        found = checkpoints(folder)
        if not found:
            return False
        state = read_json(found[-1] / "training_state.json")
        tensors = read_tensors(found[-1] / "state.safetensors")
        try:
            self._load(state, tensors)
        except (AttributeError, KeyError, TypeError, RuntimeError, ValueError) as error:
            raise RunError(f"{found[-1]} is not a checkpoint of this model ({error}).") from error
        return True

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {f"model.{name}": t for name, t in self.model.state_dict().items()}
        tensors |= {f"best.{name}": t for name, t in self.best_weights.items()}
        tensors |= {f"carry.{name}": t for name, t in (self.carry or {}).items()}
        tensors |= {f"optimizer.{name}": t for name, t in self.optimizer.tensors().items()}
        tensors["random.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.device)
        return tensors

    def _load(self, state: dict[str, Any], tensors: Mapping[str, Tensor]) -> None:
        self.model.load_state_dict(_below("model.", tensors))
        self.best_weights = _below("best.", tensors)
        self.carry = _below("carry.", tensors) or None
        self.carry = self.carry and {k: t.to(self.device) for k, t in self.carry.items()}
        self.optimizer.load(_below("optimizer.", tensors))
        torch.set_rng_state(tensors["random.cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random.cuda"], self.device)
        state = {key: value for key, value in state.items() if key != "threads"}
        self.state = TrainingState(**{**state, "spent": Spent(**state["spent"])})


def checkpoints(folder: Path) -> list[Path]:
    """Return the whole checkpoints below ``folder``, oldest first."""
    return sorted(each for each in folder.glob("[0-9]*") if each.name.isdecimal())


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}

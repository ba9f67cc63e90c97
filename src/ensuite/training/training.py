"""The state of a training run: model, optimizer, position in the data; saved as checkpoints."""

import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from ensuite.core.backbone import BackboneOptions
from ensuite.core.batch import Batch, Carry, check_ranges
from ensuite.core.display import PLAIN
from ensuite.core.errors import DataError, NonFiniteGradientError, OutOfMemoryError, RunError
from ensuite.core.files import read_json, read_tensors, write_json, write_tensors
from ensuite.core.loss import Loss
from ensuite.core.model import Model
from ensuite.core.published import below
from ensuite.core.recipe import Recipe
from ensuite.core.stacked import take
from ensuite.core.task import LOSS, Task, rank
from ensuite.training.budget import Budget, Spent
from ensuite.training.clock import Moment, charged_seconds
from ensuite.training.device import precision
from ensuite.training.evaluate import count_positions, predict, standard_error, validation_loss
from ensuite.training.groups import freeze
from ensuite.training.memory import join, split
from ensuite.training.optimizer import make_optimizer

TOLERATED = 5
"""Updates in a row whose gradient may be infinite or NaN before training stops with an error."""

EVALUATIONS = 20
"""Evaluations over a budget, at most."""

TOKENS_BETWEEN = 3
"""Training tokens between two evaluations, at least, as a multiple of those that are evaluated. An
update costs about three times as much as an answer, so evaluating takes a ninth of the time of
training at most."""

STEPS_BETWEEN = 50
"""Updates between two evaluations, at least, where patience makes them more frequent."""

LAST_PART = 0.2
"""Last fraction of the budget: an improvement within it means that the model still improved."""

ROUNDING = 1e-9
"""Tolerance for comparing fractions of the budget."""


class Progress(NamedTuple):
    """The result of one update.

    Attributes:
        update: Its number, from 1.
        loss: Each part divided by its count.
        norm: Of the gradient, before clipping.
        share: Fraction of the budget that is spent.
        scores: On the validation examples; empty where they were not evaluated.
    """

    update: int
    loss: Loss
    norm: Tensor
    share: float
    scores: Mapping[str, float]


@dataclass
class TrainingState:
    """Progress of training, and of its best weights so far; every field can be written as JSON.

    Attributes:
        spent: What all updates have cost.
        epoch: Passes over the training rows that are finished.
        batch: Batches of the current epoch that are done.
        pieces: How many pieces each batch is computed in; more than 1 after memory ran out.
        failures: Updates in a row whose gradient was not finite.
        busy: Whether training was ended by the wall limit, before its budget was spent.
        evaluated_steps: Updates before the last evaluation.
        evaluated_epochs: Epochs before it.
        evaluated_tokens: Training tokens before it.
        evaluated_share: Fraction of the budget that was spent then.
        stale: Evaluations since the last improvement.
        best: Best validation score, its sign changed where lower is better.
        best_share: Fraction of the budget that was spent then.
        history: For each evaluation, what was spent and what was scored.
    """

    spent: Spent = field(default_factory=Spent)
    epoch: int = 0
    batch: int = 0
    pieces: int = 1
    failures: int = 0
    busy: bool = False
    evaluated_steps: int = 0
    evaluated_epochs: float = 0.0
    evaluated_tokens: int = 0
    evaluated_share: float = 0.0
    stale: int = 0
    best: float | None = None
    best_share: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)


class Training:
    """A model being trained: its optimizer, its position in the data, what it has spent so far.

    Args:
        task: Prepared on the training examples.
        model: The backbone with the task's head.
        train: Training examples.
        valid: Validation examples, by which the best weights are chosen.
        recipe: Hyper-parameters.
        budget: How much may be spent.
        seed: Of the order of examples, of noise and of dropout.
        device: Where to compute; None: on the CPU.
        metric: Metric by which the best weights are chosen; None: the task's first.

    Attributes:
        say: Called with a sentence for the user, where training has something to report.

    Raises:
        DataError: If there is no training example.
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
        self.valid_tokens = count_positions(task, self.valid_items)
        self.recipe, self.budget, self.seed, self.metric = recipe, budget, seed, metric
        freeze(self.model, recipe)
        self.optimizer = make_optimizer(self.model, recipe)
        self.state = TrainingState()
        self.display = PLAIN  # of the metric, known from the first evaluation on
        self.carry: Carry | None = None
        self.best_weights: dict[str, Tensor] = {}
        self.say: Callable[[str], None] = _say_nothing
        self._order: tuple[int, Sequence[list[int]]] | None = None

    @classmethod
    def start(
        cls, task: Task[Any, Any, Any], options: BackboneOptions, *data: Sequence[Any], **how: Any
    ) -> Self:
        """Build a model from its options, with weights drawn from the seed."""
        torch.manual_seed(how.get("seed", 0))
        return cls(task, Model.build(options, task), *data, **how)

    def twin(self) -> Self:
        """Return another training of equal weights and the same data, before its first update."""
        twin = copy(self)
        twin.model = deepcopy(self.model)
        twin.optimizer = make_optimizer(twin.model, self.recipe)
        twin.state, twin.carry, twin.best_weights = TrainingState(), None, {}
        twin._order = None
        return twin

    # What one update needs

    @property
    def share(self) -> float:
        """Fraction of the budget that is spent."""
        return self.budget.share(self.state.spent)

    @property
    def out_of_patience(self) -> bool:
        """Whether as many evaluations in a row as the budget allows brought no improvement."""
        patience = self.budget.patience
        return patience is not None and self.state.stale >= patience

    @property
    def over(self) -> bool:
        """Whether training has ended: by its budget, its patience, or the wall limit."""
        return self.share >= 1 or self.state.busy or self.out_of_patience

    @property
    def order(self) -> Sequence[list[int]]:
        """Item numbers of each batch of the current epoch."""
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
        """Return the loss of a whole batch; the next one starts from its carry, detached."""
        (loss,) = self._losses(batch, pieces=1)
        return loss

    def losses(self, batch: Batch) -> Iterator[Loss]:
        """Yield the loss of each piece of a batch; the next batch starts from their carry.

        Call ``backward`` on each before the next is computed, so that one is in memory at a time.
        """
        return self._losses(batch, self.state.pieces)

    def _losses(self, batch: Batch, pieces: int) -> Iterator[Loss]:
        batch = replace(batch.to(self.device).after(self.carry), progress=min(self.share, 1.0))
        carries: list[Carry | None] = []
        for piece in split(batch, pieces):
            with precision(self.recipe.precision, self.device):
                outputs = self.task.forward(self.model, piece)
                loss = self.task.loss(outputs, piece).with_penalties(outputs.states.penalties)
            carry = outputs.states.carry if self.task.carries else None
            carries.append(carry and {name: tensor.detach() for name, tensor in carry.items()})
            del outputs
            yield loss
        carry = join(carries)
        if carry is not None:
            self.carry = carry

    def halve(self, batches: Sequence[Batch], carry: Carry | None) -> None:
        """Undo what an update has computed, and compute its batches in pieces of half the size.

        Losses are sums, and are divided by the counts of the whole update, so that the gradients
        stay the same, apart from what is drawn or averaged per batch, such as dropout.

        Args:
            batches: Of the update that ran out of memory.
            carry: What it started from.

        Raises:
            OutOfMemoryError: If the pieces have one row already.
        """
        rows = max(map(len, batches))
        if self.state.pieces >= rows:
            raise OutOfMemoryError(
                "Training ran out of memory with a single row; choose a smaller model, or shorter "
                "inputs."
            )
        self.optimizer.zero_grad()
        self.carry = carry
        self.state.pieces *= 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        before, now = (math.ceil(each * rows / self.state.pieces) for each in (2, 1))
        self.say(
            f"out of memory with {before} rows at once: batches are now computed {now} rows at a "
            "time, and their gradients added up"
        )

    def update(self, norm: Tensor) -> None:
        """Apply the gradients, unless their norm is not finite; then leave the weights unchanged.

        Raises:
            NonFiniteGradientError: If this happens several times in a row.
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

    def advance(self, began: Moment) -> None:
        """Charge an update to the budget, and start the next epoch where this one ends.

        Args:
            began: When the update began.
        """
        state = self.state
        state.spent.steps += 1
        state.spent.epochs = state.epoch + state.batch / len(self.order)
        if state.batch == len(self.order):
            state.epoch, state.batch, self.carry = state.epoch + 1, 0, None
        ended = Moment.now()
        state.spent.wall_seconds += ended.wall - began.wall
        state.spent.seconds += charged_seconds(began, ended, self.device, torch.get_num_threads())
        state.busy = self.share < 1 and self.budget.wall_limit_reached(state.spent)

    # Between two updates

    @property
    def evaluation_due(self) -> bool:
        """Whether it is time to evaluate: at the end of training, and now and then before.

        Not before training has read three times as many tokens as are evaluated. Then after each
        twentieth of the budget; where patience counts evaluations, also after each epoch.
        """
        state = self.state
        if self.share >= 1 or state.busy:
            return True
        if state.spent.tokens - state.evaluated_tokens < TOKENS_BETWEEN * self.valid_tokens:
            return False
        if self.share - state.evaluated_share >= 1 / EVALUATIONS - ROUNDING:
            return True
        epochs = state.spent.epochs - state.evaluated_epochs
        steps = state.spent.steps - state.evaluated_steps
        return self.budget.patience is not None and epochs >= 1 and steps >= STEPS_BETWEEN

    def evaluate_if_due(self) -> dict[str, float]:
        """Evaluate if it is time to; return the scores, or nothing."""
        if not self.evaluation_due:
            return {}
        state = self.state
        state.evaluated_epochs, state.evaluated_steps = state.spent.epochs, state.spent.steps
        state.evaluated_tokens, state.evaluated_share = state.spent.tokens, self.share
        return self.evaluate()

    def evaluate(self) -> dict[str, float]:
        """Score the validation examples, and keep the weights if they are the best so far."""
        task = self.task.while_training()
        predictions = predict(task, self.model, self.valid, items=self.valid_items)
        scores = task.score(predictions, self.valid)
        selects = self.metric or self.task.selects
        if self.task.selects == LOSS and selects in scores and math.isnan(scores[selects].value):
            selects = LOSS  # the metric that ranks is not known of the validation part
        if selects == LOSS and LOSS not in scores:
            scores[LOSS] = validation_loss(self.task, self.model, self.valid_items)
        self.metric, ranking = rank(scores, selects)
        self.display = ranking.display
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
        state.history.append(
            {
                **asdict(state.spent),
                "share": self.share,
                "scores": {name: _finite(each) for name, each in values.items()},
                "value": _finite(value),  # larger is better
                "standard_error": _finite(standard_error(ranking)),
            }
        )
        return values

    @property
    def converged(self) -> bool:
        """Whether the best score came before the last fifth of what was spent."""
        return self.out_of_patience or self.state.best_share <= (1 - LAST_PART) * self.share

    @property
    def still_rising(self) -> bool:
        """Whether more training would probably improve the model.

        It would where training has seen less than one epoch, or where the best validation score
        improved by more than its standard error in the last fifth of what was spent. Where nothing
        was evaluated before the last fifth, nothing shows that the score had stopped to improve.
        """
        if self.state.spent.epochs < 1:
            return True
        known = [point for point in self.state.history if point.get("value") is not None]
        if self.out_of_patience or not known:
            return False
        end = (1 - LAST_PART) * self.share
        before = [point["value"] for point in known if point["share"] <= end]
        best = max(known, key=lambda point: float(point["value"]))
        if not before:
            return True
        return bool(best["value"] - max(before) > (best["standard_error"] or 0.0))

    def restore_best(self) -> None:
        """Put the best weights into the model."""
        if self.best_weights:
            self.model.load_state_dict(self.best_weights)

    # On disk

    def save(self, folder: Path) -> None:
        """Write a checkpoint below ``folder`` atomically, and delete the older ones."""
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
        """Continue from the newest checkpoint below ``folder``; return False if there is none.

        Raises:
            RunError: If it is damaged, or belongs to another model.
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
        threads = torch.get_num_threads()
        if state.get("threads", threads) != threads:
            self.say(
                f"the checkpoint was written by {state['threads']} threads, training goes on with "
                f"{threads}: other threads add numbers up in another order, so that the result may "
                "differ in its last digits from that of an uninterrupted run"
            )
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
        self.model.load_state_dict(below("model.", tensors))
        # Copies: the file that the tensors are mapped from is deleted with the next checkpoint.
        self.best_weights = self._copy(below("best.", tensors))
        self.carry = self._copy(below("carry.", tensors)) or None
        self.optimizer.load(below("optimizer.", tensors))
        torch.set_rng_state(tensors["random.cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random.cuda"], self.device)
        state = {key: value for key, value in state.items() if key != "threads"}
        self.state = TrainingState(**{**state, "spent": Spent(**state["spent"])})

    def _copy(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: t.to(self.device, copy=True) for name, t in tensors.items()}


def checkpoints(folder: Path) -> list[Path]:
    """Return the complete checkpoints below ``folder``, oldest first."""
    return sorted(each for each in folder.glob("[0-9]*") if each.name.isdecimal())


def _finite(value: float | None) -> float | None:
    """Return a number that JSON has: None for NaN and infinity."""
    return value if value is not None and math.isfinite(value) else None


def _say_nothing(sentence: str) -> None:
    """Ignore a sentence for the user."""

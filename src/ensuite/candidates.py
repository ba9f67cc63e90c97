"""Candidates: the rows of a comparison, each of which can be fitted, saved and resumed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any, Literal, Protocol, Self, get_args

import numpy as np
import torch

from ensuite.checkpoint import checkpoint_options, is_checkpoint
from ensuite.core.backbone import BackboneOptions, Pretrained
from ensuite.core.baseline import Variant
from ensuite.core.errors import DataError, UsageError
from ensuite.core.files import write_text
from ensuite.core.fitted import FittedModel
from ensuite.core.options import parse, set_options, to_json
from ensuite.core.recipe import Recipe
from ensuite.core.task import Task
from ensuite.frozen import linear_method, solve_frozen
from ensuite.misfit import refuse_misfit
from ensuite.network import Network
from ensuite.predictor import WEIGHTS, Predictor
from ensuite.problem import Problem, verify
from ensuite.prompting import Answer, PromptedModel, Template, solved
from ensuite.start import (
    Start,
    checkpoint_fingerprint,
    file_hash,
    initialise_published,
)
from ensuite.tasks.generate import Generate
from ensuite.training.budget import Budget
from ensuite.training.callback import Callback
from ensuite.training.checkpoints import Saver
from ensuite.training.independence import require_independent_rows
from ensuite.training.interrupt import held_interrupt
from ensuite.training.loop import fit
from ensuite.training.training import Training

METRICS = "metrics.jsonl"

INIT_FROM, TEMPLATE, SHOTS, ANSWER = "init_from", "template", "shots", "answer"
FROZEN = "frozen"
"""What may stand among the options of a model, beside those of its backbone."""

MOST_ASKED = 200
"""Validation examples by which the share of well-formed answers is told."""

CPU = torch.device("cpu")

Kind = Literal["baseline", "frozen", "trained", "prompted", "saved"]

Spec = str | BackboneOptions


@dataclass(frozen=True)
class Fitted:
    """The result of fitting a candidate, and what it cost.

    Args:
        predictor: The fitted model with its task.
        seconds: Of the charged updates; None for what was not trained here.
        share: Of the budget that was used.
        converged: Whether the validation score had stopped rising.
        epochs: Passes over the training examples.
        still_rising: Whether more training would probably improve it.
        busy: Whether the wall limit ended training before the budget was spent.
    """

    predictor: Predictor
    seconds: float | None = None
    share: float | None = None
    converged: bool | None = None
    epochs: float | None = None
    still_rising: bool | None = None
    busy: bool | None = None


class Candidate(Protocol):
    """A row of a comparison."""

    @property
    def name(self) -> str: ...
    @property
    def variant(self) -> str:
        """Its name with all its options: where its runs are kept, whoever competes with it."""
        ...

    @property
    def kind(self) -> Kind: ...
    @property
    def seeded(self) -> bool:
        """Whether another seed gives another result."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return what must be equal for a finished run to be this candidate's."""
        ...

    def fit(
        self, problem: Problem, *, budget: Budget, seed: int, folder: Path, callback: Callback
    ) -> Fitted:
        """Fit on the problem's examples; save in ``folder``, and resume from there."""
        ...


def prepare(
    task: Task[Any, Any, Any],
    examples: Sequence[Any],
    options: BackboneOptions,
    pretrained: Pretrained | None,
) -> Task[Any, Any, Any]:
    """Return the candidate's own copy of a task; the task itself where nothing differs."""
    own = task.prepare(examples, options, pretrained)
    return task if own == task else own


def calibrated(
    name: str, problem: Problem, task: Task[Any, Any, Any], fitted: FittedModel
) -> Predictor:
    """Return a predictor whose task is calibrated on examples that are not trained on."""
    if problem.held_out and type(task).calibrate is not Task.calibrate:
        answers = fitted.predict(task, problem.held_out)
        task = task.calibrate(answers, problem.held_out)
    return Predictor(name, problem.name, task, fitted)


@dataclass(frozen=True)
class Trained:
    """A backbone to be trained, from new weights, those of another run, or a published checkpoint.

    Args:
        name: As the table shows it.
        variant: The name, and every option that is not the preset's.
        options: Of the backbone.
        recipe: How it is trained.
        start: A run whose backbone it starts from.
        device: Where to compute.
        checkpoint: The folder of the published checkpoint that the options were read from.
    """

    name: str
    variant: str
    options: BackboneOptions
    recipe: Recipe
    start: Start | None = None
    device: torch.device = CPU
    checkpoint: Path | None = None
    kind: Kind = "trained"
    seeded: bool = True
    # Part of the signature, so that a copy under another name keeps what was prepared.
    _tasks: dict[str, Task[Any, Any, Any]] = field(default_factory=dict, compare=False, repr=False)

    def describe(self) -> dict[str, Any]:
        described = {
            "model": to_json(self.options), "recipe": to_json(self.recipe),
            "init_from": self.start.fingerprint if self.start else None,
        }  # fmt: skip
        if self.checkpoint:
            described["checkpoint"] = checkpoint_fingerprint(self.checkpoint)
        return described

    def prepare(self, problem: Problem) -> Task[Any, Any, Any]:
        """Return its copy of the problem's task, prepared once for all seeds."""
        if problem.fingerprint not in self._tasks:
            pretrained = self.start.pretrained() if self.start else self.options.pretrained()
            own = prepare(problem.task, problem.parts["train"], self.options, pretrained)
            self._tasks[problem.fingerprint] = own
        return self._tasks[problem.fingerprint]

    def begin(
        self,
        problem: Problem,
        budget: Budget,
        seed: int,
        checkpoints: Path | None = None,
        callback: Callback | None = None,
        *,
        timed_only: bool = False,
    ) -> Training:
        """Return the training at the newest checkpoint below a folder, or before its first update.

        The weights that it starts from are read only where there is no checkpoint yet, and not
        where its updates are only timed, since their time does not depend on them.
        """
        callback = callback or Callback()
        training = Training.start(
            self.prepare(problem), self.options, problem.parts["train"], problem.parts["valid"],
            recipe=self.recipe, budget=budget, seed=seed, device=self.device, metric=problem.metric,
        )  # fmt: skip
        training.say = callback.say
        if checkpoints is not None and training.resume(checkpoints):
            return training
        if timed_only:
            return training
        if self.start:
            self.start.initialise(training)
        else:
            initialise_published(training, self.options)
        return training

    def fit(
        self, problem: Problem, *, budget: Budget, seed: int, folder: Path, callback: Callback
    ) -> Fitted:
        training = self.begin(problem, budget, seed, folder / "checkpoints", callback)
        if not training.state.spent.steps:
            require_independent_rows(training)
        callback.begin(self.name, training)
        saver = Saver(lambda: save(training, folder), lambda: training.state.spent.wall_seconds)
        with held_interrupt() as interrupted:
            for progress in fit(training):
                callback.update(training, progress)
                if interrupted():
                    saver.save()
                    raise KeyboardInterrupt
                saver.save_if_due()
        saver.save()
        callback.end(self.name, training)
        return self.finish(problem, training)

    def finish(self, problem: Problem, training: Training) -> Fitted:
        """Return the best weights, with a calibrated task."""
        training.restore_best()
        network = Network(training.model.eval(), self.options, training.task.published)
        predictor = calibrated(self.name, problem, training.task, network)
        spent = training.state.spent
        return Fitted(
            predictor,
            seconds=spent.seconds,
            share=min(training.share, 1.0),
            converged=training.converged,
            epochs=spent.epochs,
            still_rising=training.still_rising,
            busy=training.state.busy,
        )


def save(training: Training, folder: Path) -> None:
    """Write a checkpoint, and the scores so far as JSON lines."""
    training.save(folder / "checkpoints")
    lines = "".join(json.dumps(each) + "\n" for each in training.state.history)
    write_text(folder / METRICS, lines)


@dataclass(frozen=True)
class Simple:
    """A baseline: it takes no budget, and its result does not depend on the seed."""

    name: str
    method: Variant
    kind: Kind = "baseline"
    seeded: bool = False

    @property
    def variant(self) -> str:
        return self.name

    def describe(self) -> dict[str, Any]:
        return {"baseline": self.name, "settings": dict(self.method.settings)}

    def fit(
        self, problem: Problem, *, budget: Budget, seed: int, folder: Path, callback: Callback
    ) -> Fitted:
        began = monotonic()
        train, valid = problem.parts["train"], problem.parts["valid"]
        model = self.method.fit(problem.task, train, valid, seed)
        seconds = monotonic() - began
        return Fitted(calibrated(self.name, problem, problem.task, model), seconds)


@dataclass(frozen=True)
class Frozen:
    """A published checkpoint that is not trained, with a linear head on its vectors.

    Args:
        name: As the table shows it.
        variant: As typed.
        checkpoint: Its folder.
        options: Of its backbone.
        device: Where to compute.
    """

    name: str
    variant: str
    checkpoint: Path
    options: BackboneOptions
    device: torch.device = CPU
    kind: Kind = "frozen"
    seeded: bool = False

    @classmethod
    def open(
        cls,
        spec: str,
        folder: Path,
        given: Mapping[str, str],
        problem: Problem,
        device: torch.device,
    ) -> Self:
        """Open what "FOLDER:frozen=true" names.

        Raises:
            UsageError: If the folder is no checkpoint, or the task has no linear method.
        """
        others = {name: text for name, text in given.items() if name != FROZEN}
        try:
            chosen = parse(bool, given[FROZEN])
        except ValueError as error:
            raise UsageError(f"{spec}: {FROZEN}={given[FROZEN]}: {error}.") from None
        if not chosen or not is_checkpoint(folder):
            raise UsageError(
                f"{spec}: {FROZEN}=true is for the folder of a published checkpoint; leave it out."
            )
        options = checkpoint_options(folder).embedding_options()
        options = set_options(options, others, f"the checkpoint {folder}")
        linear_method(problem.name)
        task = prepare(problem.task, problem.parts["train"], options, options.pretrained())
        refuse_misfit(spec, options, problem, task)
        return cls(spec, spec, folder, options, device)

    def describe(self) -> dict[str, Any]:
        return {"frozen": checkpoint_fingerprint(self.checkpoint), "model": to_json(self.options)}

    def fit(
        self, problem: Problem, *, budget: Budget, seed: int, folder: Path, callback: Callback
    ) -> Fitted:
        began = monotonic()
        parts = problem.parts["train"], problem.parts["valid"]
        task = prepare(problem.task, parts[0], self.options, self.options.pretrained())
        method = linear_method(problem.name)
        model = solve_frozen(method, task, self.options, parts, self.device)
        seconds = monotonic() - began
        return Fitted(calibrated(self.name, problem, task, model), seconds)


@dataclass(frozen=True)
class Saved:
    """A run of the same task, which competes as it is.

    Args:
        name: As the table shows it.
        variant: As typed.
        predictor: The loaded run.
    """

    name: str
    variant: str
    predictor: Predictor
    kind: Kind = "saved"
    seeded: bool = False

    @classmethod
    def open(cls, path: str, problem: Problem, device: str = "cpu") -> Self:
        """Load a run, or a comparison's winner, that can answer the problem's test rows.

        Raises:
            RunError: If it is no whole run.
            UsageError: If it was trained on another kind of input, or on other labels.
        """
        predictor = Predictor.load(path, device=device)
        if predictor.task.unit != problem.unit:
            raise UsageError(
                f"{path} was trained to {problem.name} by {predictor.task.unit}, not by "
                f"{problem.unit}."
            )
        try:
            verify(predictor.task, problem.parts["test"], "test", None)
        except DataError as error:
            raise UsageError(f"{path} cannot be judged on {problem.data}. {error}") from error
        return cls(path, path, predictor)

    def describe(self) -> dict[str, Any]:
        assert self.predictor.folder is not None, "it was loaded"
        return {"run": self.variant, "weights": file_hash(self.predictor.folder / WEIGHTS)}

    def fit(
        self, problem: Problem, *, budget: Budget, seed: int, folder: Path, callback: Callback
    ) -> Fitted:
        return Fitted(replace(self.predictor, name=self.name))


@dataclass(frozen=True)
class Prompted:
    """A language model that is prompted for the choices of the task.

    Args:
        name: As the table shows it.
        variant: As typed.
        language: A run of ``generate``.
        template: The prompt of one example.
        shots: How many training rows stand solved before each prompt, drawn by the seed.
        answer: Whether the likelihood of each choice decides, or what the model writes.
    """

    name: str
    variant: str
    language: Predictor
    template: Template
    shots: int = 0
    answer: Answer = "likelihood"
    kind: Kind = "prompted"

    @property
    def seeded(self) -> bool:
        return self.shots > 0

    @classmethod
    def open(
        cls, spec: str, folder: Path, given: Mapping[str, str], problem: Problem, device: str
    ) -> Self:
        """Open what "FOLDER:template=FILE,shots=K,answer=generate" names.

        Raises:
            RunError: If the folder is no whole run.
            UsageError: If it is no language model, an option is wrong, or the task has no choices.
        """
        if unknown := given.keys() - {TEMPLATE, SHOTS, ANSWER}:
            raise UsageError(
                f"{spec}: a prompted language model has no option {', '.join(sorted(unknown))}; "
                f"it has {TEMPLATE}, {SHOTS} and {ANSWER}."
            )
        language = Predictor.load(folder, device=device)
        if not isinstance(language.task, Generate):
            raise UsageError(
                f"{spec}: {folder} was trained to {language.task_name}; only a run of generate "
                "can be prompted."
            )
        if not problem.task.choices:
            raise UsageError(f"{spec}: {problem.name} has no fixed choices to ask a model for.")
        problem.task.from_choices(np.zeros((1, len(problem.task.choices))))
        template = Template.read(Path(given[TEMPLATE]))
        shots = parse_shots(given.get(SHOTS, "0"), problem)
        answer = parse_answer(given.get(ANSWER, "likelihood"))
        return cls(spec, spec, language, template, shots, answer)

    def describe(self) -> dict[str, Any]:
        assert self.language.folder is not None, "it was loaded"
        return {
            "run": str(self.language.folder),
            "weights": file_hash(self.language.folder / WEIGHTS),
            "template": self.template.text,
            "shots": self.shots,
            "answer": self.answer,
        }

    def fit(
        self, problem: Problem, *, budget: Budget, seed: int, folder: Path, callback: Callback
    ) -> Fitted:
        assert isinstance(self.language.task, Generate), "open has seen to it"
        train = problem.parts["train"]
        drawn = np.random.default_rng(seed).choice(len(train), self.shots, replace=False)
        beginning = solved(self.template, problem.task, [train[number] for number in drawn])
        language, fitted = self.language.task, self.language.fitted
        model = PromptedModel(language, fitted, self.template, beginning, self.answer)
        if self.answer == "generate" and problem.parts["valid"]:
            answers = model.answers(problem.task, problem.parts["valid"][:MOST_ASKED])
            formed = sum(answer is not None for answer in answers) / len(answers)
            callback.say(
                f"answers      {formed:.1%} of {len(answers)} validation answers name a choice; an "
                f"answer that names none counts for each alike ({self.name})"
            )
        return Fitted(calibrated(self.name, problem, problem.task, model))


def parse_shots(text: str, problem: Problem) -> int:
    """Return how many training rows a prompt shows.

    Raises:
        UsageError: If the text is not a number, or more than there are.
    """
    rows = len(problem.parts["train"])
    if not text.isdecimal() or int(text) > rows:
        raise UsageError(f"{SHOTS}={text}: give a number from 0 to {rows:,}, the training rows.")
    return int(text)


def parse_answer(text: str) -> Answer:
    """Return how a prompted model answers.

    Raises:
        UsageError: If the text is none of the ways.
    """
    for known in get_args(Answer):
        if text == known:
            return known  # type: ignore[no-any-return]  # get_args knows no types
    raise UsageError(f"{ANSWER}={text}: choose one of {', '.join(get_args(Answer))}.")

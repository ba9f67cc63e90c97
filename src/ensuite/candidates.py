"""Candidates: the rows of a comparison, and how the words of a user become one."""

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any, Literal, NamedTuple, Protocol, Self, get_args

import numpy as np
import torch

from ensuite import catalog
from ensuite.checkpoint import checkpoint_options, is_checkpoint
from ensuite.core.backbone import BackboneOptions, Pretrained
from ensuite.core.baseline import Baseline, Variant
from ensuite.core.batch import DECODER, read_by
from ensuite.core.errors import DataError, UsageError, nearest
from ensuite.core.files import write_text
from ensuite.core.fitted import FittedModel
from ensuite.core.options import differences, option_names, parse, set_options, to_json
from ensuite.core.recipe import Recipe
from ensuite.core.registry import load, misfit
from ensuite.core.runs import find_run
from ensuite.core.synonyms import length_hint
from ensuite.core.task import Task, rank
from ensuite.frozen import linear_method, solve_frozen
from ensuite.network import Network
from ensuite.predictor import WEIGHTS, Predictor
from ensuite.problem import Problem, verify
from ensuite.prompting import Answer, PromptedModel, Template, solved
from ensuite.start import (
    Start,
    checkpoint_fingerprint,
    file_hash,
    initialise_published,
    run_task,
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

Kind = Literal["baseline", "trained", "prompted", "saved"]

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
    _tasks: dict[str, Task[Any, Any, Any]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

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
        name: As typed.
        checkpoint: Its folder.
        options: Of its backbone.
        device: Where to compute.
    """

    name: str
    checkpoint: Path
    options: BackboneOptions
    device: torch.device = CPU
    kind: Kind = "baseline"
    seeded: bool = False

    @property
    def variant(self) -> str:
        return self.name

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
        return cls(spec, folder, options, device)

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
    """A run of the same task, which competes as it is."""

    name: str
    predictor: Predictor
    kind: Kind = "saved"
    seeded: bool = False

    @property
    def variant(self) -> str:
        return self.name

    @classmethod
    def open(cls, path: str, problem: Problem) -> Self:
        """Load a run, or a comparison's winner, that can answer the problem's test rows.

        Raises:
            RunError: If it is no whole run.
            UsageError: If it was trained on another kind of input, or on other labels.
        """
        predictor = Predictor.load(path)
        if predictor.task.unit != problem.unit:
            raise UsageError(
                f"{path} was trained to {problem.name} by {predictor.task.unit}, not by "
                f"{problem.unit}."
            )
        try:
            verify(predictor.task, problem.parts["test"], "test", None)
        except DataError as error:
            raise UsageError(f"{path} cannot be judged on {problem.data}. {error}") from error
        return cls(path, replace(predictor, name=path))

    def describe(self) -> dict[str, Any]:
        assert self.predictor.folder is not None, "it was loaded"
        return {"run": self.name, "weights": file_hash(self.predictor.folder / WEIGHTS)}

    def fit(
        self, problem: Problem, *, budget: Budget, seed: int, folder: Path, callback: Callback
    ) -> Fitted:
        return Fitted(self.predictor)


@dataclass(frozen=True)
class Prompted:
    """A language model that is prompted for the choices of the task.

    Args:
        name: As typed.
        language: A run of ``generate``.
        template: The prompt of one example.
        shots: How many training rows stand solved before each prompt, drawn by the seed.
        answer: Whether the likelihood of each choice decides, or what the model writes.
    """

    name: str
    language: Predictor
    template: Template
    shots: int = 0
    answer: Answer = "likelihood"
    kind: Kind = "prompted"

    @property
    def variant(self) -> str:
        return self.name

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
        return cls(spec, language, template, shots, parse_answer(given.get(ANSWER, "likelihood")))

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


@dataclass(frozen=True)
class Settings:
    """The options that ``--set`` gives, sorted by what they belong to."""

    model: Mapping[str, str] = field(default_factory=dict)
    task: Mapping[str, str] = field(default_factory=dict)
    recipe: Mapping[str, str] = field(default_factory=dict)


def sort_settings(
    settings: Sequence[str], task: set[str], options: Sequence[BackboneOptions]
) -> Settings:
    """Sort 'width=256', 'task.horizon=24', 'recipe.learning_rate=3e-4' by owner.

    Raises:
        UsageError: For a key that none of them has, or that two have; names them.
    """
    known = {
        "model": {name for each in options for name in option_names(each)},
        "task": task,
        "recipe": set(option_names(Recipe())),
    }
    sorted_: dict[str, dict[str, str]] = {owner: {} for owner in known}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: give a name and a value, as in --set width=128.")
        owner, dot, name = key.partition(".")
        if not (dot and owner in known):
            owner, name = _owner(key, value, known), key
        sorted_[owner][name] = value
    return Settings(**sorted_)


def _owner(key: str, value: str, known: Mapping[str, set[str]]) -> str:
    owners = [owner for owner, names in known.items() if key in names]
    if len(owners) == 1:
        return owners[0]
    if owners:
        choices = " or ".join(f"{owner}.{key}" for owner in owners)
        raise UsageError(f"--set {key} could be two things: write {choices}.")
    if length := length_hint(key, value):
        raise UsageError(f"--set {key}={value}: {length}.")
    everything = [f"{owner}.{name}" for owner, names in known.items() for name in names]
    short = [name for names in known.values() for name in names]
    hint = nearest(key, short) or nearest(key, everything) or "."
    raise UsageError(
        f"--set {key}: there is no such option{hint} Options of the model: "
        f"{', '.join(sorted(known['model'])) or 'none'}; of the task: "
        f"{', '.join(sorted(known['task']))}; of the recipe: {', '.join(sorted(known['recipe']))}."
    )


class Words(NamedTuple):
    """The parts of a model as typed: NAME:KEY=VALUE,... where the name may be a folder."""

    name: str
    folder: Path | None
    given: dict[str, str]


def parse_spec(spec: str) -> Words:
    """Split the words of a model. A name of the catalog is that, even if a folder has it too."""
    name, _, rest = spec.partition(":")
    if name not in catalog.backbones:
        colons = [place for place, letter in enumerate(spec) if letter == ":"]
        for end in (len(spec), *reversed(colons)):
            if is_folder(spec[:end]):
                return Words(spec[:end], Path(spec[:end]), pairs(spec[end + 1 :]))
    return Words(name, None, pairs(rest))


def pairs(text: str) -> dict[str, str]:
    """Split 'layers=2,width=128'."""
    return dict(part.partition("=")[::2] for part in text.split(",") if part)


def is_folder(path: str) -> bool:
    """Say whether a path that is not empty names a folder; a name too long for one does not."""
    try:
        return bool(path) and Path(path).is_dir()
    except OSError:
        return False


def model_options(spec: str, task: str = "") -> tuple[str, BackboneOptions]:
    """Return the options that 'lstm:layers=2,width=128' names, and a label for the table.

    With 'init_from=RUN' among them, the others change those of the run's backbone.

    Raises:
        UsageError: For an unknown model or option; names the nearest.
    """
    name, _, given = parse_spec(spec)
    row = catalog.require_model(name, task)
    standard: BackboneOptions = row.load()(**row.preset)
    run = given.pop(INIT_FROM, None)
    if run is not None:
        start = Start.open(run)
        if start.backbone != name:
            raise UsageError(f"{spec}: {run} is a run of {start.backbone}, not of {name}.")
        standard = start.options
    options = set_options(standard, given, f"the model {name}")
    started = f" {INIT_FROM}={run}" if run is not None else ""
    return label(name, options, standard) + started, options


def spec_options(spec: Spec, task: str) -> BackboneOptions | None:
    """Return the options of the backbone that a candidate trains; None if it trains none.

    Raises:
        UsageError: For an unknown model or option; names the nearest.
    """
    if isinstance(spec, BackboneOptions):
        return spec
    if not isinstance(spec, str):
        raise UsageError(
            f"The model {spec!r} is neither a name nor the options of one; give one of the two, "
            'such as "lstm" (`compare` takes several: models=["lstm", "gru"]).'
        )
    name, folder, given = parse_spec(spec)
    if folder is None:
        return None if name in methods(task) else model_options(spec, task)[1]
    if TEMPLATE in given or FROZEN in given:
        return None
    if is_checkpoint(folder):
        return set_options(checkpoint_options(folder), given, f"the checkpoint {folder}")
    if run_task(find_run(folder)) == task:
        return None
    return set_options(Start.open(folder).options, given, f"the run {folder}")


def open_spec(
    spec: Spec,
    problem: Problem,
    settings: Settings | None = None,
    device: torch.device = CPU,
    start: Start | None = None,
) -> Candidate:
    """Return the candidate that a user names.

    Args:
        spec: A backbone with options ("lstm:width=128"), perhaps with a run to start from
            ("lstm:init_from=RUN"); the folder of a run, which competes as it is, or of another task
            and is fine-tuned; the folder of a published checkpoint, which is fine-tuned; a language
            model to prompt ("RUN:template=FILE,shots=4"); a checkpoint that is not trained, with a
            linear head ("FOLDER:frozen=true"); the name of a baseline; or options of the user's own
            class.
        problem: What the candidate is to do.
        settings: Options that all candidates get.
        device: Where to compute.
        start: A run that every backbone starts from which does not name one itself.

    Raises:
        UsageError: If it is unknown, an option is wrong, or it does not fit the task.
        RunError: If a run is damaged.
    """
    settings = settings or Settings()
    options = spec_options(spec, problem.name)
    words = parse_spec(spec) if isinstance(spec, str) else None
    if options is not None:
        return open_trained(spec, words, options, problem, settings, device, start)
    assert words is not None, "options of one's own are trained"
    name, folder, given = words
    if folder is None:
        return open_baseline(name, problem)
    if TEMPLATE in given:
        return Prompted.open(str(spec), folder, given, problem, str(device))
    if FROZEN in given:
        return Frozen.open(str(spec), folder, given, problem, device)
    if given:
        raise UsageError(
            f"{spec}: {folder} is a run of {problem.name} and competes as it is, without options; "
            f"to train on from its weights, write NAME:{INIT_FROM}={folder}."
        )
    return Saved.open(name, problem)


def open_trained(
    spec: Spec,
    words: Words | None,
    options: BackboneOptions,
    problem: Problem,
    settings: Settings,
    device: torch.device,
    start: Start | None,
) -> Trained:
    """Return a backbone to train; see :func:`open_spec`."""
    checkpoint: Path | None = None
    if words is None:
        name = type(options).__name__
    elif words.folder is None:
        name = model_options(str(spec), problem.name)[0]
        start = Start.open(words.given[INIT_FROM]) if INIT_FROM in words.given else start
    else:
        name = str(spec)
        checkpoint = words.folder if is_checkpoint(words.folder) else None
        start = None if checkpoint else Start.open(words.folder)
    options = set_options(options, settings.model, f"the model {name}")
    recipe = set_options(options.recipe(), settings.recipe, "the recipe")
    candidate = Trained(name, name, options, recipe, start, device, checkpoint)
    # A checkpoint's own tokenizer decides which fields the task has.
    task = problem.task if checkpoint is None else candidate.prepare(problem)
    refuse_misfit(name, options, problem, task)
    return candidate


def label(name: str, options: BackboneOptions, standard: BackboneOptions) -> str:
    """Name a variant by what differs from its preset.

    >>> from ensuite.models.mlp import MLPOptions
    >>> label("mlp", MLPOptions(layers=3), MLPOptions())
    'mlp layers=3'
    """
    changed = differences(options, standard).items()
    words = [key if value is True else f"{key}={value}" for key, value in changed]
    return " ".join([name, *words])


def tell_apart(names: Sequence[str]) -> list[str]:
    """Drop from each label what all variants of its model have in common.

    >>> tell_apart(["lstm layers=2 bidirectional", "lstm layers=2", "gru layers=2"])
    ['lstm bidirectional', 'lstm', 'gru']
    """
    variants = [name.split(" ") for name in names]
    shared = {
        base: set.intersection(*(set(words) for other, *words in variants if other == base))
        for base, *_ in variants
    }
    return [
        " ".join([base, *(word for word in words if word not in shared[base])])
        for base, *words in variants
    ]


def choose(
    specs: Sequence[Spec],
    problem: Problem,
    settings: Settings,
    device: torch.device,
    start: Start | None = None,
) -> list[Candidate]:
    """Return the candidates that were named; without a name, every backbone that fits.

    Raises:
        UsageError: If one is unknown, or does not fit the task.
    """
    named = specs or fitting(problem.task, by_default=True)
    chosen = [open_spec(spec, problem, settings, device, start) for spec in named]
    trained = [candidate for candidate in chosen if isinstance(candidate, Trained)]
    short = iter(tell_apart([candidate.name for candidate in trained]))
    chosen = [replace(c, name=next(short)) if isinstance(c, Trained) else c for c in chosen]
    names = [candidate.name for candidate in chosen]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"{', '.join(sorted(twice))} is named twice; let the options differ.")
    return chosen


def fitting(task: Task[Any, Any, Any], *, by_default: bool = False) -> list[str]:
    """Return the names of the backbones that can do the task on its inputs, oldest first.

    Args:
        task: Prepared.
        by_default: Only those that a comparison takes where none is named.
    """
    rows = catalog.backbones.matching(
        lambda row: (
            (row.is_default(task.needs) or not by_default)
            and why_not(task, set(row.traits), set(row.reads)) is None
        )
    )
    return sorted(rows, key=lambda name: (rows[name].year or 0, name))


def why_not(task: Task[Any, Any, Any], traits: Set[str], reads: Set[str]) -> str | None:
    """Return the reason why a backbone cannot do the task on its inputs; None if it can."""
    kinds = {kind.kind for kind in read_by(task.inputs, "backbone").values()}
    return misfit(task.needs, kinds, traits, reads, writes=DECODER in task.inputs)


def refuse_misfit(
    name: str, options: BackboneOptions, problem: Problem, task: Task[Any, Any, Any]
) -> None:
    """Refuse a model that cannot do the task as it is prepared for it.

    Raises:
        UsageError: Gives the reason, and the models that can.
    """
    if reason := why_not(task, options.traits, options.reads):
        fit_here = ", ".join(fitting(problem.task)) or "none"
        raise UsageError(
            f"The model {name} does not fit {problem.name} here: {reason}. What fits: {fit_here}."
        )


def require_metric(problem: Problem) -> None:
    """Refuse a metric that the task does not have before anything is trained.

    Raises:
        UsageError: Names the nearest.
    """
    if problem.metric and (simple := baselines(problem)):
        few = problem.parts["valid"][:1]
        model = simple[0].method.fit(problem.task, problem.parts["train"], few, 0)
        rank(problem.task.score(model.predict(problem.task, few), few), problem.metric)


def methods(task: str) -> dict[str, type[Baseline]]:
    """Return the baselines of a task, by name."""
    found: list[type[Baseline]] = [load(target) for target in catalog.tasks[task].baselines]
    return {method.name: method for method in found}


def baselines(problem: Problem, others: Sequence[Candidate] = ()) -> list[Simple]:
    """Return the baselines of the task that can read its inputs, beside other candidates."""
    options = [each.options for each in others if isinstance(each, Trained)]
    every = methods(problem.name).values()
    variants = [each for method in every for each in method.variants(problem.task, options)]
    return [Simple(variant.name, variant) for variant in variants]


def open_baseline(name: str, problem: Problem) -> Simple:
    """Return the baseline of that name.

    Raises:
        UsageError: If it cannot read the inputs.
    """
    found = {each.name: each for each in baselines(problem)}
    if name not in found:
        raise UsageError(
            f"The baseline {name} does not fit {problem.name} here. What fits: {', '.join(found)}."
        )
    return found[name]

"""What stands in a comparison: 'lstm:layers=2', a folder, a baseline -> a Candidate."""

import hashlib
import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any, Literal, Protocol, Self

import torch

from ensuite import catalog
from ensuite.core.backbone import BackboneOptions, Pretrained
from ensuite.core.baseline import Baseline, Variant
from ensuite.core.batch import DECODER, read_by
from ensuite.core.errors import DataError, RunError, UsageError, nearest
from ensuite.core.files import read_tensors, write_text
from ensuite.core.options import differences, option_names, set_options, to_json
from ensuite.core.recipe import Recipe
from ensuite.core.registry import load, misfit
from ensuite.core.task import Task, rank
from ensuite.predictor import WEIGHTS, Predictor, find_run
from ensuite.problem import Problem, verify
from ensuite.training.budget import Budget
from ensuite.training.callback import Callback
from ensuite.training.evaluate import predict
from ensuite.training.interrupt import held_interrupt
from ensuite.training.loop import fit
from ensuite.training.training import Training

METRICS, TOKENIZERS = "metrics.jsonl", "*tokenizer.json"

SAVE_EVERY = 10.0
"""Seconds between two checkpoints: what a kill can cost at most."""

Kind = Literal["baseline", "trained", "prompted", "saved"]


@dataclass(frozen=True)
class Fitted:
    """What came of fitting: something that predicts, and what it took.

    Args:
        predictor: The candidate, ready to be asked.
        seconds: The charged updates; None for what was not trained here.
        share: Of the budget.
        converged: Whether it had stopped getting better.
    """

    predictor: Predictor
    seconds: float | None = None
    share: float | None = None
    converged: bool | None = None


class Candidate(Protocol):
    """A row of a comparison."""

    @property
    def name(self) -> str: ...
    @property
    def variant(self) -> str:
        """Its name and all its options: where its runs are kept, whoever stands beside it."""
        ...

    @property
    def kind(self) -> Kind: ...
    @property
    def seeded(self) -> bool:
        """Whether another seed makes another result."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return what must be equal for a finished run to be this candidate's."""
        ...

    def fit(
        self, problem: Problem, *, budget: Budget, seed: int, folder: Path, callback: Callback
    ) -> Fitted:
        """Train on the problem's examples, saving in ``folder`` and going on from there."""
        ...


@dataclass(frozen=True)
class Trained:
    """A backbone to be trained from new weights, or from those of another run.

    Args:
        name: As the table shows it.
        variant: The name, and every option that is not the preset's.
        options: Of the backbone.
        recipe: How it is trained.
        start: A run whose backbone's weights it starts from.
        device: Where to compute.
    """

    name: str
    variant: str
    options: BackboneOptions
    recipe: Recipe
    start: Path | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    kind: Kind = "trained"
    seeded: bool = True

    def describe(self) -> dict[str, Any]:
        return {
            "model": to_json(self.options), "recipe": to_json(self.recipe),
            "init_from": fingerprint(self.start),
        }  # fmt: skip

    def begin(self, problem: Problem, budget: Budget, seed: int) -> Training:
        """Return the training, before its first update."""
        task = problem.task
        if pretrained := self.options.pretrained() or tokenizer_of(self.start):
            task = task.prepare(problem.parts["train"], self.options, pretrained)
        training = Training.start(
            task, self.options, problem.parts["train"], problem.parts["valid"],
            recipe=self.recipe, budget=budget, seed=seed, device=self.device, metric=problem.metric,
        )  # fmt: skip
        if self.start:
            start_from(training, self.start)
        return training

    def fit(
        self, problem: Problem, *, budget: Budget, seed: int, folder: Path, callback: Callback
    ) -> Fitted:
        training = self.begin(problem, budget, seed)
        keep = folder / "checkpoints"
        training.resume(keep)
        callback.begin(self.name, training)
        saved = monotonic()
        with held_interrupt() as interrupted:
            for progress in fit(training):
                callback.update(training, progress)
                if interrupted():
                    save(training, folder)
                    raise KeyboardInterrupt
                if monotonic() - saved > SAVE_EVERY:
                    save(training, folder)
                    saved = monotonic()
        save(training, folder)
        callback.end(self.name, training)
        return self.finish(problem, training)

    def finish(self, problem: Problem, training: Training) -> Fitted:
        """Return the best weights, calibrated on the examples they were chosen by."""
        training.restore_best()
        answers = predict(training.task, training.model, problem.held_out)
        task = training.task.calibrate(answers, problem.held_out)
        model = training.model.eval()
        predictor = Predictor(self.name, problem.name, task, model, self.options)
        state = training.state
        share = min(training.share, 1.0)
        return Fitted(predictor, state.spent.seconds, share, training.converged)


def fingerprint(run: Path | None) -> str | None:
    """Return what tells the weights of a run from all others."""
    return hashlib.sha256((find_run(run) / WEIGHTS).read_bytes()).hexdigest() if run else None


def save(training: Training, folder: Path) -> None:
    """Write a checkpoint, and the scores so far as JSON lines."""
    training.save(folder / "checkpoints")
    lines = "".join(json.dumps(each) + "\n" for each in training.state.history)
    write_text(folder / METRICS, lines)


def tokenizer_of(run: Path | None) -> Pretrained | None:
    """Return what a run fixes for one that starts from its weights: what each id stands for."""
    folder = find_run(run) if run else None
    return Pretrained(folder) if folder and any(folder.glob(TOKENIZERS)) else None


def start_from(training: Training, run: Path) -> None:
    """Put the weights of another run's backbone into a new one, which reads by its tokenizer.

    Raises:
        RunError: If they do not fit.
    """
    files = dict[str, str]()
    to_json(training.task, files)
    theirs = {path.read_text(encoding="utf-8") for path in find_run(run).glob(TOKENIZERS)}
    if not theirs <= set(files.values()):
        raise RunError(
            f"--init-from {run}: its vocabulary cannot be taken over by this task, so that the "
            "vectors of its tokens would stand for others; train from new weights."
        )
    tensors = read_tensors(find_run(run) / WEIGHTS)
    prefix = "backbone."
    weights = {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}
    try:
        training.model.backbone.load_state_dict(weights)
    except RuntimeError as error:
        raise RunError(
            f"--init-from {run}: its backbone is not of the same shape; give the same model "
            "options, and data with the same vocabulary."
        ) from error


@dataclass(frozen=True)
class Simple:
    """A baseline: no budget, one result whatever the seed."""

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
        answers = model.predict(problem.task, problem.held_out)
        task = problem.task.calibrate(answers, problem.held_out)
        return Fitted(Predictor(self.name, problem.name, task, model), monotonic() - began)


@dataclass(frozen=True)
class Saved:
    """A run that competes as it is."""

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
            UsageError: If it was trained for another task, other inputs or other labels.
        """
        predictor = Predictor.load(path)
        theirs, mine = (predictor.task_name, predictor.task.unit), (problem.name, problem.unit)
        if theirs != mine:
            raise UsageError(
                f"{path} was trained to {theirs[0]} by {theirs[1]}, not to {mine[0]} by {mine[1]}."
            )
        try:
            verify(predictor.task, problem.parts["test"], "test", None)
        except DataError as error:
            raise UsageError(f"{path} cannot be judged on {problem.data}. {error}") from error
        return cls(path, replace(predictor, name=path))

    def describe(self) -> dict[str, Any]:
        return {"run": self.name, "weights": fingerprint(self.predictor.folder)}

    def fit(
        self, problem: Problem, *, budget: Budget, seed: int, folder: Path, callback: Callback
    ) -> Fitted:
        return Fitted(self.predictor)


@dataclass(frozen=True)
class Settings:
    """What ``--set`` says, sorted by whose option it is."""

    model: Mapping[str, str] = field(default_factory=dict)
    task: Mapping[str, str] = field(default_factory=dict)
    recipe: Mapping[str, str] = field(default_factory=dict)


def sort_settings(
    settings: Sequence[str], task: set[str], options: Sequence[BackboneOptions]
) -> Settings:
    """Sort 'width=256', 'task.horizon=24', 'recipe.learning_rate=3e-4' by owner.

    Raises:
        UsageError: For a key that nobody has, or that two have; names them.
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
            owner, name = _owner(key, known), key
        sorted_[owner][name] = value
    return Settings(**sorted_)


def _owner(key: str, known: Mapping[str, set[str]]) -> str:
    owners = [owner for owner, names in known.items() if key in names]
    if len(owners) == 1:
        return owners[0]
    if owners:
        choices = " or ".join(f"{owner}.{key}" for owner in owners)
        raise UsageError(f"--set {key} could be two things: write {choices}.")
    everything = [f"{owner}.{name}" for owner, names in known.items() for name in names]
    short = [name for names in known.values() for name in names]
    hint = nearest(key, short) or nearest(key, everything) or "."
    raise UsageError(
        f"--set {key}: there is no such option{hint} Options of the model: "
        f"{', '.join(sorted(known['model'])) or 'none'}; of the task: "
        f"{', '.join(sorted(known['task']))}; of the recipe: {', '.join(sorted(known['recipe']))}."
    )


def is_run(spec: str | BackboneOptions) -> bool:
    """Tell a folder from the name of a model; a name of the catalog is that, whatever lies here."""
    return isinstance(spec, str) and spec not in catalog.backbones and Path(spec).is_dir()


def model_options(spec: str, task: str = "") -> tuple[str, BackboneOptions]:
    """Return the options that 'lstm:layers=2,width=128' names, and a label for the table.

    Raises:
        UsageError: For an unknown model or option; names the nearest.
    """
    name, _, rest = spec.partition(":")
    if name not in catalog.backbones and name.lower() in catalog.ELSEWHERE:
        raise UsageError(f'"{name}" is `{catalog.ELSEWHERE[name.lower()]}` here.')
    listing = f"`ensuite models{f' --task {task}' if task else ''}` lists them"
    row = catalog.backbones.find(name, f"{listing}.")
    standard = row.load()(**row.preset)
    given = dict(part.partition("=")[::2] for part in rest.split(",") if part)
    options = set_options(standard, given, f"the model {name}")
    return label(name, options, standard), options


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
    specs: Sequence[str | BackboneOptions],
    problem: Problem,
    settings: Settings,
    device: torch.device,
    start: Path | None = None,
) -> list[Candidate]:
    """Return the candidates that were named; without a name, every backbone that fits.

    Raises:
        UsageError: If one is unknown, or does not fit the task.
    """
    saved, trained = list[Candidate](), list[Trained]()
    for spec in specs or fitting(problem.task):
        if is_run(spec):
            saved.append(Saved.open(str(spec), problem))
            continue
        if isinstance(spec, str):
            name, options = model_options(spec, problem.name)
        else:
            name, options = type(spec).__name__, spec
        options = set_options(options, settings.model, f"the model {name}")
        refuse_misfit(name, options, problem)
        recipe = set_options(options.recipe(), settings.recipe, "the recipe")
        trained.append(Trained(name, name, options, recipe, start, device))
    short = tell_apart([candidate.name for candidate in trained])
    named = [replace(each, name=name) for each, name in zip(trained, short, strict=True)]
    chosen = [*named, *saved]
    names = [candidate.name for candidate in chosen]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"{', '.join(sorted(twice))} is named twice; let the options differ.")
    return chosen


def fitting(task: Task[Any, Any, Any]) -> list[str]:
    """Return the names of the backbones that can do the task on its inputs, oldest first."""
    rows = catalog.backbones.matching(
        lambda row: why_not(task, set(row.traits), set(row.reads)) is None
    )
    return sorted(rows, key=lambda name: (rows[name].year or 0, name))


def why_not(task: Task[Any, Any, Any], traits: Set[str], reads: Set[str]) -> str | None:
    """Say why a backbone cannot do the task on its inputs."""
    kinds = {kind.kind for kind in read_by(task.inputs, "backbone").values()}
    return misfit(task.needs, kinds, traits, reads, writes=DECODER in task.inputs)


def refuse_misfit(name: str, options: BackboneOptions, problem: Problem) -> None:
    """Refuse a model that cannot do the task.

    Raises:
        UsageError: Says why, and which can.
    """
    if reason := why_not(problem.task, options.traits, options.reads):
        fit_here = ", ".join(fitting(problem.task)) or "none"
        raise UsageError(
            f"The model {name} does not fit {problem.name} here: {reason}. What fits: {fit_here}."
        )


def require_metric(problem: Problem) -> None:
    """Refuse a metric that the task does not have, before anything is trained by it.

    Raises:
        UsageError: Names the nearest.
    """
    if problem.metric and (simple := baselines(problem)):
        few = problem.parts["valid"][:1]
        model = simple[0].method.fit(problem.task, problem.parts["train"], few, 0)
        rank(problem.task.score(model.predict(problem.task, few), few), problem.metric)


def baselines(problem: Problem, others: Sequence[Candidate] = ()) -> list[Simple]:
    """Return the baselines of the task that can read its inputs, beside other candidates."""
    options = [each.options for each in others if isinstance(each, Trained)]
    methods: list[type[Baseline]] = [load(b) for b in catalog.tasks[problem.name].baselines]
    variants = [each for method in methods for each in method.variants(problem.task, options)]
    return [Simple(variant.name, variant) for variant in variants]

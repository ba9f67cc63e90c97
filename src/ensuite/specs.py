"""Specs: how the words of a user become candidates and their options."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any, NamedTuple, cast

import torch

from ensuite import catalog
from ensuite.candidates import (
    CPU,
    FROZEN,
    INIT_FROM,
    TEMPLATE,
    Candidate,
    Frozen,
    Prompted,
    Saved,
    Simple,
    Spec,
    Trained,
)
from ensuite.checkpoint import checkpoint_options, is_checkpoint
from ensuite.core.backbone import BackboneOptions
from ensuite.core.baseline import Baseline
from ensuite.core.errors import UsageError, nearest
from ensuite.core.options import differences, option_names, set_options
from ensuite.core.recipe import Recipe
from ensuite.core.registry import load
from ensuite.core.runs import find_run
from ensuite.core.synonyms import length_hint
from ensuite.core.task import rank
from ensuite.data.walk import is_folder
from ensuite.misfit import fitting, refuse_misfit
from ensuite.problem import Problem
from ensuite.start import (
    Start,
    run_task,
)


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
            if spec[:end] and is_folder(spec[:end]):
                return Words(spec[:end], Path(spec[:end]), pairs(spec[end + 1 :]))
    return Words(name, None, pairs(rest))


def pairs(text: str) -> dict[str, str]:
    """Split 'layers=2,width=128'."""
    return dict(part.partition("=")[::2] for part in text.split(",") if part)


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
        if start.backbone not in (name, catalog.backbones.name_of(standard)):  # bert of bert-tiny
            raise UsageError(f"{spec}: {other_backbone(name, start)}")
        standard = start.options
    options = set_options(standard, given, f"the model {name}")
    started = f" {INIT_FROM}={run}" if run is not None else ""
    return label(name, options, standard) + started, options


def other_backbone(name: str, start: Start) -> str:
    """Say that a model cannot start from the run of another backbone, and which one can."""
    return (
        f"{start.given} is a run of {start.backbone}, whose weights {name} does not have; write "
        f"--model {start.backbone}:{INIT_FROM}={start.given}."
    )


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
    return Saved.open(name, problem, str(device))


def open_trained(
    spec: Spec,
    words: Words | None,
    options: BackboneOptions,
    problem: Problem,
    settings: Settings,
    device: torch.device,
    start: Start | None,
) -> Trained:
    """Return a backbone to train; see :func:`open_spec`.

    Raises:
        UsageError: If it is to start from a run of another backbone, or does not fit the task.
    """
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
    if start is not None and type(start.options) is not type(options):
        raise UsageError(f"--init-from {other_backbone(name, start)}")
    options = set_options(options, settings.model, f"the model {name}")
    recipe = set_options(options.recipe(), settings.recipe, "the recipe")
    candidate = Trained(name, name, options, recipe, start, device, checkpoint)
    # The tokenizer that it starts with decides which fields the task has.
    started = checkpoint is not None or start is not None
    task = candidate.prepare(problem) if started else problem.task
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


def typed_paths(spec: Spec) -> list[str]:
    """Return the folders and files in the words of a model, as typed."""
    if not isinstance(spec, str):
        return []
    name, folder, given = parse_spec(spec)
    values = [given[key] for key in (INIT_FROM, TEMPLATE) if key in given]
    return [*([name] if folder else []), *values]


def short_paths(paths: Sequence[str]) -> dict[str, str]:
    """Return the end of each path, as short as tells it from all others.

    >>> short_paths(["one/best/", "/models/MiniLM", "two/best"])
    {'one/best/': 'one/best', '/models/MiniLM': 'MiniLM', 'two/best': 'two/best'}
    """
    parts = {path: PurePath(path).parts for path in paths}
    short = {}
    for path, mine in parts.items():
        others = {other for other in parts.values() if other != mine}
        lengths = range(1, len(mine) + 1)
        ends = (mine[-n:] for n in lengths if all(mine[-n:] != other[-n:] for other in others))
        short[path] = str(PurePath(*next(ends, mine))) if mine else path
    return short


def with_short_paths(chosen: Sequence[Candidate], paths: Mapping[str, str]) -> list[Candidate]:
    """Return candidates whose names have short paths, unless another has that name already."""
    names = [candidate.name for candidate in chosen]
    for path in sorted(paths, key=len, reverse=True):
        names = [name.replace(path, paths[path]) for name in names]
    taken = [*names, *catalog.backbones]
    return [
        candidate if name == candidate.name or taken.count(name) > 1
        else replace(cast(Any, candidate), name=name)
        for candidate, name in zip(chosen, names, strict=True)
    ]  # fmt: skip


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
    paths = short_paths([path for spec in named for path in typed_paths(spec)])
    chosen = with_short_paths(chosen, paths)
    names = [candidate.name for candidate in chosen]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"{', '.join(sorted(twice))} is named twice; let the options differ.")
    return chosen


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

"""Published checkpoints: which backbone opens one, its weights, and what it can do as it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from ensuite import catalog
from ensuite.core.backbone import BackboneOptions, Pretrained, Trait
from ensuite.core.errors import EnsuiteError, RunError, UsageError
from ensuite.core.files import read_json
from ensuite.core.model import Model
from ensuite.core.printable import printable
from ensuite.core.published import below, read_object, rename
from ensuite.core.runs import CONFIG
from ensuite.core.task import Task
from ensuite.data.processors import Text
from ensuite.network import Network
from ensuite.tasks.embed import Embed

TASK = "task.json"
"""The file that tells a run of ours from a published checkpoint."""

OURS = "ensuite"
"""The key of ``config.json`` under which our part stands; beside it, what a family publishes."""

EMBED = "embed"
"""What a checkpoint without a head does; no task of the catalog."""

NAMED = 5
"""Most tensors that a message names."""


class Opened(NamedTuple):
    """A published checkpoint that is used as it is.

    Attributes:
        task_name: The name of its task in the catalog; "embed" where it has no head.
        task: Prepared.
        network: Its backbone, and its head if it has one.
        unread: Why its head is left out, where it has one that is not computed here; else empty.
    """

    task_name: str
    task: Task[Any, Any, Any]
    network: Network
    unread: str = ""


def is_checkpoint(folder: Path) -> bool:
    """Say whether a folder holds a published checkpoint: a ``model_type``, and no task of ours.

    Raises:
        RunError: If its configuration is neither that of a checkpoint nor that of a run.
    """
    if (folder / TASK).exists() or not (folder / CONFIG).exists():
        return False
    config = read_object(folder / CONFIG)
    if "model_type" not in config and OURS not in config:
        raise RunError(
            f"{folder / CONFIG} has no model_type, by which a checkpoint is opened; fetch the "
            "checkpoint again."
        )
    return "model_type" in config


def is_published(folder: Path) -> bool:
    """Say whether a folder, perhaps that of a run, holds what opens as a published checkpoint."""
    if not (folder / CONFIG).exists():
        return False
    config = read_json(folder / CONFIG)
    return isinstance(config, dict) and "model_type" in config


def checkpoint_options(folder: Path) -> BackboneOptions:
    """Return the options of the backbone that opens a published checkpoint.

    Raises:
        UsageError: If none does; names those model types that some backbone opens.
    """
    model_type = read_json(folder / CONFIG)["model_type"]
    rows = catalog.backbones.matching(lambda row: model_type in row.model_types)
    for row in rows.values():
        options: BackboneOptions = row.load().from_checkpoint(folder)
        return options
    known = sorted({each for row in catalog.backbones.values() for each in row.model_types})
    raise UsageError(
        f'{printable(folder)} is a checkpoint of the model type "{model_type}", which no model '
        f"here opens; these are opened: {', '.join(known) or 'none'}."
    )


def open_checkpoint(folder: Path, *, head: bool = True) -> Opened:
    """Open a published checkpoint to use it as it is, without training.

    Its head tells its task. Without a head that is known here it embeds texts.

    Args:
        folder: Of the checkpoint.
        head: Whether its head is opened as well.

    Raises:
        RunError: If a file is missing or damaged, or the weights do not fit its configuration.
        UsageError: If no backbone opens it.
    """
    options = checkpoint_options(folder)
    pretrained = options.pretrained() or Pretrained()
    name, task, unread = "", None, ""
    if head:
        config = read_json(folder / CONFIG)
        name, task = published_task(config, pretrained)
        if task is not None and not options.published_head(task.published).names:
            fits = task.needs <= options.traits
            unread = unread_head(folder, config, name if fits else "TASK")
    if task is not None and not unread:
        model, new = load_model(options, task)
        if new and "head" not in new and Trait.SEQUENCE in task.needs:  # it is for whole texts
            options = options.embedding_options()
            model, new = load_model(options, task)
        if not new:
            return Opened(name, task, Network(model.eval(), options, task.published))
        lack = f"lacks the weights of its {' and its '.join(new)}"
        lack = misfit_head(options, task, model) or lack
        unread = f"{printable(folder)} {lack}; fetch it again, or {without_head(folder, name)}"
    options = options.embedding_options()
    embed = Embed(processor=Text().prepare([], pretrained))
    model, new = load_model(options, embed)
    assert not new, "an embedding is of published weights alone"
    return Opened(EMBED, embed, Network(model.eval(), options, embed.published), unread)


def unread_head(folder: Path, config: Mapping[str, Any], task: str) -> str:
    """Return the sentence that the head of a checkpoint, for a task, is not computed here."""
    where, kind = printable(folder), ", ".join(map(str, config["architectures"]))
    return (
        f"{where} has the head of {kind}, which is not computed here; {without_head(folder, task)}"
    )


def misfit_head(options: BackboneOptions, task: Task[Any, Any, Any], model: Model) -> str:
    """Say in which other shape a checkpoint has the head of a model; empty if it has not."""
    theirs = below("head.", options.adopt(options.weights() or {}))
    for name, own in model.head.state_dict().items():
        if name in theirs and theirs[name].shape != own.shape:
            (called,) = rename({f"head.{name}": own}, options.published_head(task.published).names)
            found, wanted = tuple(theirs[name].shape), tuple(own.shape)
            return f"has {called} in the shape {found}, and by its {CONFIG} {wanted} is expected"
    return ""


def without_head(folder: Path, task: str) -> str:
    """Return what can be done with a checkpoint without its head."""
    where = printable(folder)
    return (
        f"train a new one: ensuite train {task} DATA --model {where}; or take its vectors: ensuite "
        f"predict {where} TEXT --embed"
    )


def load_model(options: BackboneOptions, task: Task[Any, Any, Any]) -> tuple[Model, list[str]]:
    """Return a model with the weights of a checkpoint, and its parts that have new ones."""
    model = Model.build(options, task)
    return model, load_weights(model, options)


def published_task(
    config: Mapping[str, Any], pretrained: Pretrained
) -> tuple[str, Task[Any, Any, Any] | None]:
    """Return the task that the head of a checkpoint does, by name; None where it has none."""
    named = config.get("architectures")
    classes = named if isinstance(named, list) else []
    for name, row in catalog.tasks.items():
        if any(str(each).endswith(row.architectures) for each in classes if row.architectures):
            task: Task[Any, Any, Any] | None = row.load().from_published(config, pretrained)
            if task is not None:
                return name, task
    return "", None


def load_weights(model: Model, options: BackboneOptions) -> list[str]:
    """Copy the weights of a checkpoint into a model that was built from its options.

    The head takes part where the checkpoint has the same one.

    Returns:
        The parts of the model that keep their new weights, as the checkpoint has none for them.

    Raises:
        RunError: If the weights of the backbone do not fit, or are no numbers; names them.
    """
    tensors = options.weights()
    if tensors is None:
        return []
    if unsound := [name for name in tensors if not tensors[name].isfinite().all()]:
        raise RunError(
            f"The checkpoint has numbers that are NaN or infinite in {listed(unsound)}; fetch it "
            "again."
        )
    own = model.backbone.state_dict()
    require_fit(tensors, own, options)
    try:
        ours = options.adopt(tensors)
        found = {n: t for n, t in below("backbone.", ours).items() if n in own}
        model.backbone.load_state_dict({**own, **found})
    except RuntimeError as error:
        raise misfit(options, str(error)) from error
    parts = sorted({name.partition(".")[0] for name in own.keys() - found.keys()})
    return parts if load_head(model.head, below("head.", ours)) else ["head", *parts]


def load_head(head: nn.Module, tensors: Mapping[str, Tensor]) -> bool:
    """Copy tensors into a head that has the same; return whether it has."""
    own = head.state_dict()
    found = {name: tensors[name] for name in own if name in tensors}
    same = {n: t.shape for n, t in found.items()} == {n: t.shape for n, t in own.items()}
    if same:
        head.load_state_dict(found)
    return same


def require_fit(
    tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], options: BackboneOptions
) -> None:
    """Refuse tensors of a checkpoint that are not those of the backbone.

    Tensors whose names begin as none of the backbone's do belong to heads, and may be there.

    Args:
        tensors: By their published names.
        own: Those of the backbone, by our names.
        options: Of the backbone.

    Raises:
        RunError: Names those that are missing, those that have no place, or that of another shape.
    """
    names: dict[str, str] = {}
    expected: dict[str, Tensor] = {}
    for name, tensor in own.items():
        published = options.publish({f"backbone.{name}": tensor})
        names |= dict.fromkeys(published, name)
        expected |= published
    for name in expected:
        if name in tensors and tensors[name].shape != expected[name].shape:
            shapes = (tuple(each[name].shape) for each in (tensors, expected))
            raise misfit(options, "{} has the shape {}, and {} is expected".format(name, *shapes))
    absent = expected.keys() - tensors.keys()
    if missing := [name for name in absent if not options.starts_new(names[name])]:
        raise misfit(options, f"it has no {listed(missing)}")
    owners = {name.partition(".")[0] for name in expected}
    if extra := [n for n in tensors.keys() - expected.keys() if n.partition(".")[0] in owners]:
        raise misfit(options, f"its configuration has no place for {listed(extra)}")


def misfit(options: BackboneOptions, reason: str) -> EnsuiteError:
    """Return the error that weights are not those of a network."""
    return RunError(
        f"The weights of the checkpoint do not fit {type(options).__name__}: {reason}; give its "
        "own config.json, and set no option that changes the shape of the network."
    )


def listed(names: list[str]) -> str:
    """Return names in order, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(sorted(names)[:NAMED]) + more

"""What can be refused before torch is imported, in a tenth of the time that it takes."""

import ast
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from ensuite import catalog
from ensuite.cli import options as words
from ensuite.core.errors import DataError, UsageError
from ensuite.core.options import require_option
from ensuite.core.runs import find_run, is_run, require_apart
from ensuite.core.synonyms import SYNONYMS, length_hint, synonym

DEVICES = ("auto", "cpu", "cuda", "mps")
SPLITS = ("random", "time", "group")

SMALL = 1_000_000
"""Bytes of a file that is read twice without anybody noticing."""

SPECIAL = ("init_from", "template", "shots")
"""What may stand among the options of a model, beside those of its class."""


def check_run(run: str, *others: str) -> None:
    """Refuse a run that is not there.

    Args:
        run: Its folder.
        others: What else was typed, in case that the run is among it.

    Raises:
        EnsuiteError: Says why.
    """
    if not run:
        raise UsageError("The name of the run is empty; give its folder.")
    if (found := next(filter(is_run, others), None)) is not None and not is_run(run):
        raise UsageError(f'The run comes first: {found} "{run}".')
    find_run(Path(run))


def check_data(*sources: str | None) -> None:
    """Refuse files that are not there, and built-in sets that have no such name.

    Raises:
        EnsuiteError: Names the nearest.
    """
    for source in sources:
        if source is None or source == "-":
            continue
        from ensuite.data import sets, walk

        if not source:
            raise DataError("The name of the file is empty; give a path.")
        if sets.is_set(source):
            sets.require(source)
        elif not walk.exists(source):
            walk.read_bytes(source)  # says why it cannot be read


def check_training(
    task: str,
    models: Sequence[str],
    data: Sequence[str | None],
    budget: str | None,
    settings: list[str] | None,
    split: str | None,
    device: str,
    out: str | None,
    init_from: str | None,
    *,
    columns: Mapping[str, str],
    metric: str | None,
) -> None:
    """Refuse what is wrong with the words of a command that trains.

    Raises:
        EnsuiteError: A sentence on the first of them.
    """
    from ensuite.training.budget import Budget

    catalog.require_order(task, data[0])
    catalog.require_task(task)
    for model in models:
        check_model(model, task)
    Budget.parse(budget)
    check_settings(
        words.pairs(settings, "--set", "give a name and a value, as in --set width=128."), task
    )
    if metric is not None:
        catalog.require_metric(metric, task)
    if split is not None and split.partition(":")[0] not in SPLITS:
        raise UsageError(f"--split {split}: choose random, time, time:DATE,DATE or group:COLUMN.")
    if device not in DEVICES:
        raise UsageError(f"--device {device}: choose one of {', '.join(DEVICES)}.")
    check_data(*data)
    check_columns(data[0], columns)
    require_apart(out, data)
    if init_from is not None:
        check_run(init_from)


def check_model(model: str, task: str) -> None:
    """Refuse a model that is not there, and an option that it does not have.

    What looks like no name of a model may be a baseline or a folder, which are looked up later.

    Raises:
        UsageError: Names the nearest.
    """
    from ensuite.data.walk import is_folder

    name, _, rest = model.partition(":")
    folder = any(is_folder(each) for each in (model, name) if each not in catalog.backbones)
    if folder or not ("," in name or catalog.is_meant(name)):
        return
    row = catalog.require_model(name, task)
    known = option_names(row.target)
    for each in rest.split(",") if known is not None else ():
        option, _, value = each.partition("=")
        if option and option not in SPECIAL:
            require_option(option, value, known or (), f"the model {name}")


def check_settings(settings: Mapping[str, str], task: str) -> None:
    """Refuse an option by the name that another package has for it.

    Args:
        settings: What ``--set`` gives.
        task: The task, whose own options may have such a name.

    Raises:
        UsageError: Names ours.
    """
    for key, value in settings.items():
        name = key.rpartition(".")[2]
        length = length_hint(name, value)
        if not (length or name.lower() in SYNONYMS) or name in (known := known_options(task)):
            continue
        if length:
            raise UsageError(f"--set {key}={value}: {length}.")
        if ours := synonym(name, known):
            raise UsageError(f"--set {key}={value}: there is no such option; did you mean {ours}?")


def check_columns(data: str | None, given: Mapping[str, str]) -> None:
    """Refuse a column that a small table does not have.

    Raises:
        DataError: Names the nearest.
    """
    if data is None or not given or Path(data).suffix.lower() not in (".csv", ".tsv"):
        return
    if not Path(data).is_file() or Path(data).stat().st_size > SMALL:
        return
    from ensuite.data import columns, header, readers

    table = header.settle(readers.read(data), given)
    for role, names in given.items():
        columns.named_all(table, names, role)


def known_options(task: str) -> set[str]:
    """Return the names of the options of every model, of the recipe and of a task's own class."""
    from ensuite.core.recipe import Recipe

    module, _, name = catalog.tasks[task].target.partition(":")
    kind = classes(module).get(name)
    found = set(Recipe.__dataclass_fields__) | (fields(kind) if kind is not None else set())
    for row in catalog.backbones.values():
        found |= option_names(row.target) or set()
    return found


def option_names(target: str) -> set[str] | None:
    """Return the fields of a dataclass from its source, without importing it.

    Args:
        target: "module:Class".

    Returns:
        None if they cannot be told: the source is not there, or a parent has fields of its own.
    """
    module, _, name = target.partition(":")
    kinds = classes(module)
    found: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in BASES:
            continue
        if current not in kinds:
            return None
        waiting += [ast.unparse(base) for base in kinds[current].bases]
        found |= fields(kinds[current])
    return found


def classes(module: str) -> dict[str, ast.ClassDef]:
    """Return the classes in the source of a module; none if it cannot be read."""
    try:
        origin = getattr(find_spec(module), "origin", None)
        tree = ast.parse(Path(origin or "").read_text(encoding="utf-8"))
    except (ImportError, OSError, SyntaxError, ValueError):
        return {}
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def fields(kind: ast.ClassDef) -> set[str]:
    """Return the fields that a dataclass adds to those of its parents."""
    return {
        node.target.id
        for node in kind.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and "ClassVar" not in ast.unparse(node.annotation)
    }


BASES = ("BackboneOptions", "ABC", "object")
"""Parents of options that have no fields."""

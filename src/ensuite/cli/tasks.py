"""ensuite tasks: list the tasks, or tell everything about one."""

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ensuite import catalog
from ensuite.cli import options as words
from ensuite.cli.models import may_do
from ensuite.cli.pages import print_facts, print_options, say
from ensuite.core.registry import Row

if TYPE_CHECKING:
    from ensuite.core.describe import Described
    from ensuite.core.task import Task

KINDS = {"tokens": "text", "values": "series", "image": "image", "row": "row"}
"""What an input is called, by the kind that backbones read."""


def command(
    name: Annotated[
        str | None, typer.Argument(help="A task, to see its options, columns and metrics.")
    ] = None,
    json: words.Json = False,
) -> None:
    """List the tasks, or show the columns, metrics, baselines and options of one."""
    if name is None:
        list_tasks(json)
        return
    row = catalog.require_task(name)
    from ensuite.problem import find_task

    task = find_task(name)
    fitting = [model for model, each in catalog.backbones.items() if may_do(each, row)]
    columns = {role: list(task.usual_names.get(role, ())) for role in task.roles}
    found, options = baselines(row), options_by_input(task, row)
    if json:
        listed = {kind: [each._asdict() for each in few] for kind, few in options.items()}
        words.print_json(
            {
                "name": name, "caption": row.caption, "inputs": inputs(row), "columns": columns,
                "metrics": row.metrics, "baselines": found, "models": fitting, "options": listed,
            }
        )  # fmt: skip
        return
    print_facts(
        name,
        row.caption,
        {
            "inputs": ", ".join(inputs(row)),
            "metrics": ", ".join(row.metrics),
            "baselines": "; ".join(found),
            "models": ", ".join(fitting),
        },
    )
    print("\nColumns, and the names by which they are found: --column ROLE=NAME")
    print_facts("", "", {f"  {role}": ", ".join(names) or role for role, names in columns.items()})
    for kind, few in options.items():
        where = f" where an input is of the kind {kind}" if kind else ""
        print_options(f"Options of the task{where}: --set KEY=VALUE", few)


def list_tasks(json: bool) -> None:
    """Print every task with its standard name."""
    rows = catalog.tasks.items()
    if json:
        keys = ("caption", "metrics")
        words.print_json([{"name": n, **{k: getattr(row, k) for k in keys}} for n, row in rows])
        return
    width = max((len(name) for name in catalog.tasks), default=0)
    for name, row in rows:
        say(f"{name:{width}s}  {row.caption}")
    print("\nThe options, columns and metrics of one: `ensuite tasks NAME`.")


def inputs(row: Row) -> list[str]:
    """Return what an input of a task may be."""
    return [KINDS.get(kind, kind) for kind in row.reads]


def baselines(row: Row) -> list[str]:
    """Return the name of each baseline of a task, and what it does."""
    from ensuite.core.registry import load

    methods = [load(target) for target in row.baselines]
    return [f"{each.name} ({first_sentence(each.__doc__)})" for each in methods]


def first_sentence(docstring: str | None) -> str:
    """Return the first line of a docstring, within a sentence.

    >>> first_sentence("Always predict the mean.")
    'always predict the mean'
    """
    line = inspect.cleandoc(docstring or "").partition("\n")[0].rstrip(".")
    return line[:1].lower() + line[1:]


def options_by_input(task: "Task[Any, Any, Any]", row: Row) -> Mapping[str, Sequence["Described"]]:
    """Return the options of a task that all inputs have, and those of each kind of input.

    A task whose processor may be any has the options of each; they stand by kind.
    """
    from ensuite.core.describe import described
    from ensuite.data.processors import BY_KIND

    every = described(task)
    if len(row.reads) < 2:
        return {"": every}
    by_kind = {kind: described(BY_KIND[kind]()) for kind in inputs(row) if kind in BY_KIND}
    own = [each for each in every if each not in described(task.processor)]
    return {"": own, **{kind: found for kind, found in by_kind.items() if found}}

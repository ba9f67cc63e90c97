"""ensuite models: list the available models, oldest first."""

from typing import Annotated

import typer

from ensuite.cli import options as words
from ensuite.core.registry import Row, misfit


def command(
    task: Annotated[str | None, typer.Option(help="List only models that fit this task.")] = None,
    json: words.Json = False,
) -> None:
    """List the available models and tasks.

    Models are listed oldest first, each with its year, the inputs it reads and its paper.
    """
    from ensuite.catalog import ELSEWHERE, backbones, tasks
    from ensuite.core.errors import UsageError

    if task in ELSEWHERE and task not in tasks:
        raise UsageError(f'"{task}" is `{ELSEWHERE[task]}` here.')
    asked = tasks.find(task, f"There is: {', '.join(tasks)}.") if task else None
    rows = backbones.matching(lambda row: asked is None or may_do(row, asked))
    ordered = sorted(rows.items(), key=lambda each: (each[1].year or 0, each[0]))
    if json:
        keys = ("year", "caption", "reads", "traits", "paper")
        words.print_json([{"name": n, **{k: getattr(row, k) for k in keys}} for n, row in ordered])
        return
    width = max((len(name) for name in rows), default=0)
    for name, row in ordered:
        print(f"{row.year or '':4}  {name:{width}s}  {row.caption}")
        print(f"      {'':{width}s}  reads {', '.join(row.reads)}; {row.paper}")
    if not task:
        print("\nTasks:")
        for name, row in tasks.items():
            print(f"      {name:{width}s}  {row.caption}")


def may_do(model: Row, task: Row) -> bool:
    """Return whether a model fits a task for at least one kind of input."""
    needs, traits, reads = set(task.traits), set(model.traits), set(model.reads)
    writes = "decodes" in needs
    kinds = task.reads or model.reads  # a task that declares none may read any kind
    return any(misfit(needs, {kind}, traits, reads, writes=writes) is None for kind in kinds)

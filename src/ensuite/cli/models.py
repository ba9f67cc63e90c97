"""ensuite models: list the available models, or tell everything about one."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ensuite import catalog
from ensuite.cli import options as words
from ensuite.cli.pages import print_facts, print_options, say
from ensuite.core.errors import UsageError
from ensuite.core.registry import Row, misfit

if TYPE_CHECKING:
    from ensuite.core.backbone import BackboneOptions


def command(
    name: Annotated[
        str | None, typer.Argument(help="A model, to see its options, recipe and traits.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="List only models that fit this task.")] = None,
    json: words.Json = False,
) -> None:
    """List the available models and tasks, or show the options of one model.

    Models are listed oldest first, each with its year, the inputs it reads and its paper.
    """
    if name is not None:
        if task is not None:
            raise UsageError("Give the name of a model, or --task; one of the two.")
        show_model(name, json)
        return
    asked = catalog.require_task(task) if task else None
    rows = catalog.backbones.matching(lambda row: asked is None or may_do(row, asked))
    ordered = sorted(rows.items(), key=lambda each: (each[1].year or 0, each[0]))
    if json:
        words.print_json([{"name": n, **row_facts(row)} for n, row in ordered])
        return
    width = max((len(each) for each in rows), default=0)
    for each, row in ordered:
        say(f"{row.year or '':4}  {each:{width}s}  {row.caption}")
        say(f"      {'':{width}s}  reads {', '.join(row.reads)}; {row.paper}")
    if not task:
        print("\nTasks:")
        for each, row in catalog.tasks.items():
            say(f"      {each:{width}s}  {row.caption}")
    print("\nThe options of one: `ensuite models NAME`, `ensuite tasks NAME`.")


def row_facts(row: Row) -> dict[str, Any]:
    """Return what the catalog says of a model."""
    return {key: getattr(row, key) for key in ("year", "caption", "reads", "traits", "paper")}


def may_do(model: Row, task: Row) -> bool:
    """Return whether a model fits a task for at least one kind of input."""
    needs, traits, reads = set(task.traits), set(model.traits), set(model.reads)
    writes = "decodes" in needs
    kinds = task.reads or model.reads  # a task that declares none may read any kind
    return any(misfit(needs, {kind}, traits, reads, writes=writes) is None for kind in kinds)


def show_model(name: str, json: bool) -> None:
    """Print the facts, the options and the recipe of a model."""
    row = catalog.require_model(name)
    fitting = [task for task, each in catalog.tasks.items() if may_do(row, each)]
    from ensuite.core.describe import described

    options: BackboneOptions = row.load()(**row.preset)
    own, recipe = described(options), described(options.recipe())
    if json:
        facts = {"name": name, **row_facts(row), "tasks": fitting}
        each = {"options": own, "recipe": recipe}
        listed = {key: [option._asdict() for option in found] for key, found in each.items()}
        words.print_json(facts | listed)
        return
    print_facts(
        name,
        row.caption,
        {
            "paper": f"{row.paper}, {row.year}" if row.year else row.paper,
            "reads": ", ".join(row.reads),
            "offers": ", ".join(row.traits) or "a summary of each input",
            "tasks": ", ".join(fitting),
        },
    )
    print_options("Options of the model: --model NAME:KEY=VALUE,... or --set KEY=VALUE", own)
    print_options("Recipe of its training: --set recipe.KEY=VALUE", recipe)

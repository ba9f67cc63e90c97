"""ensuite models: what can be chosen, oldest first."""

from typing import Annotated

import typer

from ensuite.cli import options as words


def command(
    task: Annotated[str | None, typer.Option(help="Only the models that can do this task.")] = None,
    json: words.Json = False,
) -> None:
    """List the models, what each reads and offers, its year and its paper."""
    from ensuite.catalog import ELSEWHERE, backbones, tasks
    from ensuite.core.errors import UsageError

    if task in ELSEWHERE and task not in tasks:
        raise UsageError(f'"{task}" is `{ELSEWHERE[task]}` here.')
    needs = tasks.find(task, f"There is: {', '.join(tasks)}.").traits if task else ()
    rows = backbones.matching(lambda row: set(needs) <= set(row.traits))
    ordered = sorted(rows.items(), key=lambda each: (each[1].year or 0, each[0]))
    if json:
        keys = ("year", "caption", "reads", "traits", "paper")
        words.print_json([{"name": n, **{k: getattr(row, k) for k in keys}} for n, row in ordered])
        return
    width = max(len(name) for name in rows)
    for name, row in ordered:
        print(f"{row.year or '':4}  {name:{width}s}  {row.caption}")
        print(f"      {'':{width}s}  reads {', '.join(row.reads)}; {row.paper}")
    if not task:
        print("\nTasks:")
        for name, row in tasks.items():
            print(f"      {name:{width}s}  {row.caption}")

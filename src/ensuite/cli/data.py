"""ensuite data: check a data file, or list the built-in data sets."""

from typing import Annotated

import typer

from ensuite.cli import options as words


def command(
    file: Annotated[
        str | None,
        typer.Argument(help="A file or folder, - (standard input), or a built-in data set."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="Task to read the data for (default: the data set's, or classify)."),
    ] = None,
    test: words.Test = None,
    valid: words.Valid = None,
    split: words.Split = None,
    column: words.Column = None,
    set_: words.Set = None,
    json: words.Json = False,
) -> None:
    """Check a data file, or list the built-in data sets.

    Prints how the file is read: columns, lengths, labels, duplicates and the split. Nothing is
    trained. Without a file, lists the built-in data sets.
    """
    if file is None:
        return list_sets(json)
    from ensuite.data.sets import SETS
    from ensuite.problem import open_problem

    if task is None:
        known = SETS.get(file.partition(":")[0])
        task = known.task if known else "classify"
    given, settings = words.pairs(column, "--column"), words.task_settings(set_)
    problem = open_problem(
        task, file, test=test, valid=valid, how=split, given=given, settings=settings
    )
    if json:
        words.print_json([finding._asdict() for finding in problem.findings])
    else:
        for finding in problem.findings:
            print(f"{finding.topic:12s} {finding.sentence}")
    return None


def list_sets(json: bool) -> None:
    """Print every built-in data set with its source and licence."""
    from ensuite.data.sets import SETS

    if json:
        keys = ("name", "task", "caption", "source", "licence")
        words.print_json([{key: getattr(each, key) for key in keys} for each in SETS.values()])
        return
    width = max(len(name) for name in SETS)
    for name, each in SETS.items():
        print(f"{name:{width}s}  {each.task:10s} {each.caption}")
        print(f"{'':{width}s}  {'':10s} {each.source}; {each.licence}")

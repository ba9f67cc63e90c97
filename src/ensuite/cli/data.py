"""ensuite data: check a data file, or list the built-in data sets."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ensuite import catalog
from ensuite.cli import early
from ensuite.cli import options as words
from ensuite.cli.pages import say
from ensuite.core.printable import one_line

if TYPE_CHECKING:
    from ensuite.core.table import Table
    from ensuite.problem import Problem


def command(
    file: Annotated[
        str | None,
        typer.Argument(help="A file or folder, - (standard input), or a built-in data set."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="Task to read the data for (default: the data set's, or a guess)."),
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
    given, settings = words.pairs(column, "--column"), words.task_settings(set_)
    if task is not None:
        catalog.require_task(task)
    early.check_data(file, test, valid)
    from ensuite.problem import divide_source, open_source

    data, reason = file, ""
    if task is None:
        data, task, reason = guess(file, given)
    if reason and not json:  # first, since it explains what may be wrong with the file
        say(one_line(f"{'task':12s} {task}, since {reason} (another: --task NAME)"))
    source = open_source(
        task, data, test=test, valid=valid, how=split, given=given, settings=settings
    )
    problem = divide_source(source)
    if json:
        words.print_json(fields(problem, source.tables["train"], reason))
        return None
    for finding in problem.findings:
        say(one_line(f"{finding.topic:12s} {finding.sentence}"))
    return None


def guess(file: str, given: dict[str, str]) -> tuple[Any, str, str]:
    """Return the data, the task that it is for, and why, where that was not plain.

    A file, or what is typed, is read once: the data that is returned is its table.
    """
    from ensuite.data import folders, header, readers, sets
    from ensuite.data.guess import guess_task
    from ensuite.data.walk import is_folder

    if sets.is_set(file):
        return file, sets.SETS[file.partition(":")[0]].task, ""
    for role, task in ROLES.items():
        if role in given:
            return file, task, f"a column is given the role {role}"
    if is_folder(file):
        return file, *guess_task(folders.read(Path(file))["train"])
    table = readers.read(file)
    found = guess_task(header.settle(table, given))
    return table, found.task, found.reason


ROLES = {
    "label": "classify", "target": "regress", "tags": "tag", "source": "translate",
    "value": "forecast",
}  # fmt: skip
"""Roles that a single task has."""


def fields(problem: "Problem", table: "Table", reason: str) -> dict[str, Any]:
    """Return the data check as fields, and its sentences."""
    from ensuite.data.duplicates import duplicates
    from ensuite.problem import left_out

    task, parts = problem.task, problem.parts
    every = [example for part in parts.values() for example in part]
    found = duplicates({name: task.identities(part) for name, part in parts.items()})
    ledger = task.ledger(every)
    lengths = sorted(task.extent(example) for example in every)
    return {
        "data": problem.data,
        "task": problem.name,
        "guessed": reason,
        "unit": problem.unit,
        "rows": table.rows,
        "columns": {role: list(names) for role, names in table.read_as.items()},
        "left_out": left_out(table),
        "lengths": {
            "median": lengths[len(lengths) // 2],
            "p95": lengths[int(0.95 * (len(lengths) - 1))],
            "longest": lengths[-1],
        },
        "truncated": ledger._asdict(),
        "labels": dict(Counter(map(task.truth, every)).most_common()) if task.choices else {},
        "duplicates": {
            "within": found.within,
            "across": [{"parts": list(pair), "count": n} for pair, n in found.across.items()],
        },
        "parts": {name: len(part) for name, part in parts.items()},
        "findings": [finding._asdict() for finding in problem.findings],
    }


def list_sets(json: bool) -> None:
    """Print every built-in data set with its source and licence."""
    from ensuite.data.sets import SETS

    if json:
        keys = ("name", "task", "caption", "source", "licence")
        words.print_json([{key: getattr(each, key) for key in keys} for each in SETS.values()])
        return
    width = max(len(name) for name in SETS)
    for name, each in SETS.items():
        say(f"{name:{width}s}  {each.task:9s}  {each.caption}")
        say(f"{'':{width}s}  {'':9s}  {each.source}; {each.licence}")

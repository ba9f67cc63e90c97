"""The options that several commands share, and how their words are read."""

import json
import sys
from typing import Annotated, Any

import typer

from ensuite.core.errors import UsageError

Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set any option: width=128, recipe.clip=0.5."),
]
Column = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="ROLE=NAME", help="Name a column: text=review, label=0."),
]
Test = Annotated[str | None, typer.Option("--test", help="Rows to judge by, instead of a tenth.")]
Valid = Annotated[str | None, typer.Option("--valid", help="Rows to choose the best weights by.")]
Split = Annotated[
    str | None,
    typer.Option("--split", help="random, time, time:DATE,DATE or group:COLUMN."),
]
Budget = Annotated[
    str | None,
    typer.Option("--budget", help="A number and one of s, m, h, steps, epochs, tokens: 60s."),
]
Metric = Annotated[str | None, typer.Option("--metric", help="What ranks, if not the usual one.")]
Out = Annotated[str | None, typer.Option("--out", help="Folder to write; runs/TASK-DATA-N.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
InitFrom = Annotated[
    str | None, typer.Option("--init-from", help="Run whose backbone's weights to start from.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
TaskName = Annotated[str, typer.Argument(metavar="TASK", help="As classify; `ensuite models`.")]
Data = Annotated[
    str, typer.Argument(metavar="DATA", help="A file, - or a built-in set; `ensuite data`.")
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or a comparison's.")]


def pairs(words: list[str] | None, option: str) -> dict[str, str]:
    """Return what 'name=value' words say.

    Raises:
        UsageError: If a word has no '='.
    """
    found = {}
    for word in words or []:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise UsageError(f"{option} {word}: write it as name=value.")
        found[name] = value
    return found


def task_settings(words: list[str] | None) -> dict[str, str]:
    """Return what --set says where only a task has options: task.size=28, or size=28."""
    return {name.removeprefix("task."): value for name, value in pairs(words, "--set").items()}


def data_options(
    test: str | None,
    valid: str | None,
    split: str | None,
    column: list[str] | None,
    metric: str | None,
) -> dict[str, Any]:
    """Return what the library calls the options on data."""
    given = pairs(column, "--column")
    return {"test": test, "valid": valid, "how": split, "given": given, "metric": metric}


def metric_line(name: str, value: float) -> str:
    """Return a metric and its value, with at least four decimals.

    >>> [metric_line("accuracy", 0.5), metric_line("mae", 0.00031234)]
    ['accuracy           0.5000', 'mae                0.000312']
    """
    from ensuite.report import words
    from ensuite.report.values import finite

    known = finite(value)
    return f"{name:18s} {words.score(known, max(4, words.decimals([known])))}"


def print_json(value: Any) -> None:
    """Print one document; a number that JSON lacks is null."""
    text = json.dumps(value, ensure_ascii=False)
    clean = json.loads(text, parse_constant=lambda _: None)
    sys.stdout.write(json.dumps(clean, indent=2, ensure_ascii=False) + "\n")

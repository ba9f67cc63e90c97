"""The options that several commands share, and how their values are parsed."""

import json
import re
import sys
from typing import Annotated, Any

import typer

from ensuite.core.errors import UsageError
from ensuite.core.seed import LARGEST_SEED

Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set an option: width=128, recipe.clip=0.5."),
]
Column = Annotated[
    list[str] | None,
    typer.Option(
        "--column", metavar="ROLE=NAME", help="Give a column a role: text=review, label=0."
    ),
]
Test = Annotated[
    str | None, typer.Option("--test", help="File of test rows (default: a tenth of DATA).")
]
Valid = Annotated[
    str | None, typer.Option("--valid", help="File of validation rows, to select the weights.")
]
Split = Annotated[
    str | None,
    typer.Option("--split", help="How to split: random, time, time:DATE,DATE, group:COLUMN."),
]
Budget = Annotated[
    str | None,
    typer.Option("--budget", help="Number and unit (s, m, h, steps, epochs, tokens): 60s."),
]
Total = Annotated[
    str | None,
    typer.Option(
        "--total", help="Wall time for everything (default without --budget: 10m), shared out."
    ),
]
Folds = Annotated[
    int | None,
    typer.Option(
        "--folds",
        help="Number of folds: cross-validate, with one run per fold instead of per seed.",
    ),
]
Threads = Annotated[
    int | None, typer.Option("--threads", help="CPU threads of a training (default: measured).")
]
Jobs = Annotated[int, typer.Option("--jobs", help="Trainings that run side by side.")]
Metric = Annotated[
    str | None, typer.Option("--metric", help="Metric to rank by (default: the task's first).")
]
Out = Annotated[
    str | None, typer.Option("--out", help="Output folder (default: runs/TASK-DATA-N).")
]
Seed = Annotated[
    int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of weights, order and dropout.")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
InitFrom = Annotated[
    str | None, typer.Option("--init-from", help="Run to initialise the backbone from.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
TaskName = Annotated[
    str, typer.Argument(metavar="TASK", help="Task, such as classify (see `ensuite tasks`).")
]
Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="File or folder, - (standard input), or built-in data set (see `ensuite data`).",
    ),
]
Run = Annotated[
    str, typer.Argument(metavar="RUN", help="Folder of a run, or of a comparison (its winner).")
]


def pairs(
    words: list[str] | None, option: str, advice: str = "write it as name=value."
) -> dict[str, str]:
    """Parse 'name=value' arguments into a dictionary.

    Raises:
        UsageError: If an argument has no '='.
    """
    found = {}
    for word in words or []:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise UsageError(f"{option} {word}: {advice}")
        found[name] = value
    return found


def task_settings(words: list[str] | None) -> dict[str, str]:
    """Parse --set for commands that set only task options: task.size=28, or size=28."""
    return {name.removeprefix("task."): value for name, value in pairs(words, "--set").items()}


def wants_int8(words: list[str] | None) -> bool:
    """Parse --set for commands that only load a model: int8=true.

    Raises:
        UsageError: For any other key or value.
    """
    given = pairs(words, "--set")
    known = {"true": True, "false": False}
    if given.keys() - {"int8"} or not known.keys() >= set(given.values()):
        raise UsageError(f"--set {(words or [''])[0]}: this command accepts only int8=true.")
    return known[given.get("int8", "false")]


def data_options(
    test: str | None,
    valid: str | None,
    split: str | None,
    column: list[str] | None,
    metric: str | None,
) -> dict[str, Any]:
    """Return the data options under the names that the Python functions use."""
    columns = pairs(column, "--column")
    return {"test": test, "valid": valid, "split": split, "columns": columns, "metric": metric}


def metric_line(name: str, value: float) -> str:
    """Format a metric and its value, with at least four decimals.

    >>> [metric_line("accuracy", 0.5), metric_line("mae", 0.00031234), metric_line("mae", 2e-13)]
    ['accuracy           0.5000', 'mae                0.000312', 'mae                2e-13']
    """
    from ensuite.report import words
    from ensuite.report.values import finite

    known = finite(value)
    return f"{name:18s} {words.score(known, max(4, words.decimals([known])))}"


def print_json(value: Any) -> None:
    """Print one JSON document; NaN and infinities become null."""
    sys.stdout.write(to_json(value, indent=2) + "\n")


def to_json(value: Any, indent: int | None = None) -> str:
    """Return a document; a number that JSON lacks is null, a day or the like is a text.

    Control codes that JSON allows, and a terminal obeys, are written as their codes.
    """
    text = json.dumps(value, ensure_ascii=False, default=str)
    clean = json.loads(text, parse_constant=lambda _: None)
    document = json.dumps(clean, indent=indent, ensure_ascii=False)
    return re.sub("[\x7f-\x9f]", lambda match: f"\\u{ord(match[0]):04x}", document)

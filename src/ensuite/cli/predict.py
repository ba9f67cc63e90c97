"""ensuite predict: answer what is typed, or a whole file."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ensuite.cli import options as words
from ensuite.core.errors import UsageError

if TYPE_CHECKING:
    from ensuite.predictor import Predictor

MOST_ROWS = 200
"""Rows of answers that are printed."""


def command(
    run: words.Run,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[INPUT]...", help="Texts, numbers, or field=value of one example."),
    ] = None,
    file: Annotated[
        str | None, typer.Option(help="A file of inputs, or - for typed lines.")
    ] = None,
    out: Annotated[str | None, typer.Option(help="CSV or JSON lines to write.")] = None,
    set_: words.Set = None,
    column: words.Column = None,
    json: words.Json = False,
) -> None:
    """Answer inputs with a trained run."""
    if bool(inputs) == bool(file):
        raise UsageError("Give inputs to answer, or --file FILE; one of the two.")
    from ensuite.predictor import Predictor

    predictor = Predictor.load(run)
    if set_:
        predictor = predictor.with_settings(words.task_settings(set_))
    examples = (
        predictor.read(file, words.pairs(column, "--column"), asking=True)
        if file
        else [predictor.task.ask(each) for each in typed(predictor, inputs or [])]
    )
    predictions = predictor.predict_examples(examples)
    rows = records(predictor, examples, predictions)
    if out:
        write(Path(out), rows)
        print(f"{len(rows):,} answers in {out}", file=sys.stderr)
    elif json:
        words.print_json(rows)
    else:
        show_rows(rows) if predictor.task.several_rows else show(predictor, examples, predictions)


def typed(predictor: "Predictor", inputs: Sequence[str]) -> list[Any]:
    """Read what was typed: texts, or the fields of one example; @FILE is the file's content."""
    fields = dict(each.partition("=")[::2] for each in inputs)
    if len(inputs) > 1 and set(fields) <= set(predictor.task.fields):
        return [{name: content(value) for name, value in fields.items()}]
    return [content(each) for each in inputs]


def content(value: str) -> str:
    """Return the text itself, or that of the file it names with @."""
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{value}: {value[1:]} cannot be read as text ({error}).") from error


def records(
    predictor: "Predictor", examples: Sequence[Any], predictions: Sequence[Any]
) -> list[dict[str, Any]]:
    """Return a row for each example: its input, and the answer as the task tells it.

    Answers that are tables of their own are put one below the other, without the input.
    """
    task, rows = predictor.task, list[dict[str, Any]]()
    for example, prediction in zip(examples, predictions, strict=True):
        asked = {} if task.several_rows else {"input": task.show(example)}
        rows += [asked | row for row in task.records(example, prediction)]
    return rows


def show(predictor: "Predictor", examples: Sequence[Any], predictions: Sequence[Any]) -> None:
    """Print a line for each answer."""
    said = [predictor.task.describe(prediction) for prediction in predictions]
    width = max((len(word) for word, _ in said), default=0)
    for (word, sure), example in zip(said, examples, strict=True):
        sureness = "" if sure is None else f"{sure:.2f}   "
        shown = " ".join(predictor.task.show(example).split())
        print(f"{word:{width}s}  {sureness}{shown[:200]}")


def show_rows(rows: Sequence[dict[str, Any]]) -> None:
    """Print rows as a table with headings, numbers to the right."""
    shown = rows[:MOST_ROWS]
    columns = [(name, [cell(row[name]) for row in shown]) for name in (rows[0] if rows else ())]
    widths = [max(map(len, (name, *cells))) for name, cells in columns]
    numeric = [isinstance(rows[0][name], float) for name, _ in columns]
    for line in zip(*((name, *cells) for name, cells in columns), strict=True):
        padded = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ]
        print("  ".join(padded).rstrip())
    if len(rows) > len(shown):
        print(f"... {len(rows) - len(shown):,} more rows; --out FILE.csv writes all")


def cell(value: Any) -> str:
    """Write a number with six digits, anything else as it is."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write answers as CSV or JSON lines, by the file's ending.

    Raises:
        UsageError: For another ending.
    """
    import csv
    import io
    import json

    from ensuite.core.files import write_text

    if path.suffix == ".jsonl":
        write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    elif path.suffix == ".csv":
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, list(rows[0]) if rows else ["input", "answer"])
        writer.writeheader()
        for row in rows:  # a list in a cell is JSON
            cells = {
                k: json.dumps(v, ensure_ascii=False) if isinstance(v, list | tuple) else v
                for k, v in row.items()
            }
            writer.writerow(cells)
        write_text(path, buffer.getvalue())
    else:
        raise UsageError(f"--out {path}: end its name in .csv or .jsonl.")

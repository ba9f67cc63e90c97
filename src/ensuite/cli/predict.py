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


def command(
    run: words.Run,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[INPUT]...", help="Texts, or field=value of one example."),
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
        predictor = predictor.with_settings(words.pairs(set_, "--set"))
    examples = (
        predictor.read(file, words.pairs(column, "--column"), asking=True)
        if file
        else [predictor.task.ask(each) for each in typed(predictor, inputs or [])]
    )
    rows = answers(predictor, examples)
    if out:
        write(Path(out), rows)
        print(f"{len(rows):,} answers in {out}", file=sys.stderr)
    elif json:
        words.print_json(rows)
    else:
        show(rows)


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


def answers(predictor: "Predictor", examples: Sequence[Any]) -> list[dict[str, Any]]:
    """Return a row for each example: its input, the answer, and how sure that is."""
    rows = []
    for example, prediction in zip(examples, predictor.answer(examples), strict=True):
        answer, probability = predictor.task.answer(prediction)
        row = {"input": predictor.task.show(example), "answer": answer}
        rows.append(row | ({} if probability is None else {"probability": probability}))
    return rows


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print a line for each answer."""
    width = max((len(row["answer"]) for row in rows), default=0)
    for row in rows:
        sure = f"{row['probability']:.2f}   " if "probability" in row else ""
        shown = " ".join(row["input"].split())
        print(f"{row['answer']:{width}s}  {sure}{shown[:200]}")


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
        writer.writerows(rows)
        write_text(path, buffer.getvalue())
    else:
        raise UsageError(f"--out {path}: end its name in .csv or .jsonl.")

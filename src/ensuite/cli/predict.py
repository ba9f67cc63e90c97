"""ensuite predict: answer what is typed, or a whole file."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ensuite.cli import early
from ensuite.cli import options as words
from ensuite.core.errors import DataError, UsageError, reason
from ensuite.core.printable import printable
from ensuite.core.runs import require_apart

if TYPE_CHECKING:
    from ensuite.core.table import Table
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
    top: Annotated[
        int | None, typer.Option(min=1, metavar="K", help="Show the K most probable answers.")
    ] = None,
    embed: Annotated[
        bool, typer.Option("--embed", help="Give the vector of each input instead of an answer.")
    ] = False,
    set_: words.Set = None,
    column: words.Column = None,
    json: words.Json = False,
) -> None:
    """Answer inputs with a trained run, or with a published checkpoint."""
    if bool(inputs) == (file is not None):
        raise UsageError("Give inputs to answer, or --file FILE; one of the two.")
    given = words.pairs(column, "--column")
    settings = words.task_settings(set_)
    early.check_run(run, *(inputs or []), *([file] if file else []))
    early.check_data(file)
    if out is not None:
        require_writable(out, file)
    from ensuite.predictor import Predictor

    predictor = Predictor.load(run)
    if settings:
        predictor = predictor.with_settings(settings)
    examples: Sequence[Any]
    kept: Sequence[Mapping[str, Any]] | None = None
    if file is None:
        examples = [predictor.task.ask(each) for each in typed(predictor, inputs or [])]
    else:
        examples, kept = read(predictor, file, given)
    if embed:
        examples, predictor = predictor.task.raws(examples), predictor.embedder()
    predictions = predictor.predict_examples(examples)
    rows = records(predictor, examples, predictions, kept, top)
    if out is not None:
        write(Path(out), rows, spread=bool(predictor.task.choices))
        print(f"{len(rows):,} answers in {printable(out)}", file=sys.stderr)
    elif json:
        words.print_json(rows)
    else:
        show_rows(rows) if predictor.task.several_rows else show(
            predictor, examples, predictions, top
        )


def require_writable(out: str, file: str | None) -> None:
    """Refuse a file to write that is the one to read, or is of another kind.

    Raises:
        UsageError: Says which.
    """
    require_apart(out, [file])
    if Path(out).suffix not in (".csv", ".jsonl"):
        raise UsageError(f"--out {out}: end its name in .csv or .jsonl.")


# What is asked


def typed(predictor: "Predictor", inputs: Sequence[str]) -> list[Any]:
    """Read what was typed: texts, or the fields of one example; @FILE is the file's content."""
    if fields := named(inputs, predictor.task.fields):
        return [{name: content(value) for name, value in fields.items()}]
    if predictor.task.unit != "image":
        for each in inputs:
            refuse_path(each)
    return [content(each) for each in inputs]


def named(inputs: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Return the fields of one example, typed as field=value; none where texts were typed.

    Args:
        inputs: What was typed. Where one names a known field, all are fields.
        known: The fields of an example.

    Raises:
        UsageError: If a field is unknown, or given twice.

    >>> named(["context=a b", "question=c=d?"], ["context", "question"])
    {'context': 'a b', 'question': 'c=d?'}
    >>> named(["x=1", "a film"], ["text"])
    {}
    """
    parts = [each.partition("=") for each in inputs]
    if not any(sign and name in known for name, sign, _ in parts):
        return {}
    for each, (name, sign, _) in zip(inputs, parts, strict=True):
        if not sign or name not in known:
            raise UsageError(f"{each} is none of the fields of an example: {', '.join(known)}.")
    fields = {name: value for name, _, value in parts}
    if len(fields) < len(parts):
        raise UsageError("A field is given twice; one command answers the fields of one example.")
    return fields


def refuse_path(text: str) -> None:
    """Refuse a text that names a file or folder that is there: its letters are not meant.

    Raises:
        UsageError: Says how to have the rows of the file answered.
    """
    from ensuite.data.walk import is_file, is_folder

    meant = "; if the word itself is meant, --file - reads it from standard input."
    if " " in text or not text:
        return
    if is_file(text):
        raise UsageError(
            f"{text} is a file: to answer its rows, --file {text}; to answer its content as one "
            f"text, @{text}{meant}"
        )
    if is_folder(text):
        raise UsageError(f"{text} is a folder: to answer what is in it, --file {text}{meant}")


def content(value: str) -> str:
    """Return the text itself, or that of the file it names with @."""
    from ensuite.data.sound import check_typed

    if not value.startswith("@"):
        check_typed(value)
        return value
    try:
        return Path(value[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{value}: {value[1:]} cannot be read as text ({reason(error)})."
        ) from error


def read(
    predictor: "Predictor", file: str, given: Mapping[str, str]
) -> tuple[Sequence[Any], Sequence[Mapping[str, Any]] | None]:
    """Return the examples of a file, and its columns as a mapping for each row.

    Lines that are typed (``-``) are inputs, unless the first names columns, or the user does.
    """
    from ensuite import problem
    from ensuite.data import readers

    source: Any = file
    if file == "-":
        content = readers.read_input()
        lines = None if given else readers.typed_lines(content)
        if lines is not None:
            return ask_lines(predictor, lines), None
        source = readers.read_content(content, readers.STANDARD_INPUT)
    table = problem.open_part(source, given, asking=True)
    for note in table.notes:
        print(printable(f"{table.name}: {note}"), file=sys.stderr)
    return predictor.read_table(table, given, asking=True), cells(table)


def ask_lines(predictor: "Predictor", lines: Sequence[str]) -> list[Any]:
    """Make an example of each line that was typed.

    Raises:
        DataError: Names the line that is no input.
    """
    examples = []
    for number, line in enumerate(lines, 1):
        try:
            examples.append(predictor.task.ask_line(line))
        except DataError as error:
            raise DataError(f"Line {number} of standard input: {error}") from None
    return examples


def cells(table: "Table") -> list[dict[str, Any]] | None:
    """Return the rows of a file that are not arrays; None where all are."""
    import numpy as np

    columns = {
        name: values.tolist() if isinstance(values, np.ndarray) else values
        for name, values in table.columns.items()
        if not isinstance(values, np.ndarray) or values.ndim == 1
    }
    if any(isinstance(value[0], np.ndarray) for value in columns.values()) or not columns:
        return None
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


# What is answered


def records(
    predictor: "Predictor",
    examples: Sequence[Any],
    predictions: Sequence[Any],
    kept: Sequence[Mapping[str, Any]] | None = None,
    top: int | None = None,
) -> list[dict[str, Any]]:
    """Return a row for each example: its input, and the answer as the task tells it.

    Answers that are tables of their own are put one below the other, without the input.

    Args:
        predictor: Whose answers they are.
        examples: What was asked.
        predictions: What was answered.
        kept: The columns of the file, which stand in place of the input.
        top: How many of the answers that were possible; None: all, where they are fixed.
    """
    rows = []
    for number, (example, prediction) in enumerate(zip(examples, predictions, strict=True)):
        asked = dict(kept[number]) if kept else {"input": predictor.task.show(example)}
        asked = {} if predictor.task.several_rows else asked
        for answer in predictor.task.records(example, prediction):
            possible = ranked(predictor, prediction, top)
            if possible and (predictor.task.choices or top):
                answer["probabilities"] = dict(possible)
            renamed = {f"predicted_{n}" if n in asked else n: value for n, value in answer.items()}
            rows.append(asked | renamed)
    return rows


def ranked(predictor: "Predictor", prediction: Any, top: int | None) -> list[tuple[str, float]]:
    """Return the answers that were possible with their probabilities, the most probable first.

    Raises:
        UsageError: If ``top`` is given, and the task chooses among no fixed answers.
    """
    known = predictor.task.distribution(prediction)
    if top is not None and not known:
        raise UsageError(f"--top: {predictor.name} does not choose among fixed answers.")
    each = sorted(known.items(), key=lambda pair: -pair[1]) if top else list(known.items())
    return each[:top]


def show(
    predictor: "Predictor", examples: Sequence[Any], predictions: Sequence[Any], top: int | None
) -> None:
    """Print a line for each answer."""
    said: list[tuple[str, float | None]]
    if top:
        best = [ranked(predictor, prediction, top) for prediction in predictions]
        said = [("  ".join(f"{name} {p:.2f}" for name, p in each), None) for each in best]
    else:
        said = [predictor.task.describe(prediction) for prediction in predictions]
    told = [(printable(" ".join(word.split())), sure) for word, sure in said]
    width = max((len(word) for word, _ in told), default=0)
    for (word, sure), example in zip(told, examples, strict=True):
        sureness = "" if sure is None else f"{sure:.2f}   "
        shown = " ".join(predictor.task.show(example).split())
        print(f"{word:{width}s}  {sureness}{printable(shown[:200])}")


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


def write(path: Path, rows: Sequence[dict[str, Any]], *, spread: bool = True) -> None:
    """Write answers as CSV or JSON lines, by the file's ending; see :func:`to_csv`."""
    from ensuite.core.files import write_text

    if path.suffix == ".jsonl":
        write_text(path, "".join(words.to_json(row) + "\n" for row in rows))
    else:
        write_text(path, to_csv(rows, spread=spread))


def to_csv(rows: Sequence[dict[str, Any]], *, spread: bool = True) -> str:
    """Return rows as CSV: a column for each class's probability, other lists and mappings as JSON.

    A spreadsheet runs a text that begins with = + - or @ as a formula, whoever wrote it; such a
    text begins with an apostrophe here, which spreadsheets take for the mark of a text.

    Args:
        rows: What to write.
        spread: Whether probabilities are of the same few classes in each row, and so get columns.

    Source: OWASP, https://owasp.org/www-community/attacks/CSV_Injection
    """
    import csv
    import io

    flat = [flatten(row) if spread else row for row in rows]
    names = dict.fromkeys(name for row in flat for name in row)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(names) or ["input", "answer"])
    writer.writerow({name: safe(name) for name in writer.fieldnames})
    for row in flat:
        writer.writerow({name: safe(value) for name, value in row.items()})
    return buffer.getvalue()


def flatten(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row whose probabilities stand in columns of their own."""
    flat = dict(row)
    known = flat.pop("probabilities", {})
    named = known if isinstance(known, dict) else {}
    return flat | {f"probability {name}": probability for name, probability in named.items()}


def safe(value: Any) -> Any:
    """Return a cell that no spreadsheet runs: numbers stay numbers.

    >>> safe("=1+2"), safe("-3.5"), safe(-3.5), safe("@x"), safe("a-b")
    ("'=1+2", '-3.5', -3.5, "'@x", 'a-b')
    """
    from ensuite.data.header import is_number

    if isinstance(value, list | tuple | dict):
        return words.to_json(value)
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return value if is_number(value) else f"'{value}"
    return value

"""ensuite evaluate: compute every metric of a run on labelled data."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ensuite.cli import early
from ensuite.cli import options as words
from ensuite.cli.predict import records, require_writable, write
from ensuite.core.printable import printable
from ensuite.report.words import counted

if TYPE_CHECKING:
    from ensuite.predictor import Predictor

ByLength = Annotated[
    int | None,
    typer.Option(
        "--by-length",
        metavar="N",
        min=2,
        help="Group the inputs by length into N parts and show the metrics of each.",
    ),
]


def command(
    run: words.Run,
    data: words.Data,
    column: words.Column = None,
    by_length: ByLength = None,
    out: Annotated[
        str | None, typer.Option(help="CSV or JSON lines to write: each answer beside the truth.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="int8=true: int8 weights."),
    ] = None,
    json: words.Json = False,
) -> None:
    """Compute every metric of a trained run on labelled data."""
    given = words.pairs(column, "--column")
    int8 = words.wants_int8(set_)
    early.check_run(run, data)
    early.check_data(data)
    if out is not None:
        require_writable(out, data)
    from ensuite.comparison.trial import trained_on
    from ensuite.predictor import Predictor

    predictor = Predictor.load(run)
    predictor = predictor.to_int8() if int8 else predictor
    examples = predictor.read(data, given, asking=False)
    if predictor.folder and (known := trained_on(predictor.folder, examples, predictor.task)):
        warn_of_known(known, len(examples))
    if by_length:
        show_by_length(predictor, examples, by_length, data, json=json)
        return
    predictions = predictor.predict_examples(examples)
    scores = predictor.task.score(predictions, examples)
    values = {name: score.value for name, score in scores.items()}
    if out is not None:
        write_answers(predictor, examples, predictions, out)
    if json:
        words.print_json({"task": predictor.task_name, "data": data, "metrics": values})
        return
    ledger = predictor.task.ledger(examples)
    print(f"{predictor.name} on {counted(len(examples), 'row')}, {ledger.rows:,} truncated")
    for name, value in values.items():
        print(words.metric_line(name, value))
    for remark in predictor.task.remarks(predictor.name, predictions, examples):
        print(printable(remark))


def warn_of_known(known: int, count: int) -> None:
    """Say that a run was trained on rows that it is evaluated on."""
    which = "All rows" if known == count else f"{known:,} of the {counted(count, 'row')}"
    print(
        f"{which} were trained on: these scores are better than on rows that the run has not seen.",
        file=sys.stderr,
    )


def write_answers(
    predictor: "Predictor", examples: Sequence[Any], predictions: Sequence[Any], out: str
) -> None:
    """Write each answer beside its input and the truth, as CSV or JSON lines."""
    truths = [{"truth": predictor.task.truth(example)} for example in examples]
    rows = [
        {"input": row.pop("input")} | truth | row
        for example, prediction, truth in zip(examples, predictions, truths, strict=True)
        for row in records(predictor, [example], [prediction])
    ]
    write(Path(out), rows)
    print(f"{counted(len(rows), 'answer')} in {printable(out)}", file=sys.stderr)


def show_by_length(
    predictor: "Predictor", examples: Sequence[Any], parts: int, data: str, *, json: bool
) -> None:
    """Print the metrics by input length, one line for each part."""
    stretches = predictor.evaluate_by_length(examples, parts)
    if json:
        each = [stretch._asdict() for stretch in stretches]
        words.print_json({"task": predictor.task_name, "data": data, "stretches": each})
        return
    names = list(stretches[0].metrics)[:3]
    print(f"{'length':>15}  {'rows':>7}" + "".join(f"  {name:>12}" for name in names))
    for low, high, rows, metrics in stretches:
        values = "".join(f"  {metrics[name]:12.4f}" for name in names)
        print(f"{f'{low:,} to {high:,}':>15}  {rows:7,}{values}")

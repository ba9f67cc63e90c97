"""ensuite evaluate: compute every metric of a run on labelled data."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ensuite.cli import options as words

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
    json: words.Json = False,
) -> None:
    """Compute every metric of a trained run on labelled data."""
    from ensuite.predictor import Predictor

    predictor = Predictor.load(run)
    given = words.pairs(column, "--column")
    examples = predictor.read(data, given, asking=False)
    if by_length:
        show_by_length(predictor, examples, by_length, data, json=json)
        return
    scores = predictor.task.score(predictor.predict_examples(examples), examples)
    values = {name: score.value for name, score in scores.items()}
    if json:
        words.print_json({"task": predictor.task_name, "data": data, "metrics": values})
        return
    ledger = predictor.task.ledger(examples)
    cut = f"{ledger.rows:,} truncated" if ledger.rows else "0 truncated"
    print(f"{predictor.name} on {len(examples):,} rows, {cut}")
    for name, value in values.items():
        print(words.metric_line(name, value))


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

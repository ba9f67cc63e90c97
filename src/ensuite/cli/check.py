"""ensuite check: the laws, on a saved run."""

from typing import Annotated

import typer

from ensuite.cli import early
from ensuite.cli import options as words


def command(
    run: words.Run,
    data: Annotated[
        str | None, typer.Argument(help="Rows to check on; without, inputs drawn at random.")
    ] = None,
    column: words.Column = None,
    json: words.Json = False,
) -> None:
    """Check that a run obeys the laws: padding changes nothing, saved is loaded, ..."""
    given = words.pairs(column, "--column")
    early.check_run(run)
    early.check_data(data)
    from ensuite import laws
    from ensuite.predictor import Predictor

    predictor = Predictor.load(run)
    examples = predictor.read(data, given, asking=True) if data else None
    verdicts = list(laws.check(predictor, examples))
    if json:
        words.print_json([verdict._asdict() for verdict in verdicts])
    else:
        for verdict in verdicts:
            print(f"{verdict.law:28s} {'ok' if verdict.holds else 'FAILS':6s} {verdict.measure}")
    if not all(verdict.holds for verdict in verdicts):
        raise typer.Exit(1)

"""ensuite check: check that a saved run behaves consistently."""

import sys
from typing import Annotated

import typer

from ensuite.cli import early
from ensuite.cli import options as words
from ensuite.core.printable import printable


def command(
    run: words.Run,
    data: Annotated[
        str | None, typer.Argument(help="File of inputs to check with (default: random inputs).")
    ] = None,
    column: words.Column = None,
    json: words.Json = False,
) -> None:
    """Check that a saved run behaves consistently.

    For example, padding must not change a prediction, and a run that was saved and loaded again
    must predict the same. The exit code is 1 if a check fails.
    """
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
    if not verdicts:
        print(
            f"Nothing was checked: {printable(predictor.name)} has no checks on random inputs; "
            f"give a file of inputs: ensuite check {printable(run)} FILE",
            file=sys.stderr,
        )
    if not all(verdict.holds for verdict in verdicts):
        raise typer.Exit(1)

"""The program ``ensuite``: its commands, and how errors are printed."""

import sys
from typing import Annotated

import typer

from ensuite.cli import check, compare, data, evaluate, generate, models, predict, train
from ensuite.core.errors import EnsuiteError

app = typer.Typer(
    name="ensuite",
    help=(
        "Train the candidate models for a task under one budget, report which one to use, and use "
        "it. To start: ensuite compare classify reviews.csv"
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

for module in (compare, train, predict, generate, evaluate, check, models, data):
    app.command(module.__name__.rpartition(".")[2])(module.command)


@app.callback()
def common(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Define the options that all commands share."""


def main() -> None:
    """Run the program.

    The exit code is 0 for success, 1 for a failure, 2 for wrong usage, 130 for an interruption.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # do not fail where the terminal or log is not UTF-8
            stream.reconfigure(errors="backslashreplace")
    debug = "--debug" in sys.argv  # accepted at any position
    try:
        app([word for word in sys.argv[1:] if word != "--debug"])
    except EnsuiteError as error:
        if debug:
            raise
        print(f"ensuite: {error}", file=sys.stderr)
        sys.exit(error.exit_code)

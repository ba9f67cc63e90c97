"""The program ``ensuite``: its commands, and how an error ends."""

import sys
from typing import Annotated

import typer

from ensuite.cli import check, compare, data, evaluate, generate, models, predict, train
from ensuite.core.errors import EnsuiteError

app = typer.Typer(
    name="ensuite",
    help=(
        "Train the sequence models that could do a job under one budget, say which to use, and use "
        "it. Start with: ensuite compare classify reviews.csv"
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
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    """Hold the options of every command."""


def main() -> None:
    """Run the program: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a log on a machine without UTF-8 still gets its text
            stream.reconfigure(errors="backslashreplace")
    debug = "--debug" in sys.argv  # wherever it stands
    try:
        app([word for word in sys.argv[1:] if word != "--debug"])
    except EnsuiteError as error:
        if debug:
            raise
        print(f"ensuite: {error}", file=sys.stderr)
        sys.exit(error.exit_code)

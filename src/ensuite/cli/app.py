"""The program ``ensuite``: its commands, and how an error ends."""

import os
import sys
from contextlib import suppress
from typing import Annotated

import typer

from ensuite.cli import check, compare, data, evaluate, generate, models, predict, train
from ensuite.core.errors import EnsuiteError
from ensuite.core.printable import printable

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
        try:
            app([word for word in sys.argv[1:] if word != "--debug"])
        finally:
            sys.stdout.flush()  # here, where it can still be told that it fails
    except EnsuiteError as error:
        if debug:
            raise
        print(f"ensuite: {printable(error)}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # whoever read the output has seen enough
        forget_output()
        sys.exit(1)
    except OSError as error:
        if debug:
            raise
        what = "The output cannot be written"
        if error.filename is not None:
            what = f"{printable(error.filename)} cannot be read or written"
        else:
            forget_output()
        print(f"ensuite: {what} ({error.strerror or error}).", file=sys.stderr)
        sys.exit(1)


def forget_output() -> None:
    """Let what could not be written go nowhere, so that the end of the program has no say in it."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

"""The program ``ensuite``: its commands, and how errors are printed."""

import os
import sys
from contextlib import suppress
from typing import Annotated

import typer

from ensuite.cli import (
    chat,
    check,
    compare,
    convert,
    data,
    evaluate,
    generate,
    models,
    predict,
    sample,
    tasks,
    train,
)
from ensuite.cli.mistakes import Command, Group
from ensuite.cli.pages import say
from ensuite.core.errors import EnsuiteError
from ensuite.core.printable import printable

app = typer.Typer(
    name="ensuite",
    cls=Group,
    help=(
        "Train the candidate models for a task under one budget, report which one to use, and use "
        "it. To start: ensuite compare classify reviews.csv"
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

COMMANDS = (
    compare,
    train,
    predict,
    generate,
    chat,
    sample,
    evaluate,
    check,
    convert,
    models,
    tasks,
    data,
)

for module in COMMANDS:
    app.command(module.__name__.rpartition(".")[2], cls=Command)(module.command)


def print_version(asked: bool) -> None:
    """Print the version and leave, where it is asked for."""
    if asked:
        from importlib.metadata import version

        print(f"ensuite {version('ensuite')}")
        raise typer.Exit()


@app.callback()
def common(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Show the version."),
    ] = False,
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
        try:
            app([word for word in sys.argv[1:] if word != "--debug"])
        finally:
            sys.stdout.flush()  # here, where it can still be told that it fails
    except EnsuiteError as error:
        if debug:
            raise
        say(f"ensuite: {printable(error)}", sys.stderr)
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

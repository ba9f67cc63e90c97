"""ensuite compare: train every candidate under one budget and say which to take."""

import sys
from typing import Annotated

import typer

from ensuite.cli import options as words


def command(
    task: words.TaskName,
    data: words.Data,
    models: Annotated[str | None, typer.Option(help="Names, with commas: rnn,lstm,gru.")] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[:KEY=VALUE,...]", help="One candidate; can be repeated."),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Runs of each candidate.")] = 3,
    budget: words.Budget = None,
    set_: words.Set = None,
    metric: words.Metric = None,
    out: words.Out = None,
    test: words.Test = None,
    valid: words.Valid = None,
    split: words.Split = None,
    column: words.Column = None,
    init_from: words.InitFrom = None,
    device: words.Device = "auto",
    json: words.Json = False,
) -> None:
    """Train models under one budget, beside simple baselines, and say which to take."""
    from ensuite.api import compare_models
    from ensuite.cli.progress import TerminalProgress
    from ensuite.report.table import terminal_table

    callback = TerminalProgress(quiet=json)
    named = [name for name in (models or "").split(",") if name] + (model or [])
    try:
        comparison, problem = compare_models(
            task, data, models=named, seeds=seeds, budget=budget, settings=set_ or [],
            init_from=init_from, out=out, device=device, callback=callback,
            **words.data_options(test, valid, split, column, metric),
        )  # fmt: skip
    except KeyboardInterrupt:
        callback.close()
        print("Stopped. Run the same command again to go on from here.", file=sys.stderr)
        raise
    finally:
        callback.close()
    board, folder = comparison.leaderboard, comparison.folder
    if json:
        words.print_json(board.to_json())
        return
    from rich.console import Console

    console = Console()
    callback.say("")
    console.print(terminal_table(board, problem.unit, max(console.width, 100)), soft_wrap=True)
    callback.say("")
    for sentence in comparison.verdict:
        callback.say(sentence)
    callback.say("")
    if board.winner is not None:
        callback.say(f"Winner   {folder}/best          {problem.task.usage(str(folder))}")
    callback.say(f"Report   {folder}/report.html")

"""ensuite compare: train every candidate under one budget and report which one to use."""

import sys
from typing import Annotated

import typer

from ensuite.cli import early
from ensuite.cli import options as words


def command(
    task: words.TaskName,
    data: words.Data,
    models: Annotated[
        str | None,
        typer.Option(
            help="Candidates, comma-separated: rnn,lstm,gru (default: the small ones that fit)."
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:KEY=VALUE,...]",
            help="A model with its options, a folder, or RUN:template=FILE; repeatable.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Number of seeds (runs) per candidate.")] = 3,
    budget: words.Budget = None,
    total: words.Total = None,
    folds: words.Folds = None,
    set_: words.Set = None,
    metric: words.Metric = None,
    out: words.Out = None,
    test: words.Test = None,
    valid: words.Valid = None,
    split: words.Split = None,
    column: words.Column = None,
    init_from: words.InitFrom = None,
    device: words.Device = "auto",
    threads: words.Threads = None,
    jobs: words.Jobs = 1,
    json: words.Json = False,
) -> None:
    """Train models under one budget and compare them with baselines.

    Every candidate gets the same examples, seeds and budget. The report says which one to use and
    which differences are larger than chance.
    """
    given = words.data_options(test, valid, split, column, metric)
    named = [name for name in (models or "").split(",") if name] + (model or [])
    early.check_training(
        task, named, (data, test, valid), budget, set_, split, device, out, init_from,
        columns=given["columns"], metric=metric,
    )  # fmt: skip
    from ensuite.api import compare_models
    from ensuite.cli.progress import TerminalProgress
    from ensuite.report.table import terminal_table

    callback = TerminalProgress(quiet=json)
    try:
        comparison, problem = compare_models(
            task, data, models=named, seeds=seeds, budget=budget, total=total, folds=folds,
            settings=set_ or [], init_from=init_from, out=out, device=device, threads=threads,
            jobs=jobs, callback=callback,
            **given,
        )  # fmt: skip
    except KeyboardInterrupt:
        callback.close()
        print("Interrupted. Run the same command again to resume.", file=sys.stderr)
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
    console.print(terminal_table(board, problem.unit, console.width), soft_wrap=True)
    callback.say("")
    for sentence in comparison.verdict:
        callback.say(sentence)
    callback.say("")
    if board.winner is not None:
        callback.say(f"Winner   {folder}/best          {problem.task.usage(str(folder))}")
    callback.say(f"Report   {folder}/report.html")

"""ensuite train: train one model and write its run folder."""

import sys
from typing import Annotated

import typer

from ensuite.cli import early
from ensuite.cli import options as words
from ensuite.core.errors import UsageError


def command(
    task: words.TaskName,
    data: words.Data,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME[:KEY=VALUE,...]", help="Model, such as lstm:layers=2; or a folder."
        ),
    ],
    budget: words.Budget = None,
    seed: words.Seed = 0,
    set_: words.Set = None,
    metric: words.Metric = None,
    out: words.Out = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run in --out.")] = False,
    test: words.Test = None,
    valid: words.Valid = None,
    split: words.Split = None,
    column: words.Column = None,
    init_from: words.InitFrom = None,
    device: words.Device = "auto",
    threads: words.Threads = None,
    json: words.Json = False,
) -> None:
    """Train one model and write its run folder."""
    given = words.data_options(test, valid, split, column, metric)
    if resume and out is None:
        raise UsageError("--resume needs the folder of the run to resume: add --out DIR.")
    early.check_training(
        task, [model], (data, test, valid), budget, set_, split, device, out, init_from,
        columns=given["columns"], metric=metric,
    )  # fmt: skip
    from ensuite.api import train_model
    from ensuite.cli.progress import TerminalProgress
    from ensuite.comparison.insight import remarks

    callback = TerminalProgress(quiet=json)
    try:
        trial, problem = train_model(
            task, data, model=model, budget=budget, seed=seed, settings=set_ or [], out=out,
            resume=resume, init_from=init_from, device=device, threads=threads, callback=callback,
            **given,
        )  # fmt: skip
    except KeyboardInterrupt:
        callback.close()
        print("Interrupted. To resume, add --resume and the run folder as --out.", file=sys.stderr)
        raise
    finally:
        callback.close()
    scores = {name: score.value for name, score in trial.scores.items()}
    if json:
        document = {"task": task, "data": problem.data, "run": str(trial.folder), "metrics": scores}
        words.print_json(document)
        return
    for name, value in scores.items():
        callback.say(
            f"{words.metric_line(name, value)}   on {len(problem.parts['test']):,} test rows"
        )
    for sentence in remarks(problem, trial):
        callback.say(sentence)
    callback.say(f"\nRun      {trial.folder}          {problem.task.usage(str(trial.folder))}")
    callback.say(f"Report   {trial.folder}/report.html")

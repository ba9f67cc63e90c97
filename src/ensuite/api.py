"""The Python API: train, compare and load; from data to run folders, tables and reports."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ensuite import catalog, laws
from ensuite.candidates import (
    Settings,
    Spec,
    baselines,
    choose,
    require_metric,
    sort_settings,
    spec_options,
)
from ensuite.comparison.experiment import (
    Comparison,
    choose_folder,
    make_row,
    ranking_metric,
    run_comparison,
)
from ensuite.comparison.insight import comparison_page, run_page
from ensuite.comparison.trial import Trial, identity, read_identity, run_trial
from ensuite.core.errors import RunError, UsageError
from ensuite.core.files import hold, write_text
from ensuite.core.printable import one_line, printable
from ensuite.core.runs import require_apart
from ensuite.core.seed import require_seed
from ensuite.predictor import RUN, Predictor
from ensuite.problem import Problem, find_task, open_problem, task_options
from ensuite.report.card import comparison_card, run_card
from ensuite.report.page import comparison_html, run_html
from ensuite.report.values import Leaderboard
from ensuite.start import Start
from ensuite.training.budget import Budget
from ensuite.training.callback import Callback
from ensuite.training.device import choose_device


def open_sorted(
    task: str,
    data: Any,
    models: Sequence[Spec],
    settings: Sequence[str] | Mapping[str, Any],
    **how: Any,
) -> tuple[Problem, Settings]:
    """Open a problem, and sort the settings by what they belong to."""
    if isinstance(settings, Mapping):
        settings = [f"{key}={value}" for key, value in settings.items()]
    known = task_options(find_task(task))
    options = [spec_options(each, task) for each in models or catalog.backbones]
    mine = sort_settings(settings, known, [each for each in options if each is not None])
    return open_problem(task, data, settings=mine.task, **how), mine


def compare_models(
    task: str,
    data: Any,
    *,
    models: Sequence[Spec] = (),
    seeds: int = 3,
    budget: str | None = None,
    settings: Sequence[str] | Mapping[str, Any] = (),
    init_from: str | Path | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    callback: Callback | None = None,
    **how: Any,
) -> tuple[Comparison, Problem]:
    """Compare models on a task, and write the leaderboard, the report and the winner's run."""
    callback, amount, where = callback or Callback(), Budget.parse(budget), choose_device(device)
    if seeds < 1:
        raise UsageError(f"--seeds {seeds}: give 1 or more.")
    require_apart(out, [data, how.get("test"), how.get("valid")])
    problem, mine = open_sorted(task, data, models, settings, **how)
    start = Start.open(init_from) if init_from else None
    require_metric(problem)
    chosen = choose(models, problem, mine, where, start)
    named = {candidate.name for candidate in chosen}
    simple = [each for each in baselines(problem, chosen) if each.name not in named]
    entrants = [*chosen, *simple]
    for finding in problem.findings:
        callback.say(one_line(f"{finding.topic:12s} {finding.sentence}"))
    folder = Path(out) if out is not None else choose_folder(problem, entrants, amount, seeds)
    comparison = run_comparison(
        problem, entrants, budget=amount, seeds=seeds, folder=folder, callback=callback
    )
    page = comparison_page(comparison, problem)
    write_text(folder / "report.html", comparison_html(page))
    write_text(folder / "README.md", printable(comparison_card(page)))
    return comparison, problem


def compare(task: str, data: Any, **how: Any) -> Leaderboard:
    """Train every model that fits under one budget, beside simple baselines, and rank them.

    Args:
        task: The name of a task, as ``classify``.
        data: A path, the name of a built-in set, rows, or a table in memory.
        how: ``models`` (as :func:`ensuite.candidates.open_spec` reads them), ``seeds``, ``budget``
            ("60s", "4epochs"), ``settings`` (options by name), ``test`` and ``valid`` (parts of
            your own), ``how`` (random, time or group:COLUMN), ``given`` (column by role),
            ``metric``, ``out``, ``device``, ``init_from``, ``callback``.

    Raises:
        EnsuiteError: One sentence that says what is wrong and what to do.
    """
    return compare_models(task, data, **how)[0].leaderboard


def train_model(
    task: str,
    data: Any,
    *,
    model: Spec,
    budget: str | None = None,
    seed: int = 0,
    settings: Sequence[str] | Mapping[str, Any] = (),
    init_from: str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    callback: Callback | None = None,
    **how: Any,
) -> tuple[Trial, Problem]:
    """Train one model, and write its run folder."""
    callback, amount, where = callback or Callback(), Budget.parse(budget), choose_device(device)
    require_seed(seed)
    require_apart(out, [data, how.get("test"), how.get("valid")])
    problem, mine = open_sorted(task, data, [model], settings, **how)
    start = Start.open(init_from) if init_from else None
    require_metric(problem)
    candidate = choose([model], problem, mine, where, start)[0]
    for finding in problem.findings:
        callback.say(one_line(f"{finding.topic:12s} {finding.sentence}"))
    folder = Path(out) if out is not None else choose_folder(problem)
    with hold(folder):
        if resume and not (folder / RUN).exists():
            callback.say(f"resume       {folder} holds no run yet: it starts from the beginning")
        claim(folder, identity(candidate, problem, amount, seed), problem, resume)
        trial = run_trial(candidate, problem, amount, seed, folder, callback)
        if candidate.kind == "trained":
            held = laws.require_padding_invariance(
                trial.predictor.task, trial.predictor.model, problem.parts["test"]
            )
            callback.say(f"padding      changes nothing: {held.measure}")
        metric = ranking_metric(problem, trial.scores)
        row = make_row(candidate, [trial], metric, "", folder)
        page = run_page(problem, trial, row, metric, str(amount))
        write_text(folder / "report.html", run_html(page))
        write_text(folder / "README.md", printable(run_card(page)))
    return trial, problem


def train(task: str, data: Any, *, model: Spec, **how: Any) -> Predictor:
    """Train one model and return it, ready to predict; its run folder is ``predictor.folder``.

    Args:
        task: The name of a task, as ``classify``.
        data: A path, the name of a built-in set, rows, or a table in memory.
        model: As :func:`ensuite.candidates.open_spec` reads it: a name ("lstm:layers=2"), the
            folder of a run or of a published checkpoint, or options of your own.
        how: ``budget``, ``seed``, ``settings``, ``out``, ``resume``, and the rest as in
            :func:`compare`.

    Raises:
        EnsuiteError: One sentence that says what is wrong and what to do.
    """
    return Predictor.load(train_model(task, data, model=model, **how)[0].folder)


def claim(folder: Path, mine: Mapping[str, Any], problem: Problem, resume: bool) -> None:
    """Refuse a folder that holds another run, or a run of the same that is not to be resumed.

    Raises:
        RunError: Says what the folder holds, and what to type.
    """
    if not (folder / RUN).exists():
        left = [each.name for each in folder.iterdir() if not each.name.startswith(".")]
        if left:
            raise RunError(f"{folder} is not empty and holds no run; choose another --out.")
        return
    if not resume:
        raise RunError(
            f"{folder} already holds a run; go on with --resume, or choose another --out."
        )
    theirs = read_identity(folder)
    if theirs.get("data") != mine["data"]:
        raise RunError(
            f"{folder} was trained on other data or task options: {problem.data} has changed. "
            "Train anew, or give the old file."
        )
    if different := [key for key in mine if theirs.get(key) != mine[key]]:
        raise RunError(
            f"{folder} was trained with another {', '.join(different)}; give the same options, "
            "or choose another --out."
        )

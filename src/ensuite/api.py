"""From data to a run folder, or to a comparison of many: read, check, split, fit, save, report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ensuite import catalog, laws
from ensuite.candidates import (
    Settings,
    Trained,
    baselines,
    choose,
    is_run,
    model_options,
    require_metric,
    sort_settings,
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
from ensuite.core.backbone import BackboneOptions
from ensuite.core.errors import RunError, UsageError
from ensuite.core.files import hold, write_text
from ensuite.core.model import Model
from ensuite.predictor import RUN, Predictor, find_run
from ensuite.problem import Problem, find_task, open_problem, task_options
from ensuite.report.card import comparison_card, run_card
from ensuite.report.page import comparison_html, run_html
from ensuite.report.values import Leaderboard
from ensuite.training.budget import Budget
from ensuite.training.callback import Callback
from ensuite.training.device import choose_device

Spec = str | BackboneOptions


def open_sorted(
    task: str,
    data: Any,
    models: Sequence[Spec],
    settings: Sequence[str] | Mapping[str, Any],
    **how: Any,
) -> tuple[Problem, Settings]:
    """Open a problem, and sort the settings by whose they are."""
    if isinstance(settings, Mapping):
        settings = [f"{key}={value}" for key, value in settings.items()]
    names = models or list(catalog.backbones)
    options = [
        each if isinstance(each, BackboneOptions) else model_options(each, task)[1]
        for each in names
        if not is_run(each)
    ]
    mine = sort_settings(settings, task_options(find_task(task)), options)
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
    problem, mine = open_sorted(task, data, models, settings, **how)
    start = find_run(Path(init_from)) if init_from else None
    require_metric(problem)
    chosen = choose(models, problem, mine, where, start)
    entrants = [*chosen, *baselines(problem, chosen)]
    for finding in problem.findings:
        callback.say(f"{finding.topic:12s} {finding.sentence}")
    folder = choose_folder(problem, out)
    comparison = run_comparison(
        problem, entrants, budget=amount, seeds=seeds, folder=folder, callback=callback
    )
    page = comparison_page(comparison, problem)
    write_text(folder / "report.html", comparison_html(page))
    write_text(folder / "README.md", comparison_card(page))
    return comparison, problem


def compare(task: str, data: Any, **how: Any) -> Leaderboard:
    """Train every model that fits under one budget, beside simple baselines, and rank them.

    Args:
        task: What is asked, as ``classify``.
        data: A path, the name of a built-in set, rows, or a table in memory.
        how: ``models`` (names, or options of your own), ``seeds``, ``budget`` ("60s", "4epochs"),
            ``settings`` (options by name), ``test`` and ``valid`` (parts of your own), ``how``
            (random, time or group:COLUMN), ``given`` (column by role), ``metric``, ``out``,
            ``device``, ``init_from``, ``callback``.

    Raises:
        EnsuiteError: One sentence on what to mend.
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
    problem, mine = open_sorted(task, data, [model], settings, **how)
    start = find_run(Path(init_from)) if init_from else None
    require_metric(problem)
    candidate = choose([model], problem, mine, where, start)[0]
    for finding in problem.findings:
        callback.say(f"{finding.topic:12s} {finding.sentence}")
    folder = choose_folder(problem, out)
    with hold(folder):
        claim(folder, identity(candidate, problem, amount, seed), problem, resume)
        trial = run_trial(candidate, problem, amount, seed, folder, callback)
        if isinstance(candidate, Trained) and isinstance(trial.predictor.model, Model):
            held = laws.require_padding_invariance(
                trial.predictor.task, trial.predictor.model, problem.parts["test"]
            )
            callback.say(f"padding      changes nothing: {held.measure}")
        metric = ranking_metric(problem, trial.scores)
        row = make_row(candidate, [trial], metric, "", folder)
        page = run_page(problem, trial, row, metric, str(amount))
        write_text(folder / "report.html", run_html(page))
        write_text(folder / "README.md", run_card(page))
    return trial, problem


def train(task: str, data: Any, *, model: Spec, **how: Any) -> Predictor:
    """Train one model and return it, ready to predict; its run folder is ``predictor.folder``.

    Args:
        task: What is asked, as ``classify``.
        data: A path, the name of a built-in set, rows, or a table in memory.
        model: A name ("lstm:layers=2"), or options of your own.
        how: ``budget``, ``seed``, ``settings``, ``out``, ``resume``, and the rest as in
            :func:`compare`.

    Raises:
        EnsuiteError: One sentence on what to mend.
    """
    return Predictor.load(train_model(task, data, model=model, **how)[0].folder)


def claim(folder: Path, mine: Mapping[str, Any], problem: Problem, resume: bool) -> None:
    """Refuse a folder that holds another run, or one that was not asked to go on.

    Raises:
        RunError: Says which, and what to type.
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

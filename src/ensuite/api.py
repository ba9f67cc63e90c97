"""The Python API: train, compare and load; from data to run folders, tables and reports."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, Required, TypedDict, Unpack, overload

from ensuite import catalog, laws
from ensuite.candidates import Spec, Trained
from ensuite.comparison.board import Result, make_row, ranking_metric
from ensuite.comparison.claim import claim, known_threads
from ensuite.comparison.experiment import Comparison, choose_folder, run_comparison
from ensuite.comparison.folds import open_folds
from ensuite.comparison.insight import comparison_page, run_page
from ensuite.comparison.measure import measure_latency
from ensuite.comparison.notebook import progress_here
from ensuite.comparison.plan import Plan, Terms, best_threads
from ensuite.comparison.result import Leaderboard
from ensuite.comparison.trial import Trial, identity, run_trial
from ensuite.core.errors import UsageError
from ensuite.core.files import hold, write_text
from ensuite.core.printable import one_line, printable
from ensuite.core.runs import require_apart
from ensuite.core.seed import require_seed
from ensuite.misfit import fitting_by_name
from ensuite.predictor import RUN, Predictor
from ensuite.problem import Problem, Source, divide_source, find_task, open_source, task_options
from ensuite.report.card import comparison_card, run_card
from ensuite.report.page import comparison_html, run_html
from ensuite.specs import Settings, baselines, choose, require_metric, sort_settings, spec_options
from ensuite.start import Start
from ensuite.training.budget import Budget
from ensuite.training.callback import Callback
from ensuite.training.device import choose_device

if TYPE_CHECKING:
    from ensuite.tasks import classify, forecast_answers, generate, regress, tag, writer


def open_sorted(
    task: str,
    data: Any,
    models: Sequence[Spec],
    settings: Sequence[str] | Mapping[str, Any] | None,
    **reading: Any,
) -> tuple[Source, Settings]:
    """Read the data, and sort the settings by what they belong to."""
    catalog.require_order(task, data)
    if isinstance(models, str):
        raise UsageError(f'models="{models}" is one text; give a list: models=["lstm", "gru"].')
    if isinstance(settings, Mapping):
        settings = [f"{key}={value}" for key, value in settings.items()]
    found = find_task(task)
    options = [spec_options(each, task) for each in models or fitting_by_name(found)]
    mine = sort_settings(
        settings or (), task_options(found), [each for each in options if each is not None]
    )
    return open_source(task, data, settings=mine.task, **reading), mine


def compare_models(
    task: str,
    data: Any,
    *,
    models: Sequence[Spec] | None = None,
    metric: str | None = None,
    budget: str | None = None,
    total: str | None = None,
    seeds: int = 3,
    folds: int | None = None,
    split: str | None = None,
    columns: Mapping[str, str] | None = None,
    settings: Sequence[str] | Mapping[str, Any] | None = None,
    test: Any = None,
    valid: Any = None,
    init_from: str | Path | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    jobs: int = 1,
    callback: Callback | None = None,
) -> tuple[Comparison, Problem]:
    """Compare models on a task, and write the leaderboard, the report and the winner's run.

    With folds, the problem that is returned is that of the first fold.
    """
    began, callback, where = monotonic(), callback or Callback(), choose_device(device)
    terms = Terms.parse(budget, total, seeds=seeds, threads=threads, jobs=jobs)
    require_apart(out, [data, test, valid])
    source, mine = open_sorted(
        task, data, models or (), settings,
        test=test, valid=valid, how=split, given=columns, metric=metric,
    )  # fmt: skip
    divided = None if folds is None else open_folds(source, folds)
    problem = divided.whole if divided else divide_source(source)
    shown = divided.each[0] if divided else problem
    start = Start.open(init_from) if init_from else None
    require_metric(shown)
    chosen = choose(models or (), problem, mine, where, start)
    named = {candidate.name for candidate in chosen}
    simple = [each for each in baselines(problem, chosen) if each.name not in named]
    say_findings(shown, callback)
    comparison = run_comparison(
        problem, [*chosen, *simple], terms=terms, folder=choose_folder(problem, out),
        callback=callback, folds=divided, began=began,
    )  # fmt: skip
    page = comparison_page(comparison, shown)
    write_text(comparison.folder / "report.html", comparison_html(page))
    write_text(comparison.folder / "README.md", printable(comparison_card(page)))
    return comparison, shown


def say_findings(problem: Problem, callback: Callback) -> None:
    """Say what the data check found."""
    for finding in problem.findings:
        callback.say(one_line(f"{finding.topic:12s} {finding.sentence}"))


def compare(
    task: str,
    data: Any,
    *,
    models: Sequence[Spec] | None = None,
    metric: str | None = None,
    budget: str | None = None,
    total: str | None = None,
    seeds: int = 3,
    folds: int | None = None,
    split: str | None = None,
    columns: Mapping[str, str] | None = None,
    settings: Sequence[str] | Mapping[str, Any] | None = None,
    test: Any = None,
    valid: Any = None,
    init_from: str | Path | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    jobs: int = 1,
    callback: Callback | None = None,
) -> Leaderboard:
    """Train every model that fits under one budget, beside simple baselines, and rank them.

    Args:
        task: The name of a task, such as ``classify``.
        data: A path, the name of a built-in set, rows, or a table in memory.
        models: As :func:`ensuite.specs.open_spec` reads them: names ("lstm:layers=2"), folders
            of runs or of published checkpoints, or options of your own. None: all that fit.
        metric: Metric to rank by. None: the task's first.
        budget: Of each trial: "60s", "3m", "500steps", "4epochs" or "2e6tokens". None: its share of
            ``total``.
        total: Wall time for everything: "10m". None: 10 minutes, or as long as ``budget`` takes.
        seeds: Runs of each candidate that depends on a seed.
        folds: Cross-validate with so many folds, each candidate run once a fold. None: one test
            part.
        split: "random", "time", "time:DATE,DATE" or "group:COLUMN". None: as the task does.
        columns: Column by role, such as ``{"label": "stars"}``.
        settings: Options of models, task or recipe by name.
        test: Test part of your own.
        valid: Validation part of your own, by which the best weights are selected.
        init_from: Run to initialise the backbones from.
        out: Folder to write. None: a new one below ``runs``.
        device: "auto", "cpu", "cuda" or "mps".
        threads: CPU threads of every candidate. None: measured for each.
        jobs: Trials that run side by side, in processes of their own. A script that gives more than
            1 must call this function below ``if __name__ == "__main__":``.
        callback: Called while models train. None: a notebook shows the progress, a script nothing.

    Raises:
        EnsuiteError: One sentence that says what is wrong and what to do.
    """
    comparison, problem = compare_models(
        task, data, models=models, metric=metric, budget=budget, total=total, seeds=seeds,
        folds=folds, split=split, columns=columns, settings=settings, test=test, valid=valid,
        init_from=init_from, out=out, device=device, threads=threads, jobs=jobs,
        callback=callback or progress_here(),
    )  # fmt: skip
    return Leaderboard.of(comparison, problem.unit)


def train_model(
    task: str,
    data: Any,
    *,
    model: Spec,
    metric: str | None = None,
    budget: str | None = None,
    seed: int = 0,
    split: str | None = None,
    columns: Mapping[str, str] | None = None,
    settings: Sequence[str] | Mapping[str, Any] | None = None,
    test: Any = None,
    valid: Any = None,
    init_from: str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    threads: int | None = None,
    callback: Callback | None = None,
) -> tuple[Trial, Problem]:
    """Train one model, and write its run folder."""
    callback, amount, where = callback or Callback(), Budget.parse(budget), choose_device(device)
    if threads is not None and threads < 1:
        raise UsageError(f"--threads {threads}: give 1 or more.")
    require_seed(seed)
    require_apart(out, [data, test, valid])
    source, mine = open_sorted(
        task, data, [model], settings,
        test=test, valid=valid, how=split, given=columns, metric=metric,
    )  # fmt: skip
    problem = divide_source(source)
    start = Start.open(init_from) if init_from else None
    require_metric(problem)
    candidate = choose([model], problem, mine, where, start)[0]
    if isinstance(candidate, Trained):
        problem = problem.checked(candidate.prepare(problem))
    say_findings(problem, callback)
    folder = choose_folder(problem, out)
    with hold(folder):
        if resume and not (folder / RUN).exists():
            callback.say(f"resume       {folder} holds no run yet: it starts from the beginning")
        claim(folder, identity(candidate, problem, amount, seed), problem, resume)
        threads = threads or known_threads(folder) or best_threads(candidate, problem)
        trial = run_trial(candidate, problem, amount, seed, folder, callback, threads=threads)
        if candidate.kind == "trained":
            held = laws.require_padding_invariance(
                trial.predictor.task, trial.predictor.model, problem.parts["test"]
            )
            callback.say(f"padding      changes nothing: {held.measure}")
        metric = ranking_metric(problem, trial.scores)
        plan = Plan(
            latency=measure_latency({candidate.variant: trial.predictor}, problem.parts["test"])
        )
        row = make_row(Result(candidate, [trial], "", ""), metric, plan)
        page = run_page(problem, trial, row, metric, str(amount))
        write_text(folder / "report.html", run_html(page))
        write_text(folder / "README.md", printable(run_card(page)))
    return trial, problem


class TrainOptions(TypedDict, total=False):
    """The options of :func:`train`, by name; all but the model have a default."""

    model: Required[Spec]
    metric: str | None
    budget: str | None
    seed: int
    split: str | None
    columns: Mapping[str, str] | None
    settings: Sequence[str] | Mapping[str, Any] | None
    test: Any
    valid: Any
    init_from: str | Path | None
    out: str | Path | None
    resume: bool
    device: str
    threads: int | None
    callback: Callback | None


@overload
def train(
    task: Literal["classify"], data: Any, **options: Unpack[TrainOptions]
) -> "Predictor[classify.Prediction]": ...
@overload
def train(
    task: Literal["regress"], data: Any, **options: Unpack[TrainOptions]
) -> "Predictor[regress.Prediction]": ...
@overload
def train(
    task: Literal["tag"], data: Any, **options: Unpack[TrainOptions]
) -> "Predictor[tag.Prediction]": ...
@overload
def train(
    task: Literal["forecast"], data: Any, **options: Unpack[TrainOptions]
) -> "Predictor[forecast_answers.Prediction]": ...
@overload
def train(
    task: Literal["generate"], data: Any, **options: Unpack[TrainOptions]
) -> "Predictor[generate.Prediction]": ...
@overload
def train(
    task: Literal["translate", "caption"], data: Any, **options: Unpack[TrainOptions]
) -> "Predictor[writer.Prediction]": ...
@overload
def train(task: str, data: Any, **options: Unpack[TrainOptions]) -> Predictor: ...
def train(
    task: str,
    data: Any,
    *,
    model: Spec,
    metric: str | None = None,
    budget: str | None = None,
    seed: int = 0,
    split: str | None = None,
    columns: Mapping[str, str] | None = None,
    settings: Sequence[str] | Mapping[str, Any] | None = None,
    test: Any = None,
    valid: Any = None,
    init_from: str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    threads: int | None = None,
    callback: Callback | None = None,
) -> Predictor:
    """Train one model and return it, ready to predict; its run folder is ``predictor.folder``.

    Args:
        task: The name of a task, such as ``classify``.
        data: A path, the name of a built-in set, rows, or a table in memory.
        model: As :func:`ensuite.specs.open_spec` reads it: a name ("lstm:layers=2"), the
            folder of a run or of a published checkpoint, or options of your own.
        metric: As for :func:`compare`, like all options that are not named here.
        budget: As for :func:`compare`. None: until the validation score does not improve any more,
            10 minutes at most.
        seed: Of weights, order and dropout.
        split: As for :func:`compare`.
        columns: As for :func:`compare`.
        settings: As for :func:`compare`.
        test: As for :func:`compare`.
        valid: As for :func:`compare`.
        init_from: As for :func:`compare`.
        out: Run folder to write. None: a new one below ``runs``.
        resume: Whether to go on with the run in ``out``.
        device: As for :func:`compare`.
        threads: CPU threads. None: measured, or those that the run was begun with.
        callback: As for :func:`compare`.

    Raises:
        EnsuiteError: One sentence that says what is wrong and what to do.
    """
    trial, _ = train_model(
        task, data, model=model, metric=metric, budget=budget, seed=seed, split=split,
        columns=columns, settings=settings, test=test, valid=valid, init_from=init_from, out=out,
        resume=resume, device=device, threads=threads, callback=callback or progress_here(),
    )  # fmt: skip
    return Predictor.load(trial.folder)

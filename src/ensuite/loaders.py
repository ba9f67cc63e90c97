"""Loaders: what opens the fitted model of a run folder, one for each kind of model."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ensuite import catalog
from ensuite.core.baseline import Baseline
from ensuite.core.errors import RunError, UsageError
from ensuite.core.fitted import FittedModel
from ensuite.core.options import from_json
from ensuite.core.registry import load
from ensuite.core.task import Task
from ensuite.network import Network
from ensuite.prompting import PromptedModel, Template
from ensuite.tasks.generate import Generate

Loader = Callable[[Path, Mapping[str, Any], str, Task[Any, Any, Any]], FittedModel]
"""Opens a model: (run folder, its part of ``config.json``, name of the task, the task)."""


def load_fitted(
    folder: Path, config: Mapping[str, Any], task_name: str, task: Task[Any, Any, Any]
) -> FittedModel:
    """Open the model of a run folder. Its class is one that the catalog offers, never another.

    Raises:
        RunError: If a file is damaged.
        UsageError: If what it needs is not installed.
    """
    if config["kind"] not in LOADERS:
        raise UsageError(
            f'there is no kind of model "{config["kind"]}"; known: {", ".join(LOADERS)}.'
        )
    return LOADERS[config["kind"]](folder, config, task_name, task)


def load_network(
    folder: Path, config: Mapping[str, Any], task_name: str, task: Task[Any, Any, Any]
) -> FittedModel:
    """Open a network, its backbone found by its name in the catalog."""
    return Network.load(folder, config, task)


def load_baseline(
    folder: Path, config: Mapping[str, Any], task_name: str, task: Task[Any, Any, Any]
) -> FittedModel:
    """Open the baseline that a run names among those of its task."""
    methods: list[type[Baseline]] = [load(b) for b in catalog.tasks[task_name].baselines]
    for method in methods:
        if method.name == config["baseline"]:
            return method.load(folder, config, task)
    raise RunError(
        f'the task {task_name} has no baseline "{config["baseline"]}" here; it has: '
        f"{', '.join(method.name for method in methods)}."
    )


def load_prompted(
    folder: Path, config: Mapping[str, Any], task_name: str, task: Task[Any, Any, Any]
) -> FittedModel:
    """Open a language model with its template."""
    language = from_json(Generate, config["language"])
    fitted = load_fitted(folder, config["language_model"], "generate", language)
    template, answer = Template(config["template"]), config.get("answer", "likelihood")
    return PromptedModel(language, fitted, template, config["beginning"], answer)


LOADERS: dict[str, Loader] = {
    "network": load_network,
    "baseline": load_baseline,
    "prompted": load_prompted,
}

"""Which backbones can do a task on its inputs, and why another cannot."""

from collections.abc import Set
from typing import Any

from ensuite import catalog
from ensuite.core.backbone import BackboneOptions
from ensuite.core.batch import DECODER, read_by
from ensuite.core.errors import UsageError
from ensuite.core.registry import misfit
from ensuite.core.task import Task
from ensuite.problem import Problem


def fitting(task: Task[Any, Any, Any], *, by_default: bool = False) -> list[str]:
    """Return the names of the backbones that can do the task on its inputs, oldest first.

    Args:
        task: Prepared.
        by_default: Only those that a comparison takes where none is named.
    """
    rows = catalog.backbones.matching(
        lambda row: (
            (row.is_default(task.needs) or not by_default)
            and why_not(task, set(row.traits), set(row.reads)) is None
        )
    )
    return sorted(rows, key=lambda name: (rows[name].year or 0, name))


def fitting_by_name(task: Task[Any, Any, Any]) -> list[str]:
    """Return the names that a comparison may take where none is named, before its data is read."""
    rows = catalog.backbones.matching(
        lambda row: row.is_default(task.needs) and not task.needs - set(row.traits)
    )
    return list(rows)


def why_not(task: Task[Any, Any, Any], traits: Set[str], reads: Set[str]) -> str | None:
    """Return the reason why a backbone cannot do the task on its inputs; None if it can."""
    kinds = {kind.kind for kind in read_by(task.inputs, "backbone").values()}
    kinds -= task.optional - reads
    return misfit(task.needs, kinds, traits, reads, writes=DECODER in task.inputs)


def refuse_misfit(
    name: str, options: BackboneOptions, problem: Problem, task: Task[Any, Any, Any]
) -> None:
    """Refuse a model that cannot do the task as it is prepared for it.

    Raises:
        UsageError: Gives the reason, and the models that can.
    """
    if reason := why_not(task, options.traits, options.reads):
        fit_here = ", ".join(fitting(problem.task)) or "none"
        raise UsageError(
            f"The model {name} does not fit {problem.name} here: {reason}. What fits: {fit_here}."
        )

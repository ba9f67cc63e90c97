"""What can be refused before torch is imported, in a tenth of the time that it takes."""

from collections.abc import Sequence
from pathlib import Path

from ensuite import catalog
from ensuite.cli import options as words
from ensuite.core.errors import DataError, UsageError, nearest
from ensuite.core.runs import find_run, require_apart

DEVICES = ("auto", "cpu", "cuda", "mps")
SPLITS = ("random", "time", "group")


def check_run(run: str) -> None:
    """Refuse a run that is not there.

    Raises:
        EnsuiteError: Says why.
    """
    if not run:
        raise UsageError("The name of the run is empty; give its folder.")
    find_run(Path(run))


def check_data(*sources: str | None) -> None:
    """Refuse files that are not there, and built-in sets that have no such name.

    Raises:
        EnsuiteError: Names the nearest.
    """
    for source in sources:
        if source is None or source == "-":
            continue
        from ensuite.data import sets, walk

        if not source:
            raise DataError("The name of the file is empty; give a path.")
        if sets.is_set(source):
            sets.require(source)
        elif not walk.exists(source):
            walk.read_bytes(source)  # says why it cannot be read


def check_training(
    task: str,
    models: Sequence[str],
    data: Sequence[str | None],
    budget: str | None,
    settings: list[str] | None,
    split: str | None,
    device: str,
    out: str | None,
    init_from: str | None,
) -> None:
    """Refuse what is wrong with the words of a command that trains.

    Raises:
        EnsuiteError: A sentence on the first of them.
    """
    from ensuite.training.budget import Budget

    catalog.require_task(task)
    for model in models:
        name = model.partition(":")[0]
        known = name.lower() in catalog.ELSEWHERE or nearest(name, catalog.backbones)
        folder = Path(model).is_dir() or Path(name).is_dir()
        if known and not folder:  # else it may be a baseline, which is looked up later
            catalog.require_model(name, task)
    Budget.parse(budget)
    words.pairs(settings, "--set", "give a name and a value, as in --set width=128.")
    if split is not None and split.partition(":")[0] not in SPLITS:
        raise UsageError(f"--split {split}: choose random, time, time:DATE,DATE or group:COLUMN.")
    if device not in DEVICES:
        raise UsageError(f"--device {device}: choose one of {', '.join(DEVICES)}.")
    check_data(*data)
    require_apart(out, data)
    if init_from is not None:
        check_run(init_from)

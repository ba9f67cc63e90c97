"""Whether a run folder may be written: it is new, or holds the same run to be resumed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ensuite.comparison.trial import read_identity
from ensuite.core.errors import RunError
from ensuite.core.files import read_json
from ensuite.predictor import RUN
from ensuite.problem import Problem


def known_threads(folder: Path) -> int | None:
    """Return the number of threads that a run was begun with; None for a new one."""
    known = read_json(folder / RUN).get("threads") if (folder / RUN).exists() else None
    return known if isinstance(known, int) and known > 0 else None


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
            f"{folder} was trained on other rows or task options than {problem.data} gives now; "
            "give the file and the options of that run, or choose another --out."
        )
    if different := [key for key in mine if theirs.get(key) != mine[key]]:
        raise RunError(
            f"{folder} was trained with another {', '.join(different)}; give the same options, "
            "or choose another --out."
        )

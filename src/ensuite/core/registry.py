"""A table of everything that can be chosen by name, ours and that of installed plug-ins."""

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from ensuite.core.errors import UsageError, nearest


@dataclass(frozen=True, kw_only=True)
class Row:
    """One choice: what can be said of it without importing it.

    Args:
        target: "module:Class", imported when it is chosen.
        caption: What it is, in one line.
        preset: Options that this name fixes; the others keep the defaults of the class.
        traits: What a backbone offers, or a task needs.
        reads: The kinds of input that a backbone reads, or that examples of a task may have.
        baselines: The simple methods that a task is always compared with, as ``target``.
        paper: Where it was published.
        year: When.
    """

    target: str
    caption: str
    preset: Mapping[str, Any] = field(default_factory=dict)
    traits: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ()
    paper: str = ""
    year: int | None = None

    def load(self) -> Any:
        """Import the target."""
        return load(self.target)


def load(target: str) -> Any:
    """Import what "module:Class" names.

    Raises:
        UsageError: If the package that offers it cannot be imported.
    """
    module, _, name = target.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{target} cannot be imported: {error}.") from error


class Registry(Mapping[str, Row]):
    """The rows of one kind by name: those given, then those of the entry points of ``group``.

    An entry point names a mapping of rows, as ``ensuite.catalog`` has them. Our own come by the
    same door, so that what a plug-in can do is what we do.
    """

    def __init__(self, kind: str, group: str) -> None:
        self.kind, self.group = kind, group

    @cached_property
    def rows(self) -> dict[str, Row]:
        """All rows; a name offered twice is an error, since runs are saved by name."""
        rows: dict[str, Row] = {}
        owners: dict[str, str] = {}
        for point in entry_points(group=self.group):
            try:
                offered: Mapping[str, Row] = point.load()
            except (ImportError, AttributeError) as error:
                raise UsageError(
                    f"{point.value}, which offers more {self.kind}s, cannot be imported ({error}): "
                    "repair or uninstall its package."
                ) from error
            package = point.module.partition(".")[0]
            if taken := sorted(rows.keys() & offered.keys()):
                raise UsageError(
                    f"Two packages offer the {self.kind} {', '.join(taken)}: uninstall one of "
                    f"{owners[taken[0]]} and {package}."
                )
            rows.update(offered)
            owners |= dict.fromkeys(offered, package)
        return rows

    def __getitem__(self, name: str) -> Row:
        return self.rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def find(self, name: str, hint: str = "") -> Row:
        """Return the row called ``name``.

        Raises:
            UsageError: If there is none; names the nearest, and gives ``hint``.
        """
        if name in self.rows:
            return self.rows[name]
        close = nearest(name, self.rows) or "."
        raise UsageError(f'There is no {self.kind} "{name}"{close} {hint}'.rstrip())

    def matching(self, condition: Callable[[Row], bool]) -> dict[str, Row]:
        """Return the rows that satisfy ``condition``, by name."""
        return {name: row for name, row in self.rows.items() if condition(row)}


def misfit(
    needs: Set[str], kinds: Set[str], traits: Set[str], reads: Set[str], *, writes: bool
) -> str | None:
    """Say why a backbone cannot do a task: what is missing; None where nothing is.

    Args:
        needs: The traits that the task needs.
        kinds: Of the task's inputs.
        traits: What the backbone offers.
        reads: The kinds of input that it reads.
        writes: Whether the task asks for a written answer.
    """
    if missing := needs - traits:
        return f"it does not offer what the task needs: {', '.join(sorted(missing))}"
    if not writes and "decodes" in traits and "sequence" not in traits:
        return "it only writes sequences, and the task asks for none"
    if unread := kinds - reads:
        return f"it does not read {', '.join(sorted(unread))}"
    return None

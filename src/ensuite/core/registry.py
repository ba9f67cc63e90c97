"""Registries of everything that can be chosen by name: our own parts and those of plug-ins."""

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from ensuite.core.errors import UsageError, nearest


@dataclass(frozen=True, kw_only=True)
class Row:
    """One choice, described without importing it.

    Args:
        target: "module:Class", imported when it is chosen.
        caption: What it is, in one line.
        preset: Options that this name fixes; the others keep the defaults of the class.
        traits: What a backbone offers, or a task needs.
        reads: The kinds of input that a backbone reads, or that examples of a task may have.
        baselines: The simple methods that a task is always compared with, as ``target``.
        metrics: What a task measures, the metric that ranks first. A name with ``*`` stands for
            all that begin so. Empty: not said here.
        paper: Where it was published.
        year: When.
        default: Whether a comparison without ``--models`` takes part with it, where it fits.
        default_for: Traits; where there are any, only for the sake of tasks that need one of them.
        model_types: The values of ``model_type`` in the ``config.json`` of published checkpoints
            that this backbone opens.
        architectures: How transformers ends the names of networks with a head for this task.
    """

    target: str
    caption: str
    preset: Mapping[str, Any] = field(default_factory=dict)
    traits: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    paper: str = ""
    year: int | None = None
    default: bool = True
    default_for: tuple[str, ...] = ()
    model_types: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()

    def is_default(self, needs: Set[str]) -> bool:
        """Say whether a comparison without ``--models`` takes part with it, for a task's needs."""
        return self.default and (not self.default_for or bool(needs & set(self.default_for)))

    def load(self) -> Any:
        """Import the target."""
        return load(self.target)

    def measures(self, metric: str) -> bool:
        """Return whether a task may have a metric of this name."""
        return not self.metrics or any(fnmatchcase(metric, each) for each in self.metrics)


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
    """The rows of one kind by name, as the entry points of ``group`` offer them.

    An entry point names a mapping of rows, as ``ensuite.catalog`` has them. Our own parts are
    offered in the same way, so a plug-in can do all that they do.

    A class of the user's own that no row names can be registered for the process. It is found
    again by its name, but it is not listed among the rows.
    """

    def __init__(self, kind: str, group: str) -> None:
        self.kind, self.group = kind, group
        self._registered: dict[str, type] = {}

    @cached_property
    def rows(self) -> dict[str, Row]:
        """All rows. It is an error to offer a name twice, since runs are saved by name."""
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

    def register(self, kind: type) -> str:
        """Make a class known to this process, and return the name by which it is found."""
        name = f"{kind.__module__}:{kind.__qualname__}"
        self._registered[name] = kind
        return name

    def name_of(self, options: Any) -> str:
        """Return the name that a run saves for an object: its row, or else its registered class.

        Args:
            options: An instance of the class that a row names. Of several rows of the class, the
                first whose preset it has is taken.
        """
        kind = type(options)
        target = f"{kind.__module__}:{kind.__qualname__}"
        for name, row in self.rows.items():
            preset = row.preset.items()
            if row.target == target and all(getattr(options, k, None) == v for k, v in preset):
                return name
        return self.register(kind)

    def resolve(self, name: str) -> Any:
        """Return the class that :meth:`name_of` named. Nothing else is ever imported.

        Raises:
            UsageError: If no installed package offers it and it is not registered; says what to
                do.
        """
        if name in self.rows:
            return self.rows[name].load()
        if name in self._registered:
            return self._registered[name]
        for row in self.rows.values():
            if row.target == name:  # no preset had the options of the run
                return row.load()
        advice = f"install the package that offers it as an entry point of {self.group}"
        if ":" in name:
            where = f"ensuite.catalog.{self.group.rpartition('.')[2]}"
            advice = (
                f"register the class in this process ({where}.register(CLASS)), or "
                f"offer it as an entry point of {self.group}, as CONTRIBUTING.md shows"
            )
        raise UsageError(f'the {self.kind} "{name}" is not installed here; {advice}.')

    def matching(self, condition: Callable[[Row], bool]) -> dict[str, Row]:
        """Return the rows that satisfy ``condition``, by name."""
        return {name: row for name, row in self.rows.items() if condition(row)}


def misfit(
    needs: Set[str], kinds: Set[str], traits: Set[str], reads: Set[str], *, writes: bool
) -> str | None:
    """Return the reason why a backbone cannot do a task; None if it can.

    Args:
        needs: The traits that the task needs.
        kinds: The kinds of the task's inputs.
        traits: What the backbone offers.
        reads: The kinds of input that it reads.
        writes: Whether the task has a decoder write its answers.
    """
    if missing := needs - traits:
        return f"it does not offer what the task needs: {', '.join(sorted(missing))}"
    if not writes and "decodes" in traits and "sequence" not in traits:
        return "it only writes sequences, and the task asks for none"
    if unread := kinds - reads:
        return f"it does not read {', '.join(sorted(unread))}"
    return None

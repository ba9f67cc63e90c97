"""From a task and data to examples in three parts, checked and ready to learn from."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ensuite import catalog
from ensuite.core.errors import DataError, UsageError
from ensuite.core.options import option_names, set_options, to_json
from ensuite.core.table import Table
from ensuite.core.task import Finding, Task
from ensuite.data import columns, folders, header, readers, sets
from ensuite.data.duplicates import duplicates
from ensuite.data.split import carve, split
from ensuite.data.walk import is_folder

PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class Problem:
    """A task and the examples every candidate gets, in the same three parts.

    Args:
        name: What the task is called in the catalog.
        task: As the file settled it, prepared on the training rows.
        data: What the data is called.
        parts: Examples to learn from, to choose by, and to judge by.
        findings: What the data check found.
        fingerprint: Of everything read, how it was split, and the options of the task.
        metric: What ranks; None for the task's first.
    """

    name: str
    task: Task[Any, Any, Any]
    data: str
    parts: Mapping[str, Sequence[Any]]
    findings: tuple[Finding, ...]
    fingerprint: str
    metric: str | None = None

    @property
    def unit(self) -> str:
        """What one input is called."""
        return self.task.unit


def open_problem(
    task: str,
    data: Any,
    *,
    test: Any = None,
    valid: Any = None,
    how: str = "random",
    given: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
    metric: str | None = None,
) -> Problem:
    """Read, split and check data for a task.

    Args:
        task: A name of the catalog.
        data: A path, ``-``, the name of a built-in set, or data in memory.
        test: A given test part.
        valid: A given validation part.
        how: random, time or group:COLUMN.
        given: Column by role, where the user names them.
        settings: Options of the task, as typed.
        metric: What ranks; None for the task's first.

    Raises:
        EnsuiteError: A sentence for whatever the data is not.
    """
    given, empty = given or {}, find_task(task)
    settings = {**(sets.settings(data) if sets.is_set(data) else {}), **(settings or {})}
    tables = open_tables(data, test=test, valid=valid)
    named = {**given, "split": how.partition(":")[2]} if ":" in how else given
    tables = {part: header.settle(table, named) for part, table in tables.items()}
    keys = split_keys(tables["train"], how, given)
    reader, examples = read_tables(empty, tables, given, settings, task, but=keys and keys[0])
    parts, said = split_parts(reader, examples, how, keys and keys[1])
    prepared = reader.prepare(parts["train"])
    for part in ("valid", "test"):
        verify(prepared, parts[part], part, tables.get(part))
    prints = {part: table.fingerprint for part, table in tables.items()}
    read = [how, dict(given), prints, to_json(prepared)]
    digest = hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()
    findings = check(prepared, tables, parts, said)
    name = tables["train"].name
    return Problem(task, prepared, name, parts, findings, digest, metric)


def find_task(name: str) -> Task[Any, Any, Any]:
    """Return the task called ``name``, with its default options.

    Raises:
        UsageError: If there is none; knows the words of other packages.
    """
    task: Task[Any, Any, Any] = catalog.require_task(name).load()()
    return task


def open_tables(data: Any, *, test: Any = None, valid: Any = None) -> dict[str, Table]:
    """Read the data and the parts that are given beside it."""
    if sets.is_set(data):
        tables = dict(sets.load(data))
    else:
        tables = read_parts(data)
    for part, source in (("valid", valid), ("test", test)):
        if source is not None:
            given = read_parts(source)
            tables[part] = given.get(part, given["train"])
    return tables


def read_parts(source: Any) -> dict[str, Table]:
    """Read a file, data in memory, or a folder, which may have parts of its own."""
    if isinstance(source, str | os.PathLike) and str(source) and is_folder(source):
        return folders.read(Path(source))
    return {"train": readers.read(source)}


def open_part(data: Any, given: Mapping[str, str], *, asking: bool) -> Table:
    """Read the rows that a run is asked about: the test part of data that has parts of its own."""
    tables = open_tables(data)
    return header.settle(tables.get("test", tables["train"]), given, asking=asking)


def split_keys(
    table: Table, how: str, given: Mapping[str, str]
) -> tuple[str, Sequence[Any]] | None:
    """Return the column that says which rows belong together or come first, and its cells.

    Raises:
        UsageError: If there is no such way to split.
        DataError: If the column is not there.
    """
    kind, _, column = how.partition(":")
    if kind == "random":
        return None
    if kind not in ("time", "group"):
        raise UsageError(f"--split {how}: choose random, time, or group:COLUMN.")
    roles = {**given, **({kind: column} if column else {})}
    usual = ("time", "date", "timestamp") if kind == "time" else ("group",)
    found = columns.require(table, kind, usual, roles)
    return found, table.columns[found]


def read_tables(
    task: Task[Any, Any, Any],
    tables: Mapping[str, Table],
    given: Mapping[str, str],
    settings: Mapping[str, str],
    name: str,
    *,
    but: str | None,
) -> tuple[Task[Any, Any, Any], dict[str, list[Any]]]:
    """Read the examples of every table, all in the way of the first.

    Args:
        task: With its default options.
        tables: By part, the training rows first.
        given: Column by role, where the user names them.
        settings: Options of the task, as typed.
        name: Of the task.
        but: The column that splits: no input, or a model learns who a row is of, unless the user
            names it as one.

    Raises:
        DataError: If a table holds another kind of input or label than the first.
    """
    readers, examples = [], {}
    for part, table in tables.items():
        roles = {role: column for role, column in given.items() if role not in ("group", "time")}
        reader, examples[part] = read_table(task, *settle(table, roles, but), settings, name)
        readers.append(reader)
        if reader != readers[0]:
            raise DataError(
                f"{table.name} does not hold the same kind of inputs and labels as "
                f"{tables['train'].name}; give both the same columns."
            )
    return readers[0], examples


def settle(
    table: Table, given: Mapping[str, str], but: str | None = None
) -> tuple[Table, dict[str, str]]:
    """Take out of a table what is no input, and name the columns of every role that is left.

    Args:
        table: A file's columns.
        given: Column by role; those of the role ``ignore`` are left out.
        but: One more that is left out, unless a role is given to it.
    """
    # Before columns are taken out of the count.
    found = {role: columns.named_all(table, names, role) for role, names in given.items()}
    out = set(found.pop("ignore", ()))
    if but is not None and not any(but in names for names in found.values()):
        out.add(but)
    kept = {name: cells for name, cells in table.columns.items() if name not in out}
    return replace(table, columns=kept), {role: ",".join(names) for role, names in found.items()}


def read_table(
    task: Task[Any, Any, Any],
    table: Table,
    given: Mapping[str, str],
    settings: Mapping[str, str],
    name: str,
) -> tuple[Task[Any, Any, Any], list[Any]]:
    """Read examples: options of the task decide how, those within are set once that is settled."""
    owner = f"the task {name}"
    own = {f.name for f in fields(task) if not f.metadata.get("options")}  # type: ignore[arg-type]
    task = set_options(task, {k: v for k, v in settings.items() if k in own}, owner)
    task, examples = task.read(table, given)
    return set_options(task, {k: v for k, v in settings.items() if k not in own}, owner), examples


def task_options(task: Task[Any, Any, Any]) -> set[str]:
    """Return every option name the task knows, for whatever kind of input."""
    from ensuite.data.processors import BY_KIND

    return set(option_names(task)).union(*(option_names(each()) for each in BY_KIND.values()))


def split_parts(
    task: Task[Any, Any, Any],
    examples: Mapping[str, list[Any]],
    how: str,
    keys: Sequence[Any] | None,
) -> tuple[dict[str, list[Any]], str]:
    """Return the three parts, those that were not given taken from the rest, and how.

    ``keys`` are the cells of the column that splits; None: equal inputs stay together.
    """
    train, kind = examples["train"], how.partition(":")[0]
    if task.ordered and kind == "random":
        kind, keys = "time", range(len(train))
    missing = [part for part in PARTS[1:] if part not in examples]
    rows: dict[str, Any] = {"train": range(len(train))}
    labels = [task.stratum(example) or "" for example in train] if missing else []
    if missing:
        keys = [task.key(example) for example in train] if keys is None else list(keys)
    if len(missing) == 2:
        rows = split(len(train), how=kind, keys=keys, labels=labels)._asdict()
    elif missing:
        kept, taken = carve(len(train), 0.1, how=kind, keys=keys, labels=labels)
        rows = {"train": kept, missing[0]: taken}
    parts = {part: [train[row] for row in numbers] for part, numbers in rows.items()}
    parts |= {part: list(examples[part]) for part in PARTS if part not in parts}
    sizes = ", ".join(f"{len(parts[part]):,} {part}" for part in PARTS)
    way = f"{kind}, seed 0" if kind != "time" else "in order"
    ways = (
        "all given",
        f"{missing[0] if missing else ''} drawn from train: {way}",
        f"{way}; --test FILE to give your own",
    )
    return {part: parts[part] for part in PARTS}, f"{sizes} ({ways[len(missing)]})"


def verify(
    task: Task[Any, Any, Any], examples: Sequence[Any], place: str, table: Table | None
) -> None:
    """Refuse examples that the training rows did not prepare for (an unknown label).

    Raises:
        DataError: Names the row, or the part where the rows were drawn from one table.
    """
    for number, example in enumerate(examples):
        try:
            task.verify(example)
        except DataError as error:
            where = table.where(number) if table else f"the {place} part"
            raise DataError(f"In {where}: {error}") from error


def check(
    task: Task[Any, Any, Any],
    tables: Mapping[str, Table],
    parts: Mapping[str, Sequence[Any]],
    said: str,
) -> tuple[Finding, ...]:
    """Return the data check: what a person should know before it costs anything."""
    rows = sum(table.rows for table in tables.values())
    names = columns.listed(tables["train"])
    findings = [Finding(tables["train"].name, f"{rows:,} rows: {names}")]
    findings += [
        Finding("reading", f"{table.name}: {note}")
        for table in tables.values()
        for note in table.notes
    ]
    findings += task.check(parts)
    findings.append(Finding("duplicates", say_duplicates(task, parts)))
    findings.append(Finding("split", said))
    return tuple(findings)


def say_duplicates(task: Task[Any, Any, Any], parts: Mapping[str, Sequence[Any]]) -> str:
    """Say how many inputs stand more than once, and which of them flatter a score."""
    found = duplicates({part: [task.key(e) for e in parts[part]] for part in PARTS})
    if not found.within and not found.across:
        return "no input stands twice"
    across = [f"{count:,} stand in both {a} and {b}" for (a, b), count in found.across.items()]
    within = f"{found.within:,} inputs repeat one of their own part"
    return f"{within}; {', '.join(across) or 'none stands in two parts'}"

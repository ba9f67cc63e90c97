"""From a task and data to checked examples in training, validation and test parts."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ensuite import catalog
from ensuite.core.errors import DataError
from ensuite.core.keys import Split
from ensuite.core.options import option_names, set_options, to_json
from ensuite.core.presentation import Finding
from ensuite.core.split import CALIBRATION
from ensuite.core.table import Table
from ensuite.core.task import Task
from ensuite.data import columns, folders, header, readers, sets
from ensuite.data.duplicates import duplicates
from ensuite.data.walk import is_folder

USUAL_NAMES = {"group": ("group",), "time": ("time", "date", "timestamp")}
"""The usual names of the columns that split."""


@dataclass(frozen=True)
class Problem:
    """A task and the examples that every candidate gets, in the same parts.

    Args:
        name: The task's name in the catalog.
        task: With the options that the file settles, prepared on the training examples.
        data: The name of the data.
        parts: Examples to learn from (train), to select weights by (valid), to score (test), and
            where the task asks for them to calibrate by (calibration).
        findings: What the data check found.
        fingerprint: Of everything read, how it was split, and the options of the task.
        metric: The metric to rank by; None for the task's own.
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

    def checked(self, task: Task[Any, Any, Any]) -> "Problem":
        """Return the problem with the findings of a task that was prepared for one model.

        A model may bring its own tokenizer, and a window or chunk of another length.
        """
        if task is self.task:
            return self
        own = {finding.topic: finding for finding in task.check(self.parts)}
        return replace(self, findings=tuple(own.get(each.topic, each) for each in self.findings))

    @property
    def ranks_by(self) -> str | None:
        """The metric to rank by; empty for the task's first, None where nothing ranks."""
        return self.metric or self.task.ranks_by

    @property
    def held_out(self) -> Sequence[Any]:
        """The examples that thresholds and temperatures are calibrated on."""
        return self.parts.get(CALIBRATION) or self.parts["valid"]


@dataclass(frozen=True)
class Source:
    """What was read for a task, before it is divided into parts.

    Args:
        name: The task's name in the catalog.
        reader: The task with the options that the file settles, not yet prepared.
        tables: What was read, by part; the training file is ``train``.
        examples: The examples of each table.
        split: How the user asks for the training file to be divided.
        typed: The split and the columns by role, as typed.
        metric: The metric to rank by; None for the task's own.
    """

    name: str
    reader: Task[Any, Any, Any]
    tables: Mapping[str, Table]
    examples: Mapping[str, Sequence[Any]]
    split: Split
    typed: tuple[str | None, Mapping[str, str]]
    metric: str | None = None

    def problem(self, parts: Mapping[str, Sequence[Any]], said: str) -> Problem:
        """Return the problem with these parts: prepared on its training examples, and checked.

        Args:
            parts: Training, validation and test examples.
            said: How they were made, for the data check.

        Raises:
            DataError: For an example that the training examples did not prepare for.
        """
        prepared = self.reader.prepare(parts["train"])
        for part, held_out in parts.items():
            if part != "train":
                verify(prepared, held_out, part, self._table_of(part, held_out))
        findings = check(prepared, self.tables, parts, said)
        digest, data = self._fingerprint(prepared), self.tables["train"].name
        return Problem(self.name, prepared, data, parts, findings, digest, self.metric)

    def _table_of(self, part: str, examples: Sequence[Any]) -> Table | None:
        """Return the table whose rows these examples are; None where they were drawn."""
        table = self.tables.get(part)
        return table if table and len(self.examples[part]) == len(examples) else None

    def _fingerprint(self, prepared: Task[Any, Any, Any]) -> str:
        prints = {part: table.fingerprint for part, table in self.tables.items()}
        how, given = self.typed
        read = json.dumps([how, dict(given), prints, to_json(prepared)], sort_keys=True)
        return hashlib.sha256(read.encode()).hexdigest()


def open_source(
    task: str,
    data: Any,
    *,
    test: Any = None,
    valid: Any = None,
    how: str | None = None,
    given: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
    metric: str | None = None,
) -> Source:
    """Read the data of a task; see :func:`open_problem` for the arguments."""
    given, empty, split = given or {}, find_task(task), Split.parse(how)
    settings = {**(sets.settings(data, task) if sets.is_set(data) else {}), **(settings or {})}
    tables = open_tables(data, test=test, valid=valid)
    named = {**given, "split": split.column} if split.column else given
    tables = {part: header.settle(table, named) for part, table in tables.items()}
    column = split_column(empty, tables["train"], split, given)
    reader, examples = read_tables(empty, tables, given, settings, task, split, column)
    if column:
        tables["train"].note("split", column)
    if column and len(examples["train"]) == tables["train"].rows:
        split = replace(split, column=column, values=tables["train"].columns[column])
    return Source(task, reader, tables, examples, split, (how, given), metric)


def open_problem(
    task: str,
    data: Any,
    *,
    test: Any = None,
    valid: Any = None,
    how: str | None = None,
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
        how: random, time, time:DATE,DATE or group:COLUMN; None: as the task does by default.
        given: Column by role, where the user names them.
        settings: Options of the task, as typed.
        metric: The metric to rank by; None for the task's own.

    Raises:
        EnsuiteError: A sentence for whatever the data is not.
    """
    source = open_source(
        task, data, test=test, valid=valid, how=how, given=given, settings=settings, metric=metric
    )
    return divide_source(source)


def divide_source(source: Source) -> Problem:
    """Return the problem whose parts the task makes of what was read."""
    return source.problem(*source.reader.divide(source.examples, source.split))


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


def split_column(
    task: Task[Any, Any, Any], table: Table, split: Split, given: Mapping[str, str]
) -> str | None:
    """Return the column that says which rows belong together or come first.

    None for a random split, and for a task that reads the column itself if it finds one.

    Raises:
        DataError: If the column is not there.
    """
    if split.kind == "random":
        return None
    roles = dict(given)
    if split.column:
        roles[split.kind] = split.column
    find = columns.find if split.kind in task.roles else columns.require
    return find(table, split.kind, USUAL_NAMES[split.kind], roles)


def read_tables(
    task: Task[Any, Any, Any],
    tables: Mapping[str, Table],
    given: Mapping[str, str],
    settings: Mapping[str, str],
    name: str,
    split: Split,
    column: str | None,
) -> tuple[Task[Any, Any, Any], dict[str, Sequence[Any]]]:
    """Read the examples of every table, all in the way of the first.

    Args:
        task: With its default options.
        tables: By part, the training rows first.
        given: Column by role, where the user names them.
        settings: Options of the task, as typed.
        name: Of the task.
        split: How the examples will be divided.
        column: The split column. It is not read as an input, since it would tell the model which
            group a row belongs to, unless the user gives it a role or the task reads its role.

    Raises:
        DataError: If a table holds another kind of input or label than the first.
    """
    if column and split.kind in task.roles:
        given, column = {**given, split.kind: column}, None
    readers: list[Task[Any, Any, Any]] = []
    examples: dict[str, Sequence[Any]] = {}
    for part, table in tables.items():
        found, roles = settle(task, table, given, column)
        if not readers:
            reader, examples[part] = read_table(task, found, roles, settings, name)
        else:  # as the first table settled it
            reader, examples[part] = readers[0].read(found, roles)
        readers.append(reader)
        if reader != readers[0]:
            raise DataError(
                f"{table.name} does not hold the same kind of inputs and labels as "
                f"{tables['train'].name}; give both the same columns."
            )
    return readers[0], examples


def settle(
    task: Task[Any, Any, Any],
    table: Table,
    given: Mapping[str, str],
    split_column: str | None = None,
) -> tuple[Table, dict[str, str]]:
    """Drop the columns that are not read, and name those of each role that the task reads.

    Args:
        task: Knows its roles.
        table: A file's columns.
        given: Column by role; columns of the role ``ignore`` are dropped.
        split_column: Dropped as well, unless it is given a role.

    Raises:
        UsageError: If the task knows no such role.
    """
    columns.only(given, tuple(dict.fromkeys((*task.roles, *USUAL_NAMES, "ignore"))))
    # Names and numbers of columns are those of the whole file.
    found = {
        role: columns.named_all(table, names, role)
        for role, names in given.items()
        if role in ("ignore", *task.roles)
    }
    dropped = set(found.pop("ignore", ()))
    if split_column is not None and not any(split_column in names for names in found.values()):
        dropped.add(split_column)
    kept = {name: cells for name, cells in table.columns.items() if name not in dropped}
    return replace(table, columns=kept), {role: ",".join(names) for role, names in found.items()}


def read_table(
    task: Task[Any, Any, Any],
    table: Table,
    given: Mapping[str, str],
    settings: Mapping[str, str],
    name: str,
) -> tuple[Task[Any, Any, Any], Sequence[Any]]:
    """Read the examples of a table, and set the options of the task.

    Its own options are set before reading, since they decide how; those of its processor after,
    since the table decides which processor it is.
    """
    owner = f"the task {name}"
    own = {f.name for f in fields(task) if not f.metadata.get("options")}  # type: ignore[arg-type]
    task = set_options(task, {k: v for k, v in settings.items() if k in own}, owner)
    task, examples = task.read(table, given)
    return set_options(task, {k: v for k, v in settings.items() if k not in own}, owner), examples


def task_options(task: Task[Any, Any, Any]) -> set[str]:
    """Return every option name the task knows, for whatever kind of input."""
    from ensuite.data.processors import BY_KIND

    return set(option_names(task)).union(*(option_names(each()) for each in BY_KIND.values()))


def verify(
    task: Task[Any, Any, Any], examples: Sequence[Any], place: str, table: Table | None
) -> None:
    """Refuse examples that the training examples did not prepare for (an unknown label).

    Raises:
        DataError: Names the row, or the part if it was drawn from the training file.
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
    """Return the data check: what the user should know before anything is trained."""
    rows = sum(table.rows for table in tables.values())
    names = columns.listed(tables["train"])
    findings = [Finding(tables["train"].name, f"{rows:,} rows: {names}")]
    if said_of_columns := say_columns(tables["train"]):
        findings.append(Finding("columns", said_of_columns))
    findings += [
        Finding("reading", f"{table.name}: {note}")
        for table in tables.values()
        for note in table.notes
    ]
    findings += task.check(parts)
    findings.append(Finding("duplicates", say_duplicates(task, parts)))
    findings.append(Finding("split", said))
    return tuple(findings)


MOST_COLUMNS = 6
"""Columns of one role that are named."""


def left_out(table: Table) -> list[str]:
    """Return the columns that no role was found for; none where nothing is known of roles."""
    read = {name for names in table.read_as.values() for name in names}
    return [name for name in table.columns if read and name not in read]


def say_columns(table: Table) -> str:
    """Say which column is read as what, and which are left out; empty where it is not known."""
    if not table.read_as:
        return ""
    said = [f"{_some(names)} as {role}" for role, names in table.read_as.items()]
    return f"{', '.join(said)}; left out: {_some(left_out(table)) or 'none'}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_COLUMNS:,} more" if len(names) > MOST_COLUMNS else ""
    return " ".join(filter(None, (", ".join(names[:MOST_COLUMNS]), more.strip())))


def say_duplicates(task: Task[Any, Any, Any], parts: Mapping[str, Sequence[Any]]) -> str:
    """Say how many inputs are repeated, within a part and across parts."""
    identities = {name: task.identities(part) for name, part in parts.items()}
    found = duplicates(identities)
    if not found.within and not found.across:
        return "no input stands twice"
    across = [f"{count:,} stand in both {a} and {b}" for (a, b), count in found.across.items()]
    within = f"{found.within:,} inputs repeat one of their own part"
    return f"{within}; {', '.join(across) or 'none stands in two parts'}"

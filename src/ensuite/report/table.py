"""The table of a comparison: its columns, and its layout on a terminal or in a log."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rich.cells import cell_len
from rich.text import Text

from ensuite.report import words
from ensuite.report.values import Leaderboard, Row

GAP = "  "
"""Separator of two columns on a terminal."""

SHORTEST_NAME = 8


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the table.

    Args:
        title: Heading.
        cells: Formatted text, one cell per row.
        keys: Sort keys of the HTML page: numbers or strings, None for an empty cell.
        left: Whether the column is left-aligned: text is, numbers are not.
        spare: Priority of dropping the column on a narrow terminal; 0 keeps it always.
    """

    title: str
    cells: tuple[str, ...]
    keys: tuple[float | str | None, ...]
    left: bool = False
    spare: int = 0

    @property
    def width(self) -> int:
        """Width of the widest entry, in terminal cells."""
        return max(map(cell_len, (self.title, *self.cells)))

    def line(self, cell: str) -> str:
        """Pad an entry to the width of the column."""
        padding = " " * (self.width - cell_len(cell))
        return cell + padding if self.left else padding + cell


class Measure(NamedTuple):
    """A figure of a row: heading, field of ``Row``, formatter, and priority of dropping it."""

    title: str
    field: str
    write: Callable[[Any], str]
    spare: int


MEASURES = (
    Measure("parameters", "parameters", words.quantity, 3),
    Measure("trained", "train_seconds", words.duration, 1),
    Measure("memory", "peak_memory_bytes", words.size, 5),
    Measure("one {unit}", "latency_ms", words.latency, 2),
    Measure("size", "disk_bytes", words.size, 4),
    Measure("budget used", "budget_used", words.percent, 7),
    Measure("throughput", "throughput", words.rate, 8),
    Measure("{units} cut", "truncated_rows", words.whole, 6),
    Measure("tokens cut", "truncated_tokens", words.whole, 9),
)


def columns(leaderboard: Leaderboard, unit: str) -> tuple[Column, ...]:
    """Return every column that is not empty, in reading order."""
    rows = leaderboard.rows
    return tuple(
        column
        for column in (
            _words("model", [" ".join(row.name.split()) for row in rows]),
            *_scores(leaderboard),
            _words("group", [row.tie_group or words.NONE for row in rows]),
            *(_figures(rows, measure, unit) for measure in MEASURES),
            *_other_metrics(leaderboard),
            _words("note", [note(row, leaderboard.higher_is_better) for row in rows], spare=1),
        )
        if not set(column.cells) <= {words.NONE, ""}
    )


def note(row: Row, higher_is_better: bool) -> str:
    """Return whether a row was still improving at the end of its budget; empty if not."""
    if row.converged is False:
        return "still rising" if higher_is_better else "still falling"
    return ""


def facts(table: Sequence[Column], place: int) -> list[tuple[str, str]]:
    """Return heading and cell of every figure of the row at index ``place``."""
    figures = [column for column in table if column.title not in ("model", "group", "note")]
    pairs = [(column.title, column.cells[place].strip()) for column in figures]
    return [(title, cell) for title, cell in pairs if cell != words.NONE]


def fitting(table: Sequence[Column], width: int) -> tuple[Column, ...]:
    """Drop columns, the highest ``spare`` first, until the rest fits into ``width`` cells."""
    kept = list(table)
    while _total(kept) > width and any(column.spare for column in kept):
        kept.remove(max(kept, key=lambda column: column.spare))
    return tuple(kept)


def lines(leaderboard: Leaderboard, unit: str, width: int = 100) -> list[str]:
    """Format the table as plain lines of at most ``width`` cells, headings first."""
    names, *figures = fitting(columns(leaderboard, unit), width)
    room = max(SHORTEST_NAME, names.width - max(0, _total([names, *figures]) - width))
    names = _words(names.title, [_cut(cell, room) for cell in names.cells])
    table = [names, *figures]
    headings = ["" if column.title == "note" else column.title for column in table]
    bodies = zip(*(column.cells for column in table), strict=True)
    return [
        GAP.join(column.line(cell) for column, cell in zip(table, row, strict=True)).rstrip()
        for row in (headings, *bodies)
    ]


def terminal_table(leaderboard: Leaderboard, unit: str, width: int = 100) -> Text:
    """Format the table for a rich console: dim headings, the winner in bold."""
    headings, *bodies = lines(leaderboard, unit, width)
    text = Text(headings, no_wrap=True, end="")
    text.stylize("dim")
    for row, line in zip(leaderboard.rows, bodies, strict=True):
        text.append("\n")
        text.append(line, style="bold cyan" if row.name == leaderboard.winner else "")
    return text


def _cut(name: str, width: int) -> str:
    """Truncate a name to ``width`` terminal cells; a Chinese character takes two."""
    text = Text(name)
    text.truncate(width, overflow="ellipsis")
    return text.plain


def _total(table: Sequence[Column]) -> int:
    return sum(column.width for column in table) + len(GAP) * (len(table) - 1)


def _words(title: str, cells: Sequence[str], spare: int = 0) -> Column:
    keys = tuple(None if cell == words.NONE else cell for cell in cells)
    return Column(title=title, cells=tuple(cells), keys=keys, left=True, spare=spare)


def _scores(leaderboard: Leaderboard) -> list[Column]:
    """Return score and spread in one column, aligned; no column where no metric ranks."""
    rows, metric = leaderboard.rows, leaderboard.metric
    if metric is None:
        return []
    places = _decimals(leaderboard, metric, [row.score for row in rows])
    scores = [words.score(row.score, places) for row in rows]
    widest = max(map(len, scores))
    cells = [
        score.rjust(widest)
        + ("" if row.spread is None else f" ± {words.score(row.spread, places)}")
        for row, score in zip(rows, scores, strict=True)
    ]
    keys = tuple(row.score for row in rows)
    title = leaderboard.title(metric)
    return [Column(title=title, cells=tuple(cells), keys=keys, left=True)]


def _decimals(leaderboard: Leaderboard, metric: str, scores: Sequence[float | None]) -> int:
    fixed = leaderboard.display(metric).decimals
    return words.decimals(scores) if fixed is None else fixed


def _figures(rows: Sequence[Row], measure: Measure, unit: str) -> Column:
    values = tuple(getattr(row, measure.field) for row in rows)
    if measure.field.startswith("truncated") and not any(values):
        values = (None,) * len(rows)  # nothing was truncated: no column
    title = measure.title.format(unit=unit, units=words.plural(unit))
    cells = tuple(map(measure.write, values))
    return Column(title=title, cells=cells, keys=values, spare=measure.spare)


def _other_metrics(leaderboard: Leaderboard) -> list[Column]:
    rows = leaderboard.rows
    keys = dict.fromkeys(key for row in rows for key in row.metrics if key != leaderboard.metric)
    return [_metric(leaderboard, key, spare) for spare, key in enumerate(keys, start=10)]


def _metric(leaderboard: Leaderboard, key: str, spare: int) -> Column:
    values = tuple(row.metrics.get(key) for row in leaderboard.rows)
    places = _decimals(leaderboard, key, values)
    cells = tuple(words.score(value, places) for value in values)
    return Column(title=leaderboard.title(key), cells=cells, keys=values, spare=spare)

"""The table of a comparison: its columns, and its layout on a terminal or in a log."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rich.cells import cell_len
from rich.text import Text

from ensuite.core.printable import printable
from ensuite.report import words
from ensuite.report.marks import mark
from ensuite.report.values import Leaderboard, Row

GAP = "  "
"""Separator of two columns on a terminal."""

WIDTH = 80
"""Terminal cells of a line where the width of the terminal is not known."""

SHORTEST_NAME = 8

LONGEST_NOTE = 14
"""Terminal cells of a note that has a place at the end of its row."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the table.

    Args:
        title: Heading.
        cells: Formatted text, one cell per row.
        keys: Sort keys of the HTML page: numbers or strings, None for an empty cell.
        left: Whether the column is left-aligned: text is, numbers are not.
        kept: Whether a narrow terminal shows the column too.
        metric: Whether it holds a metric that does not rank.
    """

    title: str
    cells: tuple[str, ...]
    keys: tuple[float | str | None, ...]
    left: bool = False
    kept: bool = False
    metric: bool = False

    @property
    def width(self) -> int:
        """Width of the widest entry, in terminal cells."""
        return max(map(cell_len, (self.title, *self.cells)))

    def line(self, cell: str) -> str:
        """Pad an entry to the width of the column."""
        padding = " " * (self.width - cell_len(cell))
        return cell + padding if self.left else padding + cell


class Measure(NamedTuple):
    """A figure of a row: heading, field of ``Row``, and formatter."""

    title: str
    field: str
    write: Callable[[Any], str]


MEASURES = (
    Measure("parameters", "parameters", words.quantity),
    Measure("one {unit}", "latency_ms", words.latency),
    Measure("trained", "train_seconds", words.duration),
    Measure("memory", "peak_memory_bytes", words.size),
    Measure("size", "disk_bytes", words.size),
    Measure("epochs", "epochs", words.epochs),
    Measure("budget used", "budget_used", words.percent),
    Measure("throughput", "throughput", words.rate),
    Measure("{units} cut", "truncated_rows", words.whole),
    Measure("tokens cut", "truncated_tokens", words.whole),
)
"""In reading order: a narrow terminal drops them from the right."""


def columns(leaderboard: Leaderboard, unit: str) -> tuple[Column, ...]:
    """Return every column that is not empty, in reading order."""
    rows = leaderboard.rows
    others = dict.fromkeys(key for row in rows for key in row.metrics if key != leaderboard.metric)
    beside = [key for key in leaderboard.beside if key in others]
    return tuple(
        column
        for column in (
            _words("model", [" ".join(printable(row.name).split()) for row in rows]),
            *_scores(leaderboard),
            *(_metric(leaderboard, key, kept=True) for key in beside),
            _words("group", [row.tie_group or words.NONE for row in rows]),
            *(_figures(rows, measure, unit) for measure in MEASURES),
            *(_metric(leaderboard, key) for key in others if key not in beside),
            _words("note", [mark(row, leaderboard.higher_is_better) for row in rows]),
        )
        if not set(column.cells) <= {words.NONE, ""}
    )


def metrics_first(table: Sequence[Column]) -> tuple[Column, ...]:
    """Return the columns with all metrics before the costs, for a page that has room for all."""
    start = [column for column in table if column.kept and not column.metric]
    metrics = [column for column in table if column.metric]
    return (*start, *metrics, *(each for each in table if each not in (*start, *metrics)))


def facts(table: Sequence[Column], place: int) -> list[tuple[str, str]]:
    """Return heading and cell of every figure of the row at index ``place``."""
    figures = [column for column in table if column.title not in ("model", "group", "note")]
    pairs = [(column.title, column.cells[place].strip()) for column in figures]
    return [(title, cell) for title, cell in pairs if cell != words.NONE]


def fitting(table: Sequence[Column], width: int) -> tuple[Column, ...]:
    """Drop columns from the right until the rest fits into ``width`` cells."""
    kept = list(table)
    while _total(kept) > width and not all(column.kept for column in kept):
        kept.remove(next(column for column in reversed(kept) if not column.kept))
    return tuple(kept)


def lines(leaderboard: Leaderboard, unit: str, width: int = WIDTH) -> list[str]:
    """Format the table as plain lines of at most ``width`` cells, headings first."""
    headings, bodies = _layout(leaderboard, unit, width)
    return [headings, *(line for body in bodies for line in body)]


def terminal_table(leaderboard: Leaderboard, unit: str, width: int = WIDTH) -> Text:
    """Format the table for a rich console: dim headings, the winner in bold."""
    headings, bodies = _layout(leaderboard, unit, width)
    text = Text(headings, no_wrap=True, end="")
    text.stylize("dim")
    for row, (line, *notes) in zip(leaderboard.rows, bodies, strict=True):
        text.append("\n")
        text.append(line, style="bold cyan" if row.name == leaderboard.winner else "")
        for each in notes:
            text.append("\n")
            text.append(each, style="dim")
    return text


def _layout(leaderboard: Leaderboard, unit: str, width: int) -> tuple[str, list[list[str]]]:
    """Return the line of the headings, and the lines of each row.

    A note that is too long for a column, or has no room, stands on a line below its row. Where the
    columns that are always kept are too wide, the names are cut.
    """
    table = list(columns(leaderboard, unit))
    notes = table.pop().cells if table[-1].title == "note" else ("",) * len(leaderboard.rows)
    beside = ["" if cell_len(note) > LONGEST_NOTE else note for note in notes]
    kept = fitting([*table, _words("", beside)], width) if any(beside) else fitting(table, width)
    if any(beside) and _narrowest(kept) > width:
        beside, kept = [""] * len(notes), fitting(table, width)
    names, *others = kept
    room = max(SHORTEST_NAME, names.width - max(0, _total(kept) - width))
    cut = [_words(names.title, [_cut(cell, room) for cell in names.cells]), *others]
    below = [
        [] if note in ("", shown) else [_cut(f"{GAP}{note}", width)]
        for note, shown in zip(notes, beside, strict=True)
    ]
    headings, *bodies = [
        _cut(GAP.join(column.line(cell) for column, cell in zip(cut, row, strict=True)), width)
        for row in ([column.title for column in cut], *zip(*(c.cells for c in cut), strict=True))
    ]
    lines_of = zip(bodies, below, strict=True)
    return headings.rstrip(), [[line.rstrip(), *note] for line, note in lines_of]


def _narrowest(table: Sequence[Column]) -> int:
    """Return the width of a table whose names are cut as far as they may be."""
    return _total(table) - max(0, table[0].width - SHORTEST_NAME)


def _cut(name: str, width: int) -> str:
    """Truncate a name to ``width`` terminal cells; a Chinese character takes two."""
    text = Text(name)
    text.truncate(width, overflow="ellipsis")
    return text.plain


def _total(table: Sequence[Column]) -> int:
    return sum(column.width for column in table) + len(GAP) * (len(table) - 1)


def _words(title: str, cells: Sequence[str]) -> Column:
    keys = tuple(None if cell == words.NONE else cell for cell in cells)
    return Column(title=title, cells=tuple(cells), keys=keys, left=True, kept=True)


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
    return [Column(title=title, cells=tuple(cells), keys=keys, left=True, kept=True)]


def _decimals(leaderboard: Leaderboard, metric: str, scores: Sequence[float | None]) -> int:
    fixed = leaderboard.display(metric).decimals
    return words.decimals(scores) if fixed is None else fixed


def _figures(rows: Sequence[Row], measure: Measure, unit: str) -> Column:
    values = tuple(getattr(row, measure.field) for row in rows)
    if measure.field.startswith("truncated") and not any(values):
        values = (None,) * len(rows)  # nothing was truncated: no column
    title = measure.title.format(unit=unit, units=words.plural(unit))
    cells = tuple(map(measure.write, values))
    return Column(title=title, cells=cells, keys=values)


def _metric(leaderboard: Leaderboard, key: str, *, kept: bool = False) -> Column:
    values = tuple(row.metrics.get(key) for row in leaderboard.rows)
    places = _decimals(leaderboard, key, values)
    cells = tuple(words.score(value, places) for value in values)
    title = leaderboard.title(key)
    return Column(title=title, cells=cells, keys=values, kept=kept, metric=True)

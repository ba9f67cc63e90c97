"""What makes a row of a comparison uncertain: too short a training, a busy machine, a failure."""

from collections.abc import Sequence

from ensuite.report import words
from ensuite.report.values import Row

MORE = 3.0
"""A row that was still improving needs this multiple of its budget."""

ENOUGH_EPOCHS = 3.0
"""A row that saw less than one epoch needs the budget of this many."""


def mark(row: Row, higher_is_better: bool) -> str:
    """Return the note that stands beside a row in tables; empty if nothing is uncertain."""
    if row.failed:
        return f"failed: {row.failed.rstrip('.')}"
    if row.busy:
        share = _share_of_epochs(row)
        return f"the machine was busy{f': {share}' if share else ''}"
    if _under_an_epoch(row):
        return f"{words.epochs(row.epochs)} epochs"
    if _rising(row):
        return "still rising" if higher_is_better else "still falling"
    return ""


def unsettled(rows: Sequence[Row]) -> list[Row]:
    """Return the rows whose scores a larger budget would probably improve."""
    return [row for row in rows if not row.failed and mark(row, True)]


def advice(rows: Sequence[Row], budget: str, higher_is_better: bool) -> str:
    """Say which budget to give, and why; empty where no row is unsettled.

    Args:
        rows: Any rows; only the unsettled ones are spoken of.
        budget: The budget that they had, as a leaderboard writes it.
        higher_is_better: Whether a larger score is a better one.
    """
    concerned = unsettled(rows)
    if not concerned:
        return ""
    more = words.larger(budget, max(map(_factor, concerned)))
    busy = [row for row in concerned if row.busy]
    short = [row for row in concerned if not row.busy and _under_an_epoch(row)]
    rising = [row for row in concerned if row not in busy and row not in short]
    clauses = [
        _busy(busy) if busy else "",
        _short(short) if short else "",
        _improving(rising, budget, higher_is_better) if rising else "",
    ]
    give = f"Give --budget {more}" if more else "Give a larger --budget"
    quiet = ", or run it again while the machine is quiet," if busy else ""
    return f"{give}{quiet} before you decide: {'; '.join(filter(None, clauses))}."


def _busy(rows: Sequence[Row]) -> str:
    names = words.listed([row.name for row in rows])
    share = _share_of_epochs(rows[0])
    if len(rows) == 1 and share:
        return f"the machine was busy, and {names} trained for {share}"
    were = "were" if len(rows) > 1 else "was"
    return f"the machine was busy, and {names} {were} stopped early"


def _short(rows: Sequence[Row]) -> str:
    names = words.listed([row.name for row in rows])
    if len(rows) == 1:
        return f"{names} trained for {words.epochs(rows[0].epochs)} epochs"
    return f"{names} trained for less than one epoch each"


def _improving(rows: Sequence[Row], budget: str, higher_is_better: bool) -> str:
    one = len(rows) == 1
    direction = "rising" if higher_is_better else "falling"
    end = "time was up" if words.is_time(budget) else "budget was spent"
    names = words.listed([row.name for row in rows])
    return f"{names} {'was' if one else 'were'} still {direction} when {_its(one)} {end}"


def _its(one: bool) -> str:
    return "its" if one else "their"


def _factor(row: Row) -> float:
    """Return the multiple of its budget that an unsettled row needs."""
    epochs = row.epochs or 0.0
    if row.busy and epochs and row.promised_epochs:
        return max(MORE, row.promised_epochs / epochs)
    if _under_an_epoch(row) and epochs:
        return max(MORE, ENOUGH_EPOCHS / epochs)
    return MORE


def _rising(row: Row) -> bool:
    """Return whether a run was still improving; a single run says so by not having converged."""
    return row.converged is False if row.still_rising is None else row.still_rising


def _under_an_epoch(row: Row) -> bool:
    return row.epochs is not None and row.epochs < 1


def _share_of_epochs(row: Row) -> str:
    """Say how many of its promised epochs a row trained for; empty where it had them all."""
    if row.epochs is None or row.promised_epochs is None or row.epochs >= row.promised_epochs:
        return ""
    promised = words.brief(row.promised_epochs)
    return f"{words.epochs(row.epochs)} of {promised} {'epoch' if promised == '1' else 'epochs'}"

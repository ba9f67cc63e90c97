"""Which candidate to take, and the sentences that say how sure that is.

Every sentence follows from the values of the leaderboard; one that does not apply is left out.
"""

import math
import re
from collections.abc import Sequence

from ensuite.core.display import Display
from ensuite.core.errors import EnsuiteError
from ensuite.report import words
from ensuite.report.values import Leaderboard, Row


def winner(rows: Sequence[Row]) -> str:
    """Return the name of the cheapest row among those that tie for the best.

    The cost of a row is the time for one input, to two digits, since more are noise; then its
    parameters; then its training time; then the order of the rows.

    Raises:
        EnsuiteError: If no row of group A has a score.
    """
    best = _leaders(rows)
    if not best:
        raise EnsuiteError("No candidate has a score, so none can be taken; see the runs' errors.")
    return min(best, key=_cost).name


def verdict(leaderboard: Leaderboard, test_examples: int, unit: str) -> list[str]:
    """Say which row to take, how sure that is, and what to type to be surer.

    Args:
        leaderboard: All rows, the best first.
        test_examples: How many inputs the scores were taken on.
        unit: What one input is called.

    Returns:
        Sentences; the first is the answer. Empty where a metric ranks and no row has a score.
    """
    if leaderboard.metric is None:
        return [_unranked(leaderboard), *filter(None, [_cut(leaderboard.rows, unit)])]
    if not _leaders(leaderboard.rows):
        return []
    paragraphs = (
        _take(leaderboard),
        _sureness(leaderboard, words.counted(test_examples, unit)),
        _baseline(leaderboard),
        _too_short(leaderboard),
        _cut(leaderboard.rows, unit),
        _silent(leaderboard.rows),
    )
    return [sentence for sentence in paragraphs if sentence]


def too_short(names: Sequence[str], budget: str, higher_is_better: bool) -> str:
    """Say that candidates were still getting better when their budget ended, and what to type."""
    verb = "was" if len(names) == 1 else "were"
    whose = "its" if len(names) == 1 else "their"
    direction = "rising" if higher_is_better else "falling"
    timed = re.fullmatch(r"[\d.]+ ?[smh]", budget)
    end = "time was up" if timed else "budget was spent"
    more = words.longer(budget)
    hint = f"--budget {more}" if more else "give a larger --budget"
    return f"{words.listed(names)} {verb} still {direction} when {whose} {end} ({hint})."


def _unranked(leaderboard: Leaderboard) -> str:
    metrics = list(dict.fromkeys(name for row in leaderboard.rows for name in row.metrics))
    hint = f"; to rank by one of the metrics, give --metric {metrics[0]}" if metrics else ""
    return f"No metric ranks these rows, so none is recommended{hint}."


def _leaders(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.tie_group == "A" and row.score is not None]


def _cost(row: Row) -> tuple[float, ...]:
    latency = math.inf if row.latency_ms is None else float(f"{row.latency_ms:.2g}")
    costs = (row.parameters, row.train_seconds)
    return latency, *(math.inf if cost is None else cost for cost in costs)


def _take(leaderboard: Leaderboard) -> str:
    leaders = _leaders(leaderboard.rows)
    if len(leaders) > 1:
        return f"Take {leaderboard.winner}: as good as any here, and the cheapest."
    if len(leaderboard.rows) > 1:
        return f"Take {leaderboard.winner}: the best here."
    return f"Take {leaderboard.winner}: there was nothing else to choose from."


def _sureness(leaderboard: Leaderboard, examples: str) -> str:
    """Say who cannot be told apart, and what difference the test rows can show at all."""
    leaders = [row.name for row in _leaders(leaderboard.rows)]
    scored = [row for row in leaderboard.rows if row.score is not None]
    limit = _limit(leaderboard, [row.score for row in scored if row.score is not None])
    if len(scored) == 1:
        return ""
    if len(leaders) == 1:
        return (
            f"{leaders[0]} is better than every other row by more than chance on {examples}{limit}."
        )
    group = "All rows" if len(leaders) == len(scored) else f"Group A ({words.listed(leaders)})"
    return f"{group} cannot be told apart on {examples}{limit}."


def _limit(leaderboard: Leaderboard, scores: Sequence[float]) -> str:
    """Say what difference could have been seen; one wider than all the scores is none."""
    smallest = leaderboard.smallest_visible_difference
    if not smallest:  # not known, or all answered alike
        return ""
    if smallest > max(scores) - min(scores) and leaderboard.seeds > 1:
        more = 2 * leaderboard.seeds
        return f": with other seeds they differ too much to show anything (--seeds {more})"
    return f": they show differences of {words.gap(smallest, _display(leaderboard))} or more"


def _baseline(leaderboard: Leaderboard) -> str:
    """Say what the simple methods did, since they decide whether a model is worth its cost."""
    simple = [row for row in leaderboard.rows if row.kind == "baseline" and row.score is not None]
    others = [row for row in leaderboard.rows if row.kind != "baseline" and row.score is not None]
    if not others:
        return "Only baselines have a score: name models to set beside them (--models lstm,gru)."
    if not simple:
        return ""
    tied = [row.name for row in simple if row.tie_group == "A"]
    if leaderboard.winner in tied:
        return f"No model beats {words.listed(tied)}: a simple baseline is enough here, so far."
    if tied:
        return f"A simple baseline does as well, only not as cheaply: {words.listed(tied)}."
    ours, theirs = _best(_leaders(others), leaderboard), _best(simple, leaderboard)
    distance = abs(_signed(ours, leaderboard) - _signed(theirs, leaderboard))
    lead = words.gap(distance, _display(leaderboard))
    return f"{ours.name} beats the best baseline, {theirs.name}, by {lead}."


def _too_short(leaderboard: Leaderboard) -> str:
    names = [row.name for row in leaderboard.rows if row.converged is False]
    return too_short(names, leaderboard.budget, leaderboard.higher_is_better) if names else ""


def _cut(rows: Sequence[Row], unit: str) -> str:
    cut = {row.name: row.truncated_rows for row in rows if row.truncated_rows}
    if not cut:
        return ""
    most = ("up to " if len(cut) > 1 else "") + words.counted(max(cut.values()), unit)
    return f"{words.listed(list(cut))} did not read every {unit} whole ({most} cut)."


def _silent(rows: Sequence[Row]) -> str:
    names = [row.name for row in rows if row.score is None]
    verb = "has" if len(names) == 1 else "have"
    return f"{words.listed(names)} {verb} no score and cannot be judged." if names else ""


def _display(leaderboard: Leaderboard) -> Display:
    return leaderboard.display(leaderboard.metric or "")


def _best(rows: Sequence[Row], leaderboard: Leaderboard) -> Row:
    return max(rows, key=lambda row: _signed(row, leaderboard))


def _signed(row: Row, leaderboard: Leaderboard) -> float:
    """Return the score so that more is better."""
    score = row.score if row.score is not None else -math.inf
    return score if leaderboard.higher_is_better else -score

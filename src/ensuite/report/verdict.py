"""Which candidate to take, why, and how sure that is, in sentences.

Every sentence follows from the values of the leaderboard, so that none contradicts the table; one
that does not apply is left out.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import combinations

from ensuite.core.display import Display
from ensuite.report import words
from ensuite.report.marks import advice, mark
from ensuite.report.values import Leaderboard, Row

FOLDS = 5
"""Folds that are recommended where the test rows are too few."""

SEEDS = 3
"""Seeds that are recommended where there was one."""

TELLING = 2.0
"""A limit above this multiple of the whole range of scores tells nothing but that seeds or test
examples are too few."""

ALL_POINTS = 100
"""The range of a metric that is told in points."""

MOST_CLASSES = 3
"""Classes that a sentence names."""


def verdict(leaderboard: Leaderboard, test_examples: int, unit: str) -> list[str]:
    """Say which row to take, how sure that is, and what to type to be surer.

    Args:
        leaderboard: All rows, the best first.
        test_examples: How many inputs the scores were taken on.
        unit: What one input is called.

    Returns:
        Sentences, at least one. The first is the answer; or, while a larger budget would probably
        change the scores, the budget to give, and the second is the answer so far.
    """
    rows, scored = leaderboard.rows, _scored(leaderboard)
    if leaderboard.metric is None:
        answer = [_unranked(leaderboard)]
    elif leaderboard.winner is None or not scored:
        answer = ["No row has a score, so none can be taken."]
    else:
        answer = [
            _take(leaderboard, test_examples, unit),
            _sureness(leaderboard, test_examples, unit),
            _baseline(leaderboard),
            _one_seed(leaderboard),
        ]
    sentences = (
        advice(rows, leaderboard.budget, leaderboard.higher_is_better),
        *answer,
        *_never_found(leaderboard),
        _cut(rows, unit),
        *_failed(leaderboard),
        leaderboard.left_out,
    )
    return [sentence for sentence in sentences if sentence]


def _unranked(leaderboard: Leaderboard) -> str:
    metrics = list(dict.fromkeys(name for row in leaderboard.rows for name in row.metrics))
    hint = f"; to rank by one of the metrics, give --metric {metrics[0]}" if metrics else ""
    return f"No metric ranks these rows, so none is recommended{hint}."


def _take(leaderboard: Leaderboard, test_examples: int, unit: str) -> str:
    """Name the row to take, and why this one."""
    grouped = bool(_leaders(leaderboard))
    settled = not advice(leaderboard.rows, leaderboard.budget, leaderboard.higher_is_better)
    start = "Take" if grouped and settled else "So far: take"
    reason = _reason(leaderboard) if grouped else _too_few(leaderboard, test_examples, unit)
    if len(_scored(leaderboard)) == 1:
        alone = len(leaderboard.rows) == 1
        reason = "there was nothing else to choose from" if alone else "no other row has a score"
    return f"{start} {leaderboard.winner}: {reason}."


def _reason(leaderboard: Leaderboard) -> str:
    """Say why the winner is taken where rows can be told apart."""
    if _beats_all(leaderboard):
        return "it is better than every other row, by more than chance"
    if len(_leaders(leaderboard)) == 1:
        return "it is the only row that no other row beats"
    return (
        "no row beats it, and it is the cheapest of those within one standard error of the best "
        "score"
    )


def _too_few(leaderboard: Leaderboard, test_examples: int, unit: str) -> str:
    """Say why the winner is taken where there are too few test examples for any test."""
    tied = sum(not _gap(row, _winner(leaderboard), leaderboard) for row in _scored(leaderboard))
    reason = "no score is better" if tied > 1 else "its score is the best"
    count = leaderboard.items if leaderboard.folds and leaderboard.items else test_examples
    few = f"{words.counted(count, unit)} {'is' if count == 1 else 'are'} too few"
    if leaderboard.items is not None and leaderboard.items != count:
        independent = words.counted(leaderboard.items, "independent one")
        few = f"{words.counted(count, unit)}, which count as {independent}, are too few"
    hint = f"--folds {FOLDS} tests on more {words.plural(unit)}"
    if leaderboard.folds:
        hint = f"collect more {words.plural(unit)}"
    return f"{reason}, but {few} to tell rows apart ({hint})"


def _sureness(leaderboard: Leaderboard, test_examples: int, unit: str) -> str:
    """Say who cannot be told apart, and what difference would have shown."""
    leaders, winner = _leaders(leaderboard), leaderboard.winner
    if not leaders or len(_scored(leaderboard)) == 1:
        return ""
    where = f"on {words.counted(test_examples, unit)}"
    if leaderboard.folds:
        where = f"on {words.counted(leaderboard.items or test_examples, unit)} of all folds"
    elif leaderboard.items not in (None, test_examples):
        where += f", which count as {leaderboard.items:,} independent"
    others = [row for row in _scored(leaderboard) if row.name != winner]
    if _beats_all(leaderboard):
        limit = _shown_limit(leaderboard, [(_winner(leaderboard), row) for row in others])
        return f"Differences of {limit} or more show {where}." if limit else ""
    if len(leaders) > 1:
        tied = len(leaders) == len(_scored(leaderboard))
        names = words.listed([row.name for row in leaders])
        group = "All rows" if tied and len(leaders) > 2 else f"Group A ({names})"
        return f"{group} cannot be told apart {where}{_hidden_limit(leaderboard, leaders)}."
    near = [row.name for row in others if (winner, row.name) not in leaderboard.beats]
    if not near or not leaderboard.beats:
        return ""
    beaten = "is beaten by another row" if len(near) == 1 else "are each beaten by another row"
    return f"{words.listed(near)} cannot be told apart from {winner}, but {beaten}."


def _shown_limit(leaderboard: Leaderboard, pairs: Sequence[tuple[Row, Row]]) -> str:
    """Write the difference from which on all of these pairs show it; empty if one shows less.

    Args:
        leaderboard: That of the rows.
        pairs: Rows that are told apart.
    """
    limit, display = _largest_limit(leaderboard, pairs), _display(leaderboard)
    if limit is None:
        return ""
    rounded = words.rounded_up(limit, display)
    smallest = min(_gap(*pair, leaderboard) for pair in pairs)
    return words.gap(rounded, display) if rounded <= smallest else ""


def _hidden_limit(leaderboard: Leaderboard, rows: Sequence[Row]) -> str:
    """Say what difference would have told rows apart that are not; empty where it is not known."""
    pairs = list(combinations(rows, 2))
    limit = _largest_limit(leaderboard, pairs)
    if limit is None or limit <= max(_gap(*pair, leaderboard) for pair in pairs):
        return ""
    text = words.gap(words.rounded_up(limit, _display(leaderboard)), _display(leaderboard))
    scores = [_signed(row, leaderboard) for row in _scored(leaderboard)]
    spanned = max(scores) - min(scores)
    if limit <= spanned:
        return f": a difference of {text} would have shown"
    seeds = SEEDS if leaderboard.one_seed else 2 * leaderboard.seeds
    more = "more test rows" if leaderboard.folds else f"--seeds {seeds} or more test rows"
    impossible = _display(leaderboard).points * limit > ALL_POINTS
    if impossible or limit > TELLING * spanned:
        return f": give {more}"
    return f": only a difference of {text} would have shown, and {more} would show smaller ones"


def _largest_limit(leaderboard: Leaderboard, pairs: Iterable[tuple[Row, Row]]) -> float | None:
    """Return the largest limit of some pairs; None where one of them has none."""
    keys = ["|".join(sorted((one.name, other.name))) for one, other in pairs]
    if not keys or not all(key in leaderboard.limits for key in keys):
        return None
    largest = max(leaderboard.limits[key] for key in keys)
    return largest if 0 < largest < math.inf else None


def _baseline(leaderboard: Leaderboard) -> str:
    """Say what the simple methods did, since they decide whether a model is worth its cost."""
    scored, winner = _scored(leaderboard), _winner(leaderboard)
    simple = [row for row in scored if row.kind == "baseline"]
    if len(simple) == len(scored):
        return "Only baselines have a score: name models to set beside them (--models lstm,gru)."
    if not simple or not _leaders(leaderboard):
        return ""
    unbeaten = [row.name for row in simple if row in _leaders(leaderboard)]
    if winner.name in unbeaten:
        return f"No model beats {words.listed(unbeaten)}: a simple baseline is enough here."
    if unbeaten:
        baselines = "baselines" if len(unbeaten) > 1 else "baseline"
        return f"No row beats the {baselines} {words.listed(unbeaten)} either."
    best = max(simple, key=lambda row: _signed(row, leaderboard))
    if (winner.name, best.name) not in leaderboard.beats:
        return ""
    lead = words.gap(_gap(winner, best, leaderboard), _display(leaderboard))
    return f"{winner.name} beats the best baseline, {best.name}, by {lead}."


def _one_seed(leaderboard: Leaderboard) -> str:
    if not leaderboard.one_seed:
        return ""
    return (
        "Each model was trained with one seed, and another seed may change the order: give "
        f"--seeds {SEEDS}."
    )


def _never_found(leaderboard: Leaderboard) -> list[str]:
    """Name the classes that rows never find; rows that miss the same ones share a sentence."""
    by_classes: dict[tuple[str, ...], list[str]] = {}
    for row in leaderboard.rows:
        if missed := leaderboard.never_found.get(row.name):
            by_classes.setdefault(tuple(missed), []).append(row.name)
    return [
        f"{words.listed(names)} never find{_s(names)} the {_classes(missed)}."
        for missed, names in by_classes.items()
    ]


def _classes(missed: Sequence[str]) -> str:
    named = [f'"{words.shorten(label, 40)}"' for label in missed[:MOST_CLASSES]]
    more = len(missed) - len(named)
    if more:
        named.append(f"{more:,} more")
    return f"class{'es' if len(missed) > 1 else ''} {words.listed(named)}"


def _cut(rows: Sequence[Row], unit: str) -> str:
    cut = {row.name: row.truncated_rows for row in rows if row.truncated_rows}
    if not cut:
        return ""
    most = ("up to " if len(cut) > 1 else "") + words.counted(max(cut.values()), unit)
    return f"{words.listed(list(cut))} did not read every {unit} whole ({most} cut)."


def _failed(leaderboard: Leaderboard) -> list[str]:
    """Say which rows have no score, and why."""
    higher = leaderboard.higher_is_better
    failed = [f"{row.name} {mark(row, higher)}." for row in leaderboard.rows if row.failed]
    if leaderboard.metric is None:
        return failed
    names = [row.name for row in leaderboard.rows if row.score is None and not row.failed]
    verb = "has" if len(names) == 1 else "have"
    silent = f"{words.listed(names)} {verb} no score and cannot be judged." if names else ""
    return [*failed, silent]


def _s(names: Sequence[str]) -> str:
    """Return the ending of a verb: one row finds, several rows find."""
    return "s" if len(names) == 1 else ""


def _scored(leaderboard: Leaderboard) -> list[Row]:
    return [row for row in leaderboard.rows if row.score is not None]


def _leaders(leaderboard: Leaderboard) -> list[Row]:
    """Return the rows of group A; none where the test examples are too few for groups."""
    return [row for row in _scored(leaderboard) if row.tie_group == "A"]


def _winner(leaderboard: Leaderboard) -> Row:
    return next(row for row in leaderboard.rows if row.name == leaderboard.winner)


def _beats_all(leaderboard: Leaderboard) -> bool:
    """Return whether the winner is told apart from every other row that has a score."""
    others = {row.name for row in _scored(leaderboard)} - {leaderboard.winner}
    return others <= {worse for better, worse in leaderboard.beats if better == leaderboard.winner}


def _display(leaderboard: Leaderboard) -> Display:
    return leaderboard.display(leaderboard.metric or "")


def _gap(one: Row, other: Row, leaderboard: Leaderboard) -> float:
    return abs(_signed(one, leaderboard) - _signed(other, leaderboard))


def _signed(row: Row, leaderboard: Leaderboard) -> float:
    """Return the score so that more is better."""
    score = row.score if row.score is not None else -math.inf
    return score if leaderboard.higher_is_better else -score

"""What a detector says of its labels, its threshold and what it was trained on."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ensuite.core.errors import DataError
from ensuite.core.score import Score
from ensuite.metrics import promise
from ensuite.metrics.promise import HeldOut, Threshold

ANOMALY, NORMAL = "anomaly", "normal"
"""The two answers."""

ANOMALIES = "anomalies"

NOTHING = 5e-5
"""Shares below this are printed as 0."""

Marks = NDArray[np.int64]
"""(examples,), 1 for an anomaly, 0 for a normal example, -1 where that is not known."""


def percent(share: float) -> str:
    """Return a share in percent, with two digits where it is small.

    >>> percent(0.5), percent(0.0123), percent(0.00049), percent(1e-9)
    ('50 %', '1.2 %', '0.049 %', '0 %')
    """
    if share < NOTHING:
        return "0 %"
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"


def too_few(false_alarms: float, count: int) -> str:
    """Say that a promise needs more held-out normal examples, and what can be asked for."""
    return (
        f"false_alarms={false_alarms:g} can be promised from {promise.fewest(false_alarms):,} "
        f"held-out normal rows, and there are {count:,}; ask for {ceil(promise.lowest(count)):g} "
        "or more"
    )


def ceil(share: float) -> float:
    """Round a share up to two digits.

    >>> ceil(0.013333), ceil(0.5)
    (0.014, 0.5)
    """
    step = 10.0 ** (np.floor(np.log10(share)) - 1)
    return float(np.ceil(share / step - 1e-9) * step)


def require_both(truths: Marks) -> None:
    """Refuse a test part whose labels are all the same.

    Raises:
        DataError: Says which, and what to do.
    """
    known = truths[truths >= 0]
    if not len(known) or len(np.unique(known)) == 2:
        return
    one, other = (ANOMALY, NORMAL) if known[0] else (NORMAL, ANOMALY)
    plural = {ANOMALY: ANOMALIES, NORMAL: "normal"}
    others = ANOMALIES if other == ANOMALY else "normal rows"
    raise DataError(
        f"The {len(known):,} labelled rows of the test part are all {plural[one]}, so that nothing "
        f"can be ranked: give a test part that has {others} too (--test FILE), or "
        "leave the labels out (--column ignore=NAME)."
    )


def named(score: Score, name: str) -> Score:
    """Return a score that is printed under another name."""
    return replace(score, display=replace(score.display, name=name))


def say_labels(truths: Marks, column: str) -> str:
    """Say how many examples are anomalies, and what becomes of them."""
    odd, good, unknown = ((truths == value).sum() for value in (1, 0, -1))
    if not column:
        return (
            "no column of labels: every row is taken for normal and nothing is ranked; name it "
            "with --column label=NAME"
        )
    rest = f", {unknown:,} without a label and taken for normal" if unknown else ""
    return f"{column}: {good:,} normal, {odd:,} anomalies{rest}; anomalies are never trained on"


def say_promise(false_alarms: float, count: int) -> str:
    """Say how the threshold will be set."""
    return (
        f"false alarms on {percent(false_alarms)} of normal rows, set on {count:,} normal rows "
        "that choose no weights"
    )


def say_threshold(
    name: str, threshold: Threshold, held_out: HeldOut, truths: Marks, alarms: NDArray[np.bool_]
) -> str:
    """Say what the threshold promises, and what it kept on the examples."""
    said = (
        f"{name} raises an alarm above {threshold.value:.4g}: {percent(threshold.rate)} false "
        f"alarms expected (95 % interval {percent(threshold.low)} to {percent(threshold.high)}), "
        f"from {held_out.count:,} held-out normal rows"
    )
    kinds = [
        (alarms[truths == value], noun) for value, noun in ((0, "normal rows"), (1, ANOMALIES))
    ]
    kept = [
        f"{percent(float(some.mean()))} of {len(some):,} {noun}"
        for some, noun in kinds
        if len(some)
    ]
    if kept:
        return f"{said}; on these rows {' and '.join(kept)} raise one."
    if len(alarms):
        return f"{said}; {percent(float(alarms.mean()))} of these rows raise one."
    return f"{said}."


def say_suspicious(count: int, held_out: int) -> str:
    """Say that what was taken for normal may not be."""
    which = "1 has a score" if count == 1 else f"{count:,} have scores"
    return (
        f"Of the {held_out:,} held-out rows that are taken for normal {which} far above the "
        "others: the training data may hold anomalies that are not marked. They raise the "
        "threshold; mark them, or take them out."
    )


def say_one_kind(truths: Marks) -> list[str]:
    """Say why some metrics are not known, where the labels are all the same."""
    known = truths[truths >= 0]
    if not len(known):
        return ["No row has a label, so it is not known which alarms are right."]
    if len(np.unique(known)) == 2:
        return []
    kinds = ("normal", "anomalies") if not known[0] else ("anomalies", "normal rows")
    return [
        f"The {len(known):,} labelled rows are all {kinds[0]}: AUROC and average precision are not "
        f"known without {kinds[1]}."
    ]


def say_point_adjusted(name: str, f1: float, guess: float) -> str:
    """Say the point-adjusted F1 beside that of a random detector, without which it misleads."""
    return (
        f"The point-adjusted F1 of {name} is {f1:.3f}; as many alarms at random are expected to "
        f"have {guess:.3f}."
    )

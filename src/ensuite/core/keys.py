"""What a split may know of an example, and how the user asks for the split."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from itertools import pairwise
from typing import Any, Literal, NamedTuple, Self

import numpy as np

from ensuite.core.errors import UsageError


class Keys(NamedTuple):
    """What the split and the check for duplicates know of an example.

    Attributes:
        identity: Equal for two examples that have the same input.
        group: Examples of one group stay in one part, for example the questions about one text.
            None: only examples with the same input stay together.
        time: Orders the examples: the training part is the earliest. None: there is no order.
        strata: Classes of which the training part must hold at least one example.
        learn: False for an example that is scored but never trained on, for example the anomalies
            of a detector: it does not enter the training and validation parts.
    """

    identity: Hashable
    group: Hashable | None = None
    time: Any = None
    strata: tuple[str, ...] = ()
    learn: bool = True


@dataclass(frozen=True, kw_only=True)
class Split:
    """How the user asks for the examples to be divided (``--split``).

    Args:
        kind: ``random``, ``time`` (the earliest examples are for training) or ``group``.
        column: The column of the times or groups; None for the one with the usual name.
        dates: First date of the validation part, first date of the test part and, if it does not
            reach to the end of the data, the first date after the test part.
        values: The cells of that column, one for each example of the training file; None if there
            is no such column.
        chosen: Whether the user asked for it; False: it is the default.
    """

    kind: Literal["random", "time", "group"] = "random"
    column: str | None = None
    dates: tuple[datetime, ...] | None = None
    values: Sequence[Any] | None = None
    chosen: bool = field(default=False, compare=False)

    @classmethod
    def parse(cls, typed: str | None) -> Self:
        """Read the argument of ``--split``; None is the default.

        Raises:
            UsageError: If it has none of the four forms, or the dates are not two in order.

        >>> Split.parse("group:author").column
        'author'
        """
        if typed is None:
            return cls()
        kind, _, rest = typed.partition(":")
        if kind == "time" and ("," in rest or as_date(rest)):
            return cls(kind="time", dates=_parse_dates(typed, rest.split(",")), chosen=True)
        if kind == "time":
            return cls(kind="time", column=rest or None, chosen=True)
        if kind == "group":
            return cls(kind="group", column=rest or None, chosen=True)
        if typed != "random":
            raise UsageError(
                f"--split {typed}: choose random, time, time:DATE,DATE or group:COLUMN."
            )
        return cls(chosen=True)


def _parse_dates(typed: str, words: Sequence[str]) -> tuple[datetime, ...]:
    found = [as_date(word) for word in words]
    dates = tuple(date for date in found if date is not None)
    in_order = all(one < next_ for one, next_ in pairwise(dates))
    if len(dates) == len(found) and len(dates) in (2, 3) and in_order:
        return dates
    raise UsageError(
        f"--split {typed}: give the first date of the validation part and the first date of the "
        "test part, which is later, as in time:2025-01-01,2025-05-01; a third date ends the test "
        "part."
    )


def as_date(value: Any) -> datetime | None:
    """Return a date or time as a point in time, in UTC where it names no zone; None for others.

    >>> as_date("2025-03-01") == as_date(date(2025, 3, 1)) == as_date("2025-03-01T00:00Z")
    True
    """
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)

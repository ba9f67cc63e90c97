"""Budgets: how much a candidate may spend on training, and how much it has spent."""

import re
from dataclasses import dataclass
from typing import Literal

from ensuite.core.errors import UsageError

Unit = Literal["seconds", "steps", "epochs", "tokens"]

UNITS: dict[str, tuple[Unit, float]] = {
    "s": ("seconds", 1), "m": ("seconds", 60), "h": ("seconds", 3600),
    "step": ("steps", 1), "steps": ("steps", 1), "epoch": ("epochs", 1), "epochs": ("epochs", 1),
    "update": ("steps", 1), "updates": ("steps", 1),
    "tok": ("tokens", 1), "token": ("tokens", 1), "tokens": ("tokens", 1),
}  # fmt: skip

PATIENCE = 5
"""Evaluations without an improvement after which training with the default budget stops."""

WALL_LIMIT = 3.0
"""A budget of time ends training after this multiple of it by the wall clock, however little of it
was charged: on a busy machine, training waits instead of computing."""


@dataclass
class Spent:
    """Amounts used so far by updates; reading data, evaluating and saving are not charged.

    Attributes:
        seconds: What a budget of time charges: on a CPU, CPU seconds divided by the number of
            threads, so that other processes on the machine cost nothing; on a GPU, wall time.
        wall_seconds: Wall time of the same updates.
        steps: Updates.
        epochs: Passes over the training rows, with the fraction of the current one.
        tokens: Positions of the main input, without padding (rows, where the input has no time).
    """

    seconds: float = 0.0
    wall_seconds: float = 0.0
    steps: int = 0
    epochs: float = 0.0
    tokens: int = 0


@dataclass(frozen=True)
class Budget:
    """An amount of one unit, and when to stop before it is spent.

    Args:
        amount: How much may be spent.
        unit: Of what.
        patience: Evaluations in a row without an improvement after which training stops; None:
            never before the amount is spent.
    """

    amount: float = 600.0
    unit: Unit = "seconds"
    patience: int | None = PATIENCE

    @classmethod
    def parse(cls, text: str | None) -> "Budget":
        """Parse '60s', '3m', '1h', '500steps', '4epochs' or '2e6tokens'; None: the default budget.

        Raises:
            UsageError: If ``text`` is not of that form, or the amount is 0 or infinite.

        >>> Budget.parse("3m")
        Budget(amount=180.0, unit='seconds', patience=None)
        """
        if text is None:
            return cls()
        match = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([a-z]+)\s*", text.lower())
        if not match or match[2] not in UNITS:
            raise UsageError(
                f"--budget {text} is no budget: give a number and one of s, m, h, steps, epochs, "
                'tokens, as in "60s" or "4epochs".'
            )
        unit, factor = UNITS[match[2]]
        try:
            amount = float(match[1]) * factor
        except ValueError:
            raise UsageError(f"--budget {text}: {match[1]} is not a number.") from None
        if not 0 < amount < float("inf"):
            raise UsageError(f"--budget {text}: give more than 0, and not without end.")
        return cls(amount, unit, patience=None)

    def share(self, spent: Spent) -> float:
        """Return the fraction of the budget that is spent; 1 or more once it is used up."""
        return float(getattr(spent, self.unit)) / self.amount

    def wall_limit_reached(self, spent: Spent) -> bool:
        """Return whether a budget of time has taken three times as long by the wall clock."""
        return self.unit == "seconds" and spent.wall_seconds >= WALL_LIMIT * self.amount

    def __str__(self) -> str:
        amount = f"{self.amount:g} {self.unit}"
        if self.unit == "seconds":
            amount = _short(self.amount)
        if self.patience is None:
            return amount
        return f"until {self.patience} evaluations bring no gain, {amount} at most"


def _short(seconds: float) -> str:
    for size, letter in ((3600, "h"), (60, "m")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {letter}"
    return f"{seconds:g} s"

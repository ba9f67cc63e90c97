"""How a metric is printed: its name, its unit, its decimals."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Display:
    """How a metric is printed. Whether higher is better is a field of the score.

    Args:
        name: The name in tables and sentences; empty for the key, with spaces for underscores.
        points: Percentage points that a difference of 1 makes: 100 for a share from 0 to 1, 1 for
            a score from 0 to 100, 0 for a metric whose differences are plain numbers.
        unit: What is written after a difference that is a plain number, for example ``dB``.
        decimals: Decimals of a score; None for as many as show three or four digits.
    """

    name: str = ""
    points: float = 0.0
    unit: str = ""
    decimals: int | None = None

    def title(self, key: str) -> str:
        """Return the name to print for the metric that is called ``key``.

        >>> Display(name="macro F1").title("macro_f1"), Display().title("log_loss")
        ('macro F1', 'log loss')
        """
        return self.name or key.replace("_", " ")


PLAIN = Display()
"""A metric printed by its key, its differences as plain numbers."""

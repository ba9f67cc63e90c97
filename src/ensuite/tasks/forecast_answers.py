"""What a forecast answers: the median of each step, and two intervals around it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ensuite.metrics import conformal

Numbers = NDArray[np.float64]

INTERVALS = (0.8, 0.95)
"""The shares of the truths that the two intervals of a forecast promise to hold."""

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
"""The quantiles that are learned: the ends of both intervals and the median."""

ENDS = {0.8: (1, 3), 0.95: (0, 4)}
"""Places of the ends of each interval among the levels."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """The next steps of a series, in the units of the file.

    Args:
        point: (horizon, columns), the median.
        lower: (intervals, horizon, columns), where each interval begins.
        upper: (intervals, horizon, columns), where it ends.
    """

    point: Numbers
    lower: Numbers
    upper: Numbers

    def __eq__(self, other: object) -> bool:
        """Compare number by number."""
        return isinstance(other, Prediction) and all(
            np.array_equal(mine, theirs)
            for mine, theirs in zip(
                (self.point, self.lower, self.upper),
                (other.point, other.lower, other.upper),
                strict=True,
            )
        )

    __hash__ = None  # type: ignore[assignment]

    def ends(self, step: int, column: int) -> Iterator[tuple[str, float]]:
        """Yield where each interval begins and ends at one step, under the name of its column."""
        for place, share in enumerate(INTERVALS):
            yield f"lower_{100 * share:.0f}", float(self.lower[place, step, column])
            yield f"upper_{100 * share:.0f}", float(self.upper[place, step, column])


def from_quantiles(values: Numbers, margins: Numbers | None = None) -> list[Prediction]:
    """Make predictions of the quantiles of ``LEVELS``, or of the median alone.

    Without quantiles the intervals are as wide as the margins; without either they are the point.

    Args:
        values: (examples, horizon, columns, levels).
        margins: (examples, intervals, horizon, columns), in the units of the values: by how much
            intervals are widened so that they hold what they promise; None: not at all.
    """
    middle = values.shape[-1] // 2
    point = values[..., middle]
    whole = values.shape[-1] == len(LEVELS)
    ends = [ENDS[share] if whole else (middle, middle) for share in INTERVALS]
    lower = np.stack([values[..., low] for low, _ in ends], axis=1)
    upper = np.stack([values[..., high] for _, high in ends], axis=1)
    if margins is not None:
        lower, upper = conformal.widen(point, lower, upper, margins)
    return [Prediction(*each) for each in zip(point, lower, upper, strict=True)]

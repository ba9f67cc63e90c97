"""Place the names of points in a plot so that none covers another, whatever the plot's width.

All places are found for the narrowest plot, a phone's. In a wider or higher one two points are
farther apart, and their labels keep their distances in pixels to their points; so two labels that
are on the sides of each other that their points are on stay apart.
"""

from collections.abc import Sequence
from typing import NamedTuple

NARROWEST = 262.0
"""Width in pixels of the plot area on a phone of 390 pixels."""

CHARACTER, LINE = 7.4, 17.0
"""Width and height in pixels of a character, at the figures' 13 pixels."""

MARKER = 16.0
"""Size in pixels of the largest marker."""

BAR = 64.0
"""Length in pixels of an error bar beyond which a label may cover its end."""

STEP = 9.0
"""Distance in pixels between two heights that are tried for a label."""


class Offset(NamedTuple):
    """From a point to the centre of its label, in pixels to the right and upwards."""

    right: float
    up: float


class Box(NamedTuple):
    """Something that covers a part of the plot: a marker or a label.

    Attributes:
        x: Of its point, in pixels.
        y: Of its point, in pixels.
        offset: From its point to its centre.
        width: In pixels.
        height: In pixels.
    """

    x: float
    y: float
    offset: Offset
    width: float
    height: float


def place(
    points: Sequence[tuple[float, float]],
    texts: Sequence[str],
    height: float,
    *,
    bars: Sequence[float] = (),
    below: bool = False,
) -> list[Offset | None]:
    """Return where the label of each point is, None for one that there is no room for.

    Args:
        points: (x, y) of each, as shares of the width and height of the plot, from 0 to 1; the most
            important first.
        texts: Label of each.
        height: Of the plot, in pixels; it may be drawn higher, but not lower.
        bars: Half the length of the error bar of each point, as a share of the height of the plot.
        below: Whether a label is rather under its point than over it.
    """
    spots = [(x * NARROWEST, y * height) for x, y in points]
    lengths = [min(max(MARKER, 2 * bar * height), BAR) for bar in bars or [0.0] * len(spots)]
    markers = zip(spots, lengths, strict=True)
    taken = [Box(x, y, Offset(0, 0), MARKER, length) for (x, y), length in markers]
    found: list[Offset | None] = []
    for (x, y), text in zip(spots, texts, strict=True):
        box = next(
            (
                box
                for box in _tries(x, y, len(text) * CHARACTER, height, below)
                if not any(overlap(box, other) for other in taken)
            ),
            None,
        )
        if box is not None:
            taken.append(box)
        found.append(None if box is None else box.offset)
    return found


def overlap(one: Box, other: Box) -> bool:
    """Return whether two boxes overlap in this plot, or may do so in a larger one."""
    aside = _apart(one.x, one.offset.right, other.x, other.offset.right)
    above = _apart(one.y, one.offset.up, other.y, other.offset.up)
    wide, high = (one.width + other.width) / 2, (one.height + other.height) / 2
    return aside < wide and above < high


def _apart(one: float, its_offset: float, other: float, other_offset: float) -> float:
    """Return the distance of two centres; 0 if they are not on the same sides as their points."""
    points, centres = other - one, other + other_offset - one - its_offset
    return abs(centres) if points * centres >= 0 else 0.0


def _tries(x: float, y: float, width: float, height: float, below: bool) -> list[Box]:
    """Return the places for a label within the plot: over, under and beside its point.

    The nearest come first. A label over or under its point is moved sideways as far as the edges
    require.
    """
    middle = min(max(x, width / 2), max(width / 2, NARROWEST - width / 2)) - x
    aside = (MARKER + width) / 2
    nearest = (MARKER + LINE) / 2
    offsets = [Offset(right, 0.0) for right in (aside, -aside)]
    sides = (-1, 1) if below else (1, -1)
    for turn in range(int(height / STEP)):
        for right in (middle, aside, -aside):
            offsets += [Offset(right, side * (nearest + turn * STEP)) for side in sides]
    return [
        Box(x, y, offset, width, LINE)
        for offset in [*offsets[2:4], *offsets[:2], *offsets[4:]]
        if width / 2 <= x + offset.right <= max(width / 2, NARROWEST - width / 2)
        and LINE / 2 <= y + offset.up <= height - LINE / 2
    ]

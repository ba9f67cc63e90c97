"""Cut a text of few lines into passages, so that it can be divided by position."""

from collections.abc import Sequence

FEWEST = 30
"""Lines from which on a text is divided between them."""

PASSAGES = 100
"""Into how many passages a text of fewer lines is cut, where it is long enough."""


def cut(lines: Sequence[str]) -> list[str]:
    r"""Return the passages of a text, whose lines end in a line's end; joined, they are the text.

    A text of few lines is cut at blanks, or within words where they have none for long.

    >>> cut(["to be or not", "to be"])[:2]
    ['to be or not\n', 'to be\n']
    >>> len(cut(["to be or not to be " * 100]))
    86
    """
    ended = [f"{line}\n" for line in lines]
    size = sum(map(len, ended)) // PASSAGES
    if len(lines) >= FEWEST or size < 1:
        return ended
    return [passage for line in ended for passage in passages(line, size)]


def passages(line: str, size: int) -> list[str]:
    """Return the stretches of a line, each of ``size`` characters or a little more."""
    found, start = [], 0
    while len(line) - start > 2 * size:
        blank = line.find(" ", start + size, start + 2 * size)
        end = blank + 1 if blank >= 0 else start + size
        found.append(line[start:end])
        start = end
    return [*found, line[start:]]

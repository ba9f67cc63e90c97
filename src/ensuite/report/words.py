"""Numbers and names as text in tables and sentences."""

import math
import re
from collections.abc import Iterable, Sequence

from ensuite.core.display import Display

NONE = "-"
"""Written for a figure that does not apply."""


def brief(value: float) -> str:
    """Write a number with two digits, or all digits before the point.

    >>> [brief(value) for value in (0, 0.034, 0.3, 1.0, 5.21, 60.2, 1234)]
    ['0', '0.03', '0.3', '1', '5.2', '60', '1,234']
    """
    if abs(value) >= 9.95:
        return f"{value:,.0f}"
    if abs(value) >= 0.095:
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:.1g}" if abs(value) >= 1e-4 else "0"


def scaled(value: float, units: Sequence[str]) -> str:
    """Write a number in the largest unit that it reaches, each 1000 times the one before.

    >>> [scaled(value, ["", " k", " M"]) for value in (812, 19_400, 999_999, 1_300_000)]
    ['812', '19 k', '1 M', '1.3 M']
    """
    power = 0
    while power + 1 < len(units) and abs(value) >= 999.5:
        value, power = value / 1000, power + 1
    return brief(value) + units[power]


def quantity(count: float | None) -> str:
    """Write a number of parameters.

    >>> [quantity(count) for count in (None, 0, 19_400, 1_300_000, 175_000_000_000)]
    ['-', '0', '19 k', '1.3 M', '175 B']
    """
    return NONE if count is None else scaled(count, ["", " k", " M", " B", " T"])


def size(count: float | None) -> str:
    """Write a number of bytes, in megabytes where possible.

    >>> [size(count) for count in (None, 812, 19_000, 400_000, 5.2e6, 310e6, 1.4e9)]
    ['-', '812 bytes', '19 kB', '0.4 MB', '5.2 MB', '310 MB', '1.4 GB']
    """
    if count is None or count < 1000:
        return NONE if count is None else f"{count:.0f} bytes"
    if count < 95_000:
        return f"{brief(count / 1e3)} kB"
    return scaled(count / 1e6, [" MB", " GB", " TB"])


def duration(seconds: float | None) -> str:
    """Write a time of training.

    >>> [duration(seconds) for seconds in (None, 0.01, 0.4, 60, 312, 5400, 10_800)]
    ['-', '0 s', '0.4 s', '60 s', '5.2 min', '90 min', '3 h']
    """
    if seconds is None or seconds < 0.05:
        return NONE if seconds is None else "0 s"
    if seconds < 119.5:
        return f"{brief(seconds)} s"
    return f"{brief(seconds / 60)} min" if seconds < 7170 else f"{brief(seconds / 3600)} h"


def latency(milliseconds: float | None) -> str:
    """Write the time one input takes.

    >>> [latency(milliseconds) for milliseconds in (None, 0.034, 1.1, 240, 12_000)]
    ['-', '0.03 ms', '1.1 ms', '240 ms', '12 s']
    """
    if milliseconds is None:
        return NONE
    long = milliseconds >= 9950
    return f"{brief(milliseconds / 1000)} s" if long else f"{brief(milliseconds)} ms"


def rate(per_second: float | None) -> str:
    """Write a number of inputs per second.

    >>> [rate(None), rate(1234.5)]
    ['-', '1,234 / s']
    """
    return NONE if per_second is None else f"{brief(per_second)} / s"


def percent(share: float | None) -> str:
    """Write a share of 0 to 1.

    >>> [percent(None), percent(0.934), percent(1)]
    ['-', '93 %', '100 %']
    """
    return NONE if share is None else f"{100 * share:.0f} %"


def whole(count: float | None) -> str:
    """Write a count in full.

    >>> [whole(None), whole(6920)]
    ['-', '6,920']
    """
    return NONE if count is None else f"{count:,.0f}"


def decimals(scores: Iterable[float | None]) -> int:
    """Return the number of decimals that a column of scores needs for three or four digits.

    It follows from the median, so that a run that diverged does not change it.

    >>> [decimals(scores) for scores in ([0.816, None], [1.0], [0.031], [23.4], [1234.5], [])]
    [3, 3, 4, 2, 0, 3]
    """
    sizes = sorted(abs(score) for score in scores if score) or [1.0]
    exponent = math.floor(math.log10(sizes[len(sizes) // 2]))
    return min(9, max(0, (3 if exponent >= 0 else 2) - exponent))


def score(value: float | None, places: int) -> str:
    """Write a score with a number of decimals; a very large one as a power of ten.

    >>> [score(None, 3), score(0.8164, 3), score(3.2e41, 3)]
    ['-', '0.816', '3e+41']
    """
    if value is None:
        return NONE
    return f"{value:.{places}f}" if abs(value) < 1e8 else f"{value:.0e}"


def gap(value: float, display: Display) -> str:
    """Write a difference between two scores of a metric.

    >>> share, score, distance = Display(points=100), Display(points=1), Display(unit="dB")
    >>> gap(0.028, share), gap(0.01, share), gap(1.25, score), gap(0.034, distance)
    ('2.8 points', '1 point', '1.2 points', '0.034 dB')
    """
    if display.points:
        points = brief(display.points * value)
        return f"{points} point" if points == "1" else f"{points} points"
    number = brief(value) if value >= 9.95 else f"{value:.2g}"
    return f"{number} {display.unit}" if display.unit else number


def counted(count: int, unit: str) -> str:
    """Write a number of things.

    >>> [counted(692, "text"), counted(1, "row"), counted(1200, "series")]
    ['692 texts', '1 row', '1,200 series']
    """
    return f"{count:,} {unit if count == 1 else plural(unit)}"


def plural(unit: str) -> str:
    """Return the word for several of a unit.

    >>> [plural("text"), plural("series")]
    ['texts', 'series']
    """
    return unit if unit.endswith("s") else f"{unit}s"


def listed(names: Sequence[str]) -> str:
    """Join names as in a sentence.

    >>> [listed(["gru"]), listed(["lstm", "gru"]), listed(["rnn", "lstm", "gru"])]
    ['gru', 'lstm and gru', 'rnn, lstm and gru']
    """
    return " and ".join([part for part in (", ".join(names[:-1]), names[-1]) if part])


def shorten(text: str, length: int) -> str:
    """Return ``text`` on one line, cut between words where it is longer than ``length``.

    >>> [shorten("a film to remember", 40), shorten("a film to remember", 11)]
    ['a film to remember', 'a film to …']
    """
    line = " ".join(text[: 8 * length].split())  # a book is not split whole to show its first line
    if len(line) <= length and len(text) <= 8 * length:
        return line
    head = line[: length - 1]
    space = head.rfind(" ")
    return (head[: space + 1] if space > length // 2 else head) + "…"


def longer(budget: str) -> str:
    """Return three times a budget, as it is typed; nothing where it is not a number and a unit.

    >>> [longer(budget) for budget in ("60s", "20m", "1.5h", "1000steps", "2 epochs", "")]
    ['3m', '1h', '4.5h', '3000steps', '6epochs', '']
    """
    found = re.match(r"(\d+(?:\.\d+)?) ?(s|m|h|steps|epochs|tokens)\b", budget)
    if not found:
        return ""
    amount, unit = 3 * float(found[1]), found[2]
    for small, large in (("s", "m"), ("m", "h")):
        if unit == small and amount % 60 == 0:
            amount, unit = amount / 60, large
    return f"{amount:.12g}{unit}"

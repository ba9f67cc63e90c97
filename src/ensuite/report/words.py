"""Numbers and names as text in tables and sentences."""

import math
import re
from collections.abc import Iterable, Sequence

from ensuite.core.display import Display

NONE = "-"
"""Written for a figure that does not apply."""

MOST_DECIMALS = 9
"""Decimals beyond which a score is written as a power of ten."""


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


def epochs(count: float | None) -> str:
    """Write a number of epochs; less than one never reads as 1.

    >>> [epochs(count) for count in (None, 0, 0.3, 0.9999, 4.43, 21)]
    ['-', '0', '0.3', '0.99', '4.4', '21']
    """
    if count is None:
        return NONE
    return f"{min(count, 0.99):.2g}" if count < 1 else brief(count)


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
    return min(MOST_DECIMALS, max(0, (3 if exponent >= 0 else 2) - exponent))


def score(value: float | None, places: int) -> str:
    """Write a score with a number of decimals; a very large or small one as a power of ten.

    A small score in a column of larger ones is rounded as they are.

    >>> [score(None, 3), score(0.8164, 3), score(3.214e41, 3), score(4.2e-12, 9), score(4e-12, 3)]
    ['-', '0.816', '3.21e+41', '4.2e-12', '0.000']
    """
    if value is None:
        return NONE
    small = places == MOST_DECIMALS and 0 < abs(value) < 10.0 ** (2 - places)
    return f"{value:.3g}" if small or abs(value) >= 1e8 else f"{value:.{places}f}"


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


def rounded_up(value: float, display: Display) -> float:
    """Round a difference up to the next one that :func:`gap` writes exactly.

    >>> share, distance = Display(points=100), Display(unit="dB")
    >>> [gap(rounded_up(value, share), share) for value in (0.02801, 0.028, 0.1001)]
    ['2.9 points', '2.8 points', '11 points']
    >>> gap(rounded_up(0.0341, distance), distance)
    '0.035 dB'
    """
    factor = display.points or 1.0
    number = factor * value
    if not 0 < number < math.inf:
        return value
    fine = math.floor(math.log10(number))
    if number >= 9.9:
        step = 1.0
    elif display.points:
        step = 0.1 if number >= 0.09 else 10.0**fine
    else:
        step = 10.0 ** (fine - 1)
    return math.ceil(round(number / step, 6)) * step / factor


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


BUDGET = re.compile(r"(\d+(?:\.\d+)?(?:e\+?\d+)?) ?(s|m|h|steps?|epochs?|tokens?)\b")
"""An amount and a unit, as a budget is typed and as it is written in a leaderboard."""


def is_time(budget: str) -> bool:
    """Return whether a budget is one of time.

    >>> [is_time(budget) for budget in ("60s", "3 m", "4 epochs", "")]
    [True, True, False, False]
    """
    found = BUDGET.search(budget)
    return found is not None and found[2] in ("s", "m", "h")


def larger(budget: str, factor: float) -> str:
    """Return a multiple of a budget, rounded up, as it is typed; empty where it is not known.

    >>> [larger(each, 3) for each in ("60s", "20m", "1.5h", "1000steps", "2 epochs", "")]
    ['3m', '1h', '4.5h', '3000steps', '6epochs', '']
    >>> larger("until 5 evaluations bring no gain, 10 m at most", 3), larger("33.2 s", 3)
    ('30m', '2m')
    >>> larger("2e+06 tokens", 3.3), larger("4 s", 3)
    ('6600000tokens', '12s')
    """
    found = BUDGET.search(budget)
    if not found:
        return ""
    amount, unit = factor * float(found[1]), found[2]
    if not is_time(budget):
        return f"{_raised(amount, 2):.0f}{unit.rstrip('s')}s"
    seconds = amount * {"s": 1, "m": 60, "h": 3600}[unit]
    if seconds < 60:
        return f"{math.ceil(round(seconds, 6))}s"
    minutes = math.ceil(round(seconds / 60, 6))
    return f"{minutes}m" if minutes < 60 else f"{math.ceil(minutes / 30) / 2:g}h"


def _raised(value: float, digits: int) -> float:
    """Round a number up to so many digits; whole numbers stay whole.

    >>> _raised(6_543_210, 2), _raised(2.5, 2), _raised(6.0, 2)
    (6600000.0, 3.0, 6.0)
    """
    step = max(1.0, 10.0 ** (math.floor(math.log10(value)) - digits + 1))
    return math.ceil(round(value / step, 9)) * step

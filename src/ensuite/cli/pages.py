"""Text for a terminal: lines that end between words, and the pages about a model or a task."""

import re
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from ensuite.core.describe import Described

WIDEST = 100
"""Terminal cells of a line at most, however wide the terminal is."""

COLUMN = 12
"""Terminal cells of the first column."""


def width() -> int:
    """Return the terminal cells of a line: 80 where there is no terminal."""
    return min(WIDEST, shutil.get_terminal_size((80, 24)).columns)


def say(line: str, stream: TextIO | None = None) -> None:
    """Print a line; on a terminal it is broken between words, below the text after its topic.

    Args:
        line: Of any length.
        stream: Where to print; None: standard output.
    """
    stream = stream or sys.stdout
    print(wrap(line, width()) if stream.isatty() else line, file=stream)


def print_facts(name: str, caption: str, facts: Mapping[str, str]) -> None:
    """Print what something is, and a line for each fact that is not empty."""
    for topic, text in {name: caption, **facts}.items():
        if text:
            print(wrapped(f"{topic:{COLUMN}s} ", text))


def print_options(title: str, options: Sequence["Described"]) -> None:
    """Print options below a title: name and default, allowed values, and the meaning below."""
    print(f"\n{title}")
    for each in options:
        print(wrapped(f"  {each.name}={each.default}  ", each.values, indent=6))
        if each.meaning:
            print(wrapped("      ", each.meaning))


def wrapped(start: str, text: str, indent: int | None = None) -> str:
    """Return a text after a start, its other lines below its first or indented.

    >>> print(wrapped("tasks   ", "word " * 16))
    tasks   word word word word word word word word word word word word word word
            word word
    """
    return textwrap.fill(
        text,
        width(),
        initial_indent=start,
        subsequent_indent=" " * (len(start) if indent is None else indent),
        break_on_hyphens=False,
    )


def wrap(sentence: str, width: int) -> str:
    """Break lines between words, below the text of a line that begins with a topic.

    >>> print(wrap("split        5,536 train, 692 valid, 692 test", 32))
    split        5,536 train, 692
                 valid, 692 test
    """
    return "\n".join(_wrapped(line, width) for line in sentence.split("\n"))


def _wrapped(line: str, width: int) -> str:
    topic = re.match(r"\S* {2,}(?:[\w-]+ {2,})?(?=\S)", line)
    start = topic[0] if topic and len(topic[0]) <= width // 2 else ""
    return textwrap.fill(
        line[len(start) :],
        width,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    )

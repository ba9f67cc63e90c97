"""Data sets that come with the package, by name: nothing is fetched."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ensuite.core.errors import UsageError, nearest
from ensuite.core.seed import LARGEST_SEED
from ensuite.core.table import Table
from ensuite.data import built_in
from ensuite.data.memory import from_memory
from ensuite.data.walk import exists

LARGEST = 1_000_000
"""What an option of a set may be at most: rows, or words."""


@dataclass(frozen=True)
class BuiltIn:
    """A data set and where it is from.

    Args:
        name: What a user types.
        task: What it is for.
        caption: What it holds, in a line.
        source: Where it is from.
        licence: Under which terms.
        make: Returns its columns, or those of each part by its name (train, test); its arguments,
            all whole numbers, are the options.
        settings: Options of the task it is read with, where the user sets no other; those of one
            task alone are written TASK.OPTION.
    """

    name: str
    task: str
    caption: str
    source: str
    licence: str
    make: Callable[..., Mapping[str, Any]]
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, int]:
        """The options and what they are where the user does not say."""
        return {p.name: p.default for p in inspect.signature(self.make).parameters.values()}

    def load(self, **options: int) -> dict[str, Table]:
        """Return the tables by the names of their parts; train alone is yet to be split.

        Raises:
            UsageError: If there is no such option, or it is below 0.
        """
        known = self.options
        for option, value in options.items():
            if option not in known:
                raise UsageError(
                    f'The set {self.name} has no option "{option}"{nearest(option, known) or "."} '
                    f"It has: {', '.join(known) or 'none'}."
                )
            if value < 0 or (option == "rows" and value < 1):
                raise UsageError(
                    f"The option {option} of {self.name} is {value}; give a larger number."
                )
            most = LARGEST_SEED if option == "seed" else LARGEST
            if value > most:
                raise UsageError(
                    f"The option {option} of {self.name} is {value:,}; give {most:,} at most."
                )
        made = self.make(**options)
        parts = made if "train" in made else {"train": made}
        return {part: from_memory(columns, self.name) for part, columns in parts.items()}


WHOLE = {"window": "1000000"}
"""Texts of any length are read at once: one that is cut cannot be counted."""

SETS = {
    row.name: row
    for row in (
        BuiltIn(
            "digits",
            "classify",
            "1,797 handwritten digits of 8 x 8 pixels",
            "scikit-learn; Alpaydin & Kaynak (1998), UCI, https://doi.org/10.24432/C50P49",
            "CC BY 4.0",
            built_in.digits,
            {"reduce.input": "image", "denoise.input": "image", "detect.input": "image"},
        ),
        BuiltIn(
            "iris",
            "classify",
            "150 flowers of three species, four lengths each",
            "scikit-learn; Fisher (1936), UCI, https://doi.org/10.24432/C56C76",
            "CC BY 4.0",
            built_in.iris,
        ),
        BuiltIn(
            "names",
            "classify",
            "about 5,000 names of countries and languages: in which of ten languages?",
            "Babel; Unicode CLDR, https://cldr.unicode.org",
            "Unicode-3.0",
            built_in.names,
        ),
        BuiltIn(
            "memory",
            "classify",
            "4,000 French texts: who was born in France speaks French, many words later",
            "drawn here from a seed",
            "CC0-1.0",
            built_in.memory,
        ),
        BuiltIn(
            "reber",
            "classify",
            "4,000 strings: does the last symbol but one repeat the second?",
            "the embedded Reber grammar (Hochreiter & Schmidhuber 1997), drawn here from a seed",
            "CC0-1.0",
            built_in.reber,
        ),
        BuiltIn(
            "anbn",
            "classify",
            "strings of a and b: as many a as b? Up to 50 of each to learn from, 500 in the test",
            "Gers & Schmidhuber (2001), drawn here from a seed",
            "CC0-1.0",
            built_in.anbn,
            WHOLE,
        ),
        BuiltIn(
            "anbncn",
            "classify",
            "strings of a, b and c: as many of each? Up to 50 to learn from, 500 in the test",
            "Gers & Schmidhuber (2001), drawn here from a seed",
            "CC0-1.0",
            built_in.anbncn,
            WHOLE,
        ),
        BuiltIn(
            "adding",
            "regress",
            "10,000 series of numbers, two of them marked far apart: what is their sum?",
            "Hochreiter & Schmidhuber (1997), drawn here from a seed",
            "CC0-1.0",
            built_in.adding,
        ),
        BuiltIn(
            "dates",
            "translate",
            "4,000 days as English and French write them, each in figures: 2024-03-01",
            "drawn here from a seed, written by Babel; Unicode CLDR, https://cldr.unicode.org",
            "Unicode-3.0",
            built_in.dates,
        ),
        BuiltIn(
            "digit-captions",
            "caption",
            "5,000 pictures of one to four handwritten digits: their names (french=1: in French)",
            "scikit-learn; Alpaydin & Kaynak (1998), UCI, https://doi.org/10.24432/C50P49",
            "CC BY 4.0",
            built_in.digit_captions,
        ),
    )
}


def names() -> list[str]:
    """Return what the sets are called.

    >>> names()  # doctest: +NORMALIZE_WHITESPACE
    ['digits', 'iris', 'names', 'memory', 'reber', 'anbn', 'anbncn', 'adding', 'dates',
     'digit-captions']
    """
    return list(SETS)


def is_set(data: Any) -> bool:
    """Say whether data is named as a built-in set is: no file is there, and none is meant."""
    if not isinstance(data, str) or data in ("", "-"):
        return False
    return not Path(data).suffix and not exists(data)


def require(spec: str) -> None:
    """Refuse the name of a set that is not there.

    Raises:
        UsageError: Names the nearest.
    """
    name = spec.partition(":")[0]
    if name not in SETS:
        raise UsageError(
            f'There is no built-in set "{name[:60]}"{nearest(name, SETS) or "."} '
            f"They are: {', '.join(SETS)}."
        )


def settings(spec: str, task: str) -> Mapping[str, str]:
    """Return the options of a task that a set is read with; none where it is no set."""
    found = SETS.get(spec.partition(":")[0])
    named = {} if found is None else dict(found.settings)
    own = {key.partition(".")[2]: v for key, v in named.items() if key.startswith(f"{task}.")}
    return {key: value for key, value in named.items() if "." not in key} | own


def load(spec: str) -> dict[str, Table]:
    """Return a set by name, with options after a colon: ``memory:words=50,rows=1000``.

    Raises:
        UsageError: If there is no such set or option, or its value is not a whole number.
    """
    name, _, rest = spec.partition(":")
    require(spec)
    options = {}
    for item in filter(None, rest.split(",")):
        option, _, value = item.partition("=")
        try:
            options[option] = int(value)
        except ValueError:
            raise UsageError(
                f'"{item}" is no option of {name}; write it as {option}=NUMBER.'
            ) from None
    return SETS[name].load(**options)

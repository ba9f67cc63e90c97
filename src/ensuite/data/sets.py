"""Data sets that come with the package, by name: nothing is fetched."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ensuite.core.errors import UsageError, nearest
from ensuite.data import built_in
from ensuite.data.memory import from_memory
from ensuite.data.table import Table


@dataclass(frozen=True)
class BuiltIn:
    """A data set and where it is from.

    Args:
        name: What a user types.
        task: What it is for.
        caption: What it holds, in a line.
        source: Where it is from.
        licence: Under which terms.
        make: Returns its columns; its arguments, all whole numbers, are the options.
    """

    name: str
    task: str
    caption: str
    source: str
    licence: str
    make: Callable[..., Mapping[str, Any]]

    @property
    def options(self) -> dict[str, int]:
        """The options and what they are where the user does not say."""
        return {p.name: p.default for p in inspect.signature(self.make).parameters.values()}

    def load(self, **options: int) -> dict[str, Table]:
        """Return the tables by the names of their splits; here one, train, to be split.

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
        return {"train": from_memory(self.make(**options), self.name)}


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
    )
}


def names() -> list[str]:
    """Return what the sets are called.

    >>> names()
    ['digits', 'iris', 'names', 'memory']
    """
    return list(SETS)


def load(spec: str) -> dict[str, Table]:
    """Return a set by name, with options after a colon: ``memory:words=50,rows=1000``.

    Raises:
        UsageError: If there is no such set or option, or its value is not a whole number.
    """
    name, _, rest = spec.partition(":")
    if name not in SETS:
        raise UsageError(
            f'There is no built-in set "{name}"{nearest(name, SETS) or "."} '
            f"They are: {', '.join(SETS)}."
        )
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

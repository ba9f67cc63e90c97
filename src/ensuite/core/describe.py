"""Options as a person reads them: name, default, allowed values and meaning."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from ensuite.core.options import describe_type


class Described(NamedTuple):
    """An option: its name, its default and allowed values as they are typed, and its meaning."""

    name: str
    default: str
    values: str
    meaning: str


def described(options: Any) -> list[Described]:
    """Return the options of a dataclass that can be set, those of options within it too."""
    return list(_described(options))


def _described(options: Any, prefix: str = "") -> Iterator[Described]:
    kind = type(options)
    hints, meanings = get_type_hints(kind), argument_docs(kind)
    for each in fields(options):
        value = getattr(options, each.name)
        if each.metadata.get("options"):
            yield from _described(value, prefix + each.metadata.get("prefix", ""))
        elif not each.metadata.get("learned"):
            meaning = meanings.get(each.name, "")
            yield Described(prefix + each.name, typed(value), allowed(hints[each.name]), meaning)


def typed(value: Any) -> str:
    """Return a value as it is typed.

    >>> typed(None), typed(True), typed((1, 2)), typed(0.001), typed("")
    ('none', 'true', '1,2', '0.001', '""')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(typed, value)) or '""'
    return str(value) if str(value) else '""'


def allowed(kind: Any) -> str:
    """Return which values an option of this type takes.

    >>> allowed(int), allowed(tuple[str, ...]), allowed(float | None)
    ('a whole number', 'texts with commas between', 'a number or none')
    """
    if get_origin(kind) is tuple:
        noun = {str: "texts", int: "whole numbers", float: "numbers"}.get(
            get_args(kind)[0], "values"
        )
        return f"{noun} with commas between"
    return describe_type(kind)


def argument_docs(kind: type) -> dict[str, str]:
    """Return what the docstrings of a class and its parents say of each argument."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        found |= parse_arguments(inspect.cleandoc(each.__doc__ or ""))
    return found


def parse_arguments(docstring: str) -> dict[str, str]:
    r"""Return the arguments of a Google docstring, each as one line.

    >>> parse_arguments("Sum.\n\nArgs:\n    one: A number,\n        whole.\n    other: More.")
    {'one': 'A number, whole.', 'other': 'More.'}
    """
    section = re.search(r"^Args:\n((?:[ ]+.*\n?|\n)*)", docstring, re.MULTILINE)
    if section is None:
        return {}
    items = re.split(r"^    (?=\S)", section[1], flags=re.MULTILINE)
    pairs = (item.partition(":") for item in items if ":" in item)
    return {name.strip(): " ".join(meaning.replace("``", "").split()) for name, _, meaning in pairs}

"""Typed dataclasses to JSON and back, and options set from the words of a command line."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ensuite.core.errors import EnsuiteError, UsageError, nearest
from ensuite.core.synonyms import length_hint

T = TypeVar("T")

CLASS = "is"
"""The key under which JSON names the class, where the annotation alone leaves it open."""


def to_json(value: Any, files: dict[str, str] | None = None) -> Any:
    """Return ``value`` as what ``json`` can write.

    A dataclass field with ``metadata={"file": NAME}`` holds a whole document: where ``files`` is
    given, the document goes there under its name. One with ``metadata={"saved": False}`` is left
    out, and is its default when read again.
    """
    if is_dataclass(value) and not isinstance(value, type):
        written: dict[str, Any] = {CLASS: type(value).__name__}
        for each in fields(value):
            if not each.metadata.get("saved", True):
                continue
            content = getattr(value, each.name)
            name = each.metadata.get("file")
            if name and files is not None and content:
                files[name] = content
            else:
                written[each.name] = to_json(content, files)
        return written
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple) and hasattr(value, "_asdict"):  # a named tuple
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(key): to_json(item, files) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(item, files) for item in value]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def from_json(kind: Any, value: Any, files: Mapping[str, str] | None = None) -> Any:
    """Return the value of type ``kind`` that :func:`to_json` wrote.

    Raises:
        EnsuiteError: If ``value`` is not such a value; says where and what was expected.
    """
    kind, origin = _plain(kind), get_origin(_plain(kind))
    if origin in (Union, UnionType):
        return _from_union(kind, value, files)
    if isinstance(kind, type) and _is_option_class(kind):
        return _from_object(kind, value, files)
    if isinstance(kind, type) and issubclass(kind, tuple) and isinstance(value, dict):
        hints = get_type_hints(kind)
        return _made(kind, **{k: from_json(hints.get(k, Any), v) for k, v in value.items()})
    if origin is tuple and isinstance(value, list):
        kinds = _kinds(kind, len(value))
        return tuple(from_json(k, item, files) for k, item in zip(kinds, value, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, dict):
        return {k: from_json(get_args(kind)[1], item, files) for k, item in value.items()}
    if origin is Literal:
        if value not in get_args(kind):
            raise EnsuiteError(f'"{value}" is not one of {_choices(kind)}.')
        return value
    if kind in (Any, object):
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return _made(float, value)
    if kind is int and isinstance(value, bool):
        raise EnsuiteError(f"{value} is not a whole number.")
    if isinstance(kind, type) and isinstance(value, kind):
        return value
    if isinstance(kind, type) and issubclass(kind, Enum | Path) and isinstance(value, str):
        return _made(kind, value)
    raise EnsuiteError(f"{json.dumps(value)} is not {describe_type(kind)}.")


def _made(kind: Any, *arguments: Any, **options: Any) -> Any:
    """Call ``kind``; what it refuses is an error of the file that was read."""
    try:
        return kind(*arguments, **options)
    except (TypeError, ValueError, OverflowError) as error:
        raise EnsuiteError(f"this makes no {kind.__name__}: {error}.") from None


def _kinds(kind: Any, length: int) -> Sequence[Any]:
    """Return the types of the ``length`` items of a tuple."""
    inner = get_args(kind)
    kinds = [inner[0]] * length if inner[-1] is Ellipsis else inner
    if len(kinds) != length:
        raise EnsuiteError(f"expected {len(kinds)} values, not {length}.")
    return kinds


def _plain(kind: Any) -> Any:
    """See through a type variable to its bound."""
    return kind.__bound__ if isinstance(kind, TypeVar) else kind


def _is_option_class(kind: type) -> bool:
    """Tell a dataclass, or an abstract class whose subclasses are dataclasses.

    A class of Python itself is neither, whatever other packages derive from it.
    """
    if kind.__module__ == "builtins":
        return False
    return is_dataclass(kind) or any(is_dataclass(each) for each in _family(kind))


def _family(kind: type) -> Iterator[type]:
    yield kind
    each: type
    for each in kind.__subclasses__():
        yield from _family(each)


def _from_union(kind: Any, value: Any, files: Mapping[str, str] | None) -> Any:
    if value is None and NoneType in get_args(kind):
        return None
    problem: EnsuiteError | None = None
    for choice in get_args(kind):
        if choice is NoneType:
            continue
        try:
            return from_json(choice, value, files)
        except EnsuiteError as error:
            problem = error
    raise problem or EnsuiteError(f"{json.dumps(value)} is not {describe_type(kind)}.")


def _from_object(kind: type, value: Any, files: Mapping[str, str] | None) -> Any:
    if not isinstance(value, Mapping):
        raise EnsuiteError(f"{json.dumps(value)[:80]} is not the options of {kind.__name__}.")
    named = value.get(CLASS, kind.__name__)
    found = next((each for each in _family(kind) if each.__name__ == named), None)
    if found is None or not is_dataclass(found):
        raise EnsuiteError(f'there is no {kind.__name__} called "{named}" here.')
    hints, given = get_type_hints(found), {}
    for each in fields(found):
        name = each.metadata.get("file")
        if each.name in value:
            given[each.name] = _from_field(each.name, hints[each.name], value[each.name], files)
        elif name and files and name in files:
            given[each.name] = files[name]
    if unknown := value.keys() - {CLASS} - {each.name for each in fields(found)}:
        raise EnsuiteError(f"{named} has no option {', '.join(sorted(unknown))}.")
    return _made(found, **given)


def _from_field(name: str, kind: Any, value: Any, files: Mapping[str, str] | None) -> Any:
    try:
        return from_json(kind, value, files)
    except EnsuiteError as error:
        raise EnsuiteError(f"{name}: {error}") from None


def option_names(options: Any) -> dict[str, Any]:
    """Return the options a person can set, by name, with their types.

    Fields marked ``metadata={"learned": True}`` are left out: ``prepare`` fills them from data.
    Those marked ``metadata={"options": True}`` hold options of their own, set by the same names,
    or by ``prefix`` and the name where there is a ``{"prefix": ...}`` beside.
    """
    hints, names = get_type_hints(type(options)), dict[str, Any]()
    for each in fields(options):
        if each.metadata.get("options"):
            prefix, within = each.metadata.get("prefix", ""), getattr(options, each.name)
            names |= {prefix + name: kind for name, kind in option_names(within).items()}
        elif not each.metadata.get("learned"):
            names[each.name] = hints[each.name]
    return names


def set_options(options: T, settings: Mapping[str, str], owner: str) -> T:
    """Return ``options`` with each named field set to what its text says.

    Args:
        options: A frozen dataclass.
        settings: Text by field name, as typed.
        owner: What the options belong to, for messages ("model lstm").

    Raises:
        UsageError: For an unknown name (names the nearest), or a text that is no such value.
    """
    known, values = option_names(options), {}
    for name, text in settings.items():
        require_option(name, text, known, owner)
        try:
            values[name] = parse(known[name], text)
        except ValueError as error:
            raise UsageError(f"{owner}: {name}={text}: {error}.") from None
    try:
        changed: T = _replace(options, values)
        return changed
    except ValueError as error:  # a dataclass that checks itself
        raise UsageError(f"{owner}: {error}.") from None


def require_option(name: str, text: str, known: Collection[str], owner: str) -> None:
    """Refuse an option that is not known.

    Args:
        name: Of the option, as typed.
        text: Its value, as typed.
        known: The names of all options.
        owner: What they belong to, for messages ("the model lstm").

    Raises:
        UsageError: Names the nearest.
    """
    if name in known:
        return
    if length := length_hint(name, text):
        raise UsageError(f'{owner} has no option "{name}": {length}.')
    hint = nearest(name, known) or "."
    raise UsageError(f'{owner} has no option "{name}"{hint} It has: {", ".join(sorted(known))}.')


def _replace(options: Any, values: dict[str, Any]) -> Any:
    """Replace fields by name, those of the options within too."""
    changed: dict[str, Any] = {}
    for each in fields(options):
        if each.metadata.get("options"):
            prefix, within = each.metadata.get("prefix", ""), getattr(options, each.name)
            names = [name for name in option_names(within) if prefix + name in values]
            changed[each.name] = _replace(within, {n: values[prefix + n] for n in names})
        elif each.name in values:
            changed[each.name] = values[each.name]
    return replace(options, **changed)


def parse(kind: Any, text: str) -> Any:
    """Return the value of type ``kind`` that a person wrote as ``text``.

    >>> parse(bool, "true"), parse(int | None, "none"), parse(tuple[int, ...], "3,4")
    (True, None, (3, 4))
    """
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if NoneType in inner and text.lower() in ("none", ""):
            return None
        return _parse_first([each for each in inner if each is not NoneType], text, kind)
    if origin is tuple:
        return _parse_tuple(kind, [item.strip() for item in text.split(",") if item.strip()])
    if origin is Literal:
        choices = {str(each): each for each in inner}
        if text not in choices:
            raise ValueError(f"choose one of {_choices(kind)}")
        return choices[text]
    if kind is bool:
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in words:
            raise ValueError("expected true or false")
        return words[text.lower()]
    if kind in (int, float):
        return _parse_number(kind, text)
    if kind in (str, Path):
        return kind(text)
    raise ValueError(f"{describe_type(kind)} cannot be set from the command line")


def _parse_tuple(kind: Any, items: Sequence[str]) -> Any:
    try:
        kinds = _kinds(kind, len(items))
    except EnsuiteError as error:
        raise ValueError(str(error).removesuffix(".")) from None
    return tuple(parse(each, item) for each, item in zip(kinds, items, strict=True))


def _parse_number(kind: type, text: str) -> Any:
    try:
        value = kind(text)
    except ValueError:
        raise ValueError(f"expected {describe_type(kind)}") from None
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("expected a finite number")
    return value


def _parse_first(kinds: Sequence[Any], text: str, whole: Any) -> Any:
    for kind in kinds:
        try:
            return parse(kind, text)
        except ValueError:
            continue
    raise ValueError(f"expected {describe_type(whole)}")


def _choices(kind: Any) -> str:
    return ", ".join(map(str, get_args(kind)))


def describe_type(kind: Any) -> str:
    """Name a type in the words of a message."""
    words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    if get_origin(kind) in (Union, UnionType):
        return " or ".join("none" if k is NoneType else describe_type(k) for k in get_args(kind))
    if get_origin(kind) is Literal:
        return f"one of {_choices(kind)}"
    return words.get(kind) or f"a {getattr(kind, '__name__', kind)}"


def differences(options: Any, standard: Any) -> dict[str, Any]:
    """Return the fields of ``options`` whose values differ from those of ``standard``."""
    return {
        each.name: getattr(options, each.name)
        for each in fields(options)
        if getattr(options, each.name) != getattr(standard, each.name)
    }

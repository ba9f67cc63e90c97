"""The configuration of a published checkpoint, each entry checked as it is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ensuite.core.errors import RunError, UsageError
from ensuite.core.printable import printable

TOKENIZERS = (("tokenizer.json",), ("vocab.txt",), ("vocab.json", "merges.txt"))
"""The files in which a tokenizer may be: one of these sets is enough."""


def require_tokenizer(folder: Path) -> None:
    """Refuse a checkpoint without a tokenizer, since another one would give other ids.

    Raises:
        RunError: Says which files are looked for.
    """
    if any(all((folder / name).is_file() for name in names) for names in TOKENIZERS):
        return
    wanted = ", ".join(" with ".join(names) for names in TOKENIZERS)
    models = [path.name for path in sorted(folder.glob("*.model"))]
    advice = "fetch it from where the checkpoint is from"
    if models:
        advice = f"{models[0]} alone is not read; fetch tokenizer.json, which holds the same"
    raise RunError(f"{printable(folder)} has no tokenizer ({wanted}); {advice}.")


@dataclass(frozen=True)
class Reader:
    """Reads the entries of a configuration.

    Args:
        path: Of the file, for messages.
        entries: Its content.
    """

    path: Path
    entries: Mapping[str, Any]

    def _get(self, name: str, usual: Any, kinds: tuple[type, ...], expected: str) -> Any:
        value = self.entries.get(name)  # null is what transformers writes for an entry left out
        value = usual if value is None else value
        if value is None:
            raise RunError(f"{self.path} has no {name}, {expected}; fetch the checkpoint again.")
        if not isinstance(value, kinds) or isinstance(value, bool) != (kinds == (bool,)):
            raise RunError(f"{self.path}: {name} is {value!r}, and {expected} is expected.")
        return value

    def count(self, name: str, usual: int | None = None) -> int:
        """Return a whole number of 0 or more; without ``usual`` it must be there."""
        number: int = self._get(name, usual, (int,), "a whole number")
        if number < 0:
            raise RunError(f"{self.path}: {name} is {number}, and 0 or more is expected.")
        return number

    def number(self, name: str, usual: float | None = None) -> float:
        """Return a real number; without ``usual`` it must be there."""
        return float(self._get(name, usual, (int, float), "a number"))

    def text(self, name: str, usual: str | None = None) -> str:
        """Return a text; without ``usual`` it must be there."""
        text: str = self._get(name, usual, (str,), "a text")
        return text

    def flag(self, name: str, usual: bool) -> bool:
        """Return a truth value."""
        value: bool = self._get(name, usual, (bool,), "true or false")
        return value

    def part(self, name: str) -> "Reader":
        """Return what reads the object of that name; without it, an empty one."""
        return Reader(self.path, self._get(name, {}, (dict,), "an object"))

    def choice(self, name: str, known: Mapping[str, str], usual: str) -> str:
        """Return what is ours for one of several words.

        Raises:
            UsageError: If it is another word; names those that are known.
        """
        word = self.text(name, usual)
        if word not in known:
            raise UsageError(
                f"{self.path}: {name} is {word}, which is not computed here; known: "
                f"{', '.join(known)}."
            )
        return known[word]

    def refuse(self, name: str, known: Any) -> None:
        """Refuse any value of an entry but the one that is known, which need not be there.

        Raises:
            UsageError: Says which value is known.
        """
        value = self.entries.get(name)
        if value is not None and value != known:
            raise UsageError(
                f"{self.path}: {name} is {value}, which is not computed here; known: {known}."
            )

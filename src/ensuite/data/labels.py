"""The labels of a task: names a person gave, and their numbers, in one fixed order."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from ensuite.core.batch import IGNORE
from ensuite.core.errors import UnknownLabelError, nearest


@dataclass(frozen=True)
class Labels:
    """A fixed set of label names; a label's number is its place."""

    names: tuple[str, ...] = ()

    @classmethod
    def learn(cls, given: Iterable[str]) -> Self:
        """Take every distinct label, numbers in their order, words in theirs."""
        distinct = set(given)
        if all(re.fullmatch(r"-?\d+", name) for name in distinct):
            return cls(tuple(sorted(distinct, key=lambda name: (int(name), name))))
        return cls(tuple(sorted(distinct)))

    def __len__(self) -> int:
        """Count the labels."""
        return len(self.names)

    def encode(self, name: str | None) -> int:
        """Return the number of a label; ``IGNORE`` for one that is not given.

        Raises:
            UnknownLabelError: If no training row had it.
        """
        if name is None:
            return IGNORE
        try:
            return self.names.index(name)
        except ValueError:
            shown = ", ".join(self.names[:10]) + (", ..." if len(self) > 10 else "")
            raise UnknownLabelError(
                f'The label "{name}" was in no training row{nearest(name, self.names)} '
                f"(trained on: {shown}). Add rows with it to the training data, or leave them out."
            ) from None

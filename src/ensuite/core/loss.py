"""A loss is named parts, each a sum with its own count."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from ensuite.core.batch import ROWS


class Part(NamedTuple):
    """One part of a loss: a sum over everything it counts, and its weight in the whole."""

    total: Tensor
    weight: float = 1.0


@dataclass(frozen=True)
class Loss:
    """Named parts, each a sum with its own count, never a mean of means."""

    parts: Mapping[str, Part] = field(default_factory=dict)

    @property
    def value(self) -> Tensor:
        """The weighted sum of the parts."""
        first, *others = (part.total * part.weight for part in self.parts.values())
        return sum(others, start=first)

    def with_penalties(self, penalties: Mapping[str, Tensor]) -> "Loss":
        """Return the loss with the backbone's penalties, (batch,) each, summed as more parts.

        Raises:
            ValueError: If a penalty has the name of a part, or is not one number for each row.
        """
        for name, penalty in penalties.items():
            if name in self.parts:
                raise ValueError(
                    f'The backbone has a penalty "{name}", and so is a part of the task\'s loss '
                    "called; rename one of them."
                )
            if penalty.dim() != 1:
                raise ValueError(
                    f'The penalty "{name}" has the shape {tuple(penalty.shape)}; give one number '
                    "for each row of the batch."
                )
        return Loss({**self.parts, **{name: Part(p.sum()) for name, p in penalties.items()}})

    def __truediv__(self, counts: Mapping[str, int]) -> "Loss":
        """Divide each part by its count; penalties, which have none, by the number of rows."""
        divided = {name: part.total / _count(name, counts) for name, part in self.parts.items()}
        return Loss({name: Part(divided[name], part.weight) for name, part in self.parts.items()})

    def backward(self, counts: Mapping[str, int]) -> None:
        """Add the gradients of the value of the loss divided by ``counts``."""
        # A backward pass that starts at given gradients imports sympy first, for half a second.
        first, *others = (
            part.total * (part.weight / _count(name, counts))
            for name, part in self.parts.items()
            if part.total.requires_grad
        )
        torch.autograd.backward(sum(others, start=first))

    def __add__(self, other: "Loss") -> "Loss":
        """Add part by part; a part may be absent in one of the two."""
        parts = dict(self.parts)
        for name, part in other.parts.items():
            known = parts.get(name)
            parts[name] = part if known is None else part._replace(total=known.total + part.total)
        return Loss(parts)

    def detach(self) -> "Loss":
        """Return the loss detached from the graph."""
        return Loss({n: part._replace(total=part.total.detach()) for n, part in self.parts.items()})


def _count(name: str, counts: Mapping[str, int]) -> int:
    """Return what a part is divided by: its count, or for a penalty the number of rows."""
    return max(1, counts.get(name, counts[ROWS]))

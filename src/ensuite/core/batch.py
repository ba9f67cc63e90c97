"""What passes between data, models and losses: batches, states, outputs, losses.

Dimensions are words, everywhere: ``batch`` rows, ``time`` positions, ``width`` of a state,
``features`` of a value, ``label`` and ``vocabulary`` of an output, ``head`` of an attention,
``code`` of an autoencoder.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Self

from torch import Tensor

from ensuite.core.errors import DataError

Carry = Mapping[str, Tensor]
"""State handed from one step or batch to the next: by name, every tensor with the batch first."""

DECODER = "decoder"
"""The field that holds what was written so far: it has a time of its own, and no padding before."""

ATTENTION = "attention"
"""Where a carry holds how the step just taken looked at what was encoded, (batch, time)."""

ROWS = "rows"
"""What a penalty counts: one for each row of the batch."""

IGNORE = -100
"""A whole-number target from which nothing is to be learned (NaN among real ones)."""

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Tokens:
    """Whole numbers below ``size``, one a position.

    Args:
        size: How many there are.
        width: Of the vectors to start from; None where the backbone chooses one.
        vectors: (size, width), what to start from; None of a saved run, whose weights hold them.
        pad: The number that only padding has, so that its vector may stay zero; None: there is
            none. Which positions are padding, only ``Batch.mask`` tells.
    """

    size: int
    width: int | None = None
    vectors: Tensor | None = field(default=None, compare=False, repr=False)
    pad: int | None = None
    kind: ClassVar[str] = "tokens"


@dataclass(frozen=True)
class Characters:
    """Characters of each position, (batch, time, character), below ``size``; 0 is padding."""

    size: int
    kind: ClassVar[str] = "characters"


@dataclass(frozen=True)
class Values:
    """Vectors of ``features`` real numbers, one a position."""

    features: int
    kind: ClassVar[str] = "values"


@dataclass(frozen=True)
class Image:
    """Pictures of one size, values from 0 to 1."""

    channels: int
    height: int
    width: int
    kind: ClassVar[str] = "image"


@dataclass(frozen=True)
class Row:
    """One vector of ``features`` real numbers, without time."""

    features: int
    kind: ClassVar[str] = "row"


Kind = Tokens | Characters | Values | Image | Row
Inputs = Mapping[str, Kind]
"""All that a backbone learns of the data: its input fields and their sizes."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows that are computed together.

    Args:
        inputs: By field, as ``task.inputs`` describes them.
        mask: (batch, time), True at real positions of the main input; None where there is no time.
        targets: By part of the loss; ``IGNORE`` or NaN where nothing is to be learned.
        counts: How many things each part of the loss counts, known before the forward pass.
        documents: (batch, time), number of the document; where it changes, a state starts anew.
        carry: What the batch before handed over, detached.
        progress: Share of the budget that is spent, 0 to 1.
    """

    inputs: Mapping[str, Tensor]
    mask: Tensor | None = None
    targets: Mapping[str, Tensor] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    documents: Tensor | None = None
    carry: Carry | None = None
    progress: float = 1.0

    def __len__(self) -> int:
        """Count the rows."""
        return len(next(iter(self.inputs.values())))

    @property
    def positions(self) -> int:
        """How many real positions the main input has; its rows where there is no time."""
        return len(self) if self.mask is None else int(self.mask.count_nonzero())

    def to(self, device: Any) -> Self:
        """Return the batch with every tensor on ``device``."""
        tensors = [*self.inputs.values(), *self.targets.values(), *(self.carry or {}).values()]
        beside = [each for each in (self.mask, self.documents) if each is not None]
        if all(each.device == device for each in (*tensors, *beside)):
            return self

        def move(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {name: tensor.to(device) for name, tensor in tensors.items()}

        return replace(
            self,
            inputs=move(self.inputs),
            mask=None if self.mask is None else self.mask.to(device),
            targets=move(self.targets),
            documents=None if self.documents is None else self.documents.to(device),
            carry=None if self.carry is None else move(self.carry),
        )

    def after(self, carry: Carry | None) -> Self:
        """Return the batch going on from ``carry``, that of the batch before.

        Lanes that have ended come last, so a batch may have fewer rows than the one before.
        """
        if carry is None and self.carry is None:
            return self
        rows = len(self)
        return replace(self, carry=carry and {name: t[:rows] for name, t in carry.items()})


class States(NamedTuple):
    """What a backbone makes of a batch.

    Attributes:
        summary: (batch, width), the whole row in one vector.
        sequence: (batch, time, width), one state a position, where the backbone has them.
        code: (batch, code), of an autoencoder.
        penalties: Sums over the rows, by name (KL, sparsity): added to the loss.
        carry: What the next batch of the same lanes starts from.
    """

    summary: Tensor
    sequence: Tensor | None = None
    code: Tensor | None = None
    penalties: Mapping[str, Tensor] = NOTHING
    carry: Carry | None = None


class Outputs(NamedTuple):
    """What a model makes of a batch: values, and the states they were read from.

    ``values`` is a tensor, or a named tuple where heads are several or own parameters.
    """

    values: Any
    states: States


def sum_counts(batches: Iterable[Batch]) -> dict[str, int]:
    """Add up what the loss parts of several batches count, and their rows."""
    counts = {ROWS: 0}
    for batch in batches:
        for name, count in ((ROWS, len(batch)), *batch.counts.items()):
            counts[name] = counts.get(name, 0) + count
    return counts


def check_ranges(batch: Batch, inputs: Inputs) -> None:
    """Refuse ids that an embedding has no row for, before a device fails without a word.

    Raises:
        DataError: Names the field, the id and the size.
    """
    for name, kind in inputs.items():
        if not isinstance(kind, Tokens | Characters) or name not in batch.inputs:
            continue
        if not batch.inputs[name].numel():  # rows of empty texts
            continue
        low, high = (int(each) for each in batch.inputs[name].aminmax())
        if low < 0 or high >= kind.size:
            wrong = high if high >= kind.size else low
            raise DataError(
                f"A batch has the id {wrong} in {name}, but its vocabulary has {kind.size}, 0 to "
                f"{kind.size - 1}: its tokenizer is not the one the model was built for."
            )

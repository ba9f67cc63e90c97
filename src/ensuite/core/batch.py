"""What passes between data, models and losses: batches, states, outputs.

Dimensions are words, everywhere: ``batch`` rows, ``time`` positions, ``width`` of a state,
``features`` of a value, ``label`` and ``vocabulary`` of an output, ``head`` of an attention,
``code`` of an autoencoder.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, Self

from torch import Tensor

from ensuite.core.errors import DataError

Carry = Mapping[str, Tensor]
"""State handed from one step or batch to the next: by name, every tensor with the batch first."""

DECODER = "decoder"
"""Decoder inputs: their own time axis, padded on the right only."""

FUTURE = "future"
"""The input field of what is known of the steps to forecast."""

OWN_TIME = frozenset({DECODER, FUTURE})
"""Input fields with a time axis of their own."""

ATTENTION = "attention"
"""Name in a carry of the attention weights of the last step over the encoded positions."""

ROWS = "rows"
"""Name under which the rows of a batch are counted; penalties are divided by it."""

IGNORE = -100
"""Whole-number target that the loss ignores; among real numbers it is NaN."""

NOTHING: Mapping[str, Any] = MappingProxyType({})

Reader = Literal["backbone", "decoder", "head"]
"""What reads an input field: the backbone, its decoder alone, or the task's head alone."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One input field of a batch.

    Args:
        reader: What reads it. A backbone is not built for a field that only the head reads, and
            need not be able to read one that its decoder or the head reads.
    """

    reader: Reader = "backbone"
    kind: ClassVar[str]


@dataclass(frozen=True)
class Tokens(Field):
    """Whole numbers below ``size``, one at each position.

    Args:
        size: Size of the vocabulary.
        width: Size of the pretrained vectors; None where the backbone chooses one.
        vectors: (size, width), pretrained vectors; None in a saved run, whose weights hold them.
        pad: The id that only padding has, so that its vector may stay zero; None: there is none.
            Which positions are padding only ``Batch.mask`` tells.
    """

    size: int
    width: int | None = None
    vectors: Tensor | None = field(default=None, compare=False, repr=False)
    pad: int | None = None
    kind: ClassVar[str] = "tokens"


@dataclass(frozen=True)
class Characters(Field):
    """Characters of each position, (batch, time, character), below ``size``; 0 is padding."""

    size: int
    kind: ClassVar[str] = "characters"


@dataclass(frozen=True)
class Values(Field):
    """Vectors of ``features`` real numbers, one per position.

    Args:
        features: Size of each vector.
        steps: Positions of the longest row of the training part; None if that is not known. Rows
            may be shorter or longer.
    """

    features: int
    steps: int | None = None
    kind: ClassVar[str] = "values"


@dataclass(frozen=True)
class Image(Field):
    """Images of one size, values from 0 to 1."""

    channels: int
    height: int
    width: int
    kind: ClassVar[str] = "image"


@dataclass(frozen=True)
class Row(Field):
    """One vector of ``features`` real numbers, without time."""

    features: int
    kind: ClassVar[str] = "row"


Kind = Tokens | Characters | Values | Image | Row
Inputs = Mapping[str, Kind]
"""The input fields of a task's batches, by name."""


def read_by(inputs: Inputs, *readers: Reader) -> dict[str, Kind]:
    """Return the input fields that one of ``readers`` reads.

    >>> list(read_by({"row": Row(3), "size": Row(1, reader="head")}, "backbone", "decoder"))
    ['row']
    """
    return {name: kind for name, kind in inputs.items() if kind.reader in readers}


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows that are computed together, as tensors.

    Args:
        inputs: By field, as ``task.inputs`` describes them.
        mask: (batch, time), True at real positions of the main input, False at padding; None where
            there is no time.
        targets: By part of the loss; ``IGNORE`` or NaN where there is no target.
        counts: How many things each part of the loss counts, known before the forward pass.
        documents: (batch, time), number of the document; where it changes, the state is reset.
        carry: State at the end of the previous batch, detached.
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
        """Number of real positions of the main input, or of rows where there is no time."""
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
        """Return the batch with the state that the previous batch ended in.

        It may have fewer rows than the previous batch: the lanes that have ended were its last.
        """
        if carry is None and self.carry is None:
            return self
        rows = len(self)
        return replace(self, carry=carry and {name: t[:rows] for name, t in carry.items()})


class States(NamedTuple):
    """What a backbone computes for a batch.

    Attributes:
        summary: (batch, width), the whole row in one vector.
        sequence: (batch, time, width), the state at each position; None of a backbone without.
        code: (batch, code), the code of an autoencoder that is to be decoded.
        penalties: (batch,) by name, a penalty of each row (KL, sparsity): added to the loss.
        carry: State that the next batch of the same lanes starts from.
        decoded: What the code was decoded to, if the backbone has done so already.
        log_variance: (), of the Gaussian around what is decoded; None: no distribution is meant,
            and errors are squared and summed, which is a log variance of log 1/2.
    """

    summary: Tensor
    sequence: Tensor | None = None
    code: Tensor | None = None
    penalties: Mapping[str, Tensor] = NOTHING
    carry: Carry | None = None
    decoded: Tensor | None = None
    log_variance: Tensor | None = None


class Outputs(NamedTuple):
    """What a model computes for a batch: the head's values, and the states they were read from.

    ``values`` is a tensor, or a named tuple where heads are several or own parameters.
    """

    values: Any
    states: States


def sum_counts(batches: Iterable[Batch]) -> dict[str, int]:
    """Return the sums of the counts of several batches, and the number of their rows."""
    counts = {ROWS: 0}
    for batch in batches:
        for name, count in ((ROWS, len(batch)), *batch.counts.items()):
            counts[name] = counts.get(name, 0) + count
    return counts


def check_ranges(batch: Batch, inputs: Inputs) -> None:
    """Refuse ids that an embedding has no row for; a GPU would fail without naming them.

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

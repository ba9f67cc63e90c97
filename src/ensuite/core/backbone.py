"""The first word: a backbone turns a batch into states."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Protocol, Self, runtime_checkable

from torch import Tensor, nn

from ensuite.core.batch import Batch, Carry, Inputs, States
from ensuite.core.recipe import Recipe


class Trait(StrEnum):
    """What a backbone may offer beyond a summary of each row, and a task may need."""

    SEQUENCE = "sequence"  # a state for every position
    CAUSAL = "causal"  # no position sees a later one
    TWO_SIDED = "two-sided"  # every position sees both sides
    STEPS = "steps"  # can go one position at a time
    CARRIES = "carries"  # can start from the state another batch ended in
    DECODES = "decodes"  # reads inputs["decoder"] after encoding the rest
    CODES = "codes"  # encodes a row and decodes it again
    SAMPLES = "samples"  # its codes have a prior


@dataclass(frozen=True)
class Pretrained:
    """What a published checkpoint fixes, so that ``prepare`` keeps it.

    Args:
        tokenizer: Folder of its tokenizer.
        length: Longest sequence it reads.
        image: Height and width of the images it reads.
    """

    tokenizer: Path | None = None
    length: int | None = None
    image: tuple[int, int] | None = None


class Backbone(nn.Module, ABC):
    """A network from a batch to states, whole in one file of ``models``.

    Attributes:
        width: Size of the summary in its states.
        context: How many positions it reads at most; None: any number.
    """

    width: int
    context: int | None = None

    @property
    def sequence_width(self) -> int:
        """Size of the vector of each position, where it is not that of the summary."""
        return self.width

    @property
    def token_embedding(self) -> nn.Module | None:
        """The layer whose ``weight`` holds the vectors of its tokens, if scores may share it."""
        return None

    @abstractmethod
    def forward(self, batch: Batch) -> States: ...


class BackboneOptions(ABC):
    """What defines a backbone but its weights: a frozen, keyword-only dataclass.

    Its fields are the ``--set model.KEY=VALUE`` of the command line, and are saved as JSON.
    """

    reads: ClassVar[frozenset[str]]

    @property
    @abstractmethod
    def traits(self) -> frozenset[Trait]:
        """What a backbone built from these very options offers."""

    @abstractmethod
    def build(self, inputs: Inputs) -> Backbone:
        """Make the network for these input fields, with new weights."""

    @abstractmethod
    def tiny(self) -> Self:
        """Return the same architecture at the smallest useful size, for tests."""

    def recipe(self) -> Recipe:
        """Return what the papers of the family train it with."""
        return Recipe()

    def pretrained(self) -> Pretrained | None:
        """Return what a checkpoint fixes; None for a backbone that starts from new weights."""
        return None


@runtime_checkable
class Steps(Protocol):
    """One position at a time: streams, decoding and beams share it."""

    def begin(self, batch: Batch) -> Carry:
        """Return the state before the first position; what is to be encoded is encoded here."""
        ...

    def step(self, inputs: Mapping[str, Tensor], carry: Carry) -> tuple[States, Carry]:
        """Take one position into the state: inputs and states are (batch, ...), without time.

        A head for sequences reads ``sequence``, so that it is (batch, width) here.
        """
        ...


@runtime_checkable
class Codes(Protocol):
    """What autoencoders offer."""

    def encode(self, batch: Batch) -> Tensor:
        """Return the codes, (batch, code)."""
        ...

    def decode(self, code: Tensor, inputs: Mapping[str, Tensor]) -> States:
        """Return states to be read as the reconstruction of ``inputs``."""
        ...

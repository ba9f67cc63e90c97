"""The interface of backbones, the networks that turn a batch into states."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, cast, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ensuite.core.batch import Batch, Carry, Inputs, States, read_by
from ensuite.core.errors import UsageError
from ensuite.core.published import PublishedHead, PublishedTask
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
    """What a published checkpoint, or the run that training starts from, fixes for ``prepare``.

    Args:
        tokenizer: The folder that holds its tokenizer.
        length: The longest sequence that it reads.
        segments: Number of segments of a text that it tells apart; None: not known.
        image: Height and width of the images that it reads.
        scales: What is subtracted from each column of numbers that it reads, and what it is then
            divided by.
    """

    tokenizer: Path | None = None
    length: int | None = None
    segments: int | None = None
    image: tuple[int, int] | None = None
    scales: tuple[tuple[float, ...], tuple[float, ...]] | None = None


class Backbone(nn.Module, ABC):
    """A network that turns a batch into states; each is a file of ``models``.

    Attributes:
        width: Size of the summary in its states.
        context: How many positions it can read; None: any number.
        norm_epsilon: Epsilon of its layer norms, for a head that has one too.
        head_bias: Whether the layers before the output projection of a head have biases, which
            some published models leave out.
        token_bias: Whether an output layer over tokens has a bias.
        token_rows: Rows of an output layer over tokens, where a checkpoint has more than its
            tokenizer has tokens; None: one for each.
    """

    width: int
    context: int | None = None
    norm_epsilon: float = 1e-5
    head_bias: bool = True
    token_bias: ClassVar[bool] = True
    token_rows: int | None = None

    @property
    def sequence_width(self) -> int:
        """Size of the vector of each position; by default that of the summary."""
        return self.width

    @property
    def token_embedding(self) -> nn.Module | None:
        """The layer whose ``weight`` holds the token embeddings, if an output layer may use it."""
        return None

    @property
    def token_width(self) -> int:
        """Size of the vectors that an output projection over tokens reads."""
        embedding: Any = self.token_embedding
        return self.sequence_width if embedding is None else int(embedding.weight.shape[1])

    @property
    def head_activation(self) -> Callable[[Tensor], Tensor]:
        """The activation of the layer before the output projection of a head that has one."""
        return F.gelu

    @property
    def replaceable(self) -> tuple[str, ...]:
        """Names of the linear layers and embeddings that ``to_int8`` may replace."""
        return ()

    def depth(self, name: str) -> int:
        """Return the depth of the layer that a parameter belongs to.

        Layer-wise learning rates and freezing go by it. Embeddings have the depth 0, the layer
        above them 1, and so on. By default all parameters have the same depth.

        Args:
            name: Of the parameter, as ``named_parameters`` of this module gives it.
        """
        return 0

    def rate(self, name: str) -> float:
        """Return the learning rate of a parameter as a multiple of the recipe's; by default 1.

        Args:
            name: Of the parameter, as ``named_parameters`` of this module gives it.
        """
        return 1.0

    @abstractmethod
    def forward(self, batch: Batch) -> States: ...


class BackboneOptions(ABC):
    """All that defines a backbone except its weights: a frozen, keyword-only dataclass.

    Its fields can be set with ``--set model.KEY=VALUE`` and are saved as JSON.

    Attributes:
        reads: The kinds of input that the backbone reads.
    """

    reads: ClassVar[frozenset[str]]

    @property
    @abstractmethod
    def traits(self) -> frozenset[Trait]:
        """What a backbone built from these options offers."""

    @abstractmethod
    def build(self, inputs: Inputs) -> Backbone:
        """Return a network for these input fields, with new weights."""

    @abstractmethod
    def tiny(self) -> Self:
        """Return the same architecture at the smallest useful size, for tests."""

    @property
    def context(self) -> int | None:
        """Most positions that a backbone of these options reads at once; None: any number."""
        pretrained = self.pretrained()
        return None if pretrained is None else pretrained.length

    def code_size(self, inputs: Inputs) -> int | None:
        """Return the size of the code of an autoencoder for these inputs; None of others."""
        return None

    def recipe(self) -> Recipe:
        """Return the hyper-parameters of training that the papers of the family use."""
        return Recipe()

    def pretrained(self) -> Pretrained | None:
        """Return what a checkpoint fixes; None for a backbone that starts from new weights."""
        return None

    # Published checkpoints

    @classmethod
    def from_checkpoint(cls, folder: Path) -> Self:
        """Return the options of a published checkpoint, as its ``config.json`` describes it.

        Raises:
            UsageError: If this kind of backbone has no published checkpoints.
        """
        raise UsageError(f"{folder}: {cls.__name__} cannot open published checkpoints.")

    def weights(self) -> Mapping[str, Tensor] | None:
        """Read the tensors of the checkpoint, by their published names; None without one.

        They are read once, when training begins: a run is saved with all of its weights.
        """
        return None

    def starts_new(self, name: str) -> bool:
        """Say whether a parameter keeps its new weights where a checkpoint has none of it.

        Args:
            name: Of the parameter of the backbone, without ``backbone.``.
        """
        return False

    def adopt(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return published tensors by our names: ``backbone.`` or ``head.`` and the parameter's.

        It reverses :meth:`publish`. Tensors of other heads may stay under any other name.
        """
        return tensors

    def publish(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the tensors of a model by their published names; see :meth:`adopt`."""
        return tensors

    def published_config(self) -> Mapping[str, Any]:
        """Return what the ``config.json`` of a run needs so that other programs can open it."""
        return {}

    def published_head(self, task: PublishedTask) -> PublishedHead:
        """Return how the family publishes the head of a task; empty where it has no such head.

        Its names are given to the tensors before :meth:`publish`, which keeps them.
        """
        return PublishedHead()

    def embedding_options(self) -> Self:
        """Return the options of a checkpoint under which a summary is the embedding of a text."""
        return self


@runtime_checkable
class Steps(Protocol):
    """What a backbone with the trait STEPS offers: to go on position by position.

    Streaming, sampling and beam search use it.
    """

    def begin(self, batch: Batch) -> Carry:
        """Return the state before the first position. An encoder reads its source here."""
        ...

    def step(self, inputs: Mapping[str, Tensor], carry: Carry) -> tuple[States, Carry]:
        """Take one position into the state: inputs and states are (batch, ...), without time.

        Where no gradient is needed, the tensors of the carry may be written in place: to go on
        twice from one state, copy it first (:func:`ensuite.decoding.interfaces.select_rows`).

        A head for sequences reads ``sequence``, so that it is (batch, width) here.
        """
        ...

    def read(self, batch: Batch, carry: Carry) -> tuple[States, Carry]:
        """Take several positions in one pass, as ``step`` after ``step`` would.

        Args:
            batch: The fields that ``step`` takes, (batch, time, ...), at least one position and
                no padding.
            carry: The state before the first of them.

        Returns:
            States whose sequence is (batch, time, width) and whose summary is that of the last
            position, and the state after it.
        """
        ...


class ReadsByStep:
    """A mixin that gives a backbone with ``step`` the ``read`` of :class:`Steps`."""

    def read(self, batch: Batch, carry: Carry) -> tuple[States, Carry]:
        """Repeat ``step`` for each position."""
        step, sequence = cast(Steps, self).step, []
        for now in range(next(iter(batch.inputs.values())).shape[1]):
            position = {name: tensor[:, now] for name, tensor in batch.inputs.items()}
            states, carry = step(position, carry)
            sequence.append(states.summary if states.sequence is None else states.sequence)
        return States(sequence[-1], torch.stack(sequence, dim=1)), carry


@runtime_checkable
class Codes(Protocol):
    """What a backbone with the trait CODES offers: it encodes one input field and decodes it.

    Its ``forward`` encodes alone: the summary is the code without noise, so that a task that only
    reads the summary, such as classification, pays for no decoder. ``code`` in its states is what
    is decoded: the same, or while a variational autoencoder is trained, a sample.

    Attributes:
        field: Name of the input field that is encoded and decoded.
    """

    field: str

    def encode(self, batch: Batch) -> Tensor:
        """Return the codes without noise, (batch, code)."""
        ...

    def decode(self, code: Tensor, batch: Batch) -> Tensor:
        """Return the reconstruction of the field, in its shape.

        Args:
            code: (batch, code).
            batch: Which positions are real, and the fields that the decoder alone reads. A decoder
                must not look at the field that it reconstructs.

        Returns:
            Numbers without bounds: the values themselves, or under a binary cross-entropy their
            log-odds.
        """
        ...


@runtime_checkable
class Samples(Codes, Protocol):
    """What a backbone with the trait SAMPLES offers: its codes have a distribution."""

    def posterior(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the mean and the log variance of each code, (batch, code) each."""
        ...

    def prior(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw codes, (count, code), on the CPU."""
        ...


def the_field(inputs: Inputs) -> str:
    """Return the name of the one input field that an autoencoder encodes and decodes.

    Raises:
        UsageError: If there are several.
    """
    names = list(read_by(inputs, "backbone"))
    if len(names) != 1:
        raise UsageError(
            f"An autoencoder reads one input field, and these are {len(names)}: {', '.join(names)}."
        )
    return names[0]

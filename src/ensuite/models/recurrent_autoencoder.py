"""Recurrent autoencoder: a series of any length to a code of fixed size, and back."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from ensuite.core.backbone import the_field
from ensuite.core.batch import Batch, Inputs, Values
from ensuite.core.recipe import Recipe
from ensuite.models.codes import CodeOptions, decoded_size, real_positions
from ensuite.models.recurrent import CELLS
from ensuite.nn.recurrent import Recurrent

CellName = Literal["rnn", "lstm", "gru"]


@dataclass(frozen=True, kw_only=True)
class RecurrentAutoencoderOptions(CodeOptions):
    """A recurrent network that reads a series to a code, and one that writes it from the code.

    The code is a linear function of the last hidden state. The decoder reads it at each step, and
    nothing else, so that it cannot copy the step before; it writes as many steps as were read.

    Args:
        cell: Kind of recurrent cell, of encoder and decoder.
        width: Size of the hidden state of each direction.
        layers: Number of stacked layers of encoder and decoder.
        bidirectional: Whether the encoder also reads from the end to the beginning.
        reverse: Whether the decoder writes from the last step to the first (Srivastava et al.).
        truncate: Number of steps that gradients flow back through. none: all.

    Sources:
        Srivastava, Mansimov & Salakhutdinov (2015), https://arxiv.org/abs/1502.04681
        Malhotra et al. (2016), https://arxiv.org/abs/1607.00148, for anomalies
    """

    cell: CellName = "lstm"
    width: int = 64
    layers: int = 1
    bidirectional: bool = False
    reverse: bool = False
    truncate: int | None = None

    reads: ClassVar[frozenset[str]] = frozenset({"values"})

    def __post_init__(self) -> None:
        super().__post_init__()
        check_recurrent(self.width, self.layers, self.truncate)

    def coders(self, inputs: Inputs) -> tuple[nn.Module, nn.Module]:
        code = self.code_size(inputs)
        return recurrent_coders(
            inputs,
            code,
            code,
            cell=self.cell,
            width=self.width,
            layers=self.layers,
            bidirectional=self.bidirectional,
            reverse=self.reverse,
            truncate=self.truncate,
        )

    def tiny(self) -> "RecurrentAutoencoderOptions":
        return replace(self, code=4, width=8)

    def recipe(self) -> Recipe:
        return Recipe(learning_rate=5e-3, batch_size=32)


class RecurrentEncoder(nn.Module):
    """Recurrent layers, and a linear function of their last hidden state.

    Args:
        field: Name of the field.
        recurrent: The layers.
        outputs: Number of outputs, which have no activation function.
    """

    def __init__(self, field: str, recurrent: Recurrent, outputs: int) -> None:
        super().__init__()
        self.field, self.recurrent = field, recurrent
        self.dense = nn.Linear(recurrent.width, outputs)

    def forward(self, batch: Batch) -> Float[Tensor, "batch outputs"]:
        """Return the outputs of each row."""
        _, state = self.recurrent(batch.inputs[self.field], batch.mask)
        outputs: Tensor = self.dense(self.recurrent.last(state))
        return outputs


class RecurrentDecoder(nn.Module):
    """Recurrent layers that read a vector at each step, and a linear function of each state.

    Args:
        field: Name of the field.
        recurrent: The layers.
        features: Size of the vector of each step.
        reverse: Whether the last step is written first.
    """

    def __init__(self, field: str, recurrent: Recurrent, features: int, *, reverse: bool) -> None:
        super().__init__()
        self.field, self.recurrent, self.reverse = field, recurrent, reverse
        self.dense = nn.Linear(recurrent.width, features)

    def forward(
        self, code: Float[Tensor, "batch code"], batch: Batch
    ) -> Float[Tensor, "batch time features"]:
        """Return the series of each row, with as many steps as the batch has."""
        real = real_positions(batch, self.field)
        real = real.flip(1) if self.reverse else real
        inputs = code[:, None].expand(-1, real.shape[1], -1)
        sequence, _ = self.recurrent(inputs, real)
        sequence = sequence.flip(1) if self.reverse else sequence
        series: Tensor = self.dense(sequence)
        return series


def recurrent_coders(
    inputs: Inputs,
    outputs: int,
    code: int,
    *,
    cell: CellName,
    width: int,
    layers: int,
    bidirectional: bool,
    reverse: bool,
    truncate: int | None,
) -> tuple[RecurrentEncoder, RecurrentDecoder]:
    """Return a recurrent encoder with so many outputs, and a recurrent decoder of a code."""
    field = the_field(inputs)
    kind = inputs[field]
    if not isinstance(kind, Values):
        raise TypeError(f"{kind} cannot be read by a recurrent autoencoder")
    make: Any = partial(Recurrent, CELLS[cell], layers=layers, truncate=truncate)
    encoder = RecurrentEncoder(
        field, make(kind.features, width, bidirectional=bidirectional), outputs
    )
    written = make(decoded_size(inputs, code), width)
    return encoder, RecurrentDecoder(field, written, kind.features, reverse=reverse)


def check_recurrent(width: int, layers: int, truncate: int | None) -> None:
    """Refuse sizes that no recurrent layers can have.

    Raises:
        ValueError: Says which they can have.
    """
    if min(width, layers) < 1:
        raise ValueError("width and layers must be 1 or more")
    if truncate is not None and truncate < 1:
        raise ValueError("truncate must be 1 step or more, or none")

"""What all autoencoders share: the code, its size and its sparsity, and what decoders read."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ensuite.core.backbone import Backbone, BackboneOptions, Trait, the_field
from ensuite.core.batch import Batch, Inputs, Row, States, Values, read_by
from ensuite.core.errors import UsageError
from ensuite.models.mlp import size
from ensuite.nn.sparsity import TargetRate, keep_largest

Activation = Literal["relu", "tanh", "sigmoid", "gelu", "linear"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": F.gelu,
    "linear": lambda values: values,
}

LARGEST_CODE = 2**16
"""Largest code that can be asked for."""

FEW, MANY = 2, 64
"""Smallest and largest code where its size is left open."""

UNKNOWN_STEPS = 16
"""Steps that a series of unknown length is taken to have where a code's size is chosen."""


@dataclass(frozen=True, kw_only=True)
class CodeOptions(BackboneOptions):
    """What all autoencoders without noise have in common: the code and its sparsity.

    Args:
        code: Number of units of the code. none: a quarter of the numbers of a row, from 2 to 64.
        code_activation: Activation function of the code.
        sparsity: How codes are made sparse: not at all (none), a penalty on their absolute values
            (l1), the largest ones alone (top-k), or a penalty on units whose mean activation is not
            ``rate`` (kl); the code then passes through a sigmoid.
        penalty: Weight of the penalty of l1 or kl.
        rate: The mean activation that a unit should have, with kl.
        active: Number of units that are not zero, with top-k. none: a quarter of the code.

    Sources:
        KL: Ng (2011), CS294A lecture notes, "Sparse autoencoder", section 3
        Top-k: Makhzani & Frey (2014), https://arxiv.org/abs/1312.5663
    """

    code: int | None = None
    code_activation: Activation = "linear"
    sparsity: Literal["none", "l1", "kl", "top-k"] = "none"
    penalty: float = 1e-3
    rate: float = 0.05
    active: int | None = None

    def __post_init__(self) -> None:
        check_code(self.code)
        if not self.penalty >= 0 or not 0 < self.rate < 1:
            raise ValueError("penalty must be 0 or more, rate between 0 and 1")
        if self.active is not None and not 1 <= self.active <= (self.code or LARGEST_CODE):
            raise ValueError("active must be from 1 to the size of the code")
        if self.sparsity == "kl" and self.code_activation not in ("linear", "sigmoid"):
            raise ValueError("sparsity=kl needs activations from 0 to 1: code_activation=sigmoid")

    @property
    def traits(self) -> frozenset[Trait]:
        return frozenset({Trait.CODES})

    def code_size(self, inputs: Inputs) -> int:
        return self.code or usual_code(inputs)

    @abstractmethod
    def coders(self, inputs: Inputs) -> "tuple[nn.Module, nn.Module]":
        """Return an encoder, ``encoder(batch) -> code``, and ``decoder(code, batch) -> field``.

        The decoder is given the code with the fields beside it; see :func:`decoded_size`.
        """

    def build(self, inputs: Inputs) -> "Autoencoder":
        return Autoencoder(self, inputs)


class Autoencoder(Backbone):
    """An encoder and a decoder, with a code between them that may be sparse."""

    def __init__(self, options: CodeOptions, inputs: Inputs) -> None:
        super().__init__()
        self.options, self.field = options, the_field(inputs)
        self.beside = tuple(read_by(inputs, "decoder"))
        self.width = options.code_size(inputs)
        self.encoder, self.decoder = options.coders(inputs)
        kl = options.sparsity == "kl"
        self.activation = ACTIVATIONS["sigmoid" if kl else options.code_activation]
        self.target_rate = TargetRate(self.width, options.rate) if kl else None

    def forward(self, batch: Batch) -> States:
        code = self.encode(batch)
        return States(code, code=code, penalties=self.penalties(code))

    def encode(self, batch: Batch) -> Float[Tensor, "batch code"]:
        """Return the codes, (batch, code)."""
        code: Tensor = self.activation(self.encoder(batch))
        if self.options.sparsity != "top-k":
            return code
        active = self.options.active or max(1, self.width // 4)
        return keep_largest(code, min(active, self.width))

    def decode(self, code: Float[Tensor, "batch code"], batch: Batch) -> Float[Tensor, "batch ..."]:
        """Return the reconstruction of the field, in its shape."""
        decoded: Tensor = self.decoder(with_beside(code, batch, self.beside), batch)
        return decoded

    def penalties(self, code: Float[Tensor, "batch code"]) -> dict[str, Tensor]:
        """Return the sparsity penalty of each row, (batch,), where there is one."""
        if self.options.sparsity == "l1":
            return {"sparsity": self.options.penalty * code.abs().sum(-1)}
        if self.target_rate is not None:
            return {"sparsity": self.options.penalty * self.target_rate(code)}
        return {}


# What decoders share


def decoded_size(inputs: Inputs, code: int) -> int:
    """Return the size of what a decoder reads: the code, and the rows that it alone reads.

    Raises:
        UsageError: If it would have to read something else than rows of numbers.
    """
    total = code
    for name, kind in read_by(inputs, "decoder").items():
        if not isinstance(kind, Row):
            raise UsageError(f"The decoder of an autoencoder cannot read {name}, which is no row.")
        total += kind.features
    return total


def with_beside(
    code: Float[Tensor, "batch code"], batch: Batch, beside: Sequence[str]
) -> Float[Tensor, "batch inputs"]:
    """Return the code with the fields that the decoder alone reads."""
    return torch.cat([code, *(batch.inputs[name] for name in beside)], -1) if beside else code


def real_positions(batch: Batch, field: str) -> Bool[Tensor, "batch time"]:
    """Return True at the real positions of a series, of which only the shape is looked at."""
    if batch.mask is not None:
        return batch.mask
    series = batch.inputs[field]
    return torch.ones(series.shape[:2], dtype=torch.bool, device=series.device)


# The size of a code


def usual_code(inputs: Inputs) -> int:
    """Return a quarter of the numbers of a row, from 2 to 64 and fewer than there are.

    >>> [usual_code({"row": Row(features)}) for features in (1, 2, 4, 64, 784)]
    [1, 1, 2, 16, 64]
    """
    kind = inputs[the_field(inputs)]
    steps = kind.steps or UNKNOWN_STEPS if isinstance(kind, Values) else None
    numbers = size(kind, steps)
    return max(1, min(MANY, max(FEW, numbers // 4), numbers - 1))


def check_code(code: int | None) -> None:
    """Refuse a size that no code can have.

    Raises:
        ValueError: Says which it can have.
    """
    if code is not None and not 1 <= code <= LARGEST_CODE:
        raise ValueError(f"code must be from 1 to {LARGEST_CODE:,} units, or none")

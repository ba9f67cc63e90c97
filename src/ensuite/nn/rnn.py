"""The simple recurrent network (Elman network), with any activation."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ensuite.core.errors import UsageError
from ensuite.nn.kernels import pytorch, rnn
from ensuite.nn.kernels.paths import FastCell

Activation = Literal["tanh", "relu", "sigmoid", "gelu", "silu", "identity"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "gelu": F.gelu,
    "silu": F.silu,
    "identity": torch.clone,
}

KERNELS: dict[Any, pytorch.Kernel] = {torch.tanh: pytorch.RNN_TANH, torch.relu: pytorch.RNN_RELU}
"""PyTorch's kernels, by activation."""


class RNNState(NamedTuple):
    """State of an RNN."""

    hidden: Float[Tensor, "batch width"]


class RNN(FastCell[RNNState]):
    """A simple recurrent layer in one direction.

        h' = f(W x + U h + b)

    Args:
        features: Size of one input vector.
        width: Size of the hidden state.
        activation: The function f: a name, or any elementwise function of a tensor.
        normalize: Whether layer norm is applied to W x and to U h.
        recurrent_dropout: Dropout rate of h before U, with one mask for all positions of a row.
        learn_start: Whether the initial state is learned; otherwise it is zero.

    Raises:
        UsageError: For an unknown name of an activation.

    Sources:
        Elman (1990), https://doi.org/10.1207/s15516709cog1402_1
        With relu: Le, Jaitly & Hinton (2015), https://arxiv.org/abs/1504.00941
        Layer norm and recurrent dropout: see ``Cell``
    """

    def __init__(
        self,
        features: int,
        width: int,
        *,
        activation: Activation | Callable[[Tensor], Tensor] = "tanh",
        normalize: bool = False,
        recurrent_dropout: float = 0.0,
        learn_start: bool = False,
    ) -> None:
        super().__init__(
            features,
            width,
            RNNState,
            (1,),
            normalize=normalize,
            recurrent_dropout=recurrent_dropout,
            learn_start=learn_start,
        )
        if isinstance(activation, str) and activation not in ACTIVATIONS:
            raise UsageError(
                f'An RNN has no activation "{activation}": choose one of '
                f"{', '.join(ACTIVATIONS)}, or pass a function."
            )
        self.activation = ACTIVATIONS[activation] if isinstance(activation, str) else activation
        self.pytorch_kernel = None if normalize else KERNELS.get(self.activation)
        if self.pytorch_kernel is not None:
            self.hoisted_kernel = rnn.kernel(relu=self.activation is torch.relu)

    @classmethod
    def from_torch(cls, layer: nn.RNN) -> "RNN":
        """Return an RNN with the weights of a PyTorch layer.

        Raises:
            UsageError: If the layer has several layers or directions.
        """
        activation: Activation = "relu" if layer.nonlinearity == "relu" else "tanh"
        cell = cls(layer.input_size, layer.hidden_size, activation=activation)
        cell.load_pytorch(layer)
        return cell

    def step(
        self,
        projected: Float[Tensor, "batch width"],
        state: RNNState,
        kept: Float[Tensor, "batch width"] | None = None,
    ) -> RNNState:
        seen = state.hidden if kept is None else state.hidden * kept
        return RNNState(self.activation(projected + self.from_hidden(seen)))

"""The simple recurrent network (Elman's), with any activation."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ensuite.core.errors import UsageError
from ensuite.nn.kernels import dense, rnn
from ensuite.nn.unroll import Cell

Activation = Literal["tanh", "relu", "sigmoid", "gelu", "silu", "identity"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "gelu": F.gelu,
    "silu": F.silu,
    "identity": torch.clone,
}

KERNELS: dict[Any, Callable[..., Any]] = {
    torch.tanh: torch.rnn_tanh,
    torch.relu: torch.rnn_relu,
}
"""What computes all positions at once, where torch has it."""


class RNNState(NamedTuple):
    """What an RNN carries from one position to the next."""

    hidden: Float[Tensor, "batch width"]


class RNN(Cell[RNNState]):
    """Read a sequence in order, through one hidden state.

        h' = f(W x + U h + b)

    Args:
        features: Size of one input vector.
        width: Size of the hidden state.
        activation: The function f: by name, or any that keeps a tensor's shape.
        normalize: Whether W x and U h each go through layer norm.
        recurrent_dropout: Share of h that U does not see while training, the same at all positions.
        learn_start: Whether the state before the first position is learned; else it is 0.

    Raises:
        UsageError: For another name.

    Sources:
        Elman (1990), https://doi.org/10.1207/s15516709cog1402_1
        With relu: Le, Jaitly & Hinton (2015), https://arxiv.org/abs/1504.00941
        Layer norm and dropout: see ``Cell``
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
                f"{', '.join(ACTIVATIONS)}, or give a function."
            )
        self.activation = ACTIVATIONS[activation] if isinstance(activation, str) else activation
        self.kernel = None if normalize else KERNELS.get(self.activation)
        self.hoists = self.kernel is not None

    @classmethod
    def from_torch(cls, layer: nn.RNN) -> "RNN":
        """Return an RNN with the weights of a torch layer.

        Raises:
            UsageError: If that has several layers or directions.
        """
        weights = dense.weights_of(layer)
        activation: Activation = "relu" if layer.nonlinearity == "relu" else "tanh"
        cell = cls(layer.input_size, layer.hidden_size, activation=activation)
        cell.to(weights.from_input).load_state_dict(
            {
                "from_input.weight": weights.from_input,
                "from_input.bias": weights.input_bias + weights.hidden_bias,
                "from_hidden.weight": weights.from_hidden,
            }
        )
        return cell

    def step(
        self,
        projected: Float[Tensor, "batch width"],
        state: RNNState,
        kept: Float[Tensor, "batch width"] | None = None,
    ) -> RNNState:
        seen = state.hidden if kept is None else state.hidden * kept
        return RNNState(self.activation(projected + self.from_hidden(seen)))

    def hoisted(
        self,
        inputs: Float[Tensor, "batch time features"],
        mask: Bool[Tensor, "batch time"] | None,
        state: RNNState,
        kept: Float[Tensor, "batch width"] | None,
    ) -> tuple[Float[Tensor, "batch time width"], RNNState]:
        relu = self.activation is torch.relu
        outputs, last = rnn.run(
            self.define_of, inputs, mask, kept, *state, self.weights(), relu=relu
        )
        return outputs, RNNState(*last)

    def dense(
        self,
        inputs: Float[Tensor, "batch time features"],
        mask: Bool[Tensor, "batch time"] | None,
        state: RNNState,
    ) -> tuple[Float[Tensor, "batch time width"], RNNState]:
        bias = self.from_input.bias
        weights = dense.Weights(
            self.from_input.weight, self.from_hidden.weight, bias, torch.zeros_like(bias)
        )
        return dense.run(
            KERNELS[self.activation], inputs, mask, state, weights, when_padded=(dense.SHUT,)
        )

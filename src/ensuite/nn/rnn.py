"""The simple recurrent network (Elman's), with tanh or relu."""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ensuite.core.errors import UsageError
from ensuite.nn.kernels import dense
from ensuite.nn.unroll import Cell


class RNNState(NamedTuple):
    """What an RNN carries from one position to the next."""

    hidden: Float[Tensor, "batch width"]


class RNN(Cell[RNNState]):
    """Read a sequence in order, through one hidden state.

        h' = tanh(W x + U h + b)                      or relu in the place of tanh

    Args:
        features: Size of one input vector.
        width: Size of the hidden state.
        activation: What the sum goes through.

    Raises:
        UsageError: For another activation.

    Sources:
        Elman (1990), https://doi.org/10.1207/s15516709cog1402_1
        With relu: Le, Jaitly & Hinton (2015), https://arxiv.org/abs/1504.00941
    """

    def __init__(
        self, features: int, width: int, *, activation: Literal["tanh", "relu"] = "tanh"
    ) -> None:
        super().__init__()
        if activation not in ("tanh", "relu"):
            raise UsageError(f'The activation of an RNN is "tanh" or "relu", not "{activation}".')
        self.width = width
        self.activation = activation
        self.from_input = nn.Linear(features, width)
        self.from_hidden = nn.Linear(width, width, bias=False)

    @classmethod
    def from_torch(cls, layer: nn.RNN) -> "RNN":
        """Return an RNN with the weights of a torch layer.

        Raises:
            UsageError: If that has several layers or directions.
        """
        weights = dense.weights_of(layer)
        activation: Literal["tanh", "relu"] = "relu" if layer.nonlinearity == "relu" else "tanh"
        rnn = cls(layer.input_size, layer.hidden_size, activation=activation)
        rnn.to(weights.from_input).load_state_dict(
            {
                "from_input.weight": weights.from_input,
                "from_input.bias": weights.input_bias + weights.hidden_bias,
                "from_hidden.weight": weights.from_hidden,
            }
        )
        return rnn

    def begin(self, batch_size: int) -> RNNState:
        return RNNState(self.from_hidden.weight.new_zeros(batch_size, self.width))

    def step(self, projected: Float[Tensor, "batch width"], state: RNNState) -> RNNState:
        total = projected + self.from_hidden(state.hidden)
        return RNNState(total.tanh() if self.activation == "tanh" else total.relu())

    def forward(
        self,
        inputs: Float[Tensor, "batch time features"],
        mask: Bool[Tensor, "batch time"] | None = None,
        state: RNNState | None = None,
    ) -> tuple[Float[Tensor, "batch time width"], RNNState]:
        state = state or self.begin(len(inputs))
        bias = self.from_input.bias
        weights = dense.Weights(
            self.from_input.weight, self.from_hidden.weight, bias, torch.zeros_like(bias)
        )
        kernel = torch.rnn_tanh if self.activation == "tanh" else torch.rnn_relu
        return dense.run(kernel, inputs, mask, state, weights, when_padded=(dense.SHUT,))

"""The gated recurrent unit (GRU), with its reset gate before or after the matrix."""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ensuite.core.errors import UsageError
from ensuite.nn.kernels import dense
from ensuite.nn.unroll import Cell, unroll


class GRUState(NamedTuple):
    """What a GRU carries from one position to the next."""

    hidden: Float[Tensor, "batch width"]


class GRU(Cell[GRUState]):
    """Read a sequence in order, through a hidden state that two gates guard.

        r = σ(W_r x + U_r h + b_r)       n = tanh(W_n x + b_n + U_n (r ⊙ h))          before
        z = σ(W_z x + U_z h + b_z)       n = tanh(W_n x + b_n + r ⊙ (U_n h + u))      after
        h' = z ⊙ h + (1 - z) ⊙ n

    The update gate z keeps the old state, as in PyTorch; other texts let it take the new one.
    "before" resets the state before the matrix, as Cho et al. do; "after" resets the product, as
    PyTorch and cuDNN do, so that all three products are one.

    Args:
        features: Size of one input vector.
        width: Size of the hidden state.
        reset: Where the reset gate stands.

    Raises:
        UsageError: For another place.

    Sources:
        Cho et al. (2014), EMNLP, https://arxiv.org/abs/1406.1078, equations 5 to 8
        "after": https://pytorch.org/docs/stable/generated/torch.nn.GRU.html
    """

    def __init__(
        self, features: int, width: int, *, reset: Literal["after", "before"] = "after"
    ) -> None:
        super().__init__()
        if reset not in ("after", "before"):
            raise UsageError(f'The reset gate of a GRU is "after" or "before", not "{reset}".')
        self.width = width
        self.from_input = nn.Linear(features, 3 * width)
        self.from_hidden = nn.Linear(width, 3 * width, bias=False)
        self.reset_bias = nn.Parameter(torch.zeros(width)) if reset == "after" else None

    @classmethod
    def from_torch(cls, layer: nn.GRU) -> "GRU":
        """Return a GRU with the weights of a torch layer.

        Raises:
            UsageError: If that has several layers or directions.
        """
        weights = dense.weights_of(layer)
        gates, candidate = weights.hidden_bias.tensor_split([2 * layer.hidden_size])
        gru = cls(layer.input_size, layer.hidden_size)
        gru.to(weights.from_input).load_state_dict(
            {
                "from_input.weight": weights.from_input,
                "from_input.bias": weights.input_bias + F.pad(gates, (0, layer.hidden_size)),
                "from_hidden.weight": weights.from_hidden,
                "reset_bias": candidate,
            }
        )
        return gru

    def begin(self, batch_size: int) -> GRUState:
        return GRUState(self.from_hidden.weight.new_zeros(batch_size, self.width))

    def step(self, projected: Float[Tensor, "batch gates"], state: GRUState) -> GRUState:
        (hidden,) = state
        cut = [2 * self.width]  # PyTorch's order: reset and update, then the candidate
        gates, candidate = projected.tensor_split(cut, dim=-1)
        to_gates, to_candidate = self.from_hidden.weight.tensor_split(cut)
        reset, update = (gates + F.linear(hidden, to_gates)).sigmoid().chunk(2, dim=-1)
        if self.reset_bias is None:
            recalled = F.linear(reset * hidden, to_candidate)
        else:
            recalled = reset * F.linear(hidden, to_candidate, self.reset_bias)
        return GRUState(update * hidden + (1 - update) * (candidate + recalled).tanh())

    def forward(
        self,
        inputs: Float[Tensor, "batch time features"],
        mask: Bool[Tensor, "batch time"] | None = None,
        state: GRUState | None = None,
    ) -> tuple[Float[Tensor, "batch time width"], GRUState]:
        state = state or self.begin(len(inputs))
        if self.reset_bias is None:
            return unroll(self.step, self.from_input(inputs), state, mask)
        weights = dense.Weights(
            self.from_input.weight,
            self.from_hidden.weight,
            self.from_input.bias,
            F.pad(self.reset_bias, (2 * self.width, 0)),
        )
        keep = (0.0, dense.OPEN, 0.0)  # the update gate lets the old state through
        return dense.run(torch.gru, inputs, mask, state, weights, when_padded=keep)

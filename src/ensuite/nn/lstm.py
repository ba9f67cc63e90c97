"""Long short-term memory (LSTM), with optional peephole connections."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ensuite.nn.kernels import dense
from ensuite.nn.unroll import Cell, unroll


class LSTMState(NamedTuple):
    """What an LSTM carries from one position to the next."""

    hidden: Float[Tensor, "batch width"]
    cell: Float[Tensor, "batch width"]


class LSTM(Cell[LSTMState]):
    """Read a sequence in order, through a memory cell that three gates guard.

        i = σ(W_i x + U_i h + p_i ⊙ c + b_i)         c' = f ⊙ c + i ⊙ tanh(W_g x + U_g h + b_g)
        f = σ(W_f x + U_f h + p_f ⊙ c + b_f)         h' = o ⊙ tanh(c')
        o = σ(W_o x + U_o h + p_o ⊙ c' + b_o)

    The peepholes p show each gate the cell it guards. They start at 0: a plain LSTM.

    Args:
        features: Size of one input vector.
        width: Size of the hidden state and of the cell.
        peepholes: Whether the gates see the cell.

    Sources:
        Hochreiter & Schmidhuber (1997), https://doi.org/10.1162/neco.1997.9.8.1735
        Peepholes: Gers, Schraudolph & Schmidhuber (2002), JMLR 3:115-143
        Forget bias of 1: Jozefowicz, Zaremba & Sutskever (2015), ICML, PMLR 37:2342-2350
    """

    def __init__(self, features: int, width: int, *, peepholes: bool = False) -> None:
        super().__init__()
        self.width = width
        self.from_input = nn.Linear(features, 4 * width)
        self.from_hidden = nn.Linear(width, 4 * width, bias=False)
        self.peepholes = nn.Parameter(torch.zeros(3, width)) if peepholes else None
        nn.init.zeros_(self.from_input.bias)
        nn.init.ones_(self.from_input.bias[width : 2 * width])  # remember, until told to forget

    @classmethod
    def from_torch(cls, layer: nn.LSTM) -> "LSTM":
        """Return an LSTM with the weights of a torch layer.

        Raises:
            UsageError: If that has several layers or directions, or a projection.
        """
        weights = dense.weights_of(layer)
        lstm = cls(layer.input_size, layer.hidden_size)
        lstm.to(weights.from_input).load_state_dict(
            {
                "from_input.weight": weights.from_input,
                "from_input.bias": weights.input_bias + weights.hidden_bias,
                "from_hidden.weight": weights.from_hidden,
            }
        )
        return lstm

    def begin(self, batch_size: int) -> LSTMState:
        zeros = self.from_hidden.weight.new_zeros(batch_size, self.width)
        return LSTMState(zeros, zeros)

    def step(self, projected: Float[Tensor, "batch gates"], state: LSTMState) -> LSTMState:
        hidden, cell = state
        gates = projected + self.from_hidden(hidden)
        i, f, g, o = gates.chunk(4, dim=-1)  # PyTorch's order, so its weights load as they are
        if self.peepholes is not None:
            i, f = i + self.peepholes[0] * cell, f + self.peepholes[1] * cell
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        if self.peepholes is not None:
            o = o + self.peepholes[2] * cell
        return LSTMState(o.sigmoid() * cell.tanh(), cell)

    def forward(
        self,
        inputs: Float[Tensor, "batch time features"],
        mask: Bool[Tensor, "batch time"] | None = None,
        state: LSTMState | None = None,
    ) -> tuple[Float[Tensor, "batch time width"], LSTMState]:
        state = state or self.begin(len(inputs))
        if self.peepholes is not None:
            return unroll(self.step, self.from_input(inputs), state, mask)
        bias = self.from_input.bias
        weights = dense.Weights(
            self.from_input.weight, self.from_hidden.weight, bias, torch.zeros_like(bias)
        )
        keep = (dense.SHUT, dense.OPEN, 0.0, 0.0)  # lets nothing in, forgets nothing
        return dense.run(torch.lstm, inputs, mask, state, weights, when_padded=keep)

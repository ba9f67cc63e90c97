"""Long short-term memory (LSTM), with optional peephole connections."""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ensuite.core.errors import UsageError
from ensuite.nn.kernels import lstm, pytorch
from ensuite.nn.kernels.paths import FastCell

Peepholes = Literal["none", "diagonal", "full"]


class LSTMState(NamedTuple):
    """State of an LSTM."""

    hidden: Float[Tensor, "batch width"]
    cell: Float[Tensor, "batch width"]


class LSTM(FastCell[LSTMState]):
    """A long short-term memory layer in one direction.

        i = σ(W_i x + U_i h + P_i c + b_i)           c' = f ⊙ c + i ⊙ tanh(W_g x + U_g h + b_g)
        f = σ(W_f x + U_f h + P_f c + b_f)           h' = o ⊙ tanh(c')
        o = σ(W_o x + U_o h + P_o c' + b_o)

    The input gate i and the forget gate f read the previous cell through the peepholes P, the
    output gate o reads the new one. P is diagonal as first published, or a full matrix (W_ci, W_cf
    and W_co in Graves 2013). Peepholes start at zero, which is an LSTM without them. With layer
    norm, h' = o ⊙ tanh(norm(c')), and c' is carried on without the norm.

    Args:
        features: Size of one input vector.
        width: Size of the hidden state and of the cell.
        peepholes: Kind of the peephole connections from the cell to the gates.
        normalize: Whether layer norm is applied to W x, to U h, and to c' before its tanh.
        recurrent_dropout: Dropout rate of h before U, with one mask for all positions of a row.
        learn_start: Whether the initial state is learned; otherwise it is zero.

    Raises:
        UsageError: For an unknown kind of peepholes.

    Sources:
        Hochreiter & Schmidhuber (1997), https://doi.org/10.1162/neco.1997.9.8.1735
        Peepholes: Gers, Schraudolph & Schmidhuber (2002), JMLR 3:115-143
        As matrices: Graves (2013), https://arxiv.org/abs/1308.0850, equations 7 to 11
        Forget bias of 1: Jozefowicz, Zaremba & Sutskever (2015), ICML, PMLR 37:2342-2350
        Layer norm: Ba, Kiros & Hinton (2016), https://arxiv.org/abs/1607.06450, supplement
        Recurrent dropout: see ``Cell``
    """

    def __init__(
        self,
        features: int,
        width: int,
        *,
        peepholes: Peepholes = "none",
        normalize: bool = False,
        recurrent_dropout: float = 0.0,
        learn_start: bool = False,
    ) -> None:
        super().__init__(
            features,
            width,
            LSTMState,
            (4,),
            normalize=normalize,
            recurrent_dropout=recurrent_dropout,
            learn_start=learn_start,
        )
        shapes = {"none": None, "diagonal": (3, width), "full": (3, width, width)}
        if peepholes not in shapes:
            raise UsageError(
                f'The peepholes of an LSTM are "none", "diagonal" or "full", not "{peepholes}".'
            )
        shape = shapes[peepholes]
        self.peepholes = None if shape is None else nn.Parameter(torch.zeros(shape))  # i, f, o
        self.cell_norm = nn.LayerNorm(width) if normalize else None
        self.extra = None if self.peepholes is None else "peepholes"
        self.hoisted_kernel = None if normalize else lstm.kernel()
        self.pytorch_kernel = None if normalize or peepholes != "none" else pytorch.LSTM
        nn.init.zeros_(self.from_input.bias)
        nn.init.ones_(self.from_input.bias[width : 2 * width])  # the forget gate starts open

    @classmethod
    def from_torch(cls, layer: nn.LSTM) -> "LSTM":
        """Return an LSTM with the weights of a PyTorch layer.

        Raises:
            UsageError: If the layer has several layers or directions, or a projection.
        """
        cell = cls(layer.input_size, layer.hidden_size)
        cell.load_pytorch(layer)
        return cell

    def step(
        self,
        projected: Float[Tensor, "batch gates"],
        state: LSTMState,
        kept: Float[Tensor, "batch width"] | None = None,
    ) -> LSTMState:
        hidden, cell = state
        gates = projected + self.from_hidden(hidden if kept is None else hidden * kept)
        i, f, g, o = gates.chunk(4, dim=-1)  # in PyTorch's order, so that its weights can be loaded
        if self.peepholes is not None:
            i, f = i + peep(self.peepholes[0], cell), f + peep(self.peepholes[1], cell)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        if self.peepholes is not None:
            o = o + peep(self.peepholes[2], cell)
        normalized = cell if self.cell_norm is None else self.cell_norm(cell)
        return LSTMState(o.sigmoid() * normalized.tanh(), cell)


def peep(
    peephole: Float[Tensor, " width"] | Float[Tensor, "width width"],
    cell: Float[Tensor, "batch width"],
) -> Float[Tensor, "batch width"]:
    """Return the product of a peephole, diagonal or full, with the cell."""
    return peephole * cell if peephole.dim() == 1 else F.linear(cell, peephole)

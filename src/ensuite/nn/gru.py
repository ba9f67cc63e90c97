"""The gated recurrent unit (GRU), with its reset gate before or after the matrix product."""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ensuite.core.errors import UsageError
from ensuite.nn.kernels import gru, pytorch
from ensuite.nn.kernels.paths import FastCell


class GRUState(NamedTuple):
    """State of a GRU."""

    hidden: Float[Tensor, "batch width"]


class GRU(FastCell[GRUState]):
    """A gated recurrent unit layer in one direction.

        r = σ(W_r x + U_r h + b_r)       n = tanh(W_n x + b_n + U_n (r ⊙ h))          before
        z = σ(W_z x + U_z h + b_z)       n = tanh(W_n x + b_n + r ⊙ (U_n h + u))      after
        h' = z ⊙ h + (1 - z) ⊙ n

    The update gate z is the share of the old state that is kept: z = 1 keeps h, z = 0 replaces it
    by n, as in Cho et al. (2014), PyTorch and Keras. Chung et al. (2014) and others define it the
    other way round, h' = (1 - z) ⊙ h + z ⊙ n; negate W_z, U_z and b_z to convert weights.

    With "before" the reset gate multiplies the state before the matrix product, as in Cho et al.
    With "after" it multiplies the product, as in PyTorch and cuDNN, so that the three products with
    h are one. Only "after" has the bias u.

    Args:
        features: Size of one input vector.
        width: Size of the hidden state.
        reset: Whether the reset gate is applied before or after the matrix product U_n h.
        normalize: Whether layer norm is applied to the products W x and U h: once over both gates,
            and once over the candidate n.
        recurrent_dropout: Dropout rate of h before U, with one mask for all positions of a row.
        learn_start: Whether the initial state is learned; otherwise it is zero.

    Raises:
        UsageError: If ``reset`` is neither.

    Sources:
        Cho et al. (2014), EMNLP, https://arxiv.org/abs/1406.1078, equations 5 to 8
        "after": https://pytorch.org/docs/stable/generated/torch.nn.GRU.html
        z swapped: Chung et al. (2014), https://arxiv.org/abs/1412.3555, equation 5
        Layer norm: Ba, Kiros & Hinton (2016), https://arxiv.org/abs/1607.06450, supplement
        Recurrent dropout: see ``Cell``
    """

    def __init__(
        self,
        features: int,
        width: int,
        *,
        reset: Literal["after", "before"] = "after",
        normalize: bool = False,
        recurrent_dropout: float = 0.0,
        learn_start: bool = False,
    ) -> None:
        super().__init__(
            features,
            width,
            GRUState,
            (2, 1),
            normalize=normalize,
            recurrent_dropout=recurrent_dropout,
            learn_start=learn_start,
        )
        if reset not in ("after", "before"):
            raise UsageError(f'reset must be "after" or "before", not "{reset}".')
        self.reset_bias = nn.Parameter(torch.zeros(width)) if reset == "after" else None
        self.extra = None if self.reset_bias is None else "reset_bias"
        self.hoisted_kernel = None if normalize else gru.kernel(reset)
        self.pytorch_kernel = None if normalize or reset == "before" else pytorch.GRU

    @classmethod
    def from_torch(cls, layer: nn.GRU) -> "GRU":
        """Return a GRU with the weights of a PyTorch layer.

        Raises:
            UsageError: If the layer has several layers or directions.
        """
        cell = cls(layer.input_size, layer.hidden_size)
        cell.load_pytorch(layer)
        return cell

    def step(
        self,
        projected: Float[Tensor, "batch gates"],
        state: GRUState,
        kept: Float[Tensor, "batch width"] | None = None,
    ) -> GRUState:
        (hidden,) = state
        seen = hidden if kept is None else hidden * kept
        # in PyTorch's order: reset gate, update gate, candidate
        gates, candidate = projected.tensor_split([2 * self.width], dim=-1)
        if self.reset_bias is None:
            reset, update = (gates + self.from_hidden.part(0, seen)).sigmoid().chunk(2, dim=-1)
            recalled = self.from_hidden.part(1, reset * seen)
        else:
            product, called = self.from_hidden(seen).tensor_split([2 * self.width], dim=-1)
            reset, update = (gates + product).sigmoid().chunk(2, dim=-1)
            recalled = reset * (called + self.reset_bias)
        return GRUState(update * hidden + (1 - update) * (candidate + recalled).tanh())

    def hidden_bias(self) -> Float[Tensor, " gates"]:
        assert self.reset_bias is not None  # else PyTorch has no kernel of this cell
        return F.pad(self.reset_bias, (2 * self.width, 0))

    def tensors_of(self, weights: pytorch.Weights) -> dict[str, Tensor]:
        gates, candidate = weights.hidden_bias.tensor_split([2 * self.width])
        input_bias = weights.input_bias + F.pad(gates, (0, self.width))
        tensors = super().tensors_of(weights)
        return {**tensors, "from_input.bias": input_bias, "reset_bias": candidate}

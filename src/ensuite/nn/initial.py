"""How weights start, where it decides what can be learned at all."""

from typing import Any, Literal

import torch
from torch import nn

from ensuite.nn.gru import GRU
from ensuite.nn.lstm import LSTM
from ensuite.nn.unroll import Cell

HIDDEN = {
    "glorot": nn.init.xavier_uniform_,
    "orthogonal": nn.init.orthogonal_,
    "identity": nn.init.eye_,
}


@torch.no_grad()
def initialize_(cell: Cell[Any], how: Literal["glorot", "orthogonal", "identity"]) -> None:
    """Draw the matrices of a cell anew: Glorot's for the input, another for the hidden state.

    Each gate is drawn by itself, as the width that counts is its own and not that of all gates
    together. Biases become 0, but for the 1 of an LSTM's forget gate.

    Args:
        cell: Changed in place.
        how: The matrix from hidden state to each gate: uniform with variance 1 / width; orthogonal,
            which keeps the length of what it multiplies; or the identity, which with relu adds each
            input to the state (IRNN).

    Sources:
        Glorot & Bengio (2010), PMLR 9:249-256, equation 16
        Orthogonal: Saxe, McClelland & Ganguli (2014), https://arxiv.org/abs/1312.6120
        Identity: Le, Jaitly & Hinton (2015), https://arxiv.org/abs/1504.00941
    """
    for block in torch.split(cell.from_input.weight, cell.width):
        nn.init.xavier_uniform_(block)
    for block in torch.split(cell.from_hidden.weight, cell.width):
        HIDDEN[how](block)
    if not isinstance(cell, LSTM):  # whose bias is not random
        nn.init.zeros_(cell.from_input.bias)


@torch.no_grad()
def chrono_(cell: LSTM | GRU, span: int) -> None:
    """Set the biases of a cell so that its units forget over 1 to ``span`` steps, evenly spread.

    A gate at f forgets over about 1 / (1 - f) steps: with the usual bias of 1 that is four, and
    what lies further back has no gradient to be found by.

    Args:
        cell: Changed in place.
        span: Longest distance, in steps, 3 or more.

    Sources:
        Tallec & Ollivier (2018), ICLR, https://arxiv.org/abs/1804.11188, section 2.2.
    """
    width = cell.width
    bias = torch.empty(width).uniform_(1, span - 1).log()
    if isinstance(cell, LSTM):  # input gate, then forget gate
        cell.from_input.bias[:width] = -bias
    cell.from_input.bias[width : 2 * width] = bias  # of a GRU, the gate that keeps the state

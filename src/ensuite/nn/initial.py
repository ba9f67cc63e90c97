"""Initialisation of recurrent cells, for long sequences above all."""

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
    """Initialise the matrices of a cell in place, each gate separately.

    Input matrices are drawn from Glorot's uniform distribution. Biases are set to 0, except those
    of an LSTM, which keep the forget bias of 1.

    Args:
        cell: Cell whose weights are replaced.
        how: Initialisation of the matrix from the hidden state to each gate. "glorot": uniform with
            variance 1 / width. "orthogonal": a random orthogonal matrix, which preserves norms.
            "identity": the identity matrix, with which a ReLU network adds each input to its state
            (IRNN).

    Sources:
        Glorot & Bengio (2010), PMLR 9:249-256, equation 16
        Orthogonal: Saxe, McClelland & Ganguli (2014), https://arxiv.org/abs/1312.6120
        Identity: Le, Jaitly & Hinton (2015), https://arxiv.org/abs/1504.00941
    """
    for block in torch.split(cell.from_input.weight, cell.width):
        nn.init.xavier_uniform_(block)
    for block in torch.split(cell.from_hidden.weight, cell.width):
        HIDDEN[how](block)
    if not isinstance(cell, LSTM):  # its biases are already constants
        nn.init.zeros_(cell.from_input.bias)


@torch.no_grad()
def chrono_(cell: LSTM | GRU, span: int) -> None:
    """Set gate biases in place so that the units remember for 1 to ``span`` steps (chrono).

    A unit whose forget gate is f remembers for about 1 / (1 - f) steps. With the usual forget bias
    of 1 these are four steps, and the gradient of what happened much earlier vanishes. Here the
    memory spans of the units are drawn uniformly.

    Args:
        cell: Cell whose biases are replaced.
        span: Longest memory span, in steps; 3 or more.

    Source:
        Tallec & Ollivier (2018), ICLR, https://arxiv.org/abs/1804.11188, section 2.2.
    """
    width = cell.width
    bias = torch.empty(width).uniform_(1, span - 1).log()
    if isinstance(cell, LSTM):
        cell.from_input.bias[:width] = -bias  # input gate
    # forget gate of an LSTM, or update gate of a GRU
    cell.from_input.bias[width : 2 * width] = bias

"""How weights start, where it decides what can be learned at all."""

import torch

from ensuite.nn.gru import GRU
from ensuite.nn.lstm import LSTM


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

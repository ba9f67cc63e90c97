"""Layers: modules from tensors to tensors, which know nothing of tasks or files."""

from ensuite.nn.embed import Embedding
from ensuite.nn.gru import GRU, GRUState
from ensuite.nn.heads import SequenceHead, SummaryHead
from ensuite.nn.lstm import LSTM, LSTMState
from ensuite.nn.pooling import pool
from ensuite.nn.recurrent import Recurrent
from ensuite.nn.rnn import RNN, RNNState
from ensuite.nn.unroll import Cell, unroll

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Cell",
    "Embedding",
    "GRUState",
    "LSTMState",
    "RNNState",
    "Recurrent",
    "SequenceHead",
    "SummaryHead",
    "pool",
    "unroll",
]

"""Layers as plain modules: tensors in, tensors out."""

from ensuite.nn.embed import Embedding
from ensuite.nn.gru import GRU, GRUState
from ensuite.nn.heads import SequenceHead, SummaryHead
from ensuite.nn.initial import chrono_
from ensuite.nn.lstm import LSTM, LSTMState
from ensuite.nn.pooling import pool
from ensuite.nn.recurrent import Recurrent
from ensuite.nn.rnn import RNN, RNNState
from ensuite.nn.unroll import unroll

__all__ = [
    "GRU", "LSTM", "RNN", "Embedding", "GRUState", "LSTMState", "RNNState", "Recurrent",
    "SequenceHead", "SummaryHead", "chrono_", "pool", "unroll",
]  # fmt: skip

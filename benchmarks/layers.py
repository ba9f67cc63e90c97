"""Recurrent layers against torch.nn and Keras: training steps, peepholes, step-by-step reading.

    python -m benchmarks.layers

A training step is a forward and a backward pass with the gradients of all weights, from the outputs
at every position, in float32. Keras does the same in a ``tf.function`` on TensorFlow.
"""

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks.peers import Keras
from benchmarks.protocol import Effort, Found, Row, ceilings, compare, publish, timed
from ensuite.nn.gru import GRU
from ensuite.nn.lstm import LSTM
from ensuite.nn.rnn import RNN
from ensuite.nn.unroll import Cell

OURS: dict[str, type[Cell[Any]]] = {"rnn": RNN, "lstm": LSTM, "gru": GRU}
TORCH: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
GATES = {"rnn": 1, "lstm": 4, "gru": 3}


class Size(NamedTuple):
    """Size of one job. ``features`` is the input size (default: the width of the layer)."""

    width: int
    time: int
    batch: int = 32
    features: int | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the inputs: batch, time, features."""
        return self.batch, self.time, self.features or self.width

    def __str__(self) -> str:
        return f"width {self.width}, T={self.time}, batch {self.batch}"


class Sizes(NamedTuple):
    """The sizes that are measured."""

    dense: tuple[Size, ...] = (
        Size(50, 10, features=1), Size(64, 100), Size(128, 100), Size(256, 200), Size(512, 64, 64),
    )  # fmt: skip
    ragged: tuple[Size, ...] = (Size(128, 100), Size(128, 500))
    peepholes: tuple[Size, ...] = (Size(64, 100), Size(256, 100))
    stream: tuple[int, ...] = (50, 256)


def measure(sizes: Sizes | None = None, effort: Effort | None = None) -> Found:
    """Measure every job; return the rows of the table, and the versions of the peers."""
    sizes, rows = sizes or Sizes(), list[Row]()
    with Keras() as keras:
        for size, cell in product(sizes.dense, OURS):
            rows += dense(cell, size, keras, effort)
    for size, cell in product(sizes.ragged, OURS):
        rows += ragged(cell, size, effort)
    for size in sizes.peepholes:
        rows += peepholes(size, effort)
    for width, cell in product(sizes.stream, OURS):
        rows += stream(cell, width, effort)
    return Found(rows, keras.versions)


def dense(cell: str, size: Size, keras: Keras, effort: Effort | None) -> list[Row]:
    """Measure one training step over rows of equal length."""
    inputs = torch.randn(size.shape)
    ours, torchs = pair(cell, size)
    peers = [
        timed(f"nn.{type(torchs).__name__}", step(torchs, lambda: torchs(inputs)[0])),
        keras.contender("layer", cell=cell, shape=list(size.shape), width=size.width),
    ]
    mine = timed("ensuite", step(ours, lambda: ours(inputs)[0]))
    job = f"{cell}, {size}"
    return compare({job: mine}, peers, effort, amount=size.batch, flops=flops(cell, size))


def ragged(cell: str, size: Size, effort: Effort | None) -> list[Row]:
    """Measure one training step over rows of 1 to T positions; the peer packs them."""
    inputs = torch.randn(size.shape)
    lengths = torch.randint(1, size.time + 1, (size.batch,), generator=torch.manual_seed(0))
    lengths[0] = size.time
    mask = torch.arange(size.time) < lengths[:, None]
    ours, torchs = pair(cell, size)

    def packed() -> Tensor:
        rows = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(torchs(rows)[0], batch_first=True)
        return outputs

    mine = timed("ensuite", step(ours, lambda: ours(inputs, mask)[0]))
    peer = timed("packed", step(torchs, packed))
    job = f"{cell}, lengths 1 to {size.time}, width {size.width}, batch {size.batch}"
    share = lengths.sum().item() / mask.numel()  # share of the positions that is not padding
    work = share * flops(cell, size)
    return compare({job: mine}, [peer], effort, amount=size.batch, flops=work)


def peepholes(size: Size, effort: Effort | None) -> list[Row]:
    """Measure one training step of an LSTM with peepholes; the peer loops over time."""
    inputs = torch.randn(size.shape)
    ours = LSTM(size.width, size.width, peepholes="diagonal")
    loop = EagerPeepholes(size.width, size.width)
    mine = timed("ensuite", step(ours, lambda: ours(inputs)[0]))
    peer = timed("eager loop", step(loop, lambda: loop(inputs)))
    job, work = f"lstm with peepholes, {size}", flops("lstm", size)
    return compare({job: mine}, [peer], effort, amount=size.batch, flops=work)


def stream(cell: str, width: int, effort: Effort | None) -> list[Row]:
    """Measure reading one position of one row and carrying the state."""
    ours, torchs = pair(cell, Size(width, 1, 1))
    now, state, carry = torch.randn(1, width), ours.begin(1), None

    @torch.inference_mode()
    def take() -> None:
        nonlocal state
        state = ours.step(ours.from_input(now), state)

    @torch.inference_mode()
    def call() -> None:
        nonlocal carry
        _, carry = torchs(now[None], carry)

    peer = timed(f"nn.{type(torchs).__name__}", call)
    job = f"{cell}, one position at a time, width {width}"
    return compare({job: timed("ensuite", take)}, [peer], effort, amount=1)


def pair(cell: str, size: Size) -> tuple[Cell[Any], nn.RNNBase]:
    """Return our layer and torch's, with the same weights."""
    torchs = TORCH[cell](size.shape[-1], size.width, batch_first=True)
    return OURS[cell].from_torch(torchs), torchs  # type: ignore[attr-defined]


def step(module: nn.Module, outputs: Callable[[], Tensor]) -> Callable[[], None]:
    """Return one training step: forward, backward and the gradients of all weights."""

    def take() -> None:
        module.zero_grad(set_to_none=True)
        torch.autograd.backward(outputs().sum())

    return take


def flops(cell: str, size: Size) -> float:
    """Count multiplications and additions of the matrix products, forward and backward.

    The gradients of the weights take as many as the forward pass, those of the states only the
    recurrent part; gradients of the inputs are not computed.
    """
    batch, time, features = size.shape
    read = 2 * (features + size.width) + size.width
    return 2 * batch * time * GATES[cell] * size.width * read


class EagerPeepholes(nn.Module):
    """The equations of Gers, Schraudolph & Schmidhuber (2002) as a loop of torch operations."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.from_input = nn.Linear(features, 4 * width)
        self.from_hidden = nn.Linear(width, 4 * width, bias=False)
        self.peepholes = nn.Parameter(torch.zeros(3, width))

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = cell = inputs.new_zeros(len(inputs), self.width)
        outputs = []
        for now in self.from_input(inputs).unbind(1):
            i, f, g, o = (now + self.from_hidden(hidden)).chunk(4, dim=-1)
            i = torch.sigmoid(i + self.peepholes[0] * cell)
            f = torch.sigmoid(f + self.peepholes[1] * cell)
            cell = f * cell + i * torch.tanh(g)
            hidden = torch.sigmoid(o + self.peepholes[2] * cell) * torch.tanh(cell)
            outputs.append(hidden)
        return torch.stack(outputs, dim=1)


if __name__ == "__main__":
    print(publish("layers", measure(), ceilings()))

"""Layers of recurrent cells, in one direction or both, with dropout between them."""

from collections.abc import Callable
from typing import Any, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ensuite.core.errors import UsageError
from ensuite.nn.unroll import Cell

CellStates = tuple[tuple[Tensor, ...], ...]
"""The state of every cell: by layer, and in a layer the forward direction first."""


class Recurrent(nn.Module):
    """Stack cells: each layer reads the outputs of the one below.

    The backward direction reads each row's real positions from the last to the first.

    Args:
        make: Makes a cell of (features, width): a class such as ``LSTM``, or a ``partial`` of it.
        features: Size of one input vector.
        width: Size of the hidden state of each cell.
        layers: How many stand on each other.
        bidirectional: Whether each layer has a second cell, which reads backwards.
        dropout: Share of the numbers between two layers that are dropped while training.

    Sources:
        Both directions: Schuster & Paliwal (1997), https://doi.org/10.1109/78.650093
        Dropout between layers: Zaremba, Sutskever & Vinyals (2014), https://arxiv.org/abs/1409.2329
    """

    def __init__(
        self,
        make: Callable[[int, int], Cell[Any]],
        features: int,
        width: int,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.directions = 2 if bidirectional else 1
        self.width = self.directions * width
        sizes = [features] + (layers - 1) * [self.width]
        self.cells = nn.ModuleList(
            make(size, width) for size in sizes for _ in range(self.directions)
        )
        self.dropout = nn.Dropout(dropout)

    def begin(self, batch_size: int) -> CellStates:
        """Return the state of every cell before the first position: zeros."""
        return tuple(cell.begin(batch_size) for layer in self._by_layer() for cell in layer)

    def forward(
        self,
        inputs: Float[Tensor, "batch time features"],
        mask: Bool[Tensor, "batch time"] | None = None,
        state: CellStates | None = None,
    ) -> tuple[Float[Tensor, "batch time width"], CellStates]:
        """Return the outputs of the last layer, its directions side by side, and all last states.

        Args:
            inputs: One vector a position.
            mask: True at real positions; padding may stand anywhere. None: all are real.
            state: Where to start. None: at ``begin``.
        """
        states = iter(state or self.begin(len(inputs)))
        last: list[tuple[Tensor, ...]] = []
        for depth, (ahead, *back) in enumerate(self._by_layer()):
            inputs = self.dropout(inputs) if depth else inputs
            read = [ahead(inputs, mask, next(states))]
            read += [_read_backward(cell, inputs, mask, next(states)) for cell in back]
            outputs, after = zip(*read, strict=True)
            inputs = torch.cat(outputs, dim=-1)
            last += after
        return inputs, tuple(last)

    def step(
        self, inputs: Float[Tensor, "batch features"], state: CellStates
    ) -> tuple[Float[Tensor, "batch width"], CellStates]:
        """Take one position through all layers; ``step`` after ``step`` is ``forward``.

        Raises:
            UsageError: If the layer is bidirectional: the second direction starts at the end.
        """
        if self.directions == 2:
            raise UsageError(
                "A bidirectional layer cannot go one position at a time, as it reads from both "
                "ends: build it with bidirectional=False."
            )
        last = []
        for depth, ((cell,), before) in enumerate(zip(self._by_layer(), state, strict=True)):
            inputs = self.dropout(inputs) if depth else inputs
            last.append(cell.step(cell.from_input(inputs), before))
            inputs = last[-1][0]
        return inputs, tuple(last)

    def last(self, states: CellStates) -> Float[Tensor, "batch width"]:
        """Return each row in one vector, of the last states that ``forward`` returns.

        That is the output at the last real position, and of the backward direction at the first.
        """
        return torch.cat([hidden for hidden, *_ in states[-self.directions :]], dim=-1)

    def _by_layer(self) -> list[list[Cell[Any]]]:
        """Return the cells of each layer, forward and backward."""
        cells = [cast(Cell[Any], cell) for cell in self.cells]
        return [cells[i : i + self.directions] for i in range(0, len(cells), self.directions)]


def _read_backward(
    cell: Cell[Any], inputs: Tensor, mask: Tensor | None, state: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell from the last position to the first; its outputs stand where its inputs did."""
    outputs, state = cell(inputs.flip(1), None if mask is None else mask.flip(1), state)
    return outputs.flip(1), state

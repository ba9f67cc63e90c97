"""Layers of recurrent cells, in one direction or both, with dropout between them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ensuite.core.errors import UsageError
from ensuite.nn.documents import Documents, documents_of
from ensuite.nn.unroll import Cell, choose

CellStates = tuple[tuple[Tensor, ...], ...]
"""The state of every cell: by layer, and in a layer the forward direction first."""

Combine = Literal["concat", "sum", "mean"]


class Recurrent(nn.Module):
    """Stack cells: each layer reads the outputs of the one below.

    The backward direction reads each row's real positions from the last to the first.

    Args:
        make: Makes a cell of (features, width): a class such as ``LSTM``, or a ``partial`` of it.
        features: Size of one input vector.
        width: Size of the hidden state of each cell.
        layers: How many stand on each other.
        bidirectional: Whether each layer has a second cell, which reads backwards.
        combine: How the two directions of a layer become one output.
        dropout: Share of the numbers between two layers that are dropped while training.
        truncate: Positions that a gradient goes back through: in each layer and direction the state
            is cut from the graph every so many positions, padding among them. Of a row with several
            documents, from the start of each. The outputs are the same. None: all positions.

    Attributes:
        width: Size of the outputs.

    Raises:
        UsageError: For ``truncate`` less than 1, or ``combine`` with one direction.

    Sources:
        Both directions: Schuster & Paliwal (1997), https://doi.org/10.1109/78.650093
        Dropout between layers: Zaremba, Sutskever & Vinyals (2014), https://arxiv.org/abs/1409.2329
        Truncation: Williams & Peng (1990), https://doi.org/10.1162/neco.1990.2.4.490
    """

    def __init__(
        self,
        make: Callable[[int, int], Cell[Any]],
        features: int,
        width: int,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        combine: Combine = "concat",
        dropout: float = 0.0,
        truncate: int | None = None,
    ) -> None:
        super().__init__()
        if combine != "concat" and not bidirectional:
            raise UsageError(f"There is one direction and nothing to {combine}: leave combine out.")
        if truncate is not None and truncate < 1:
            raise UsageError(f"truncate must be 1 or more positions, or None, not {truncate}.")
        self.directions = 2 if bidirectional else 1
        self.combine = combine
        self.truncate = truncate
        self.width = self.directions * width if combine == "concat" else width
        sizes = [features] + (layers - 1) * [self.width]
        self.cells = nn.ModuleList(
            make(size, width) for size in sizes for _ in range(self.directions)
        )
        self.dropout = nn.Dropout(dropout)

    def begin(self, batch_size: int) -> CellStates:
        """Return the state of every cell before the first position: zeros, or what was learned."""
        return tuple(cell.begin(batch_size) for cell in self._each())

    def forward(
        self,
        inputs: Float[Tensor, "batch time features"],
        mask: Bool[Tensor, "batch time"] | None = None,
        state: CellStates | None = None,
        documents: Int[Tensor, "batch time"] | None = None,
    ) -> tuple[Float[Tensor, "batch time width"], CellStates]:
        """Return the outputs of the last layer, and all last states.

        Args:
            inputs: One vector a position.
            mask: True at real positions; padding may stand anywhere. None: all are real.
            state: Where to start. None: at ``begin``.
            documents: Number of the document of each position: where it changes along a row, every
                cell starts anew, at ``begin``. The first document goes on from ``state``.

        Raises:
            UsageError: For a state of another layer.
        """
        state = self.begin(len(inputs)) if state is None else state
        if len(state) != len(self.cells):
            raise UsageError(
                f"This layer goes on from the states of {len(self.cells)} cells, but was handed "
                f"{len(state)}: give it what the same layer returned."
            )
        if documents is None or bool((documents == documents[:, :1]).all()):  # one in each row
            return self._read(inputs, mask, state)
        real = torch.ones_like(documents, dtype=torch.bool) if mask is None else mask
        apart = documents_of(documents, real)
        if apart is None:
            return self._read(inputs, mask, state)
        return self._read_apart(apart, inputs, state)

    def _read_apart(
        self, apart: Documents, inputs: Tensor, state: CellStates
    ) -> tuple[Tensor, CellStates]:
        """Read each document as a row of its own."""
        ways = [number % self.directions == 0 for number in range(len(state))]
        triples = zip(self.begin(len(apart.row)), state, ways, strict=True)
        start = [apart.start(begun, old, ahead=way) for begun, old, way in triples]
        outputs, after = self._read(apart.split(inputs), apart.mask, start)
        triples = zip(after, state, ways, strict=True)
        last = [apart.end(new, old, ahead=way) for new, old, way in triples]
        return apart.join(outputs), tuple(last)

    def _read(
        self, inputs: Tensor, mask: Tensor | None, state: Sequence[tuple[Tensor, ...]]
    ) -> tuple[Tensor, CellStates]:
        """Read rows from the bottom layer to the top."""
        states = iter(state)
        last: list[tuple[Tensor, ...]] = []
        for depth, (ahead, *back) in enumerate(self._by_layer()):
            inputs = self.dropout(inputs) if depth else inputs
            read = [read_ahead(ahead, inputs, mask, next(states), self.truncate)]
            read += [read_back(cell, inputs, mask, next(states), self.truncate) for cell in back]
            outputs, after = zip(*read, strict=True)
            inputs = self._combine(outputs)
            last += after
        return inputs, tuple(last)

    def step(
        self, inputs: Float[Tensor, "batch features"], state: CellStates
    ) -> tuple[Float[Tensor, "batch width"], CellStates]:
        """Take one position through all layers; ``step`` after ``step`` is ``forward``.

        While training it differs: nothing of the hidden states is dropped.

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
        return self._combine([hidden for hidden, *_ in states[-self.directions :]])

    def pack(self, states: CellStates) -> dict[str, Tensor]:
        """Write the state of every cell as tensors by name: 0.hidden, 0.cell, 1.hidden and on."""
        pairs = zip(self._names(), states, strict=True)
        return {n: part for names, state in pairs for n, part in zip(names, state, strict=True)}

    def unpack(self, tensors: Mapping[str, Tensor]) -> CellStates:
        """Return the state of every cell that :meth:`pack` wrote; other names may stand beside.

        Raises:
            UsageError: For the state of another network.
        """
        wanted = [name for names in self._names() for name in names]
        given = [name for name in tensors if name.partition(".")[0].isdecimal()]
        width = next(self._each()).width
        if set(given) != set(wanted) or any(tensors[name].shape[1] != width for name in wanted):
            found = ", ".join(f"{name} of {tensors[name].shape[1]}" for name in given) or "nothing"
            raise UsageError(
                f"This network goes on from a state of width {width}, {', '.join(wanted)}, but was "
                f"handed {found}: give it what the same network returned."
            )
        pairs = zip(self._each(), self._names(), strict=True)
        return tuple(cell.state(*(tensors[name] for name in names)) for cell, names in pairs)

    def _names(self) -> list[list[str]]:
        """Return what the tensors of each cell's state are called."""
        return [[f"{number}.{n}" for n in c.state._fields] for number, c in enumerate(self._each())]

    def _combine(self, parts: Sequence[Tensor]) -> Tensor:
        """Make one vector of those of all directions."""
        if len(parts) == 1:
            return parts[0]
        if self.combine == "concat":
            return torch.cat(list(parts), dim=-1)
        total = parts[0] + parts[1]
        return total if self.combine == "sum" else total / 2

    def _each(self) -> Iterator[Cell[Any]]:
        return iter(cast("list[Cell[Any]]", list(self.cells)))

    def _by_layer(self) -> list[list[Cell[Any]]]:
        """Return the cells of each layer, forward and backward."""
        cells = list(self._each())
        return [cells[i : i + self.directions] for i in range(0, len(cells), self.directions)]


def read_ahead(
    cell: Cell[Any],
    inputs: Tensor,
    mask: Tensor | None,
    state: tuple[Tensor, ...],
    truncate: int | None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell from the first position to the last, in pieces that share no gradient."""
    if truncate is None or inputs.shape[1] <= truncate:
        whole: tuple[Tensor, tuple[Tensor, ...]] = cell(inputs, mask, state)
        return whole
    kept, outputs = cell.draw(len(inputs)), []
    for at in range(0, inputs.shape[1], truncate):
        piece = slice(at, at + truncate)
        real = None if mask is None else mask[:, piece]
        start = cell.state(*(part.detach() for part in state)) if at else state
        output, after = cell(inputs[:, piece], real, start, kept)
        if real is not None:  # a row that is over keeps the state that has its gradient
            after = choose(real.any(1), after, state)
        outputs.append(output)
        state = after
    return torch.cat(outputs, dim=1), state


def read_back(
    cell: Cell[Any],
    inputs: Tensor,
    mask: Tensor | None,
    state: tuple[Tensor, ...],
    truncate: int | None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell from the last position to the first; its outputs stand where its inputs did."""
    flipped = None if mask is None else mask.flip(1)
    outputs, state = read_ahead(cell, inputs.flip(1), flipped, state, truncate)
    return outputs.flip(1), state

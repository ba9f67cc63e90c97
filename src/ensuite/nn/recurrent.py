"""Stacked recurrent layers, in one direction or both, with dropout between layers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ensuite.core.errors import UsageError
from ensuite.nn.documents import Documents, documents_of
from ensuite.nn.unroll import Cell, choose

CellStates = tuple[tuple[Tensor, ...], ...]
"""State of every cell: layer by layer, and in each layer the forward direction first."""

Combine = Literal["concat", "sum", "mean"]


class Recurrent(nn.Module):
    """Stacked recurrent layers: each reads the outputs of the layer below.

    The backward direction reads the real positions of each row from the last to the first.

    Args:
        make: Called with (features, width) to make a cell: a class such as ``LSTM``, or a
            ``functools.partial`` of one.
        features: Size of one input vector.
        width: Size of the hidden state of each cell.
        layers: Number of layers.
        bidirectional: Whether each layer has a second cell, which reads backwards.
        combine: How the outputs of the two directions are combined.
        dropout: Dropout rate between layers.
        truncate: Number of positions that gradients flow back through (truncated back-propagation
            through time). In each layer and direction the state is detached every ``truncate``
            positions, padding included, counted from the start of each document. The outputs do not
            change. None: all positions.

    Attributes:
        width: Size of the outputs.

    Raises:
        UsageError: If ``truncate`` is less than 1, or ``combine`` is given for one direction.

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
            raise UsageError(f'combine="{combine}" needs two directions: set bidirectional=True.')
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
        """Return the initial state of every cell: zeros, or the learned one."""
        return tuple(cell.begin(batch_size) for cell in self._each())

    def forward(
        self,
        inputs: Float[Tensor, "batch time features"],
        mask: Bool[Tensor, "batch time"] | None = None,
        state: CellStates | None = None,
        documents: Int[Tensor, "batch time"] | None = None,
    ) -> tuple[Float[Tensor, "batch time width"], CellStates]:
        """Return the outputs of the last layer, and the last state of every cell.

        Args:
            inputs: One vector per position.
            mask: True at real positions; padding may be anywhere. None: all positions are real.
            state: Initial state of every cell. None: ``begin``.
            documents: Number of the document that each position belongs to. Where it changes along
                a row, the state of every cell is reset to ``begin``. The first document read of a
                row starts from ``state``.

        Raises:
            UsageError: If the state is not one of this module.
        """
        state = self.begin(len(inputs)) if state is None else state
        if len(state) != len(self.cells):
            raise UsageError(
                f"This layer needs a state of {len(self.cells)} cells, but was given one of "
                f"{len(state)}: pass the state that the same layer returned."
            )
        if documents is None or bool((documents == documents[:, :1]).all()):  # one per row
            return self._run(inputs, mask, state)
        real = torch.ones_like(documents, dtype=torch.bool) if mask is None else mask
        separate = documents_of(documents, real)
        if separate is None:
            return self._run(inputs, mask, state)
        return self._run_documents(separate, inputs, state)

    def _run_documents(
        self, documents: Documents, inputs: Tensor, state: CellStates
    ) -> tuple[Tensor, CellStates]:
        """Run all layers over documents, each in a row of its own."""
        forwards = [number % self.directions == 0 for number in range(len(state))]
        triples = zip(self.begin(len(documents.row)), state, forwards, strict=True)
        start = [documents.start(begun, old, forwards=way) for begun, old, way in triples]
        outputs, after = self._run(documents.split(inputs), documents.mask, start)
        triples = zip(after, state, forwards, strict=True)
        last = [documents.end(new, old, forwards=way) for new, old, way in triples]
        return documents.join(outputs), tuple(last)

    def _run(
        self, inputs: Tensor, mask: Tensor | None, state: Sequence[tuple[Tensor, ...]]
    ) -> tuple[Tensor, CellStates]:
        """Run all layers, from the bottom to the top."""
        states = iter(state)
        last: list[tuple[Tensor, ...]] = []
        for depth, cells in enumerate(self._by_layer()):
            inputs = self.dropout(inputs) if depth else inputs
            results = [
                run(cell, inputs, mask, next(states), self.truncate)
                for cell, run in zip(cells, (run_forwards, run_backwards), strict=False)
            ]
            outputs, after = zip(*results, strict=True)
            inputs = self._combine(outputs)
            last += after
        return inputs, tuple(last)

    def step(
        self, inputs: Float[Tensor, "batch features"], state: CellStates
    ) -> tuple[Float[Tensor, "batch width"], CellStates]:
        """Run all layers for one position, and return its output and the new state.

        Repeated over all positions, this equals ``forward``, except for recurrent dropout while
        training, which is not applied here.

        Raises:
            UsageError: If the layers are bidirectional.
        """
        if self.directions == 2:
            raise UsageError(
                "A bidirectional layer cannot run one position at a time, since its backward "
                "direction starts at the last one: build it with bidirectional=False."
            )
        last = []
        for depth, ((cell,), before) in enumerate(zip(self._by_layer(), state, strict=True)):
            inputs = self.dropout(inputs) if depth else inputs
            last.append(cell.step(cell.from_input(inputs), before))
            inputs = last[-1][0]
        return inputs, tuple(last)

    def last(self, states: CellStates) -> Float[Tensor, "batch width"]:
        """Return the last output of each row, from the states that ``forward`` returns.

        That of the forward direction is at the last real position, that of the backward direction
        at the first.
        """
        return self._combine([hidden for hidden, *_ in states[-self.directions :]])

    def pack(self, states: CellStates) -> dict[str, Tensor]:
        """Return the state of every cell as named tensors: 0.hidden, 0.cell, 1.hidden and so on."""
        pairs = zip(self._names(), states, strict=True)
        return {n: part for names, state in pairs for n, part in zip(names, state, strict=True)}

    def unpack(self, tensors: Mapping[str, Tensor]) -> CellStates:
        """Return the state of every cell from the tensors of :meth:`pack`.

        Tensors whose names do not begin with a number are ignored.

        Raises:
            UsageError: If the tensors are not those of this network.
        """
        wanted = [name for names in self._names() for name in names]
        given = [name for name in tensors if name.partition(".")[0].isdecimal()]
        width = next(self._each()).width
        if set(given) != set(wanted) or any(tensors[name].shape[1] != width for name in wanted):
            found = ", ".join(f"{name} of {tensors[name].shape[1]}" for name in given) or "nothing"
            raise UsageError(
                f"This network needs a state of width {width}, {', '.join(wanted)}, but was given "
                f"{found}: pass the state that the same network returned."
            )
        pairs = zip(self._each(), self._names(), strict=True)
        return tuple(cell.state(*(tensors[name] for name in names)) for cell, names in pairs)

    def _names(self) -> list[list[str]]:
        """Return the names of the tensors of each cell's state."""
        return [[f"{number}.{n}" for n in c.state._fields] for number, c in enumerate(self._each())]

    def _combine(self, parts: Sequence[Tensor]) -> Tensor:
        """Combine the outputs of the directions."""
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


def run_forwards(
    cell: Cell[Any],
    inputs: Tensor,
    mask: Tensor | None,
    state: tuple[Tensor, ...],
    truncate: int | None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell forwards over time, with its state detached every ``truncate`` positions."""
    if truncate is None or inputs.shape[1] <= truncate:
        whole: tuple[Tensor, tuple[Tensor, ...]] = cell(inputs, mask, state)
        return whole
    kept, outputs = cell.draw(len(inputs)), []
    for at in range(0, inputs.shape[1], truncate):
        piece = slice(at, at + truncate)
        real = None if mask is None else mask[:, piece]
        start = cell.state(*(part.detach() for part in state)) if at else state
        output, after = cell(inputs[:, piece], real, start, kept)
        if real is not None:  # a row that has ended keeps its last state with its gradient
            after = choose(real.any(1), after, state)
        outputs.append(output)
        state = after
    return torch.cat(outputs, dim=1), state


def run_backwards(
    cell: Cell[Any],
    inputs: Tensor,
    mask: Tensor | None,
    state: tuple[Tensor, ...],
    truncate: int | None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell backwards over time; the output of each position is at the same index."""
    flipped = None if mask is None else mask.flip(1)
    outputs, state = run_forwards(cell, inputs.flip(1), flipped, state, truncate)
    return outputs.flip(1), state

"""A recurrent cell, and the loop that applies its step to every position of a sequence."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ensuite.core.errors import UsageError
from ensuite.nn.product import Product

State = TypeVar("State", bound=tuple[Tensor, ...])


class Cell(nn.Module, ABC, Generic[State]):
    """A recurrent layer in one direction, defined by its ``step`` from one position to the next.

    Its state is a named tuple of (batch, width) tensors, passed in and returned, never stored in
    the module. The first tensor of the state is the output. Subclasses whose steps have fast
    kernels derive from ``kernels.paths.FastCell``.

    Args:
        features: Size of one input vector.
        width: Size of the hidden state.
        state: Class of the state: a named tuple.
        blocks: Number of gates in each part of the products of the inputs and of the hidden state.
            Each part has a layer norm of its own: (2, 1) in a GRU, the gates and the candidate.
        normalize: Whether layer norm is applied to the products of the inputs and of the hidden
            state with their matrices.
        recurrent_dropout: Dropout rate of the hidden state before its matrix. One mask is drawn for
            each row and used at every position.
        learn_start: Whether the initial state is a parameter, which starts at zero. Otherwise it is
            zero.

    Attributes:
        width: Size of the hidden state.
        from_input: Linear layer applied to every input before ``step``; it has the only bias.
        from_hidden: Linear layer applied to the hidden state in ``step``.
        start: Initial state if it is learned, (parts of the state, width); else None.

    Raises:
        UsageError: If ``recurrent_dropout`` is not from 0 to less than 1.

    Sources:
        Layer norm: Ba, Kiros & Hinton (2016), https://arxiv.org/abs/1607.06450
        One dropout mask for all positions: Gal & Ghahramani (2016),
        https://arxiv.org/abs/1512.05287
    """

    def __init__(
        self,
        features: int,
        width: int,
        state: type[Any],
        blocks: tuple[int, ...],
        *,
        normalize: bool,
        recurrent_dropout: float,
        learn_start: bool,
    ) -> None:
        super().__init__()
        if not 0 <= recurrent_dropout < 1:
            raise UsageError(
                f"recurrent_dropout must be from 0 to less than 1, not {recurrent_dropout}."
            )
        self.width = width
        self.state = state
        self.recurrent_dropout = recurrent_dropout
        sizes = tuple(width * count for count in blocks)
        self.from_input = Product(features, sizes, normalize=normalize)
        self.from_hidden = Product(width, sizes, normalize=normalize, bias=False)
        parts = len(state._fields)
        self.start = nn.Parameter(torch.zeros(parts, width)) if learn_start else None

    @abstractmethod
    def step(
        self,
        projected: Float[Tensor, "batch gates"],
        state: State,
        kept: Float[Tensor, "batch width"] | None = None,
    ) -> State:
        """Return the state after one position.

        Args:
            projected: Input of the position after ``from_input``.
            state: State before the position.
            kept: Recurrent dropout mask, as ``draw`` returns it. None: no dropout.
        """

    def begin(self, batch_size: int) -> State:
        """Return the initial state: zeros, or the learned one."""
        if self.start is None:
            zeros = self.from_hidden.weight.new_zeros(batch_size, self.width)
            parts = [zeros for _ in self.state._fields]
        else:  # copied: kernels need a state whose rows are contiguous
            parts = list(self.start[:, None].repeat(1, batch_size, 1))
        begun: State = self.state(*parts)
        return begun

    def draw(self, batch_size: int) -> Float[Tensor, "batch width"] | None:
        """Draw a recurrent dropout mask: 0 at dropped numbers, 1 / (1 - rate) at the others.

        None is returned if nothing is dropped, as in evaluation mode.
        """
        if not self.training or not self.recurrent_dropout:
            return None
        keep = 1 - self.recurrent_dropout
        weight = self.from_hidden.weight.detach()
        return weight.new_full((batch_size, self.width), keep).bernoulli() / keep

    def forward(
        self,
        inputs: Float[Tensor, "batch time features"],
        mask: Bool[Tensor, "batch time"] | None = None,
        state: State | None = None,
        kept: Float[Tensor, "batch width"] | None = None,
    ) -> tuple[Float[Tensor, "batch time width"], State]:
        """Return the output at every position, and the state after the last real position.

        Args:
            inputs: One vector per position.
            mask: True at real positions; padding may be anywhere. None: all positions are real.
            state: Initial state. None: ``begin``.
            kept: Recurrent dropout mask. None: ``draw``.

        Raises:
            UsageError: If the state is that of another kind of cell, another width or batch size.
        """
        if state is None:
            state = self.begin(len(inputs))
        self._check(state, len(inputs))
        return self.run(inputs, mask, state, self.draw(len(inputs)) if kept is None else kept)

    def run(
        self,
        inputs: Float[Tensor, "batch time features"],
        mask: Bool[Tensor, "batch time"] | None,
        state: State,
        kept: Float[Tensor, "batch width"] | None,
    ) -> tuple[Float[Tensor, "batch time width"], State]:
        """Compute ``forward`` by calling ``step`` at each position, the definition of the cell."""
        return unroll(partial(self.step, kept=kept), self.from_input(inputs), state, mask)

    def _check(self, state: State, rows: int) -> None:
        name, expected = type(self).__name__, (rows, self.width)
        if not isinstance(state, self.state):
            raise UsageError(
                f"The state of this {name} is {_describe(self.state)}, but it was given "
                f"{_describe(type(state))}: pass the state that the same layer returned."
            )
        for part, tensor in zip(self.state._fields, state, strict=True):
            if tensor.shape != expected:
                raise UsageError(
                    f"The {part} state of this {name} must have the shape {expected}, but it was "
                    f"given {tuple(tensor.shape)}: pass the state that the same layer returned for "
                    "the same rows."
                )


def _describe(state: type[Any]) -> str:
    parts = ", ".join(getattr(state, "_fields", ()))
    return f"{state.__name__}({parts})"


def unroll(
    step: Callable[[Tensor, State], State],
    inputs: Float[Tensor, "batch time size"],
    state: State,
    mask: Bool[Tensor, "batch time"] | None = None,
) -> tuple[Float[Tensor, "batch time width"], State]:
    """Apply ``step`` to every position in order, and return all outputs and the last state.

    A padded position (False in ``mask``) leaves the state unchanged and repeats the output of the
    position before it, so the last state is that of the last real position of each row.
    """
    outputs = []
    for time, now in enumerate(inputs.unbind(1)):
        new = step(now, state)
        if mask is not None:
            new = choose(mask[:, time], new, state)
        state = new
        outputs.append(state[0])
    return torch.stack(outputs, dim=1), state


def choose(condition: Bool[Tensor, " batch"], state: State, other: State) -> State:
    """Return the rows of ``state`` where ``condition`` is True, those of ``other`` elsewhere."""
    pairs = zip(state, other, strict=True)
    return type(state)(*(torch.where(condition[:, None], a, b) for a, b in pairs))

"""A recurrent cell, and the loop that runs any cell over a sequence."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

State = TypeVar("State", bound=tuple[Tensor, ...])


class Cell(nn.Module, ABC, Generic[State]):
    """A layer that reads a sequence in order, one ``step`` a position.

    Its state is a named tuple of (batch, width) tensors; the first of them is its output.

    Attributes:
        width: Size of the hidden state.
        from_input: What every input goes through before ``step``.
    """

    width: int
    from_input: nn.Linear

    @abstractmethod
    def begin(self, batch_size: int) -> State:
        """Return the state before the first position: zeros."""

    @abstractmethod
    def step(self, projected: Float[Tensor, "batch gates"], state: State) -> State:
        """Take one position, already through ``from_input``, into the state."""

    @abstractmethod
    def forward(
        self,
        inputs: Float[Tensor, "batch time features"],
        mask: Bool[Tensor, "batch time"] | None = None,
        state: State | None = None,
    ) -> tuple[Float[Tensor, "batch time width"], State]:
        """Return the output at every position, and the state after the last real one.

        However it is computed: ``unroll(self.step, self.from_input(inputs), state, mask)``.

        Args:
            inputs: One vector a position.
            mask: True at real positions; padding may stand anywhere. None: all are real.
            state: Where to start. None: at ``begin``.
        """


def unroll(
    step: Callable[[Tensor, State], State],
    inputs: Float[Tensor, "batch time size"],
    state: State,
    mask: Bool[Tensor, "batch time"] | None = None,
) -> tuple[Float[Tensor, "batch time width"], State]:
    """Apply ``step`` from the first position to the last, carrying the state along.

    A padded position (False in ``mask``) leaves the state as it was, and its output is that of the
    real position before it. So the last state is that of each row's last real position.
    """
    outputs = []
    for time, now in enumerate(inputs.unbind(1)):
        new = step(now, state)
        if mask is not None:
            real = mask[:, time, None]
            pairs = zip(new, state, strict=True)
            new = type(state)(*(torch.where(real, after, before) for after, before in pairs))
        state = new
        outputs.append(state[0])
    return torch.stack(outputs, dim=1), state

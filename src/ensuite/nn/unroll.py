"""A recurrent cell, and the loop that runs any cell over a sequence."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, Literal, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ensuite.core.errors import UsageError
from ensuite.nn.kernels import dense, hoisted
from ensuite.nn.kernels.layout import Rectangle
from ensuite.nn.product import Product

State = TypeVar("State", bound=tuple[Tensor, ...])

Path = Literal["hoisted", "dense", "definition"]


class Cell(nn.Module, ABC, Generic[State]):
    """A layer that reads a sequence in order, one ``step`` a position.

    Its state is a named tuple of (batch, width) tensors; the first of them is its output. It is
    handed over, never kept.

    Args:
        features: Size of one input vector.
        width: Size of the hidden state.
        state: The named tuple.
        blocks: How many blocks of ``width`` each product has that is normalised by itself.
        normalize: Whether the products of input and hidden state go through layer norm.
        recurrent_dropout: Share of the hidden state that its matrix does not see while training;
            the same numbers of a row at every position.
        learn_start: Whether the state before the first position is learned, from zeros on.

    Attributes:
        width: Size of the hidden state.
        from_input: What every input goes through before ``step``; it has the one bias.
        from_hidden: What the hidden state goes through within ``step``.
        start: The learned state before the first position, a row for each part of the state.
        hoists: Whether ``hoisted`` computes this cell.
        kernel: What of torch computes this cell; None: nothing.
        own: Name of the parameter that ``step`` has beside its matrices and bias, if any.

    Sources:
        Layer norm: Ba, Kiros & Hinton (2016), https://arxiv.org/abs/1607.06450
        Same-mask dropout: Gal & Ghahramani (2016), https://arxiv.org/abs/1512.05287
    """

    hoists: bool = False
    kernel: Callable[..., Any] | None = None
    own: str | None = None

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
        sizes = tuple(width * many for many in blocks)
        self.from_input = Product(features, sizes, normalize=normalize)
        self.from_hidden = Product(width, sizes, normalize=normalize, bias=False)
        parts = len(state._fields)
        self.start = nn.Parameter(torch.zeros(parts, width)) if learn_start else None

    def begin(self, batch_size: int) -> State:
        """Return the state before the first position: zeros, or what was learned."""
        if self.start is None:
            zeros = self.from_hidden.weight.new_zeros(batch_size, self.width)
            parts = [zeros for _ in self.state._fields]
        else:
            parts = list(
                self.start[:, None].repeat(1, batch_size, 1)
            )  # a kernel wants its own rows
        begun: State = self.state(*parts)
        return begun

    def draw(self, batch_size: int) -> Float[Tensor, "batch width"] | None:
        """Return what dropout multiplies the hidden states of each row by, at all positions.

        None: nothing is dropped, as always when not training.
        """
        if not self.training or not self.recurrent_dropout:
            return None
        keep = 1 - self.recurrent_dropout
        weight = self.from_hidden.weight.detach()
        return weight.new_full((batch_size, self.width), keep).bernoulli() / keep

    @abstractmethod
    def step(
        self,
        projected: Float[Tensor, "batch gates"],
        state: State,
        kept: Float[Tensor, "batch width"] | None = None,
    ) -> State:
        """Take one position, already through ``from_input``, into the state.

        Args:
            projected: One row a sequence.
            state: Before the position.
            kept: What the hidden state is multiplied by before its matrix; None: 1.
        """

    def forward(
        self,
        inputs: Float[Tensor, "batch time features"],
        mask: Bool[Tensor, "batch time"] | None = None,
        state: State | None = None,
        kept: Float[Tensor, "batch width"] | None = None,
    ) -> tuple[Float[Tensor, "batch time width"], State]:
        """Return the output at every position, and the state after the last real one.

        Args:
            inputs: One vector a position.
            mask: True at real positions; padding may stand anywhere. None: all are real.
            state: Where to start. None: at ``begin``.
            kept: What dropout leaves of the hidden state. None: ``draw`` is asked.

        Raises:
            UsageError: For a state of another cell, width or batch.
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
        """Read all positions on the path that ``path`` has chosen."""
        match self.path(inputs, mask, state, kept):
            case "hoisted":
                return self.hoisted(inputs, mask, state, kept)
            case "dense":
                return self.dense(inputs, mask, state)
        return self.define(inputs, mask, state, kept)

    def define(
        self,
        inputs: Float[Tensor, "batch time features"],
        mask: Bool[Tensor, "batch time"] | None,
        state: State,
        kept: Float[Tensor, "batch width"] | None,
    ) -> tuple[Float[Tensor, "batch time width"], State]:
        """Repeat ``step``: the definition, which every path equals."""
        return unroll(partial(self.step, kept=kept), self.from_input(inputs), state, mask)

    def path(
        self,
        inputs: Float[Tensor, "batch time features"],
        mask: Bool[Tensor, "batch time"] | None,
        state: State,
        kept: Float[Tensor, "batch width"] | None,
    ) -> Path:
        """Choose what computes this fastest; all equal the definition, which is ``step``.

        "hoisted" is ours, for float32 on a CPU; "dense" is torch's own, where it has the same cell.
        """
        kernel = self.kernel if kept is None else None
        ours = self.hoists and (kept is None or not kept.requires_grad)
        if ours and hoisted.suits(inputs, *state, *self.weights()):
            torchs = kernel is not None and mask is None and dense.beats_ours(kernel)
            return "dense" if torchs else "hoisted"
        return "dense" if kernel is not None and dense.suits(kernel, inputs) else "definition"

    def hoisted(
        self,
        inputs: Float[Tensor, "batch time features"],
        mask: Bool[Tensor, "batch time"] | None,
        state: State,
        kept: Float[Tensor, "batch width"] | None,
    ) -> tuple[Float[Tensor, "batch time width"], State]:
        """Read all positions by our kernels, where ``hoists`` is True."""
        raise NotImplementedError

    def dense(
        self,
        inputs: Float[Tensor, "batch time features"],
        mask: Bool[Tensor, "batch time"] | None,
        state: State,
    ) -> tuple[Float[Tensor, "batch time width"], State]:
        """Read all positions by ``kernel``, where it is not None."""
        raise NotImplementedError

    def weights(self) -> list[Tensor]:
        """Return what ``step`` and ``from_input`` multiply by and add, in one order."""
        from_input = self.from_input
        own = [] if self.own is None else [getattr(self, self.own)]
        return [from_input.weight, from_input.bias, self.from_hidden.weight, *own]

    def define_of(
        self, laid: Rectangle, kept: Tensor | None, inputs: Tensor, *rest: Tensor
    ) -> tuple[Tensor, ...]:
        """Compute what a kernel does by ``step``, of tensors: inputs, state, and then weights."""
        parts = len(self.state._fields)
        names = ["from_input.weight", "from_input.bias", "from_hidden.weight", self.own]
        weights = {f"cell.{name}": each for name, each in zip(names, rest[parts:], strict=False)}
        how = (laid, kept, inputs, self.state(*rest[:parts]))
        found: tuple[Tensor, ...] = torch.func.functional_call(_Defined(self), weights, how)
        return found

    def _check(self, state: State, rows: int) -> None:
        name, expected = type(self).__name__, (rows, self.width)
        if not isinstance(state, self.state):
            raise UsageError(
                f"The state of this {name} is {_describe(self.state)}, but it was handed "
                f"{_describe(type(state))}: give it the state that the same layer returned."
            )
        for part, tensor in zip(self.state._fields, state, strict=True):
            if tensor.shape != expected:
                raise UsageError(
                    f"The {part} state of this {name} is {expected[0]} rows of width "
                    f"{expected[1]}, but it was handed {tuple(tensor.shape)}: give it the state "
                    "that the same layer returned for the same rows."
                )


class _Defined(nn.Module):
    """The definition of a cell over rows that a kernel reads."""

    def __init__(self, cell: Cell[Any]) -> None:
        super().__init__()
        self.cell = cell

    def forward(
        self, laid: Rectangle, kept: Tensor | None, inputs: Tensor, state: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        states, projected = [state], laid.cut(self.cell.from_input(inputs))
        for now, keep in zip(projected, laid.heads(kept), strict=False):
            state = self.cell.state(*(part[: len(now)] for part in state))
            state = self.cell.step(now, state, keep)
            states.append(state)
        parts = [torch.cat(part) for part in zip(*states, strict=True)]
        return parts[0][laid.batch :], *map(laid.last, parts)


def _describe(state: type[Any]) -> str:
    parts = ", ".join(getattr(state, "_fields", ()))
    return f"{state.__name__}({parts})"


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
            new = choose(mask[:, time], new, state)
        state = new
        outputs.append(state[0])
    return torch.stack(outputs, dim=1), state


def choose(first: Bool[Tensor, " batch"], one: State, other: State) -> State:
    """Return a state that is ``one`` in the rows where ``first`` is True, else ``other``."""
    pairs = zip(one, other, strict=True)
    return type(one)(*(torch.where(first[:, None], a, b) for a, b in pairs))

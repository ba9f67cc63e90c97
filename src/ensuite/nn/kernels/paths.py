"""Recurrent cells with fast kernels, and the choice of the kernel that computes them."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ensuite.nn.kernels import hoisted, pytorch
from ensuite.nn.kernels.layout import Rectangle
from ensuite.nn.unroll import Cell, State

Path = Literal["hoisted", "pytorch", "step"]


class FastCell(Cell[State]):
    """A cell whose sequences are computed by kernels, each of which equals the loop over ``step``.

    Attributes:
        hoisted_kernel: Kernel of this package, for float32 on a CPU (see ``kernels.hoisted``); None
            if there is none for the cell.
        pytorch_kernel: PyTorch's own kernel (see ``kernels.pytorch``); None if there is none for
            the cell.
        extra: Name of the parameter that ``step`` uses besides the matrices and the bias; None if
            there is no such parameter.
    """

    hoisted_kernel: Callable[..., tuple[Tensor, ...]] | None = None
    pytorch_kernel: pytorch.Kernel | None = None
    extra: str | None = None

    def run(
        self,
        inputs: Float[Tensor, "batch time features"],
        mask: Bool[Tensor, "batch time"] | None,
        state: State,
        kept: Float[Tensor, "batch width"] | None,
    ) -> tuple[Float[Tensor, "batch time width"], State]:
        """Compute ``forward`` on the path that ``path`` returns."""
        path = self.path(inputs, mask, state, kept)
        if path == "hoisted" and self.hoisted_kernel is not None:
            outputs, last = hoisted.run(
                self.hoisted_kernel, self.by_steps, inputs, mask, kept, state, *self.weights()
            )
            return outputs, self.state(*last)
        if path == "pytorch" and self.pytorch_kernel is not None:
            matrices = self.from_input.weight, self.from_hidden.weight
            weights = pytorch.Weights(*matrices, self.from_input.bias, self.hidden_bias())
            return pytorch.run(self.pytorch_kernel, inputs, mask, state, weights)
        return super().run(inputs, mask, state, kept)

    def path(
        self,
        inputs: Float[Tensor, "batch time features"],
        mask: Bool[Tensor, "batch time"] | None,
        state: State,
        kept: Float[Tensor, "batch width"] | None,
    ) -> Path:
        """Return the fastest way to compute the cell for these arguments.

        "hoisted" and "pytorch" are the kernels of those names, "step" is the loop over ``step``.
        """
        kernel = self.pytorch_kernel if kept is None else None
        ours = self.hoisted_kernel is not None and (kept is None or not kept.requires_grad)
        if ours and hoisted.suits(inputs, *state, *self.weights()):
            faster = kernel is not None and mask is None and pytorch.beats_hoisted(kernel)
            return "pytorch" if faster else "hoisted"
        return "pytorch" if kernel is not None and pytorch.suits(kernel, inputs) else "step"

    def weights(self) -> list[Tensor]:
        """Return the tensors that the "hoisted" kernel takes, in its order."""
        from_input = self.from_input
        extra = [] if self.extra is None else [getattr(self, self.extra)]
        return [from_input.weight, from_input.bias, self.from_hidden.weight, *extra]

    def hidden_bias(self) -> Float[Tensor, " gates"]:
        """Return the second bias that PyTorch's kernels take: that of the hidden product."""
        return torch.zeros_like(self.from_input.bias)

    def load_pytorch(self, layer: nn.RNNBase) -> None:
        """Copy the weights, dtype and device of a PyTorch layer.

        Raises:
            UsageError: If the layer has several layers or directions, or a projection.
        """
        weights = pytorch.weights_of(layer)
        self.to(weights.from_input).load_state_dict(self.tensors_of(weights))

    def tensors_of(self, weights: pytorch.Weights) -> dict[str, Tensor]:
        """Return the state dict of this cell that is equivalent to weights of PyTorch."""
        return {
            "from_input.weight": weights.from_input,
            "from_input.bias": weights.input_bias + weights.hidden_bias,
            "from_hidden.weight": weights.from_hidden,
        }

    def by_steps(
        self, layout: Rectangle, kept: Tensor | None, inputs: Tensor, *rest: Tensor
    ) -> tuple[Tensor, ...]:
        """Compute what the "hoisted" kernel does by ``step``, with operations of PyTorch alone.

        Args:
            layout: Where the positions are in memory.
            kept: Recurrent dropout mask; None: no dropout.
            inputs: (positions, features).
            rest: The parts of the initial state, then the tensors of ``weights``.
        """
        parts = len(self.state._fields)
        names = ["from_input.weight", "from_input.bias", "from_hidden.weight", self.extra]
        weights = {f"cell.{name}": each for name, each in zip(names, rest[parts:], strict=False)}
        arguments = (layout, kept, inputs, self.state(*rest[:parts]))
        found: tuple[Tensor, ...] = torch.func.functional_call(_BySteps(self), weights, arguments)
        return found


class _BySteps(nn.Module):
    """The loop over ``step``, of positions in the memory layout of the kernels.

    A module of its own, since ``functional_call`` replaces the parameters of a module's forward.
    """

    def __init__(self, cell: FastCell[Any]) -> None:
        super().__init__()
        self.cell = cell

    def forward(
        self, layout: Rectangle, kept: Tensor | None, inputs: Tensor, state: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        states, projected = [state], layout.by_time(self.cell.from_input(inputs))
        for now, mask in zip(projected, layout.present(kept), strict=False):
            state = self.cell.state(*(part[: len(now)] for part in state))
            state = self.cell.step(now, state, mask)
            states.append(state)
        parts = [torch.cat(part) for part in zip(*states, strict=True)]
        return parts[0][layout.batch :], *map(layout.last, parts)

"""Kernel of the LSTM, with or without peepholes: all positions, forward and backward."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ensuite.nn.kernels import hoisted
from ensuite.nn.kernels.layout import Rectangle


def kernel() -> Callable[..., tuple[Tensor, ...]]:
    """Return the kernel for ``hoisted.run``; the parts of its state are hidden state and cell.

    Its weights are the matrix and the bias of the inputs (gates i, f, g, o), the matrix of the
    hidden state, and the peepholes of i, f and o if there are any: (3, width) where they are
    diagonal, (3, width, width) where they are full.
    """
    return _LSTM.apply


class _LSTM(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        by_steps: Callable[..., tuple[Tensor, ...]],
        layout: Rectangle,
        kept: Tensor | None,
        inputs: Tensor,
        start: Tensor,
        cell: Tensor,
        from_input: Tensor,
        bias: Tensor,
        from_hidden: Tensor,
        peepholes: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        functions = hoisted.functions()
        ctx.functions, ctx.by_steps, ctx.layout = functions, by_steps, layout
        states, outputs = hoisted.state_memory(start, layout.total)
        cells, after_cells = hoisted.state_memory(cell, layout.total)
        seen = states if kept is None else torch.empty_like(states)
        gates = start.new_empty(layout.total, len(from_hidden))
        product = start.new_empty(len(start), len(from_hidden))
        hoisted.project(inputs, from_input, bias, gates)
        diagonal, full = _kinds(peepholes, start)
        product_array, *arrays = functions.arrays(product, diagonal, cells, states, gates)
        matrix = from_hidden.t().contiguous()
        peephole_products = None if full is None else _Full(layout, full, cells, after_cells, gates)
        steps = hoisted.forward_steps(layout, states, kept, seen, layout.present(product))
        for time, (step, before, out) in enumerate(steps):
            torch.mm(before, matrix, out=out)
            if peephole_products is None:
                functions.lstm_forward(step, product_array, *arrays)
                continue
            peephole_products.add_before(time, out)
            functions.cell_forward(step, product_array, arrays[0], arrays[1], arrays[3])
            peephole_products.add_after(time)
            functions.hidden_forward(step, *arrays)
        arguments = (inputs, start, cell, from_input, bias, from_hidden, peepholes)
        hoisted.save(ctx, arguments, (states, cells, seen, gates, kept))
        return outputs, layout.last(states), layout.last(cells)

    @staticmethod
    @hoisted.differentiable
    def backward(
        ctx: Any,
        grad_outputs: Tensor | None,
        grad_last: Tensor | None,
        grad_last_cell: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        (inputs, start, cell, from_input, _, from_hidden, peepholes), rest = hoisted.saved(ctx)
        states, cells, seen, gates, kept = rest
        carry = hoisted.last_gradient(grad_last, start)
        cell_carry = hoisted.last_gradient(grad_last_cell, cell)
        products, width = torch.empty_like(gates), states.shape[1]
        diagonal, full = _kinds(peepholes, carry)
        read = ctx.functions.arrays(
            hoisted.output_gradient(grad_outputs, carry), gates, diagonal, cells
        )
        carry_array, *written = ctx.functions.arrays(carry, cell_carry, products)
        steps = hoisted.reversed_steps(ctx.layout, carry, kept, products)
        cell_carries = reversed(ctx.layout.present(cell_carry))
        for (step, *rows), grad_cell in zip(steps, cell_carries, strict=True):
            if full is None:
                ctx.functions.lstm_backward(step, *read, carry_array, *written)
            else:
                ctx.functions.hidden_backward(step, *read, carry_array, *written)
                grad_cell.addmm_(rows[2][:, 3 * width :], full[2])
                ctx.functions.cell_backward(step, *read[1:], *written)
                grad_cell.addmm_(rows[2][:, : 2 * width], full[:2].flatten(0, 1))
            hoisted.add_state_gradient(from_hidden, *rows)
        grad_inputs, *grad_from_input = hoisted.input_gradients(
            products, inputs, from_input, needed=ctx.needs_input_grad[3]
        )
        grad_from_hidden = products.t() @ ctx.layout.before(seen)
        gradients = [grad_inputs, carry, cell_carry, *grad_from_input, grad_from_hidden]
        if peepholes is not None:
            seen_cells = ctx.layout.before(cells), cells[len(start) :]
            gradients.append(_peephole_gradient(products, *seen_cells, full=full is not None))
        return None, None, None, *gradients


class _Full:
    """The products of full peepholes with the cell, added to the gates at each position.

    Args:
        layout: Where the positions are in memory.
        full: Peephole matrices of the gates i, f and o, (3, width, width).
        cells: Initial cell, then the cell after each position.
        after: The cell after each position.
        gates: (positions, 4 x width), sums of the gates i, f, g and o.
    """

    def __init__(
        self, layout: Rectangle, full: Tensor, cells: Tensor, after: Tensor, gates: Tensor
    ) -> None:
        self.cut = 2 * len(full[0])
        self.to_input_forget = full[:2].flatten(0, 1).t().contiguous()
        self.to_output = full[2].t().contiguous()
        self.cells, self.after_cells = layout.before_by_time(cells), layout.by_time(after)
        self.outputs = layout.by_time(gates[:, 3 * len(full[0]) :])

    def add_before(self, time: int, product: Tensor) -> None:
        """Add the products for the gates i and f, which read the cell before the position."""
        product[:, : self.cut].addmm_(self.cells[time], self.to_input_forget)

    def add_after(self, time: int) -> None:
        """Add the product for the gate o, which reads the cell after the position."""
        self.outputs[time].addmm_(self.after_cells[time], self.to_output)


def _kinds(peepholes: Tensor | None, like: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the diagonal peepholes (zeros if there are none), and the full ones or None."""
    if peepholes is not None and peepholes.dim() == 2:
        return peepholes, None
    return like.new_zeros(3, like.shape[1]), peepholes


def _peephole_gradient(
    products: Float[Tensor, "total gates"],
    before: Float[Tensor, "total width"],
    after: Float[Tensor, "total width"],
    *,
    full: bool,
) -> Float[Tensor, "3 ..."]:
    """Return the gradient of the peepholes.

    Args:
        products: Gradient of the sums of all gates, i, f, g and o.
        before: The cell before each position.
        after: The cell after each position.
        full: Whether the peepholes are matrices.
    """
    enter, forget, _, out = products.chunk(4, dim=1)
    pairs = ((enter, before), (forget, before), (out, after))
    if full:
        return torch.stack([gate.t() @ cell for gate, cell in pairs])
    return torch.stack([(gate * cell).sum(0) for gate, cell in pairs])

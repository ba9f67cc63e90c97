"""The LSTM over a whole sequence, with or without peepholes."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ensuite.nn.kernels import hoisted
from ensuite.nn.kernels.layout import Rectangle


def run(
    define: Callable[..., tuple[Tensor, ...]],
    inputs: Float[Tensor, "batch time features"],
    mask: Bool[Tensor, "batch time"] | None,
    kept: Float[Tensor, "batch width"] | None,
    start: Sequence[Float[Tensor, "batch width"]],
    weights: Sequence[Tensor],
) -> tuple[Float[Tensor, "batch time width"], list[Float[Tensor, "batch width"]]]:
    """Return the output at every position, the last hidden state and the last cell.

    Args:
        define: Computes the same by the definition; see ``hoisted.over``.
        inputs: One vector a position.
        mask: True at real positions; None: all are.
        kept: What dropout leaves of the hidden state.
        start: The hidden state and the cell before the first position.
        weights: The input's matrix and bias (i, f, g, o), the state's matrix, and the peepholes of
            i, f and o, if any: diagonal or full.
    """
    return hoisted.over(_LSTM.apply, define, inputs, mask, kept, start, *weights)


class _LSTM(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        define: Callable[..., tuple[Tensor, ...]],
        laid: Rectangle,
        kept: Tensor | None,
        inputs: Tensor,
        start: Tensor,
        cell: Tensor,
        from_input: Tensor,
        bias: Tensor,
        weight: Tensor,
        peepholes: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.do, ctx.define, ctx.laid = hoisted.functions(), define, laid
        states, outputs = hoisted.states(start, laid.total)
        cells, after_cells = hoisted.states(cell, laid.total)
        seen = states if kept is None else torch.empty_like(states)
        gates = start.new_empty(laid.total, len(weight))
        product = start.new_empty(len(start), len(weight))
        hoisted.project(inputs, from_input, bias, gates)
        diagonal, full = _kinds(peepholes, start)
        added, *arrays = ctx.do.arrays(product, diagonal, cells, states, gates)
        to_hidden = weight.t().contiguous()
        peeping = None if full is None else _Full(laid, full, cells, after_cells, gates)
        positions = zip(
            laid.steps, laid.heads(product), hoisted.looks(laid, states, kept, seen), strict=True
        )
        for time, (step, room, before) in enumerate(positions):
            torch.mm(before, to_hidden, out=room)
            if peeping is None:
                ctx.do.lstm_forward(step, added, *arrays)
                continue
            peeping.before(time, room)
            ctx.do.cell_forward(step, added, arrays[0], arrays[1], arrays[3])
            peeping.after(time)
            ctx.do.hidden_forward(step, *arrays)
        given = (inputs, start, cell, from_input, bias, weight, peepholes)
        hoisted.save(ctx, given, (states, cells, seen, gates, kept))
        return outputs, laid.last(states), laid.last(cells)

    @staticmethod
    @hoisted.differentiable
    def backward(
        ctx: Any, given: Tensor | None, last: Tensor | None, last_cell: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        (inputs, start, cell, from_input, _, weight, peepholes), rest = hoisted.saved(ctx)
        states, cells, seen, gates, kept = rest
        carry, cell_carry = hoisted.of_last(last, start), hoisted.of_last(last_cell, cell)
        products, width = torch.empty_like(gates), states.shape[1]
        diagonal, full = _kinds(peepholes, carry)
        shown = ctx.do.arrays(hoisted.of_outputs(given, carry), gates, diagonal, cells)
        to_state, *to_both = ctx.do.arrays(carry, cell_carry, products)
        positions = hoisted.back(ctx.laid, carry, kept, products)
        to_cells = reversed(ctx.laid.heads(cell_carry))
        for (step, *back), to_cell in zip(positions, to_cells, strict=True):
            if full is None:
                ctx.do.lstm_backward(step, *shown, to_state, *to_both)
            else:
                ctx.do.hidden_backward(step, *shown, to_state, *to_both)
                to_cell.addmm_(back[2][:, 3 * width :], full[2])
                ctx.do.cell_backward(step, *shown[1:], *to_both)
                to_cell.addmm_(back[2][:, : 2 * width], full[:2].flatten(0, 1))
            hoisted.pull(weight, *back)
        of_inputs, *of_input = hoisted.of_inputs(
            products, inputs, from_input, needed=ctx.needs_input_grad[3]
        )
        before = ctx.laid.before(seen)
        gradients = [of_inputs, carry, cell_carry, *of_input, products.t() @ before]
        if peepholes is not None:
            looks = ctx.laid.before(cells), cells[len(start) :]
            gradients.append(_of_peepholes(products, *looks, full=full is not None))
        return None, None, None, *gradients


class _Full:
    """Full peepholes, each a matrix product more.

    Args:
        laid: How positions lie.
        full: The matrices of i, f and o.
        cells: The start, and the cell after each position.
        after: The latter alone.
        gates: What they add to.
    """

    def __init__(
        self, laid: Rectangle, full: Tensor, cells: Tensor, after: Tensor, gates: Tensor
    ) -> None:
        self.cut = 2 * len(full[0])
        self.to_both = full[:2].flatten(0, 1).t().contiguous()
        self.to_out = full[2].t().contiguous()
        self.cells, self.after_cells = laid.cut_before(cells), laid.cut(after)
        self.outs = laid.cut(gates[:, 3 * len(full[0]) :])

    def before(self, time: int, product: Tensor) -> None:
        """Show i and f the cell as it was."""
        product[:, : self.cut].addmm_(self.cells[time], self.to_both)

    def after(self, time: int) -> None:
        """Show o the cell as it is now."""
        self.outs[time].addmm_(self.after_cells[time], self.to_out)


def _kinds(peepholes: Tensor | None, like: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the diagonal peepholes, zeros where there are none, and the full ones."""
    if peepholes is not None and peepholes.dim() == 2:
        return peepholes, None
    return like.new_zeros(3, like.shape[1]), peepholes


def _of_peepholes(
    products: Float[Tensor, "total gates"],
    before: Float[Tensor, "total width"],
    after: Float[Tensor, "total width"],
    *,
    full: bool,
) -> Float[Tensor, "3 ..."]:
    """Return the gradient of the peepholes, from those of the sums of i, f and o."""
    enter, forget, _, out = products.chunk(4, dim=1)
    looks = ((enter, before), (forget, before), (out, after))
    if full:
        return torch.stack([sums.t() @ cell for sums, cell in looks])
    return torch.stack([(sums * cell).sum(0) for sums, cell in looks])

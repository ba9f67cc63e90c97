"""The LSTM over a whole sequence, with or without peepholes."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ensuite.nn.kernels import hoisted


def run(
    define: Callable[..., tuple[Tensor, ...]],
    mask: Bool[Tensor, "batch time"] | None,
    kept: Float[Tensor, "batch width"] | None,
    *tensors: Tensor,
) -> tuple[
    Float[Tensor, "batch time width"], Float[Tensor, "batch width"], Float[Tensor, "batch width"]
]:
    """Return the output at every position, the last hidden state and the last cell.

    Args:
        define: Computes the same of ``tensors`` by the definition.
        mask: True at real positions; None: all are.
        kept: What dropout leaves of the hidden state.
        tensors: Inputs, hidden state and cell before them, the input's matrix and bias (i, f, g,
            o), the state's matrix, and the peepholes of i, f and o, if any: diagonal or full.
    """
    states, last, cell = _LSTM.apply(define, mask, kept, *tensors)  # type: ignore[no-untyped-call]
    return hoisted.outputs(states), last, cell


class _LSTM(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        define: Callable[..., tuple[Tensor, ...]],
        mask: Tensor | None,
        kept: Tensor | None,
        inputs: Tensor,
        start: Tensor,
        cell: Tensor,
        from_input: Tensor,
        bias: Tensor,
        weight: Tensor,
        peepholes: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.do, ctx.define = hoisted.functions(), define
        rows, length, cut = *inputs.shape[:2], 3 * start.shape[1]
        states, cells = hoisted.states(start, length), hoisted.states(cell, length)
        seen = states if kept is None else torch.empty_like(states)
        gates, product = (
            start.new_empty(length, rows, len(weight)),
            start.new_empty(rows, len(weight)),
        )
        hoisted.project(inputs, from_input, bias, gates)
        diagonal, full = _kinds(peepholes, start)
        ctx.real = ctx.do.reals(mask, length, rows)
        added, looks, after, after_cell, opened = ctx.do.arrays(
            product, diagonal, states, cells, gates
        )
        to_hidden = weight.t().contiguous()
        to_both, to_out = (None, None) if full is None else _to_gates(full)
        positions, shown = states.unbind(0), seen.unbind(0)
        for time in range(length):
            torch.mm(hoisted.look(time, positions, kept, shown), to_hidden, out=product)
            if to_both is None or to_out is None:
                ctx.do.lstm_forward(time, added, looks, after_cell, after, ctx.real, opened)
                continue
            product[:, : to_both.shape[1]] += cells[time] @ to_both
            ctx.do.cell_forward(time, added, looks, after_cell, ctx.real, opened)
            gates[time, :, cut:] += cells[time + 1] @ to_out
            ctx.do.hidden_forward(time, looks, after_cell, after, ctx.real, opened)
        given = (inputs, start, cell, from_input, bias, weight, peepholes)
        hoisted.save(ctx, given, (states, cells, seen, gates, kept))
        return states, states[-1].clone(), cells[-1].clone()

    @staticmethod
    @hoisted.differentiable
    def backward(
        ctx: Any, given: Tensor | None, last: Tensor | None, last_cell: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        (inputs, _, _, from_input, _, weight, peepholes), rest = hoisted.saved(ctx)
        states, cells, seen, gates, kept = rest
        carry, cell_carry = hoisted.of_last(last, states), hoisted.of_last(last_cell, cells)
        products, width = torch.empty_like(gates), states.shape[2]
        diagonal, full = _kinds(peepholes, carry)
        gradient, opened, looks, after_cell = ctx.do.arrays(
            hoisted.of_outputs(given, carry), gates, diagonal, cells
        )
        to_state, to_cell, to_product = ctx.do.arrays(carry, cell_carry, products)
        both = (gradient, opened, looks, after_cell, ctx.real)
        positions = products.unbind(0)
        for time in reversed(range(len(positions))):
            if full is None:
                ctx.do.lstm_backward(time, *both, to_state, to_cell, to_product)
            else:
                ctx.do.hidden_backward(time, *both, to_state, to_cell, to_product)
                cell_carry.addmm_(positions[time][:, 3 * width :], full[2])
                ctx.do.cell_backward(time, *both[1:], to_cell, to_product)
                cell_carry.addmm_(positions[time][:, : 2 * width], full[:2].flatten(0, 1))
            hoisted.pull(carry, positions[time], weight, kept)
        of_inputs, *of_input = hoisted.of_inputs(
            products, inputs, from_input, needed=ctx.needs_input_grad[3]
        )
        gradients = [of_inputs, carry, cell_carry, *of_input, hoisted.of_weight(products, seen)]
        if peepholes is not None:
            gradients.append(_of_peepholes(products, cells, full=full is not None))
        return None, None, None, *gradients


def _kinds(peepholes: Tensor | None, like: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the diagonal peepholes, zeros where there are none, and the full ones."""
    if peepholes is not None and peepholes.dim() == 2:
        return peepholes, None
    return like.new_zeros(3, like.shape[1]), peepholes


def _to_gates(full: Float[Tensor, "3 width width"]) -> tuple[Tensor, Tensor]:
    """Return what the cell before is multiplied by for i and f, and the cell after for o."""
    return full[:2].flatten(0, 1).t().contiguous(), full[2].t().contiguous()


def _of_peepholes(
    products: Float[Tensor, "time batch gates"],
    cells: Float[Tensor, "states batch width"],
    *,
    full: bool,
) -> Float[Tensor, "3 ..."]:
    """Return the gradient of the peepholes, from those of the sums of i, f and o."""
    enter, forget, _, out = products.chunk(4, dim=-1)
    looks = ((enter, cells[:-1]), (forget, cells[:-1]), (out, cells[1:]))
    if full:
        return torch.stack([hoisted.of_weight(sums, cell) for sums, cell in looks])
    return torch.stack([(sums * cell).sum((0, 1)) for sums, cell in looks])

"""The LSTM over a whole sequence, with or without peepholes."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from ensuite.nn.kernels import hoisted


def run(
    projected: Float[Tensor, "time batch gates"],
    mask: Bool[Tensor, "batch time"] | None,
    hidden: Float[Tensor, "batch width"],
    cell: Float[Tensor, "batch width"],
    weight: Float[Tensor, "gates width"],
    kept: Float[Tensor, "batch width"] | None,
    peepholes: Float[Tensor, "3 width"] | Float[Tensor, "3 width width"] | None,
) -> tuple[
    Float[Tensor, "batch time width"], Float[Tensor, "batch width"], Float[Tensor, "batch width"]
]:
    """Return the output at every position, the last hidden state and the last cell.

    Args:
        projected: What comes from the inputs, with the bias: i, f, g, o.
        mask: True at real positions; None: all are.
        hidden: Where to start.
        cell: Where to start.
        weight: What the hidden state is multiplied by.
        kept: What dropout leaves of the hidden state.
        peepholes: What i, f and o see of the cell, diagonal or full; None: nothing.
    """
    nothing = cell.new_zeros(3, cell.shape[1])
    full = peepholes is not None and peepholes.dim() == 3
    diagonal = nothing if full or peepholes is None else peepholes
    outputs, last, last_cell = _LSTM.apply(  # type: ignore[no-untyped-call]
        projected,
        hidden,
        cell,
        weight,
        diagonal,
        peepholes if full else None,
        kept,
        mask,
        torch.is_grad_enabled(),
    )
    return outputs.transpose(0, 1), last, last_cell


class _LSTM(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        start: Tensor,
        cell: Tensor,
        weight: Tensor,
        diagonal: Tensor,
        full: Tensor | None,
        kept: Tensor | None,
        mask: Tensor | None,
        saving: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.do, length = hoisted.functions(), len(projected)
        product = torch.empty_like(projected[0])
        states, cells = hoisted.states(start, length), hoisted.states(cell, length)
        seen = states if kept is None else torch.empty_like(states)
        gates, cut = hoisted.room(product, length, saving), 3 * states.shape[2]
        ctx.real = ctx.do.reals(mask, *projected.shape[:2])
        added, inputs, peepholes, after, after_cell, opened = ctx.do.arrays(
            product, projected, diagonal, states, cells, gates
        )
        to_hidden = weight.t().contiguous()
        to_both, to_out = (None, None) if full is None else _to_gates(full)
        for time in range(length):
            torch.mm(hoisted.look(time, states, kept, seen), to_hidden, out=product)
            if to_both is not None:
                product[:, : to_both.shape[1]] += cells[time] @ to_both
            ctx.do.cell_forward(time, added, inputs, peepholes, after_cell, ctx.real, opened)
            if to_out is not None:
                gates[time % len(gates), :, cut:] += cells[time + 1] @ to_out
            ctx.do.hidden_forward(time, peepholes, after_cell, after, ctx.real, opened)
        ctx.save_for_backward(states, cells, seen, gates, weight, diagonal, full, kept)
        ctx.set_materialize_grads(False)
        return states[1:], states[-1].clone(), cells[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, given: Tensor | None, last: Tensor | None, last_cell: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        states, cells, seen, gates, weight, diagonal, full, kept = ctx.saved_tensors
        carry, cell_carry = hoisted.of_last(last, states), hoisted.of_last(last_cell, cells)
        products, width = torch.empty_like(gates), states.shape[2]
        gradient, opened, peepholes, after_cell = ctx.do.arrays(
            hoisted.of_outputs(given, carry), gates, diagonal, cells
        )
        to_state, to_cell, to_product = ctx.do.arrays(carry, cell_carry, products)
        for time in reversed(range(len(gates))):
            ctx.do.hidden_backward(
                time,
                gradient,
                opened,
                peepholes,
                after_cell,
                ctx.real,
                to_state,
                to_cell,
                to_product,
            )
            if full is not None:
                cell_carry.addmm_(products[time, :, 3 * width :], full[2])
            ctx.do.cell_backward(time, opened, peepholes, after_cell, ctx.real, to_cell, to_product)
            if full is not None:
                cell_carry.addmm_(products[time, :, : 2 * width], full[:2].flatten(0, 1))
            hoisted.pull(carry, products[time], weight, kept)
        of_weight = hoisted.of_weight(products, seen)
        of_diagonal = _of_diagonal(products, cells) if ctx.needs_input_grad[4] else None
        of_full = None if full is None else _of_full(products, cells)
        return products, carry, cell_carry, of_weight, of_diagonal, of_full, None, None, None


def _to_gates(full: Float[Tensor, "3 width width"]) -> tuple[Tensor, Tensor]:
    """Return what the cell before is multiplied by for i and f, and the cell after for o."""
    return full[:2].flatten(0, 1).t().contiguous(), full[2].t().contiguous()


def _looks(products: Tensor, cells: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return, for i, f and o, the gradients of the sums, and the cells they have seen."""
    enter, forget, _, out = products.chunk(4, dim=-1)
    return [(enter, cells[:-1]), (forget, cells[:-1]), (out, cells[1:])]


def _of_diagonal(products: Tensor, cells: Tensor) -> Float[Tensor, "3 width"]:
    return torch.stack([(sums * cell).sum((0, 1)) for sums, cell in _looks(products, cells)])


def _of_full(products: Tensor, cells: Tensor) -> Float[Tensor, "3 width width"]:
    return torch.stack([hoisted.of_weight(sums, cell) for sums, cell in _looks(products, cells)])

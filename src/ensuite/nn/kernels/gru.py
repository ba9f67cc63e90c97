"""The gated recurrent unit over a whole sequence, its reset gate after or before the matrix."""

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
) -> tuple[Float[Tensor, "batch time width"], Float[Tensor, "batch width"]]:
    """Return the output at every position, and the last state.

    Args:
        define: Computes the same of ``tensors`` by the definition.
        mask: True at real positions; None: all are.
        kept: What dropout leaves of the hidden state.
        tensors: Inputs, hidden state before them, the input's matrix and bias (reset, update,
            candidate), the state's matrix, and the bias that is reset with the product; without
            it, the reset gate stands before the matrix.
    """
    kind = _ResetAfter if len(tensors) == 6 else _ResetBefore
    states, last = kind.apply(define, mask, kept, *tensors)  # type: ignore[no-untyped-call]
    return hoisted.outputs(states), last


class _ResetAfter(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        define: Callable[..., tuple[Tensor, ...]],
        mask: Tensor | None,
        kept: Tensor | None,
        inputs: Tensor,
        start: Tensor,
        from_input: Tensor,
        bias: Tensor,
        weight: Tensor,
        reset_bias: Tensor,
    ) -> tuple[Tensor, Tensor]:
        ctx.do, ctx.define = hoisted.functions(), define
        rows, length, width = *inputs.shape[:2], start.shape[1]
        states = hoisted.states(start, length)
        seen = states if kept is None else torch.empty_like(states)
        gates, product = start.new_empty(length, rows, 4 * width), start.new_empty(rows, 3 * width)
        hoisted.project(inputs, from_input, bias, gates[..., : 3 * width])
        ctx.real = ctx.do.reals(mask, length, rows)
        added, constant, after, opened = ctx.do.arrays(product, reset_bias, states, gates)
        to_hidden = weight.t().contiguous()
        positions, shown = states.unbind(0), seen.unbind(0)
        for time in range(length):
            torch.mm(hoisted.look(time, positions, kept, shown), to_hidden, out=product)
            ctx.do.gru_forward(time, added, constant, after, ctx.real, opened)
        given = (inputs, start, from_input, bias, weight, reset_bias)
        hoisted.save(ctx, given, (states, seen, gates, kept))
        return states, states[-1].clone()

    @staticmethod
    @hoisted.differentiable
    def backward(ctx: Any, given: Tensor | None, last: Tensor | None) -> tuple[Tensor | None, ...]:
        (inputs, _, from_input, _, weight, _), (states, seen, gates, kept) = hoisted.saved(ctx)
        carry, width = hoisted.of_last(last, states), states.shape[2]
        products = torch.empty_like(gates)  # candidate of the input, reset, update, of the state
        arrays = ctx.do.arrays(hoisted.of_outputs(given, carry), gates, states)
        to_state, to_product = ctx.do.arrays(carry, products)
        of_state = products[..., width:]
        positions = of_state.unbind(0)
        for time in reversed(range(len(positions))):
            ctx.do.gru_backward(time, *arrays, ctx.real, to_state, to_product)
            hoisted.pull(carry, positions[time], weight, kept)
        of_inputs, of_matrix, of_bias = hoisted.of_inputs(
            products[..., : 3 * width],
            inputs,
            from_input.roll(width, 0),
            needed=ctx.needs_input_grad[3],
        )
        of_reset = products[..., 3 * width :].sum((0, 1))
        of_input = of_matrix.roll(-width, 0), of_bias.roll(-width, 0)  # reset, update, candidate
        of_weight = hoisted.of_weight(of_state, seen)
        return None, None, None, of_inputs, carry, *of_input, of_weight, of_reset


class _ResetBefore(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        define: Callable[..., tuple[Tensor, ...]],
        mask: Tensor | None,
        kept: Tensor | None,
        inputs: Tensor,
        start: Tensor,
        from_input: Tensor,
        bias: Tensor,
        weight: Tensor,
    ) -> tuple[Tensor, Tensor]:
        ctx.do, ctx.define = hoisted.functions(), define
        rows, length, cut = *inputs.shape[:2], 2 * start.shape[1]
        states = hoisted.states(start, length)
        seen = states if kept is None else torch.empty_like(states)
        gates, resets = start.new_empty(length, rows, len(weight)), torch.empty_like(states[1:])
        hoisted.project(inputs, from_input, bias, gates)
        product, recalled = start.new_empty(rows, cut), torch.empty_like(start)
        ctx.real = ctx.do.reals(mask, length, rows)
        after, shown, opened, reset = ctx.do.arrays(states, seen, gates, resets)
        added, called = ctx.do.arrays(product, recalled)
        to_gates, to_candidate = weight[:cut].t().contiguous(), weight[cut:].t().contiguous()
        positions, places, remembered = states.unbind(0), seen.unbind(0), resets.unbind(0)
        for time in range(length):
            torch.mm(hoisted.look(time, positions, kept, places), to_gates, out=product)
            ctx.do.gates_forward(time, added, shown, opened, reset)
            torch.mm(remembered[time], to_candidate, out=recalled)
            ctx.do.candidate_forward(time, called, after, ctx.real, opened)
        given = (inputs, start, from_input, bias, weight)
        hoisted.save(ctx, given, (states, seen, gates, resets, kept))
        return states, states[-1].clone()

    @staticmethod
    @hoisted.differentiable
    def backward(ctx: Any, given: Tensor | None, last: Tensor | None) -> tuple[Tensor | None, ...]:
        (inputs, _, from_input, _, weight), rest = hoisted.saved(ctx)
        states, seen, gates, resets, kept = rest
        carry, recalled = hoisted.of_last(last, states), torch.empty_like(states[0])
        products, cut = torch.empty_like(gates), 2 * states.shape[2]
        arrays = ctx.do.arrays(hoisted.of_outputs(given, carry), gates, states)
        called, shown, to_state, to_product = ctx.do.arrays(recalled, seen, carry, products)
        of_gates, of_candidate = products[..., :cut], products[..., cut:]
        gate_at, candidate_at = of_gates.unbind(0), of_candidate.unbind(0)
        for time in reversed(range(len(gates))):
            ctx.do.candidate_backward(time, *arrays, ctx.real, to_state, to_product)
            torch.mm(candidate_at[time], weight[cut:], out=recalled)
            ctx.do.gates_backward(time, called, arrays[1], shown, to_product)
            recalled.addmm_(gate_at[time], weight[:cut])
            carry += recalled if kept is None else recalled * kept
        of_inputs, *of_input = hoisted.of_inputs(
            products, inputs, from_input, needed=ctx.needs_input_grad[3]
        )
        parts = hoisted.of_weight(of_gates, seen), hoisted.of_weight(of_candidate, resets)
        return None, None, None, of_inputs, carry, *of_input, torch.cat(parts)

"""The gated recurrent unit over a whole sequence, its reset gate after or before the matrix."""

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
    start: Float[Tensor, "batch width"],
    weights: Sequence[Tensor],
) -> tuple[Float[Tensor, "batch time width"], list[Float[Tensor, "batch width"]]]:
    """Return the output at every position, and the last state.

    Args:
        define: Computes the same by the definition; see ``hoisted.over``.
        inputs: One vector a position.
        mask: True at real positions; None: all are.
        kept: What dropout leaves of the hidden state.
        start: The hidden state before the first position.
        weights: The input's matrix and bias (reset, update, candidate), the state's matrix, and the
            bias that is reset with the product; without it, the reset gate stands before the
            matrix.
    """
    kernel = _ResetAfter if len(weights) == 4 else _ResetBefore
    return hoisted.over(kernel.apply, define, inputs, mask, kept, (start,), *weights)


class _ResetAfter(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        define: Callable[..., tuple[Tensor, ...]],
        laid: Rectangle,
        kept: Tensor | None,
        inputs: Tensor,
        start: Tensor,
        from_input: Tensor,
        bias: Tensor,
        weight: Tensor,
        reset_bias: Tensor,
    ) -> tuple[Tensor, Tensor]:
        ctx.do, ctx.define, ctx.laid = hoisted.functions(), define, laid
        total, (rows, width) = laid.total, start.shape
        states, outputs = hoisted.states(start, total)
        seen = states if kept is None else torch.empty_like(states)
        gates, product = start.new_empty(total, 4 * width), start.new_empty(rows, 3 * width)
        hoisted.project(inputs, from_input, bias, gates[:, : 3 * width])
        added, constant, array, opened = ctx.do.arrays(product, reset_bias, states, gates)
        to_hidden = weight.t().contiguous()
        positions = zip(
            laid.steps, laid.heads(product), hoisted.looks(laid, states, kept, seen), strict=True
        )
        for step, room, before in positions:
            torch.mm(before, to_hidden, out=room)
            ctx.do.gru_forward(step, added, constant, array, opened)
        given = (inputs, start, from_input, bias, weight, reset_bias)
        hoisted.save(ctx, given, (states, seen, gates, kept))
        return outputs, laid.last(states)

    @staticmethod
    @hoisted.differentiable
    def backward(ctx: Any, given: Tensor | None, last: Tensor | None) -> tuple[Tensor | None, ...]:
        (inputs, start, from_input, _, weight, _), rest = hoisted.saved(ctx)
        states, seen, gates, kept = rest
        carry, width = hoisted.of_last(last, start), states.shape[1]
        products = torch.empty_like(gates)  # candidate of the input, reset, update, of the state
        arrays = ctx.do.arrays(hoisted.of_outputs(given, carry), gates, states, carry, products)
        of_state = products[:, width:]
        for step, *back in hoisted.back(ctx.laid, carry, kept, of_state):
            ctx.do.gru_backward(step, *arrays)
            hoisted.pull(weight, *back)
        of_inputs, of_matrix, of_bias = hoisted.of_inputs(
            products[:, : 3 * width],
            inputs,
            from_input.roll(width, 0),
            needed=ctx.needs_input_grad[3],
        )
        of_reset = products[:, 3 * width :].sum(0)
        of_input = of_matrix.roll(-width, 0), of_bias.roll(-width, 0)  # reset, update, candidate
        of_weight = of_state.t() @ ctx.laid.before(seen)
        return None, None, None, of_inputs, carry, *of_input, of_weight, of_reset


class _ResetBefore(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        define: Callable[..., tuple[Tensor, ...]],
        laid: Rectangle,
        kept: Tensor | None,
        inputs: Tensor,
        start: Tensor,
        from_input: Tensor,
        bias: Tensor,
        weight: Tensor,
    ) -> tuple[Tensor, Tensor]:
        ctx.do, ctx.define, ctx.laid = hoisted.functions(), define, laid
        cut, (states, outputs) = 2 * start.shape[1], hoisted.states(start, laid.total)
        seen = states if kept is None else torch.empty_like(states)
        gates, resets = start.new_empty(laid.total, len(weight)), torch.empty_like(outputs)
        hoisted.project(inputs, from_input, bias, gates)
        product, recalled = start.new_empty(len(start), cut), torch.empty_like(states[: len(start)])
        array, shown, opened, reset = ctx.do.arrays(states, seen, gates, resets)
        added, called = ctx.do.arrays(product, recalled)
        to_gates, to_candidate = weight[:cut].t().contiguous(), weight[cut:].t().contiguous()
        rooms = laid.heads(product), laid.cut(resets), laid.heads(recalled)
        positions = zip(laid.steps, hoisted.looks(laid, states, kept, seen), *rooms, strict=True)
        for step, before, room, remembered, recall in positions:
            torch.mm(before, to_gates, out=room)
            ctx.do.gates_forward(step, added, shown, opened, reset)
            torch.mm(remembered, to_candidate, out=recall)
            ctx.do.candidate_forward(step, called, array, opened)
        given = (inputs, start, from_input, bias, weight)
        hoisted.save(ctx, given, (states, seen, gates, resets, kept))
        return outputs, laid.last(states)

    @staticmethod
    @hoisted.differentiable
    def backward(ctx: Any, given: Tensor | None, last: Tensor | None) -> tuple[Tensor | None, ...]:
        (inputs, start, from_input, _, weight), rest = hoisted.saved(ctx)
        states, seen, gates, resets, kept = rest
        carry, recalled = hoisted.of_last(last, start), torch.empty_like(states[: len(start)])
        products, cut = torch.empty_like(gates), 2 * states.shape[1]
        arrays = ctx.do.arrays(hoisted.of_outputs(given, carry), gates, states, carry, products)
        called, shown = ctx.do.arrays(recalled, seen)
        of_gates, of_candidate = products[:, :cut], products[:, cut:]
        rooms = ctx.laid.heads(recalled)
        positions = hoisted.back(ctx.laid, carry, kept, of_gates, of_candidate)
        for (step, to_state, keep, *at), room in zip(positions, reversed(rooms), strict=True):
            ctx.do.candidate_backward(step, *arrays)
            torch.mm(at[1], weight[cut:], out=room)
            ctx.do.gates_backward(step, called, arrays[1], shown, arrays[4])
            room.addmm_(at[0], weight[:cut])
            to_state += room if keep is None else room * keep
        of_inputs, *of_input = hoisted.of_inputs(
            products, inputs, from_input, needed=ctx.needs_input_grad[3]
        )
        parts = of_gates.t() @ ctx.laid.before(seen), of_candidate.t() @ resets
        return None, None, None, of_inputs, carry, *of_input, torch.cat(parts)

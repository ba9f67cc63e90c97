"""The simple recurrent network over a whole sequence."""

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
    relu: bool,
    *tensors: Tensor,
) -> tuple[Float[Tensor, "batch time width"], Float[Tensor, "batch width"]]:
    """Return the output at every position, and the last state.

    Args:
        define: Computes the same of ``tensors`` by the definition.
        mask: True at real positions; None: all are.
        kept: What dropout leaves of the hidden state.
        relu: Whether the sum goes through relu instead of tanh.
        tensors: Inputs, hidden state before them, the input's matrix and bias, the state's matrix.
    """
    states, last = _RNN.apply(define, mask, kept, relu, *tensors)  # type: ignore[no-untyped-call]
    return hoisted.outputs(states), last


class _RNN(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        define: Callable[..., tuple[Tensor, ...]],
        mask: Tensor | None,
        kept: Tensor | None,
        relu: bool,
        inputs: Tensor,
        start: Tensor,
        from_input: Tensor,
        bias: Tensor,
        weight: Tensor,
    ) -> tuple[Tensor, Tensor]:
        ctx.do, ctx.define, ctx.relu = hoisted.functions(), define, relu
        rows, length, _ = inputs.shape
        states = hoisted.states(start, length)
        hoisted.project(inputs, from_input, bias, states[1:])
        seen = states if kept is None else torch.empty_like(states)
        ctx.real = ctx.do.reals(mask, length, rows)
        (after,), to_hidden = ctx.do.arrays(states), weight.t().contiguous()
        positions, shown = states.unbind(0), seen.unbind(0)
        for time in range(length):
            before = hoisted.look(time, positions, kept, shown)
            positions[time + 1].addmm_(before, to_hidden)
            ctx.do.rnn_forward(time, relu, after, ctx.real)
        hoisted.save(ctx, (inputs, start, from_input, bias, weight), (states, seen, kept))
        return states, states[-1].clone()

    @staticmethod
    @hoisted.differentiable
    def backward(ctx: Any, given: Tensor | None, last: Tensor | None) -> tuple[Tensor | None, ...]:
        (inputs, _, from_input, _, weight), (states, seen, kept) = hoisted.saved(ctx)
        carry, products = hoisted.of_last(last, states), torch.empty_like(states[1:])
        gradient, after, to_state, to_product = ctx.do.arrays(
            hoisted.of_outputs(given, carry), states, carry, products
        )
        positions = products.unbind(0)
        for time in reversed(range(len(positions))):
            ctx.do.rnn_backward(time, ctx.relu, gradient, after, ctx.real, to_state, to_product)
            hoisted.pull(carry, positions[time], weight, kept)
        of_inputs = hoisted.of_inputs(products, inputs, from_input, needed=ctx.needs_input_grad[4])
        return (
            None,
            None,
            None,
            None,
            of_inputs[0],
            carry,
            *of_inputs[1:],
            hoisted.of_weight(products, seen),
        )

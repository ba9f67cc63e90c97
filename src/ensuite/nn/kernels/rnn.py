"""The simple recurrent network over a whole sequence."""

from collections.abc import Callable, Sequence
from functools import partial
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
    *,
    relu: bool,
) -> tuple[Float[Tensor, "batch time width"], list[Float[Tensor, "batch width"]]]:
    """Return the output at every position, and the last state.

    Args:
        define: Computes the same by the definition; see ``hoisted.over``.
        inputs: One vector a position.
        mask: True at real positions; None: all are.
        kept: What dropout leaves of the hidden state.
        start: The hidden state before the first position.
        weights: The input's matrix and bias, and the state's matrix.
        relu: Whether the sum goes through relu instead of tanh.
    """
    kernel = partial(_RNN.apply, relu)
    return hoisted.over(kernel, define, inputs, mask, kept, (start,), *weights)


class _RNN(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        relu: bool,
        define: Callable[..., tuple[Tensor, ...]],
        laid: Rectangle,
        kept: Tensor | None,
        inputs: Tensor,
        start: Tensor,
        from_input: Tensor,
        bias: Tensor,
        weight: Tensor,
    ) -> tuple[Tensor, Tensor]:
        ctx.do, ctx.define, ctx.laid, ctx.relu = hoisted.functions(), define, laid, relu
        states, outputs = hoisted.states(start, laid.total)
        hoisted.project(inputs, from_input, bias, outputs)
        seen = states if kept is None else torch.empty_like(states)
        (array,), to_hidden = ctx.do.arrays(states), weight.t().contiguous()
        positions = zip(
            laid.steps, laid.cut(outputs), hoisted.looks(laid, states, kept, seen), strict=True
        )
        for step, after, before in positions:
            after.addmm_(before, to_hidden)
            ctx.do.rnn_forward(step, relu, array)
        hoisted.save(ctx, (inputs, start, from_input, bias, weight), (states, seen, kept))
        return outputs, laid.last(states)

    @staticmethod
    @hoisted.differentiable
    def backward(ctx: Any, given: Tensor | None, last: Tensor | None) -> tuple[Tensor | None, ...]:
        (inputs, start, from_input, _, weight), (states, seen, kept) = hoisted.saved(ctx)
        carry, products = hoisted.of_last(last, start), states.new_empty(len(inputs), len(weight))
        gradient, array, to_state, to_product = ctx.do.arrays(
            hoisted.of_outputs(given, carry), states, carry, products
        )
        for step, *back in hoisted.back(ctx.laid, carry, kept, products):
            ctx.do.rnn_backward(step, ctx.relu, gradient, array, to_state, to_product)
            hoisted.pull(weight, *back)
        of_inputs, *of_input = hoisted.of_inputs(
            products, inputs, from_input, needed=ctx.needs_input_grad[4]
        )
        of_weight = products.t() @ ctx.laid.before(seen)
        return None, None, None, None, of_inputs, carry, *of_input, of_weight

"""Kernel of the RNN (tanh or ReLU): all positions of a sequence, forward and backward."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ensuite.nn.kernels import hoisted
from ensuite.nn.kernels.layout import Rectangle


def kernel(*, relu: bool) -> Callable[..., tuple[Tensor, ...]]:
    """Return the kernel for ``hoisted.run``, with ReLU or tanh as the activation.

    Its weights are the matrix and the bias of the inputs, and the matrix of the hidden state.
    """
    return partial(_RNN.apply, relu)


class _RNN(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        relu: bool,
        by_steps: Callable[..., tuple[Tensor, ...]],
        layout: Rectangle,
        kept: Tensor | None,
        inputs: Tensor,
        start: Tensor,
        from_input: Tensor,
        bias: Tensor,
        from_hidden: Tensor,
    ) -> tuple[Tensor, Tensor]:
        functions = hoisted.functions()
        ctx.functions, ctx.by_steps, ctx.layout, ctx.relu = functions, by_steps, layout, relu
        states, outputs = hoisted.state_memory(start, layout.total)
        hoisted.project(inputs, from_input, bias, outputs)
        seen = states if kept is None else torch.empty_like(states)
        (states_array,), matrix = functions.arrays(states), from_hidden.t().contiguous()
        steps = hoisted.forward_steps(layout, states, kept, seen, layout.by_time(outputs))
        for step, before, after in steps:
            after.addmm_(before, matrix)
            functions.rnn_forward(step, relu, states_array)
        hoisted.save(ctx, (inputs, start, from_input, bias, from_hidden), (states, seen, kept))
        return outputs, layout.last(states)

    @staticmethod
    @hoisted.differentiable
    def backward(
        ctx: Any, grad_outputs: Tensor | None, grad_last: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        (inputs, start, from_input, _, from_hidden), (states, seen, kept) = hoisted.saved(ctx)
        carry = hoisted.last_gradient(grad_last, start)
        products = states.new_empty(len(inputs), len(from_hidden))
        arrays = ctx.functions.arrays(
            hoisted.output_gradient(grad_outputs, carry), states, carry, products
        )
        for step, *rows in hoisted.reversed_steps(ctx.layout, carry, kept, products):
            ctx.functions.rnn_backward(step, ctx.relu, *arrays)
            hoisted.add_state_gradient(from_hidden, *rows)
        grad_inputs, *grad_from_input = hoisted.input_gradients(
            products, inputs, from_input, needed=ctx.needs_input_grad[4]
        )
        grad_from_hidden = products.t() @ ctx.layout.before(seen)
        return None, None, None, None, grad_inputs, carry, *grad_from_input, grad_from_hidden

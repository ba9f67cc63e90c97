"""The simple recurrent network over a whole sequence."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from ensuite.nn.kernels import hoisted


def run(
    projected: Float[Tensor, "time batch width"],
    mask: Bool[Tensor, "batch time"] | None,
    hidden: Float[Tensor, "batch width"],
    weight: Float[Tensor, "width width"],
    kept: Float[Tensor, "batch width"] | None,
    relu: bool,
) -> tuple[Float[Tensor, "batch time width"], Float[Tensor, "batch width"]]:
    """Return the output at every position, and the last state.

    Args:
        projected: What comes from the inputs, with the bias.
        mask: True at real positions; None: all are.
        hidden: Where to start.
        weight: What the hidden state is multiplied by.
        kept: What dropout leaves of the hidden state.
        relu: Whether the sum goes through relu instead of tanh.
    """
    outputs, last = _RNN.apply(projected, hidden, weight, kept, mask, relu)  # type: ignore[no-untyped-call]
    return outputs.transpose(0, 1), last


class _RNN(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        start: Tensor,
        weight: Tensor,
        kept: Tensor | None,
        mask: Tensor | None,
        relu: bool,
    ) -> tuple[Tensor, Tensor]:
        ctx.do, ctx.relu = hoisted.functions(), relu
        states = hoisted.states(start, len(projected))
        seen = states if kept is None else torch.empty_like(states)
        ctx.real = ctx.do.reals(mask, *projected.shape[:2])
        (after,), to_hidden = ctx.do.arrays(states), weight.t().contiguous()
        for time, now in enumerate(projected.unbind(0)):
            before = hoisted.look(time, states, kept, seen)
            torch.addmm(now, before, to_hidden, out=states[time + 1])
            ctx.do.rnn_forward(time, relu, after, ctx.real)
        ctx.save_for_backward(states, seen, weight, kept)
        ctx.set_materialize_grads(False)
        return states[1:], states[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor | None, last: Tensor | None) -> tuple[Tensor | None, ...]:
        states, seen, weight, kept = ctx.saved_tensors
        carry, products = hoisted.of_last(last, states), torch.empty_like(states[1:])
        gradient, after, to_state, to_product = ctx.do.arrays(
            hoisted.of_outputs(given, carry), states, carry, products
        )
        for time in reversed(range(len(products))):
            ctx.do.rnn_backward(time, ctx.relu, gradient, after, ctx.real, to_state, to_product)
            hoisted.pull(carry, products[time], weight, kept)
        return products, carry, hoisted.of_weight(products, seen), None, None, None

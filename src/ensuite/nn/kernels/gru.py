"""The gated recurrent unit over a whole sequence, its reset gate after or before the matrix."""

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
    weight: Float[Tensor, "gates width"],
    kept: Float[Tensor, "batch width"] | None,
    reset_bias: Float[Tensor, " width"] | None,
) -> tuple[Float[Tensor, "batch time width"], Float[Tensor, "batch width"]]:
    """Return the output at every position, and the last state.

    Args:
        projected: What comes from the inputs, with the bias: reset, update, candidate.
        mask: True at real positions; None: all are.
        hidden: Where to start.
        weight: What the hidden state is multiplied by.
        kept: What dropout leaves of the hidden state.
        reset_bias: What is reset with the product; None: the reset gate stands before the matrix.
    """
    saving = torch.is_grad_enabled()
    if reset_bias is None:
        outputs, last = _ResetBefore.apply(  # type: ignore[no-untyped-call]
            projected, hidden, weight, kept, mask, saving
        )
    else:
        outputs, last = _ResetAfter.apply(  # type: ignore[no-untyped-call]
            projected, hidden, weight, reset_bias, kept, mask, saving
        )
    return outputs.transpose(0, 1), last


class _ResetAfter(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        start: Tensor,
        weight: Tensor,
        bias: Tensor,
        kept: Tensor | None,
        mask: Tensor | None,
        saving: bool,
    ) -> tuple[Tensor, Tensor]:
        ctx.do, length = hoisted.functions(), len(projected)
        product = torch.empty_like(projected[0])
        states = hoisted.states(start, length)
        seen = states if kept is None else torch.empty_like(states)
        gates = hoisted.room(torch.cat([start, product], dim=1), length, saving)
        ctx.real = ctx.do.reals(mask, *projected.shape[:2])
        added, inputs, constant, after, opened = ctx.do.arrays(
            product, projected, bias, states, gates
        )
        to_hidden = weight.t().contiguous()
        for time in range(length):
            torch.mm(hoisted.look(time, states, kept, seen), to_hidden, out=product)
            ctx.do.gru_forward(time, added, inputs, constant, after, ctx.real, opened)
        ctx.save_for_backward(states, seen, gates, weight, kept)
        ctx.set_materialize_grads(False)
        return states[1:], states[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor | None, last: Tensor | None) -> tuple[Tensor | None, ...]:
        states, seen, gates, weight, kept = ctx.saved_tensors
        carry, width = hoisted.of_last(last, states), states.shape[2]
        inputs = gates.new_empty(*gates.shape[:2], 3 * width)
        products = torch.empty_like(inputs)
        arrays = ctx.do.arrays(hoisted.of_outputs(given, carry), gates, states)
        to_state, to_input, to_product = ctx.do.arrays(carry, inputs, products)
        for time in reversed(range(len(gates))):
            ctx.do.gru_backward(time, *arrays, ctx.real, to_state, to_input, to_product)
            hoisted.pull(carry, products[time], weight, kept)
        of_weight, of_bias = hoisted.of_weight(products, seen), products[..., 2 * width :]
        return inputs, carry, of_weight, of_bias.sum((0, 1)), None, None, None


class _ResetBefore(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        start: Tensor,
        weight: Tensor,
        kept: Tensor | None,
        mask: Tensor | None,
        saving: bool,
    ) -> tuple[Tensor, Tensor]:
        ctx.do, length = hoisted.functions(), len(projected)
        states = hoisted.states(start, length)
        seen = states if kept is None else torch.empty_like(states)
        gates, resets = (
            hoisted.room(projected[0], length, saving),
            hoisted.room(start, length, saving),
        )
        product = start.new_empty(len(start), 2 * start.shape[1])
        recalled = torch.empty_like(states[0])
        ctx.real = ctx.do.reals(mask, *projected.shape[:2])
        inputs, after, shown, opened, reset = ctx.do.arrays(projected, states, seen, gates, resets)
        added, called = ctx.do.arrays(product, recalled)
        cut = 2 * states.shape[2]
        to_gates, to_candidate = weight[:cut].t().contiguous(), weight[cut:].t().contiguous()
        for time in range(length):
            torch.mm(hoisted.look(time, states, kept, seen), to_gates, out=product)
            ctx.do.gates_forward(time, added, inputs, shown, opened, reset)
            torch.mm(resets[time % len(resets)], to_candidate, out=recalled)
            ctx.do.candidate_forward(time, called, inputs, after, ctx.real, opened)
        ctx.save_for_backward(states, seen, gates, resets, weight, kept)
        ctx.set_materialize_grads(False)
        return states[1:], states[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor | None, last: Tensor | None) -> tuple[Tensor | None, ...]:
        states, seen, gates, resets, weight, kept = ctx.saved_tensors
        carry, recalled = hoisted.of_last(last, states), torch.empty_like(states[0])
        products, cut = torch.empty_like(gates), 2 * states.shape[2]
        arrays = ctx.do.arrays(hoisted.of_outputs(given, carry), gates, states)
        called, shown, to_state, to_product = ctx.do.arrays(recalled, seen, carry, products)
        for time in reversed(range(len(gates))):
            ctx.do.candidate_backward(time, *arrays, ctx.real, to_state, to_product)
            torch.mm(products[time, :, cut:], weight[cut:], out=recalled)
            ctx.do.gates_backward(time, called, arrays[1], shown, to_product)
            recalled.addmm_(products[time, :, :cut], weight[:cut])
            carry += recalled if kept is None else recalled * kept
        of_gates = hoisted.of_weight(products[..., :cut], seen)
        of_weight = torch.cat([of_gates, hoisted.of_weight(products[..., cut:], resets)])
        return products, carry, of_weight, None, None, None

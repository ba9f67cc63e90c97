"""Kernels of the GRU, with the reset gate after or before the matrix: forward and backward."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from ensuite.nn.kernels import hoisted
from ensuite.nn.kernels.layout import Rectangle


def kernel(reset: Literal["after", "before"]) -> Callable[..., tuple[Tensor, ...]]:
    """Return the kernel for ``hoisted.run``.

    Its weights are the matrix and the bias of the inputs (reset gate, update gate, candidate), the
    matrix of the hidden state, and for "after" the bias that the reset gate multiplies.
    """
    return _ResetAfter.apply if reset == "after" else _ResetBefore.apply


class _ResetAfter(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        by_steps: Callable[..., tuple[Tensor, ...]],
        layout: Rectangle,
        kept: Tensor | None,
        inputs: Tensor,
        start: Tensor,
        from_input: Tensor,
        bias: Tensor,
        from_hidden: Tensor,
        reset_bias: Tensor,
    ) -> tuple[Tensor, Tensor]:
        functions = hoisted.functions()
        ctx.functions, ctx.by_steps, ctx.layout = functions, by_steps, layout
        total, (rows, width) = layout.total, start.shape
        states, outputs = hoisted.state_memory(start, total)
        seen = states if kept is None else torch.empty_like(states)
        gates, product = start.new_empty(total, 4 * width), start.new_empty(rows, 3 * width)
        hoisted.project(inputs, from_input, bias, gates[:, : 3 * width])
        arrays = functions.arrays(product, reset_bias, states, gates)
        matrix = from_hidden.t().contiguous()
        steps = hoisted.forward_steps(layout, states, kept, seen, layout.present(product))
        for step, before, out in steps:
            torch.mm(before, matrix, out=out)
            functions.gru_forward(step, *arrays)
        arguments = (inputs, start, from_input, bias, from_hidden, reset_bias)
        hoisted.save(ctx, arguments, (states, seen, gates, kept))
        return outputs, layout.last(states)

    @staticmethod
    @hoisted.differentiable
    def backward(
        ctx: Any, grad_outputs: Tensor | None, grad_last: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        (inputs, start, from_input, _, from_hidden, _), rest = hoisted.saved(ctx)
        states, seen, gates, kept = rest
        carry, width = hoisted.last_gradient(grad_last, start), states.shape[1]
        # gradients of the input's product for the candidate, of the reset and the update gate, and
        # of the hidden product for the candidate: those of the hidden products are neighbours
        products = torch.empty_like(gates)
        arrays = ctx.functions.arrays(
            hoisted.output_gradient(grad_outputs, carry), gates, states, carry, products
        )
        hidden = products[:, width:]
        for step, *rows in hoisted.reversed_steps(ctx.layout, carry, kept, hidden):
            ctx.functions.gru_backward(step, *arrays)
            hoisted.add_state_gradient(from_hidden, *rows)
        grad_inputs, *rolled = hoisted.input_gradients(
            products[:, : 3 * width],
            inputs,
            from_input.roll(width, 0),
            needed=ctx.needs_input_grad[3],
        )
        # back to the order of the weights: reset gate, update gate, candidate
        grad_from_input = [gradient.roll(-width, 0) for gradient in rolled if gradient is not None]
        grad_from_hidden = hidden.t() @ ctx.layout.before(seen)
        grad_reset_bias = products[:, 3 * width :].sum(0)
        gradients = *grad_from_input, grad_from_hidden, grad_reset_bias
        return None, None, None, grad_inputs, carry, *gradients


class _ResetBefore(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
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
        ctx.functions, ctx.by_steps, ctx.layout = functions, by_steps, layout
        cut, (states, outputs) = 2 * start.shape[1], hoisted.state_memory(start, layout.total)
        seen = states if kept is None else torch.empty_like(states)
        gates, resets = start.new_empty(layout.total, len(from_hidden)), torch.empty_like(outputs)
        hoisted.project(inputs, from_input, bias, gates)
        for_gates = start.new_empty(len(start), cut)
        for_candidate = torch.empty_like(states[: len(start)])
        to_gates, to_candidate = (
            from_hidden[:cut].t().contiguous(),
            from_hidden[cut:].t().contiguous(),
        )
        states_array, seen_array, gates_array, resets_array, *products = functions.arrays(
            states, seen, gates, resets, for_gates, for_candidate
        )
        tensors = layout.present(for_gates), layout.by_time(resets), layout.present(for_candidate)
        steps = hoisted.forward_steps(layout, states, kept, seen, *tensors)
        for step, before, gate_product, reset_state, candidate_product in steps:
            torch.mm(before, to_gates, out=gate_product)
            functions.gates_forward(step, products[0], seen_array, gates_array, resets_array)
            torch.mm(reset_state, to_candidate, out=candidate_product)
            functions.candidate_forward(step, products[1], states_array, gates_array)
        arguments = (inputs, start, from_input, bias, from_hidden)
        hoisted.save(ctx, arguments, (states, seen, gates, resets, kept))
        return outputs, layout.last(states)

    @staticmethod
    @hoisted.differentiable
    def backward(
        ctx: Any, grad_outputs: Tensor | None, grad_last: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        (inputs, start, from_input, _, from_hidden), rest = hoisted.saved(ctx)
        states, seen, gates, resets, kept = rest
        carry = hoisted.last_gradient(grad_last, start)
        grad_reset_state = torch.empty_like(states[: len(start)])
        products, cut = torch.empty_like(gates), 2 * states.shape[1]
        arrays = ctx.functions.arrays(
            hoisted.output_gradient(grad_outputs, carry), gates, states, carry, products
        )
        _, gates_array, _, _, products_array = arrays
        reset_array, seen_array = ctx.functions.arrays(grad_reset_state, seen)
        for_gates, for_candidate = products[:, :cut], products[:, cut:]
        steps = hoisted.reversed_steps(ctx.layout, carry, kept, for_gates, for_candidate)
        outs = reversed(ctx.layout.present(grad_reset_state))
        for (step, grad_state, keep, gate_rows, candidate_rows), out in zip(
            steps, outs, strict=True
        ):
            ctx.functions.candidate_backward(step, *arrays)
            torch.mm(candidate_rows, from_hidden[cut:], out=out)
            ctx.functions.gates_backward(step, reset_array, gates_array, seen_array, products_array)
            out.addmm_(gate_rows, from_hidden[:cut])
            grad_state += out if keep is None else out * keep
        grad_inputs, *grad_from_input = hoisted.input_gradients(
            products, inputs, from_input, needed=ctx.needs_input_grad[3]
        )
        parts = for_gates.t() @ ctx.layout.before(seen), for_candidate.t() @ resets
        return None, None, None, grad_inputs, carry, *grad_from_input, torch.cat(parts)

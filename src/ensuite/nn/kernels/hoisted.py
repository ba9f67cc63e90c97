"""What our recurrent kernels share: when they can be used, and what is computed outside the loop.

The products of the inputs of all positions are one matrix product before the loop over time. In
the backward pass, the loop computes only the gradients of the gates, and the gradients of the
weights are one matrix product after it. So the loop has only the products of the hidden state,
and between them the functions of ``fused`` (compiled, if numba is installed) or of ``eager``.

In all tensors here time is the first dimension, and padding is left out: see ``layout``.

Source:
    Appleyard, Kociský & Blunsom (2016), https://arxiv.org/abs/1604.01946, section 3
"""

import importlib.util
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial, wraps
from itertools import compress
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import Parameter

from ensuite.nn.kernels import tracing
from ensuite.nn.kernels.layout import Rectangle, layout_of

PLAIN = (Tensor, Parameter)
"""Classes of tensors that hold their data themselves; other subclasses of Tensor may not."""


@cache
def is_compiled() -> bool:
    """Say whether numba is installed, which ``fused`` needs."""
    return importlib.util.find_spec("numba") is not None


@cache
def functions() -> ModuleType:
    """Return ``fused`` if numba is installed, else ``eager``; imported when first needed."""
    return importlib.import_module(f"ensuite.nn.kernels.{'fused' if is_compiled() else 'eager'}")


def suits(*tensors: Tensor) -> bool:
    """Say whether the kernels can compute with these tensors: float32 on a CPU, in eager mode."""
    for tensor in tensors:
        if tensor.dtype is not torch.float32 or not tensor.is_cpu or type(tensor) not in PLAIN:
            return False
    return tracing.is_eager() and not torch.is_autocast_enabled("cpu")


def run(
    kernel: Callable[..., tuple[Tensor, ...]],
    by_steps: Callable[..., tuple[Tensor, ...]],
    inputs: Float[Tensor, "batch time features"],
    mask: Bool[Tensor, "batch time"] | None,
    kept: Float[Tensor, "batch width"] | None,
    start: Sequence[Float[Tensor, "batch width"]],
    *weights: Tensor,
) -> tuple[Float[Tensor, "batch time width"], list[Float[Tensor, "batch width"]]]:
    """Return the output at every position and the parts of the last state.

    Args:
        kernel: The ``apply`` of an autograd function. It takes the function ``by_steps``, the
            layout, ``kept``, the inputs, the parts of the initial state and the weights; it returns
            the outputs after all positions, and the parts of the last state.
        by_steps: Computes the same from layout, ``kept`` and tensors, by the steps of the cell; the
            kernel differentiates it when second derivatives are asked for.
        inputs: One vector per position.
        mask: True at real positions; None: all positions are real.
        kept: Recurrent dropout mask; None: no dropout.
        start: The parts of the initial state.
        weights: Of the cell.
    """
    layout = layout_of(inputs, mask)
    begin = [layout.sort(part) for part in start]
    kept = None if kept is None else layout.sort(kept)
    again = partial(by_steps, layout, kept)
    outputs, *last = kernel(again, layout, kept, layout.read(inputs), *begin, *weights)
    return layout.write(begin[0], outputs), [layout.restore(part) for part in last]


def state_memory(
    start: Float[Tensor, "batch width"], total: int
) -> tuple[Float[Tensor, "states width"], Float[Tensor, "total width"]]:
    """Allocate a tensor for all states; return it, and the part of it after the initial state.

    That part is detached, so that autograd does not see a view, but it shares the version counter:
    an in-place change of the outputs is still detected in the backward pass.
    """
    rows = len(start)
    memory = start.new_empty(rows + total, start.shape[1])
    memory[:rows] = start
    return memory, memory[rows:].detach()


def project(
    inputs: Float[Tensor, "total features"],
    weight: Float[Tensor, "gates features"],
    bias: Float[Tensor, " gates"],
    out: Float[Tensor, "total gates"],
) -> None:
    """Write the product of every input with the weight, plus the bias, to ``out``."""
    torch.addmm(bias, inputs, weight.t(), out=out)


def forward_steps(
    layout: Rectangle,
    states: Float[Tensor, "states width"],
    kept: Float[Tensor, "batch width"] | None,
    seen: Float[Tensor, "states width"],
    *tensors: Sequence[Tensor],
) -> Iterable[Any]:
    """Iterate over time: the step, the states before it after dropout, and the tensors' elements.

    Args:
        layout: Where the positions are in memory.
        states: All states; the loop writes those after a position before it asks for the next.
        kept: Recurrent dropout mask; None: no dropout.
        seen: Where the states after dropout are stored; without dropout, ``states``.
        tensors: Sequences with one tensor per position in time.
    """
    before = layout.before_by_time(seen)
    if kept is None:
        return zip(layout.steps, before, *tensors, strict=True)
    dropped = map(_drop, layout.before_by_time(states), layout.present(kept), before)
    return zip(layout.steps, dropped, *tensors, strict=True)


def _drop(states: Tensor, kept: Tensor, seen: Tensor) -> Tensor:
    return torch.mul(states, kept, out=seen)


def save(ctx: Any, inputs: Sequence[Tensor | None], results: Sequence[Tensor | None]) -> None:
    """Save tensors for the backward pass: the kernel's inputs, and what it has computed."""
    ctx.inputs = len(inputs)
    ctx.save_for_backward(*inputs, *results)
    ctx.set_materialize_grads(False)


def saved(ctx: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the inputs and the results that ``save`` was called with."""
    return ctx.saved_tensors[: ctx.inputs], ctx.saved_tensors[ctx.inputs :]


def differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the backward pass of a kernel so that it can be differentiated again.

    If a graph of the gradients is asked for (``create_graph=True``), they are computed by running
    ``by_steps`` and differentiating it, not by the kernel.
    """

    @wraps(backward)
    def either(ctx: Any, *gradients: Tensor | None) -> Any:
        if not torch.is_grad_enabled():  # no graph of the gradients is asked for
            return backward(ctx, *gradients)
        given = [tensor for tensor in saved(ctx)[0] if tensor is not None]
        wanted = ctx.needs_input_grad[-len(given) :]
        found = iter(_gradients(ctx.by_steps(*given), gradients, list(compress(given, wanted))))
        before = len(ctx.needs_input_grad) - len(given)
        return *(before * [None]), *(next(found) if want else None for want in wanted)

    return either


def _gradients(
    outputs: Sequence[Tensor], gradients: Sequence[Tensor | None], inputs: Sequence[Tensor]
) -> tuple[Tensor | None, ...]:
    """Return the gradients of ``inputs``, with a graph of their own."""
    pairs = [pair for pair in zip(outputs, gradients, strict=True) if pair[1] is not None]
    ends, starts = zip(*pairs, strict=True)
    return torch.autograd.grad(ends, inputs, starts, create_graph=True, allow_unused=True)


def output_gradient(
    gradient: Float[Tensor, "total width"] | None, carry: Float[Tensor, "batch width"]
) -> Float[Tensor, "some width"]:
    """Return the gradient of the outputs; one block of zeros if no gradient reached them."""
    return torch.zeros_like(carry) if gradient is None else gradient.contiguous()


def last_gradient(
    gradient: Float[Tensor, "batch width"] | None, start: Float[Tensor, "batch width"]
) -> Float[Tensor, "batch width"]:
    """Return a copy of the gradient of the last state, which the backward loop updates in place."""
    carry = torch.empty_like(start, memory_format=torch.contiguous_format)
    return carry.zero_() if gradient is None else carry.copy_(gradient)


def reversed_steps(
    layout: Rectangle,
    carry: Float[Tensor, "batch width"],
    kept: Float[Tensor, "batch width"] | None,
    *tensors: Float[Tensor, "total _"],
) -> Iterable[Any]:
    """Iterate backwards over time: the step, its rows of ``carry`` and ``kept``, and of tensors."""
    parts = layout.steps, layout.present(carry), layout.present(kept)
    return zip(*map(reversed, (*parts, *map(layout.by_time, tensors))), strict=True)


def add_state_gradient(
    weight: Float[Tensor, "gates width"],
    carry: Float[Tensor, "rows width"],
    kept: Float[Tensor, "rows width"] | None,
    gradient: Float[Tensor, "rows gates"],
) -> None:
    """Add the gradient that reaches a state through the hidden product to ``carry``."""
    if kept is None:
        carry.addmm_(gradient, weight)
    else:
        carry.addcmul_(gradient @ weight, kept)


def input_gradients(
    products: Float[Tensor, "total gates"],
    inputs: Float[Tensor, "total features"],
    weight: Float[Tensor, "gates features"],
    *,
    needed: bool,
) -> tuple[Tensor | None, Float[Tensor, "gates features"], Float[Tensor, " gates"]]:
    """Return the gradients of the inputs (None unless ``needed``), of their matrix, of the bias.

    Args:
        products: Gradient of the products of all inputs with the matrix.
        inputs: All inputs.
        weight: The matrix.
        needed: Whether the gradient of the inputs is computed.
    """
    back = products @ weight if needed else None
    return back, products.t() @ inputs, products.sum(0)

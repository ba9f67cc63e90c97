"""What the fast recurrent kernels share: what suits them, and what stands outside of the loop.

The products of all inputs are one matrix product before the loop over the positions. Backward, the
loop finds the gradients of the gates alone, and those of the weights are one product after it. So
in the loop there are only the products of the hidden state, and between them the functions of
``fused`` (compiled, where numba is installed) or of ``eager`` (torch).

Time comes first in all tensors here, and padding is left out: see ``layout``.

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

from ensuite.nn.kernels import layout, watched
from ensuite.nn.kernels.layout import Rectangle

PLAIN = (Tensor, Parameter)
"""What has numbers of its own, unlike other classes of tensors."""


@cache
def is_compiled() -> bool:
    """Say whether numba is installed, which ``fused`` needs."""
    return importlib.util.find_spec("numba") is not None


@cache
def functions() -> ModuleType:
    """Return ``fused`` where that can be, else ``eager``; imported when first needed."""
    return importlib.import_module(f"ensuite.nn.kernels.{'fused' if is_compiled() else 'eager'}")


def suits(*tensors: Tensor) -> bool:
    """Say whether the kernels compute this: float32 on a CPU, as it stands."""
    for tensor in tensors:
        if tensor.dtype is not torch.float32 or not tensor.is_cpu or type(tensor) not in PLAIN:
            return False
    return watched.by_autograd_alone() and not torch.is_autocast_enabled("cpu")


def over(
    function: Callable[..., tuple[Tensor, ...]],
    define: Callable[..., tuple[Tensor, ...]],
    inputs: Float[Tensor, "batch time features"],
    mask: Bool[Tensor, "batch time"] | None,
    kept: Float[Tensor, "batch width"] | None,
    start: Sequence[Float[Tensor, "batch width"]],
    *how: Any,
) -> tuple[Float[Tensor, "batch time width"], list[Float[Tensor, "batch width"]]]:
    """Return the output at every position and the last state, read by a kernel.

    Args:
        function: The kernel. Given the definition, the layout, what dropout leaves, and ``how``
            after inputs and start, it returns the states after the positions, and the last.
        define: Computes the same by the definition, of layout, what dropout leaves, and tensors.
        inputs: One vector a position.
        mask: True at real positions; None: all are.
        kept: What dropout leaves of the hidden state.
        start: The parts of the state before the first position.
        how: What else the kernel takes.
    """
    laid = layout.of(inputs, mask)
    begin = [laid.sort(part) for part in start]
    kept = None if kept is None else laid.sort(kept)
    again = partial(define, laid, kept)
    after, *last = function(again, laid, kept, laid.read(inputs), *begin, *how)
    return laid.write(begin[0], after), [laid.restore(part) for part in last]


def states(
    start: Float[Tensor, "batch width"], total: int
) -> tuple[Float[Tensor, "states width"], Float[Tensor, "total width"]]:
    """Return memory for the states, behind the start, and of it what comes after the start.

    That is no view to autograd, but what is written into it later is noticed.
    """
    rows = len(start)
    memory = start.new_empty(rows + total, start.shape[1])
    memory[:rows] = start
    return memory, memory[rows:].detach()


def project(
    inputs: Float[Tensor, "total features"],
    weight: Float[Tensor, "gates features"],
    bias: Float[Tensor, " gates"],
    room: Float[Tensor, "total gates"],
) -> None:
    """Write the product of every input, and the bias, to where the loop adds the others."""
    torch.addmm(bias, inputs, weight.t(), out=room)


def looks(
    laid: Rectangle,
    states: Float[Tensor, "states width"],
    kept: Float[Tensor, "batch width"] | None,
    seen: Float[Tensor, "states width"],
) -> Iterable[Float[Tensor, "rows width"]]:
    """Yield what dropout leaves of the states before each position; it stands in ``seen``."""
    if kept is None:
        return laid.cut_before(seen)
    return map(_drop, laid.cut_before(states), laid.heads(kept), laid.cut_before(seen))


def _drop(states: Tensor, kept: Tensor, seen: Tensor) -> Tensor:
    return torch.mul(states, kept, out=seen)


def save(ctx: Any, given: Sequence[Tensor | None], made: Sequence[Tensor | None]) -> None:
    """Keep what backward asks for: the tensors that were given, and those that were made."""
    ctx.many = len(given)
    ctx.save_for_backward(*given, *made)
    ctx.set_materialize_grads(False)


def saved(ctx: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return what ``save`` has kept."""
    return ctx.saved_tensors[: ctx.many], ctx.saved_tensors[ctx.many :]


def differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Let a gradient have gradients of its own: those of the definition, which is run again."""

    @wraps(backward)
    def either(ctx: Any, *gradients: Tensor | None) -> Any:
        if not torch.is_grad_enabled():  # nobody asks for more
            return backward(ctx, *gradients)
        given = [tensor for tensor in saved(ctx)[0] if tensor is not None]
        wanted = ctx.needs_input_grad[-len(given) :]
        found = iter(_again(ctx.define(*given), gradients, list(compress(given, wanted))))
        before = len(ctx.needs_input_grad) - len(given)
        return *(before * [None]), *(next(found) if want else None for want in wanted)

    return either


def _again(
    outputs: Sequence[Tensor], gradients: Sequence[Tensor | None], wanted: Sequence[Tensor]
) -> tuple[Tensor | None, ...]:
    """Return the gradients of what is wanted, which have gradients."""
    pairs = [pair for pair in zip(outputs, gradients, strict=True) if pair[1] is not None]
    ends, starts = zip(*pairs, strict=True)
    return torch.autograd.grad(ends, wanted, starts, create_graph=True, allow_unused=True)


def of_outputs(
    gradient: Float[Tensor, "total width"] | None, carry: Float[Tensor, "batch width"]
) -> Float[Tensor, "some width"]:
    """Return the gradient of the states after each position: a few zeros, where none came."""
    return torch.zeros_like(carry) if gradient is None else gradient.contiguous()


def of_last(
    gradient: Float[Tensor, "batch width"] | None, start: Float[Tensor, "batch width"]
) -> Float[Tensor, "batch width"]:
    """Return the gradient of the last state, to be carried back."""
    carry = torch.empty_like(start, memory_format=torch.contiguous_format)
    return carry.zero_() if gradient is None else carry.copy_(gradient)


def back(
    laid: Rectangle,
    carry: Float[Tensor, "batch width"],
    kept: Float[Tensor, "batch width"] | None,
    *rows: Float[Tensor, "total _"],
) -> Iterable[Any]:
    """Return, from the last position to the first: step, carry, kept, and rows of the position."""
    parts = laid.steps, laid.heads(carry), laid.heads(kept), *map(laid.cut, rows)
    return zip(*map(reversed, parts), strict=True)


def pull(
    weight: Float[Tensor, "gates width"],
    carry: Float[Tensor, "rows width"],
    kept: Float[Tensor, "rows width"] | None,
    gradient: Float[Tensor, "rows gates"],
) -> None:
    """Add to the gradient of a state what its product hands back."""
    if kept is None:
        carry.addmm_(gradient, weight)
    else:
        carry.addcmul_(gradient @ weight, kept)


def of_inputs(
    products: Float[Tensor, "total gates"],
    inputs: Float[Tensor, "total features"],
    weight: Float[Tensor, "gates features"],
    *,
    needed: bool,
) -> tuple[Tensor | None, Float[Tensor, "gates features"], Float[Tensor, " gates"]]:
    """Return the gradients of the inputs (None: not needed), of their matrix and of the bias."""
    back = products @ weight if needed else None
    return back, products.t() @ inputs, products.sum(0)

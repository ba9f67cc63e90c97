"""What the fast recurrent kernels share: what suits them, and what stands outside of the loop.

The products of all inputs are one matrix product before the loop over the positions. Backward, the
loop finds the gradients of the gates alone, and those of the weights are one product after it. So
in the loop there are only the products of the hidden state, and between them the functions of
``fused`` (compiled, where numba is installed) or of ``eager`` (torch).

Time comes first in all tensors here: a position is one block of memory.

Source:
    Appleyard, Kociský & Blunsom (2016), https://arxiv.org/abs/1604.01946, section 3
"""

import importlib.util
from collections.abc import Callable, Sequence
from functools import cache, wraps
from itertools import compress
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Parameter

from ensuite.nn.kernels import watched

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


def states(start: Float[Tensor, "batch width"], time: int) -> Float[Tensor, "states batch width"]:
    """Return memory for the states after each position, behind the start."""
    memory = start.new_empty(1 + time, *start.shape)
    memory[0] = start
    return memory


def project(
    inputs: Float[Tensor, "batch time features"],
    weight: Float[Tensor, "gates features"],
    bias: Float[Tensor, " gates"],
    room: Float[Tensor, "time batch gates"],
) -> None:
    """Write the product of every input, and the bias, to where the loop adds the others."""
    torch.addmm(bias, _rows(inputs), weight.t(), out=room.view(-1, len(weight)))


def look(
    time: int, states: Sequence[Tensor], kept: Tensor | None, seen: Sequence[Tensor]
) -> Float[Tensor, "batch width"]:
    """Return what dropout leaves of the state before a position; it stands in ``seen``."""
    return seen[time] if kept is None else torch.mul(states[time], kept, out=seen[time])


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
        outputs, *last = ctx.define(*given)
        states = torch.cat([given[1][None], outputs.transpose(0, 1)])
        found = iter(_again([states, *last], gradients, list(compress(given, wanted))))
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


def outputs(states: Float[Tensor, "states batch width"]) -> Float[Tensor, "batch time width"]:
    """Return the states after each position, with the batch first.

    It is a view that autograd knows, so that what is written into it later is noticed.
    """
    return states[1:].transpose(0, 1)


def of_outputs(
    gradient: Float[Tensor, "states batch width"] | None, carry: Float[Tensor, "batch width"]
) -> Float[Tensor, "positions batch width"]:
    """Return the gradient of the states after each position: of one, zeros, where none came."""
    return torch.zeros_like(carry)[None] if gradient is None else gradient[1:].contiguous()


def of_last(
    gradient: Float[Tensor, "batch width"] | None, states: Float[Tensor, "states batch width"]
) -> Float[Tensor, "batch width"]:
    """Return the gradient of the last state, to be carried back."""
    carry = torch.empty_like(states[0])
    return carry.zero_() if gradient is None else carry.copy_(gradient)


def pull(
    carry: Float[Tensor, "batch width"],
    gradient: Float[Tensor, "batch gates"],
    weight: Float[Tensor, "gates width"],
    kept: Float[Tensor, "batch width"] | None = None,
) -> None:
    """Add to the gradient of a state what its product hands back."""
    if kept is None:
        carry.addmm_(gradient, weight)
    else:
        carry.addcmul_(gradient @ weight, kept)


def of_weight(
    products: Float[Tensor, "time batch gates"], read: Float[Tensor, "positions batch width"]
) -> Float[Tensor, "gates width"]:
    """Return the gradient of a matrix, from that of its products and what it has read."""
    return _flat(products).t() @ _flat(read[: len(products)])


def of_inputs(
    products: Float[Tensor, "time batch gates"],
    inputs: Float[Tensor, "batch time features"],
    weight: Float[Tensor, "gates features"],
    *,
    needed: bool,
) -> tuple[Tensor | None, Float[Tensor, "gates features"], Float[Tensor, " gates"]]:
    """Return the gradients of the inputs (None: not needed), of their matrix and of the bias."""
    gradient, back = _flat(products), None
    if needed:
        back = (gradient @ weight).view(*products.shape[:2], -1).transpose(0, 1)
    return back, gradient.t() @ _rows(inputs), gradient.sum(0)


def _flat(tensor: Float[Tensor, "time batch size"]) -> Float[Tensor, "rows size"]:
    return tensor.view(-1, tensor.shape[2])


def _rows(inputs: Float[Tensor, "batch time features"]) -> Float[Tensor, "rows features"]:
    """Return the inputs as rows of one matrix, time first."""
    return inputs.transpose(0, 1).reshape(-1, inputs.shape[2])

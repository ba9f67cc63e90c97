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
from functools import cache
from types import ModuleType

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Parameter

from ensuite.nn.kernels import watched


@cache
def functions() -> ModuleType:
    """Return ``fused`` where numba is installed, else ``eager``; imported when first needed."""
    name = "eager" if importlib.util.find_spec("numba") is None else "fused"
    return importlib.import_module(f"ensuite.nn.kernels.{name}")


def suits(*tensors: Tensor) -> bool:
    """Say whether the kernels compute this: float32 on a CPU, as it stands."""
    return (
        watched.by_autograd_alone()
        and not torch.is_autocast_enabled("cpu")
        and all(t.dtype is torch.float32 and t.device.type == "cpu" for t in tensors)
        and all(type(t) in (Tensor, Parameter) for t in tensors)
    )


def states(start: Float[Tensor, "batch width"], time: int) -> Float[Tensor, "states batch width"]:
    """Return memory for the states after each position, behind the start."""
    memory = start.new_empty(1 + time, *start.shape)
    memory[0] = start
    return memory


def room(like: Float[Tensor, "batch size"], time: int, saving: bool) -> Float[Tensor, "time ..."]:
    """Return memory for what backward asks for: of one position, where there is no backward."""
    return like.new_empty(time if saving else 1, *like.shape)


def look(
    time: int,
    states: Float[Tensor, "states batch width"],
    kept: Float[Tensor, "batch width"] | None,
    seen: Float[Tensor, "states batch width"],
) -> Float[Tensor, "batch width"]:
    """Return what dropout leaves of the state before a position; it stands in ``seen``."""
    return seen[time] if kept is None else torch.mul(states[time], kept, out=seen[time])


def of_outputs(
    gradient: Float[Tensor, "time batch width"] | None, carry: Float[Tensor, "batch width"]
) -> Float[Tensor, "positions batch width"]:
    """Return the gradient of the outputs: one position of zeros where none came."""
    return torch.zeros_like(carry)[None] if gradient is None else gradient.contiguous()


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
    return products.flatten(0, 1).t() @ read[: len(products)].flatten(0, 1)

"""Whether tensors are computed eagerly, or traced, compiled or transformed."""

import torch
from torch.autograd import forward_ad


def is_traced() -> bool:
    """Say whether a graph is being recorded, so that no value of a tensor may be read."""
    return torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None


def is_eager() -> bool:
    """Say whether tensors are computed eagerly, with no differentiation other than autograd's.

    Compilers, ``torch.export``, ``torch.func`` and forward-mode differentiation need PyTorch's own
    operations; a custom ``autograd.Function`` does not work with all of them.
    """
    if is_traced():
        return False
    return not torch._C._are_functorch_transforms_active() and forward_ad._current_level < 0

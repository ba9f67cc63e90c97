"""Who else watches a computation: a compiler, a tracer, a transform."""

import torch
from torch.autograd import forward_ad


def by_compiler() -> bool:
    """Say whether a graph is being made of it, for which no value may be asked."""
    return torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None


def by_autograd_alone() -> bool:
    """Say whether it is computed as it stands: not traced, transformed or differentiated forward.

    Compilers, exporters and ``torch.func`` ask for torch's own operations.
    """
    if by_compiler():
        return False
    return not torch._C._are_functorch_transforms_active() and forward_ad._current_level < 0

"""torch's own recurrent kernels, for rows with padding anywhere.

The kernels know no padding. So each row's real positions are moved to its start, the kernel runs
over everything, and the outputs are moved back. What the kernel reads after the last real position
has one more feature, "is padding", whose weights shut the gates: the state stays as it was.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ensuite.core.errors import UsageError
from ensuite.nn.kernels import hoisted, watched

State = TypeVar("State", bound=tuple[Tensor, ...])

SHUT, OPEN = -1e4, 1e4
"""What drives a sigmoid to exactly 0 or 1, with gradient 0; float16 has room for it."""


class Weights(NamedTuple):
    """One layer in one direction, in torch's order of gates."""

    from_input: Float[Tensor, "gates features"]
    from_hidden: Float[Tensor, "gates width"]
    input_bias: Float[Tensor, " gates"]
    hidden_bias: Float[Tensor, " gates"]


def weights_of(layer: nn.RNNBase) -> Weights:
    """Return the weights of a torch layer, zeros for biases it does not have.

    Raises:
        UsageError: If it has several layers or directions, or a projection.
    """
    if layer.num_layers > 1 or layer.bidirectional or layer.proj_size:
        raise UsageError(
            f"from_torch reads one layer in one direction without projection, not {layer}."
        )
    weights = [weight.detach() for weight in layer.parameters()]
    if not layer.bias:
        weights += 2 * [weights[0].new_zeros(len(weights[0]))]
    return Weights(*weights)


def suits(kernel: Callable[..., Any], inputs: Tensor) -> bool:
    """Say whether a kernel computes this here: not every CPU has every kernel in bfloat16."""
    if watched.by_compiler():
        return True
    if not watched.by_autograd_alone():
        return False
    if inputs.device.type != "cpu":
        return True
    cast = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None
    return _works(kernel, inputs.dtype, cast)


def beats_ours(kernel: Callable[..., Any]) -> bool:
    """Say whether torch computes this on the CPU in one piece (oneDNN), and faster than we do.

    Of the three cells that is the LSTM alone, and where oneDNN has AVX-512 to work with: on AVX2
    our compiled kernels took 0.8 to 1 times its time.
    """
    return kernel is torch.lstm and (torch.cpu._is_avx512_supported() or not hoisted.is_compiled())


@cache
def _works(kernel: Callable[..., Any], dtype: torch.dtype, cast: torch.dtype | None) -> bool:
    """Try a kernel on one position, on the CPU."""
    gates = {torch.lstm: 4, torch.gru: 3}.get(kernel, 1)
    one = torch.zeros(1, 1, 1, dtype=dtype)
    state = [one, one] if kernel is torch.lstm else one
    weights = [one.new_zeros(size) for size in ((gates, 1), (gates, 1), (gates,), (gates,))]
    try:
        with torch.no_grad(), torch.autocast("cpu", cast, enabled=cast is not None):
            kernel(one, state, weights, True, 1, 0.0, True, False, False)
    except RuntimeError:
        return False
    return True


def run(
    kernel: Callable[..., Any],
    inputs: Float[Tensor, "batch time features"],
    mask: Bool[Tensor, "batch time"] | None,
    state: State,
    weights: Weights,
    when_padded: Sequence[float],
) -> tuple[Float[Tensor, "batch time width"], State]:
    """Compute what ``unroll`` does by one of torch's kernels.

    Args:
        kernel: ``torch.lstm``, ``torch.gru``, ``torch.rnn_tanh`` or ``torch.rnn_relu``.
        inputs: One vector a position.
        mask: True at real positions; None: all are.
        state: Where to start.
        weights: Of the layer.
        when_padded: What padding adds to each gate, so that a cell is kept and nothing grows.
    """
    if mask is None or (not watched.by_compiler() and bool(mask.all())):
        outputs, last = _call(kernel, inputs.transpose(0, 1), state, weights)
        return outputs.transpose(0, 1), last
    column = weights.from_input.new_tensor(when_padded).repeat_interleave(state[0].shape[1])
    marked = torch.cat([weights.from_input, column[:, None]], dim=1)
    weights = weights._replace(from_input=marked)
    outputs, last = _call(kernel, _to_start(inputs, mask), state, weights)
    outputs = _to_places(outputs, mask, state[0])
    return outputs, type(state)(outputs[:, -1], *last[1:])


def _call(
    kernel: Callable[..., Any],
    inputs: Float[Tensor, "time batch features"],
    state: State,
    weights: Weights,
) -> tuple[Float[Tensor, "time batch width"], State]:
    """Run one layer in one direction over all positions."""
    start = [part[None].to(inputs) for part in state]
    outputs, *last = kernel(
        inputs,
        start if len(start) > 1 else start[0],
        weights,
        True,  # has biases
        1,  # layers
        0.0,  # dropout
        torch.is_grad_enabled(),  # cuDNN has no gradient without it, even for an evaluating module
        False,  # bidirectional
        False,  # batch first
    )
    return outputs, type(state)(*(part[0] for part in last))


def _to_start(
    inputs: Float[Tensor, "batch time features"], mask: Bool[Tensor, "batch time"]
) -> Float[Tensor, "time batch marked"]:
    """Move each row's real positions to its start, and add the feature "is padding"."""
    real, order = mask.sort(dim=1, descending=True, stable=True)
    moved = inputs.transpose(0, 1)
    if watched.by_compiler() or not real.equal(mask):
        rows = torch.arange(len(mask), device=mask.device)[:, None] * mask.shape[1]
        places = (order + rows).t()
        moved = inputs.flatten(0, 1).index_select(0, places.flatten()).view_as(moved)
    return torch.cat([moved, (~real).t()[..., None].to(moved)], dim=-1)


def _to_places(
    outputs: Float[Tensor, "time batch width"],
    mask: Bool[Tensor, "batch time"],
    begin: Float[Tensor, "batch width"],
) -> Float[Tensor, "batch time width"]:
    """Move outputs back to where their inputs were; padding repeats the one before it."""
    table = torch.cat([begin[None].to(outputs), outputs]).flatten(0, 1)
    places = mask.cumsum(1) * len(mask) + torch.arange(len(mask), device=mask.device)[:, None]
    return table.index_select(0, places.flatten()).view(*mask.shape, -1)

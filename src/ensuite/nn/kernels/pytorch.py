"""PyTorch's recurrent kernels (cuDNN, oneDNN), for rows with padding anywhere.

The kernels have no mask. So the real positions of each row are moved to its start, the kernel runs
over all positions, and the outputs are moved back. Padding gets one more input feature, whose
weights are so large that they close or open the gates and leave the state unchanged.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ensuite.core.errors import UsageError
from ensuite.nn.kernels import hoisted, tracing

State = TypeVar("State", bound=tuple[Tensor, ...])

CLOSED, OPEN = -1e4, 1e4
"""Inputs of a sigmoid whose output is exactly 0 or 1, with gradient 0; float16 can hold them."""


class Kernel(NamedTuple):
    """One of PyTorch's kernels.

    Attributes:
        function: ``torch.lstm``, ``torch.gru``, ``torch.rnn_tanh`` or ``torch.rnn_relu``.
        when_padded: For each gate, what is added to its input at padding, so that the cell or state
            is kept and no value grows.
    """

    function: Callable[..., Any]
    when_padded: tuple[float, ...]


RNN_TANH = Kernel(torch.rnn_tanh, (CLOSED,))
RNN_RELU = Kernel(torch.rnn_relu, (CLOSED,))
LSTM = Kernel(torch.lstm, (CLOSED, OPEN, 0.0, 0.0))
"""At padding the input gate is closed and the forget gate open."""
GRU = Kernel(torch.gru, (0.0, OPEN, 0.0))
"""At padding the update gate is open: it passes the old state on."""


class Weights(NamedTuple):
    """Weights of one layer in one direction, with PyTorch's order of gates."""

    from_input: Float[Tensor, "gates features"]
    from_hidden: Float[Tensor, "gates width"]
    input_bias: Float[Tensor, " gates"]
    hidden_bias: Float[Tensor, " gates"]


def weights_of(layer: nn.RNNBase) -> Weights:
    """Return the weights of a PyTorch layer, with zeros if it has no biases.

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


def suits(kernel: Kernel, inputs: Tensor) -> bool:
    """Say whether a kernel can be used here; not every CPU has every kernel in bfloat16."""
    if tracing.is_traced():
        return True
    if not tracing.is_eager():
        return False
    if inputs.device.type != "cpu":
        return True
    cast = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None
    return _works(kernel.function, inputs.dtype, cast)


def beats_hoisted(kernel: Kernel) -> bool:
    """Say whether a kernel is faster on this CPU than our own kernel for the same cell.

    This is so for the LSTM alone, which oneDNN computes in one call, and where oneDNN can use
    AVX-512. With AVX2, our compiled kernels took 0.8 to 1 times the time of oneDNN.
    """
    if kernel.function is not torch.lstm:
        return False
    return torch.cpu._is_avx512_supported() or not hoisted.is_compiled()


@cache
def _works(function: Callable[..., Any], dtype: torch.dtype, cast: torch.dtype | None) -> bool:
    """Call a kernel with one position on the CPU, and say whether it succeeds."""
    gates = {torch.lstm: 4, torch.gru: 3}.get(function, 1)
    one = torch.zeros(1, 1, 1, dtype=dtype)
    state = [one, one] if function is torch.lstm else one
    weights = [one.new_zeros(size) for size in ((gates, 1), (gates, 1), (gates,), (gates,))]
    try:
        with torch.no_grad(), torch.autocast("cpu", cast, enabled=cast is not None):
            function(one, state, weights, True, 1, 0.0, True, False, False)
    except RuntimeError:
        return False
    return True


def run(
    kernel: Kernel,
    inputs: Float[Tensor, "batch time features"],
    mask: Bool[Tensor, "batch time"] | None,
    state: State,
    weights: Weights,
) -> tuple[Float[Tensor, "batch time width"], State]:
    """Return the output at every position and the last state, as ``unroll`` does.

    Args:
        kernel: PyTorch's kernel.
        inputs: One vector per position.
        mask: True at real positions; None: all positions are real.
        state: Initial state.
        weights: Of the layer.
    """
    if mask is None or (not tracing.is_traced() and bool(mask.all())):
        outputs, last = _call(kernel, inputs.transpose(0, 1), state, weights)
        return outputs.transpose(0, 1), last
    width = state[0].shape[1]
    column = weights.from_input.new_tensor(kernel.when_padded).repeat_interleave(width)
    extended = torch.cat([weights.from_input, column[:, None]], dim=1)
    weights = weights._replace(from_input=extended)
    outputs, last = _call(kernel, _to_start(inputs, mask), state, weights)
    outputs = _to_places(outputs, mask, state[0])
    return outputs, type(state)(outputs[:, -1], *last[1:])


def _call(
    kernel: Kernel,
    inputs: Float[Tensor, "time batch features"],
    state: State,
    weights: Weights,
) -> tuple[Float[Tensor, "time batch width"], State]:
    """Run one layer in one direction over all positions."""
    start = [part[None].to(inputs).contiguous() for part in state]
    if inputs.is_cuda:
        weights = _in_one_chunk(weights)
    outputs, *last = kernel.function(
        inputs,
        start if len(start) > 1 else start[0],
        weights,
        True,  # has biases
        1,  # layers
        0.0,  # dropout
        torch.is_grad_enabled(),  # training: cuDNN needs it for gradients, in evaluation mode too
        False,  # bidirectional
        False,  # batch first
    )
    return outputs, type(state)(*(part[0] for part in last))


def _in_one_chunk(weights: Weights) -> Weights:
    """Return weights as views of one tensor; of others cuDNN warns each time it copies them."""
    chunk = torch.cat([each.flatten() for each in weights])
    parts = torch.split(chunk, [each.numel() for each in weights])
    return Weights(*(part.view_as(each) for part, each in zip(parts, weights, strict=True)))


def _to_start(
    inputs: Float[Tensor, "batch time features"], mask: Bool[Tensor, "batch time"]
) -> Float[Tensor, "time batch extended"]:
    """Move the real positions of each row to its start, and append the feature "is padding"."""
    real, order = mask.sort(dim=1, descending=True, stable=True)
    moved = inputs.transpose(0, 1)
    if tracing.is_traced() or not real.equal(mask):
        rows = torch.arange(len(mask), device=mask.device)[:, None] * mask.shape[1]
        places = (order + rows).t()
        moved = inputs.flatten(0, 1).index_select(0, places.flatten()).view_as(moved)
    return torch.cat([moved, (~real).t()[..., None].to(moved)], dim=-1)


def _to_places(
    outputs: Float[Tensor, "time batch width"],
    mask: Bool[Tensor, "batch time"],
    begin: Float[Tensor, "batch width"],
) -> Float[Tensor, "batch time width"]:
    """Move outputs back to the positions of their inputs; padding repeats the output before it."""
    table = torch.cat([begin[None].to(outputs), outputs]).flatten(0, 1)
    places = mask.cumsum(1) * len(mask) + torch.arange(len(mask), device=mask.device)[:, None]
    return table.index_select(0, places.flatten()).view(*mask.shape, -1)

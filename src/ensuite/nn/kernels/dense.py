"""torch's own recurrent kernels, for rows with padding anywhere.

The kernels know no padding. So the real positions of each row are moved to its start, the kernel
runs over all of it, and the outputs are moved back. What comes after the last real position must
not touch the state: there the inputs are zero but for one more feature, "is padding", whose weights
shut the gates.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ensuite.core.errors import UsageError

State = TypeVar("State", bound=tuple[Tensor, ...])

SHUT, OPEN = -1e4, 1e4
"""What drives a sigmoid to exactly 0 or 1, with gradient 0, whatever else is added; float16 has
room for it."""


class Weights(NamedTuple):
    """One layer in one direction, in torch's order of gates."""

    from_input: Float[Tensor, "gates features"]
    from_hidden: Float[Tensor, "gates width"]
    input_bias: Float[Tensor, "gates"]
    hidden_bias: Float[Tensor, "gates"]


def weights_of(layer: nn.RNNBase) -> Weights:
    """Return the weights of a torch layer.

    Raises:
        UsageError: If it has more than one layer or direction, or a projection.
    """
    if layer.num_layers > 1 or layer.bidirectional or layer.proj_size:
        raise UsageError(
            f"{layer} has several layers, directions or a projection; "
            "from_torch reads one layer in one direction without projection."
        )
    weights = [weight.detach() for weight in layer.parameters()]
    if not layer.bias:
        weights += 2 * [weights[0].new_zeros(len(weights[0]))]
    return Weights(*weights)


def run(
    kernel: Callable[..., Any],
    inputs: Float[Tensor, "batch time features"],
    mask: Bool[Tensor, "batch time"] | None,
    state: State,
    weights: Weights,
    when_padded: Sequence[float],
) -> tuple[Float[Tensor, "batch time width"], State]:
    """Do what ``unroll`` does, by one of torch's kernels.

    Args:
        kernel: ``torch.lstm``, ``torch.gru``, ``torch.rnn_tanh`` or ``torch.rnn_relu``.
        inputs: One vector a position.
        mask: True at real positions.
        state: Where to start.
        weights: Of the layer.
        when_padded: What a padded position adds to each gate, so that it keeps the cell and
            lets nothing grow.
    """
    if mask is None or bool(mask.all()):
        outputs, last = _call(kernel, inputs.transpose(0, 1), state, weights)
        return outputs.transpose(0, 1), last
    column = weights.from_input.new_tensor(when_padded).repeat_interleave(state[0].shape[1])
    marked = torch.cat([weights.from_input, column[:, None]], dim=1)
    outputs, last = _call(
        kernel, _to_start(inputs, mask), state, weights._replace(from_input=marked)
    )
    outputs = _to_places(outputs, mask, state[0])
    return outputs, type(state)(outputs[:, -1], *last[1:])


def _call(
    kernel: Callable[..., Any],
    inputs: Float[Tensor, "time batch features"],
    state: State,
    weights: Weights,
) -> tuple[Float[Tensor, "time batch width"], State]:
    """Run one layer of a kernel, in one direction, over all positions."""
    start = [part[None] for part in state]
    train = (
        torch.is_grad_enabled()
    )  # also where the module evaluates: its inputs may want gradients
    flags = (
        True,
        1,
        0.0,
        train,
        False,
        False,
    )  # biases, layers, dropout, ..., both directions, batch first
    outputs, *last = kernel(inputs, start if len(start) > 1 else start[0], weights, *flags)
    return outputs, type(state)(*(part[0] for part in last))


def _to_start(
    inputs: Float[Tensor, "batch time features"], mask: Bool[Tensor, "batch time"]
) -> Float[Tensor, "time batch marked"]:
    """Move each row's real positions to its start, and add the feature "is padding"."""
    order = mask.argsort(dim=1, descending=True, stable=True).t()
    is_padding = ~mask.t().gather(0, order)
    if bool((mask[:, 1:] & ~mask[:, :-1]).any()):  # something real stands after padding
        rows = torch.arange(len(mask), device=mask.device) * mask.shape[1]
        moved = inputs.flatten(0, 1).index_select(0, (order + rows).flatten())
        inputs = moved.view(*order.shape, -1)
    else:
        inputs = inputs.transpose(0, 1)
    return torch.cat([inputs, is_padding[..., None].to(inputs)], dim=-1)


def _to_places(
    outputs: Float[Tensor, "time batch width"],
    mask: Bool[Tensor, "batch time"],
    begin: Float[Tensor, "batch width"],
) -> Float[Tensor, "batch time width"]:
    """Move outputs back to where their inputs were; padding repeats the one before it."""
    table = torch.cat([begin[None].to(outputs), outputs]).flatten(0, 1)
    rows = torch.arange(len(mask), device=mask.device)[:, None]
    places = mask.cumsum(1) * len(mask) + rows
    return table.index_select(0, places.flatten()).view(*mask.shape, -1)

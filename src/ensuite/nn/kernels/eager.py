"""What a recurrent cell does around its matrix products, one position at a time, in torch.

Each ``forward`` takes the products of a position into the state after it, and keeps what
``backward`` asks for; each ``backward`` takes the gradient of that state back to the products.
``fused`` has the same functions, compiled; both write into what they are given:

    states, hidden, cells   (1 + time, batch, width): the start, and the state after each position
    gates                   (time, batch, gates x width): what comes from the input, then the gates
    product                 (batch, gates x width): what comes from the state before
    products                (time, batch, gates x width): the gradients of both
    real                    (time, batch, 1): which rows are not padded; None: all are
    given                   (time, batch, width): the gradient of the outputs, or one position of it
    carry                   (batch, width): the gradient of the state after the position, on return
                            of the state before it, but for what the matrix products add
"""

from typing import Any

import torch
from torch import Tensor


def arrays(*tensors: Tensor) -> list[Any]:
    """Return tensors as the functions below take them."""
    return list(tensors)


def reals(mask: Tensor | None, time: int, rows: int) -> Any:
    """Return which rows are real at each position, of a (batch, time) mask."""
    return None if mask is None else mask.t()[..., None]


def rnn_forward(time: int, relu: bool, states: Tensor, real: Tensor | None) -> None:
    """Turn the sum of the products, which stands in the state after, into that state."""
    after = states[time + 1]
    _ = after.relu_() if relu else after.tanh_()
    _keep(time, real, states)


def rnn_backward(
    time: int,
    relu: bool,
    given: Tensor,
    states: Tensor,
    real: Tensor | None,
    carry: Tensor,
    products: Tensor,
) -> None:
    """Find the gradient of the sum of the products."""
    after = states[time + 1]
    slope = (after > 0).to(after) if relu else 1 - after * after
    gradient = _take(time, real, given, carry, None)
    torch.mul(gradient, slope, out=products[time])


def gru_forward(
    time: int,
    product: Tensor,
    bias: Tensor,
    states: Tensor,
    real: Tensor | None,
    gates: Tensor,
) -> None:
    """Take a position where the reset gate stands after the matrix; keep r, z, n and U_n h + u."""
    width = len(bias)
    both, candidate, recalled = gates[time].tensor_split([2 * width, 3 * width], dim=1)
    both.add_(product[:, : 2 * width]).sigmoid_()
    torch.add(product[:, 2 * width :], bias, out=recalled)
    candidate.addcmul_(both[:, :width], recalled).tanh_()
    torch.lerp(candidate, states[time], both[:, width:], out=states[time + 1])
    _keep(time, real, states)


def gru_backward(
    time: int,
    given: Tensor,
    gates: Tensor,
    states: Tensor,
    real: Tensor | None,
    carry: Tensor,
    products: Tensor,
) -> None:
    """Find the gradients of n (of what the input adds), r, z and U_n h + u."""
    reset, update, candidate, recalled = gates[time].chunk(4, dim=1)
    to_candidate, to_reset, to_update, to_recalled = products[time].chunk(4, dim=1)
    gradient = _take(time, real, given, carry, update)
    torch.mul(gradient * (1 - update), 1 - candidate * candidate, out=to_candidate)
    torch.mul(gradient * (states[time] - candidate), update * (1 - update), out=to_update)
    torch.mul(to_candidate * recalled, reset * (1 - reset), out=to_reset)
    torch.mul(to_candidate, reset, out=to_recalled)


def gates_forward(time: int, product: Tensor, seen: Tensor, gates: Tensor, resets: Tensor) -> None:
    """Open the two gates of a GRU, and reset the hidden state before its matrix."""
    width = seen.shape[2]
    both = gates[time, :, : 2 * width]
    both.add_(product).sigmoid_()
    torch.mul(both[:, :width], seen[time], out=resets[time])


def candidate_forward(
    time: int, product: Tensor, states: Tensor, real: Tensor | None, gates: Tensor
) -> None:
    """Take a position into the state, after ``gates_forward``; keep r, z and n."""
    width = states.shape[2]
    update, candidate = gates[time, :, width:].chunk(2, dim=1)
    candidate.add_(product).tanh_()
    torch.lerp(candidate, states[time], update, out=states[time + 1])
    _keep(time, real, states)


def candidate_backward(
    time: int,
    given: Tensor,
    gates: Tensor,
    states: Tensor,
    real: Tensor | None,
    carry: Tensor,
    products: Tensor,
) -> None:
    """Find the gradients of the products of the update gate and the candidate."""
    _, update, candidate = gates[time].chunk(3, dim=1)
    _, to_update, to_candidate = products[time].chunk(3, dim=1)
    gradient = _take(time, real, given, carry, update)
    torch.mul(gradient * (1 - update), 1 - candidate * candidate, out=to_candidate)
    torch.mul(gradient * (states[time] - candidate), update * (1 - update), out=to_update)


def gates_backward(
    time: int, recalled: Tensor, gates: Tensor, seen: Tensor, products: Tensor
) -> None:
    """Find the gradient of the reset gate's product.

    ``recalled`` comes in as the gradient of the reset state, and goes out as that of the state.
    """
    width = seen.shape[2]
    reset = gates[time, :, :width]
    torch.mul(recalled * seen[time], reset * (1 - reset), out=products[time, :, :width])
    recalled.mul_(reset)


def cell_forward(
    time: int,
    product: Tensor,
    peepholes: Tensor,
    cells: Tensor,
    real: Tensor | None,
    gates: Tensor,
) -> None:
    """Take a position into the cell of an LSTM; keep i, f and g, and the sum for o."""
    before, after = cells[time], cells[time + 1]
    sums = gates[time].add_(product)
    enter, forget, new, _ = sums.chunk(4, dim=1)
    enter.addcmul_(peepholes[0], before)
    forget.addcmul_(peepholes[1], before)
    sums[:, : 2 * len(peepholes[0])].sigmoid_()
    torch.mul(forget, before, out=after).addcmul_(enter, new.tanh_())
    _keep(time, real, cells)


def hidden_forward(
    time: int, peepholes: Tensor, cells: Tensor, hidden: Tensor, real: Tensor | None, gates: Tensor
) -> None:
    """Show the cell of an LSTM, after ``cell_forward``; keep o."""
    cell = cells[time + 1]
    out = gates[time].chunk(4, dim=1)[3]
    out.addcmul_(peepholes[2], cell).sigmoid_()
    torch.mul(out, cell.tanh(), out=hidden[time + 1])
    _keep(time, real, hidden)


def lstm_forward(
    time: int,
    product: Tensor,
    peepholes: Tensor,
    cells: Tensor,
    hidden: Tensor,
    real: Tensor | None,
    gates: Tensor,
) -> None:
    """Take a position where no full peephole stands between ``cell`` and ``hidden_forward``."""
    cell_forward(time, product, peepholes, cells, real, gates)
    hidden_forward(time, peepholes, cells, hidden, real, gates)


def lstm_backward(
    time: int,
    given: Tensor,
    gates: Tensor,
    peepholes: Tensor,
    cells: Tensor,
    real: Tensor | None,
    carry: Tensor,
    cell_carry: Tensor,
    products: Tensor,
) -> None:
    """Find the gradients of all sums, after ``lstm_forward``."""
    hidden_backward(time, given, gates, peepholes, cells, real, carry, cell_carry, products)
    cell_backward(time, gates, peepholes, cells, real, cell_carry, products)


def hidden_backward(
    time: int,
    given: Tensor,
    gates: Tensor,
    peepholes: Tensor,
    cells: Tensor,
    real: Tensor | None,
    carry: Tensor,
    cell_carry: Tensor,
    products: Tensor,
) -> None:
    """Find the gradient of the sum for o, and add to that of the cell."""
    out, shown, to_out = (
        gates[time].chunk(4, dim=1)[3],
        cells[time + 1].tanh(),
        products[time].chunk(4, dim=1)[3],
    )
    gradient = _take(time, real, given, carry, None)
    torch.mul(gradient * shown, out * (1 - out), out=to_out)
    cell_carry.addcmul_(gradient * out, 1 - shown * shown).addcmul_(to_out, peepholes[2])


def cell_backward(
    time: int,
    gates: Tensor,
    peepholes: Tensor,
    cells: Tensor,
    real: Tensor | None,
    cell_carry: Tensor,
    products: Tensor,
) -> None:
    """Find the gradients of the sums for i, f and g, after ``hidden_backward``."""
    enter, forget, new, _ = gates[time].chunk(4, dim=1)
    to_enter, to_forget, to_new, _ = products[time].chunk(4, dim=1)
    gradient = _take(time, real, None, cell_carry, forget)
    torch.mul(gradient * new, enter * (1 - enter), out=to_enter)
    torch.mul(gradient * cells[time], forget * (1 - forget), out=to_forget)
    torch.mul(gradient * enter, 1 - new * new, out=to_new)
    cell_carry.addcmul_(to_enter, peepholes[0]).addcmul_(to_forget, peepholes[1])


def _keep(time: int, real: Tensor | None, states: Tensor) -> None:
    """Leave the state of padded rows as it was."""
    if real is not None:
        torch.where(real[time], states[time + 1], states[time], out=states[time + 1])


def _take(
    time: int, real: Tensor | None, given: Tensor | None, carry: Tensor, share: Tensor | None
) -> Tensor:
    """Return the gradient that reaches the gates, and leave in ``carry`` what goes past them.

    Of a real row, a share of it (None: nothing); of a padded row, all of it.
    """
    whole = carry.clone() if given is None else carry + given[time % len(given)]
    past = torch.zeros_like(whole) if share is None else whole * share
    carry.copy_(past if real is None else torch.where(real[time], past, whole))
    return whole if real is None else torch.where(real[time], whole, 0)

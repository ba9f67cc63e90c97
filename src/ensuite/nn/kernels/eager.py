"""The elementwise part of the recurrent cells, for one position at a time, in PyTorch.

The matrix products are computed by the caller. A ``forward`` function computes the state after a
position from the products, and keeps the activations for the backward pass. A ``backward`` function
computes the gradients of the products from the gradient of the state. ``fused`` has the same
functions, compiled. All of them write into their arguments:

    step                    rows of the position in the other arguments: see ``layout.Step``
    states, hidden, cells   (states, width): initial state, then the state after each position
    gates                   (total, gates x width): input products; ``forward`` replaces them by the
                            activations of the gates
    product                 (batch, gates x width): hidden product of this position
    products                (total, gates x width): gradients of the input and hidden products
    given                   (total, width): gradient of the outputs; if there is none, one block of
                            zeros, which is read for every position
    carry                   (batch, width): gradient of the state after the position; on return the
                            gradient of the state before it, except for the part that comes through
                            the hidden product, which the caller adds
"""

from typing import Any

import torch
from torch import Tensor

from ensuite.nn.kernels.layout import Step


def arrays(*tensors: Tensor) -> list[Any]:
    """Return tensors in the form that the functions below take: as they are."""
    return list(tensors)


def rnn_forward(step: Step, relu: bool, states: Tensor) -> None:
    """Apply the activation to the sum of the products, which is stored in the state after."""
    after = _after(step, states)
    _ = after.relu_() if relu else after.tanh_()


def rnn_backward(
    step: Step,
    relu: bool,
    given: Tensor,
    states: Tensor,
    carry: Tensor,
    products: Tensor,
) -> None:
    """Compute the gradient of the sum of the products."""
    after = _after(step, states)
    slope = (after > 0).to(after) if relu else 1 - after * after
    gradient = _take(step, given, carry, None)
    torch.mul(gradient, slope, out=_now(step, products))


def gru_forward(
    step: Step,
    product: Tensor,
    bias: Tensor,
    states: Tensor,
    gates: Tensor,
) -> None:
    """Compute a GRU whose reset gate is after the matrix; keep r, z, n and U_n h + u."""
    width, product = len(bias), _first(step, product)
    both, candidate, recalled = _now(step, gates).tensor_split([2 * width, 3 * width], dim=1)
    both.add_(product[:, : 2 * width]).sigmoid_()
    torch.add(product[:, 2 * width :], bias, out=recalled)
    candidate.addcmul_(both[:, :width], recalled).tanh_()
    torch.lerp(candidate, _before(step, states), both[:, width:], out=_after(step, states))


def gru_backward(
    step: Step,
    given: Tensor,
    gates: Tensor,
    states: Tensor,
    carry: Tensor,
    products: Tensor,
) -> None:
    """Compute the gradients of the sums of n (its input product), r and z, and of U_n h + u."""
    reset, update, candidate, recalled = _now(step, gates).chunk(4, dim=1)
    to_candidate, to_reset, to_update, to_recalled = _now(step, products).chunk(4, dim=1)
    gradient = _take(step, given, carry, update)
    torch.mul(gradient * (1 - update), 1 - candidate * candidate, out=to_candidate)
    torch.mul(gradient * (_before(step, states) - candidate), update * (1 - update), out=to_update)
    torch.mul(to_candidate * recalled, reset * (1 - reset), out=to_reset)
    torch.mul(to_candidate, reset, out=to_recalled)


def gates_forward(step: Step, product: Tensor, seen: Tensor, gates: Tensor, resets: Tensor) -> None:
    """Compute both gates of a GRU, and the reset hidden state before its matrix product."""
    width = seen.shape[1]
    both = _now(step, gates)[:, : 2 * width]
    both.add_(_first(step, product)).sigmoid_()
    torch.mul(both[:, :width], _before(step, seen), out=_now(step, resets))


def candidate_forward(step: Step, product: Tensor, states: Tensor, gates: Tensor) -> None:
    """Compute the candidate and the new state, after ``gates_forward``; keep r, z and n."""
    width = states.shape[1]
    update, candidate = _now(step, gates)[:, width:].chunk(2, dim=1)
    candidate.add_(_first(step, product)).tanh_()
    torch.lerp(candidate, _before(step, states), update, out=_after(step, states))


def candidate_backward(
    step: Step,
    given: Tensor,
    gates: Tensor,
    states: Tensor,
    carry: Tensor,
    products: Tensor,
) -> None:
    """Compute the gradients of the sums of the update gate and the candidate."""
    _, update, candidate = _now(step, gates).chunk(3, dim=1)
    _, to_update, to_candidate = _now(step, products).chunk(3, dim=1)
    gradient = _take(step, given, carry, update)
    torch.mul(gradient * (1 - update), 1 - candidate * candidate, out=to_candidate)
    torch.mul(gradient * (_before(step, states) - candidate), update * (1 - update), out=to_update)


def gates_backward(
    step: Step, recalled: Tensor, gates: Tensor, seen: Tensor, products: Tensor
) -> None:
    """Compute the gradient of the sum of the reset gate, after ``candidate_backward``.

    ``recalled`` is the gradient of the reset hidden state; on return, its part for the state.
    """
    width, recalled = seen.shape[1], _first(step, recalled)
    reset = _now(step, gates)[:, :width]
    torch.mul(
        recalled * _before(step, seen), reset * (1 - reset), out=_now(step, products)[:, :width]
    )
    recalled.mul_(reset)


def cell_forward(
    step: Step,
    product: Tensor,
    peepholes: Tensor,
    cells: Tensor,
    gates: Tensor,
) -> None:
    """Compute the new cell of an LSTM; keep i, f and g, and the sum of o."""
    before, after = _before(step, cells), _after(step, cells)
    sums = _now(step, gates).add_(_first(step, product))
    enter, forget, new, _ = sums.chunk(4, dim=1)
    enter.addcmul_(peepholes[0], before)
    forget.addcmul_(peepholes[1], before)
    sums[:, : 2 * len(peepholes[0])].sigmoid_()
    torch.mul(forget, before, out=after).addcmul_(enter, new.tanh_())


def hidden_forward(
    step: Step, peepholes: Tensor, cells: Tensor, hidden: Tensor, gates: Tensor
) -> None:
    """Compute the hidden state of an LSTM, after ``cell_forward``; keep o."""
    cell = _after(step, cells)
    out = _now(step, gates).chunk(4, dim=1)[3]
    out.addcmul_(peepholes[2], cell).sigmoid_()
    torch.mul(out, cell.tanh(), out=_after(step, hidden))


def lstm_forward(
    step: Step,
    product: Tensor,
    peepholes: Tensor,
    cells: Tensor,
    hidden: Tensor,
    gates: Tensor,
) -> None:
    """Compute an LSTM without full peepholes, whose products come between these two steps."""
    cell_forward(step, product, peepholes, cells, gates)
    hidden_forward(step, peepholes, cells, hidden, gates)


def lstm_backward(
    step: Step,
    given: Tensor,
    gates: Tensor,
    peepholes: Tensor,
    cells: Tensor,
    carry: Tensor,
    cell_carry: Tensor,
    products: Tensor,
) -> None:
    """Compute the gradients of the sums of all gates, after ``lstm_forward``."""
    hidden_backward(step, given, gates, peepholes, cells, carry, cell_carry, products)
    cell_backward(step, gates, peepholes, cells, cell_carry, products)


def hidden_backward(
    step: Step,
    given: Tensor,
    gates: Tensor,
    peepholes: Tensor,
    cells: Tensor,
    carry: Tensor,
    cell_carry: Tensor,
    products: Tensor,
) -> None:
    """Compute the gradient of the sum of o, and add its part to the gradient of the cell."""
    out, shown, to_out = (
        _now(step, gates).chunk(4, dim=1)[3],
        _after(step, cells).tanh(),
        _now(step, products).chunk(4, dim=1)[3],
    )
    gradient = _take(step, given, carry, None)
    torch.mul(gradient * shown, out * (1 - out), out=to_out)
    to_cell = _first(step, cell_carry)
    to_cell.addcmul_(gradient * out, 1 - shown * shown).addcmul_(to_out, peepholes[2])


def cell_backward(
    step: Step,
    gates: Tensor,
    peepholes: Tensor,
    cells: Tensor,
    cell_carry: Tensor,
    products: Tensor,
) -> None:
    """Compute the gradients of the sums of i, f and g, after ``hidden_backward``."""
    enter, forget, new, _ = _now(step, gates).chunk(4, dim=1)
    to_enter, to_forget, to_new, _ = _now(step, products).chunk(4, dim=1)
    gradient = _take(step, None, cell_carry, forget)
    torch.mul(gradient * new, enter * (1 - enter), out=to_enter)
    torch.mul(gradient * _before(step, cells), forget * (1 - forget), out=to_forget)
    torch.mul(gradient * enter, 1 - new * new, out=to_new)
    to_cell = _first(step, cell_carry)
    to_cell.addcmul_(to_enter, peepholes[0]).addcmul_(to_forget, peepholes[1])


def _take(step: Step, given: Tensor | None, carry: Tensor, share: Tensor | None) -> Tensor:
    """Return the gradient of the state after the position, from ``carry`` and the outputs.

    ``carry`` becomes this gradient multiplied by ``share``, zero if that is None.
    """
    carry = _first(step, carry)
    whole = carry.clone()
    if given is not None:
        rows = step[3]
        whole += given.narrow(0, min(step[2], len(given) - rows), rows)
    _ = carry.zero_() if share is None else torch.mul(whole, share, out=carry)
    return whole


def _before(step: Step, states: Tensor) -> Tensor:
    """Return the states before the position."""
    return states.narrow(0, step[0], step[3])


def _after(step: Step, states: Tensor) -> Tensor:
    """Return the states after the position."""
    return states.narrow(0, step[1], step[3])


def _now(step: Step, rows: Tensor) -> Tensor:
    """Return the rows of the position, of a tensor of all positions."""
    return rows.narrow(0, step[2], step[3])


def _first(step: Step, part: Tensor) -> Tensor:
    """Return the rows that have the position, of a tensor of the batch."""
    return part.narrow(0, 0, step[3])

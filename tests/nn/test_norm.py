"""The norm and its own backward pass are PyTorch's."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ensuite.nn.norm import RMSNorm


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 4, 3, 5)])
def test_values_and_gradients_are_pytorchs(shape: tuple[int, ...]) -> None:
    norm = RMSNorm(5, eps=1e-3)
    nn.init.normal_(norm.weight)
    inputs, gradient = torch.randn(shape, requires_grad=True), torch.randn(shape)
    found = norm(inputs)
    mine = torch.autograd.grad(found, (inputs, norm.weight), gradient)
    expected = F.rms_norm(inputs, (5,), norm.weight, 1e-3)
    theirs = torch.autograd.grad(expected, (inputs, norm.weight), gradient)
    torch.testing.assert_close(found, expected)
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(norm(inputs), expected)


def test_zeros_stay_zero() -> None:
    inputs = torch.zeros(2, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(RMSNorm(4)(inputs).sum(), inputs)
    assert gradient.isfinite().all()


def test_it_can_be_differentiated_by_functions_too() -> None:
    norm, inputs = RMSNorm(4), torch.randn(4)
    jacobian = torch.func.jacrev(norm)(inputs)
    step = 1e-3 * torch.eye(4)
    moved = torch.stack([norm(inputs + d) - norm(inputs - d) for d in step], dim=1) / 2e-3
    torch.testing.assert_close(jacobian, moved, rtol=1e-2, atol=1e-3)


def test_numbers_of_half_precision_are_computed_wide() -> None:
    inputs = torch.randn(3, 4).bfloat16()
    found = RMSNorm(4)(inputs)
    assert found.dtype is torch.bfloat16
    torch.testing.assert_close(found.float(), RMSNorm(4)(inputs.float()), rtol=1e-2, atol=1e-2)

"""The GELU of training is PyTorch's, in values and gradients."""

import pytest
import torch
import torch.nn.functional as F

from ensuite.nn import gelu
from ensuite.nn.gelu import gelu_tanh


def derivative(inputs: torch.Tensor) -> torch.Tensor:
    """Return PyTorch's derivative at each number."""
    inputs = inputs.detach().requires_grad_()
    (found,) = torch.autograd.grad(F.gelu(inputs, approximate="tanh").sum(), inputs)
    return found


def test_values_and_gradients_are_those_of_double_precision() -> None:
    inputs = torch.linspace(-12, 12, 24_001, requires_grad=True)
    gradient = torch.randn(24_001)
    found = gelu_tanh(inputs)
    (slopes,) = torch.autograd.grad(found, inputs, gradient)
    wide = inputs.detach().double()
    # tanh is approximated within 3e-7, times an input of at most 5; the slope has a factor of 4.
    torch.testing.assert_close(
        found.double(), F.gelu(wide, approximate="tanh"), rtol=1e-6, atol=1.5e-6
    )
    torch.testing.assert_close(slopes.double(), derivative(wide) * gradient, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(), (0, 4), (3, 5), (2, 3, 4)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    inputs = torch.randn(shape, requires_grad=True)
    found = gelu_tanh(inputs)
    assert found.shape == inputs.shape
    torch.testing.assert_close(found, F.gelu(inputs, approximate="tanh"), rtol=1e-5, atol=1e-6)


def test_parts_of_a_tensor() -> None:
    whole = torch.randn(4, 6, requires_grad=True)
    found = gelu_tanh(whole[:, ::2])
    found.sum().backward()
    expected = torch.zeros(4, 6)
    expected[:, ::2] = derivative(whole[:, ::2])
    torch.testing.assert_close(whole.grad, expected, rtol=1e-5, atol=1e-6)


def test_the_largest_numbers_and_what_is_no_number() -> None:
    inputs = torch.tensor([1e30, -1e30, torch.inf, torch.nan], requires_grad=True)
    found = gelu_tanh(inputs)
    (slopes,) = torch.autograd.grad(found.sum(), inputs)
    assert found[:3].tolist() == [torch.tensor(1e30).item(), 0.0, torch.inf]
    assert slopes[:3].tolist() == [1.0, 0.0, 1.0]
    assert found[3].isnan()
    assert slopes[3].isnan()


@pytest.mark.parametrize("without", ["is_compiled", "threads"])
def test_without_the_kernel_it_is_pytorchs(without: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if without == "threads":
        monkeypatch.setattr(gelu, "MOST_THREADS", 1)
    else:
        monkeypatch.setattr(gelu.hoisted, "is_compiled", lambda: False)
    inputs = torch.randn(3, 4, requires_grad=True)
    assert torch.equal(gelu_tanh(inputs), F.gelu(inputs, approximate="tanh"))


def test_it_can_be_differentiated_by_functions_too() -> None:
    inputs = torch.randn(4)
    jacobian = torch.func.jacrev(gelu_tanh)(inputs)
    torch.testing.assert_close(jacobian, derivative(inputs).diag(), rtol=1e-4, atol=1e-5)

import pytest
import torch
from torch.distributions import Bernoulli, kl_divergence

from ensuite.nn.sparsity import TargetRate, bernoulli_divergence, keep_largest


def test_the_largest_numbers_are_kept():
    code = torch.tensor([[0.1, -3.0, 2.0, 0.5], [4.0, 1.0, -2.0, 3.0]])
    expected = torch.tensor([[0.0, -3.0, 2.0, 0.0], [4.0, 0.0, 0.0, 3.0]])
    assert torch.equal(keep_largest(code, 2), expected)
    assert torch.equal(keep_largest(code, 4), code)


def test_only_what_is_kept_gets_a_gradient():
    code = torch.tensor([[0.1, -3.0, 2.0]], requires_grad=True)
    keep_largest(code, 1).sum().backward()
    assert torch.equal(code.grad, torch.tensor([[0.0, 1.0, 0.0]]))


def test_the_divergence_of_coins():
    target, rate = torch.tensor([0.05, 0.5]), torch.tensor([0.3, 0.5])
    expected = kl_divergence(Bernoulli(target), Bernoulli(rate))
    torch.testing.assert_close(bernoulli_divergence(target, rate), expected)


def test_the_penalty_of_a_batch_has_the_gradient_of_the_divergence():
    torch.manual_seed(0)
    code = torch.rand(50, 3, requires_grad=True)
    penalty = TargetRate(3, 0.05).eval()
    penalty.mean.copy_(code.detach().mean(0))
    found = penalty(code).mean()
    expected = bernoulli_divergence(torch.full((3,), 0.05), code.mean(0)).sum()
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(each, code)[0] for each in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_the_running_mean_follows_training_alone():
    penalty, code = TargetRate(2, 0.05), torch.full((4, 2), 0.8)
    penalty(code)
    assert penalty.mean[0] == pytest.approx(0.05 + 0.1 * 0.75)
    before = penalty.mean.clone()
    penalty.eval()(code)
    assert torch.equal(penalty.mean, before)


def test_units_come_to_fire_at_their_rate():
    torch.manual_seed(0)
    raw = torch.nn.Parameter(torch.randn(200, 3))
    penalty, optimizer = TargetRate(3, 0.1), torch.optim.Adam([raw], lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        penalty(raw.sigmoid()).sum().backward()
        optimizer.step()
    torch.testing.assert_close(raw.sigmoid().mean(0), torch.full((3,), 0.1), rtol=0, atol=0.02)

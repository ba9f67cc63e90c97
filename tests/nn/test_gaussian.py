import torch
from torch.distributions import Normal, kl_divergence

from ensuite.nn.gaussian import divergence_from_prior, log_density, log_prior, sample

MEAN = torch.tensor([[0.0, 1.5, -2.0], [0.3, 0.0, 4.0]])
LOG_VARIANCE = torch.tensor([[0.0, -3.0, 1.0], [0.5, 0.0, -1.0]])
GAUSSIAN = Normal(MEAN, (0.5 * LOG_VARIANCE).exp())
PRIOR = Normal(torch.zeros(3), torch.ones(3))


def test_the_divergence_has_its_closed_form():
    found = divergence_from_prior(MEAN, LOG_VARIANCE)
    torch.testing.assert_close(found, kl_divergence(GAUSSIAN, PRIOR))
    assert found[0, 0] == 0


def test_densities():
    code = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    expected = GAUSSIAN.log_prob(code).sum(-1)
    torch.testing.assert_close(log_density(code, MEAN, LOG_VARIANCE), expected)
    torch.testing.assert_close(log_prior(code), PRIOR.log_prob(code).sum(-1))


def test_samples_have_the_mean_and_the_variance():
    torch.manual_seed(0)
    drawn = sample(MEAN.expand(40_000, 2, 3), LOG_VARIANCE.expand(40_000, 2, 3))
    torch.testing.assert_close(drawn.mean(0), MEAN, rtol=0, atol=0.05)
    torch.testing.assert_close(drawn.var(0), LOG_VARIANCE.exp(), rtol=0.05, atol=0)
    assert torch.equal(sample(MEAN, LOG_VARIANCE, torch.zeros(2, 3)), MEAN)

from math import pi

import pytest
import torch
from torch.distributions import MultivariateNormal

from ensuite.core.batch import Batch
from ensuite.nn.evidence import evidence


class LinearGaussian:
    """A model of which everything is known: x = W z + noise, z from N(0, I)."""

    field = "row"

    def __init__(self, weight: torch.Tensor, variance: float, shift: float = 0.0) -> None:
        self.weight, self.variance, self.shift = weight, variance, shift

    def posterior(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the exact posterior, or with a shift a wrong one."""
        gram = self.weight.T @ self.weight  # diagonal, since the columns are orthogonal
        precision = 1 + gram.diagonal() / self.variance
        mean = batch.inputs["row"] @ self.weight / self.variance / precision
        return mean + self.shift, (-precision.log()).expand_as(mean)

    def encode(self, batch: Batch) -> torch.Tensor:
        return self.posterior(batch)[0]

    def decode(self, code: torch.Tensor, batch: Batch) -> torch.Tensor:
        return code @ self.weight.T

    def prior(self, count: int, generator: torch.Generator | None = None) -> torch.Tensor:
        return torch.randn(count, self.weight.shape[1], generator=generator)


WEIGHT = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 0.5], [0.0, 1.0]])
VARIANCE = 0.3


def rows(count: int) -> Batch:
    row = torch.randn(count, 4, generator=torch.Generator().manual_seed(1))
    return Batch(inputs={"row": row}, targets={"row": row})


def exact(batch: Batch) -> torch.Tensor:
    covariance = WEIGHT @ WEIGHT.T + VARIANCE * torch.eye(4)
    return MultivariateNormal(torch.zeros(4), covariance).log_prob(batch.inputs["row"])


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(samples, 2, generator=torch.Generator().manual_seed(seed))


def estimate(model: LinearGaussian, batch: Batch, drawn: torch.Tensor):
    log_variance = torch.tensor(VARIANCE).log()
    return evidence(model, batch, drawn, log_variance=log_variance)


def test_with_the_exact_posterior_one_sample_tells_the_likelihood():
    batch = rows(6)
    found = estimate(LinearGaussian(WEIGHT, VARIANCE), batch, noise(1))
    torch.testing.assert_close(found.importance, exact(batch))


def test_with_the_exact_posterior_the_bound_is_tight():
    batch = rows(6)
    found = estimate(LinearGaussian(WEIGHT, VARIANCE), batch, noise(2000))
    bound = found.reconstruction - found.divergence
    torch.testing.assert_close(bound, exact(batch), rtol=0, atol=0.05)


def test_the_importance_weighted_bound_is_never_below_the_lower_bound_in_expectation():
    batch, model = rows(5), LinearGaussian(WEIGHT, VARIANCE, shift=0.15)
    estimates = [estimate(model, batch, noise(8, seed)) for seed in range(200)]
    importance = torch.stack([each.importance for each in estimates]).mean(0)
    bounds = torch.stack([each.reconstruction - each.divergence for each in estimates]).mean(0)
    assert (importance > bounds).all()
    assert (importance < exact(batch) + 0.02).all()  # it is a lower bound as well
    many = estimate(model, batch, noise(2000)).importance
    torch.testing.assert_close(many, exact(batch), rtol=0, atol=0.05)


def test_no_row_depends_on_the_rows_beside_it():
    batch, model = rows(5), LinearGaussian(WEIGHT, VARIANCE, shift=0.15)
    one = Batch(inputs={"row": batch.inputs["row"][:1]}, targets={"row": batch.targets["row"][:1]})
    alone, together = estimate(model, one, noise(4)), estimate(model, batch, noise(4))
    for part, whole in zip(alone, together, strict=True):
        assert part[0].item() == pytest.approx(whole[0].item(), rel=1e-5)


def test_numbers_are_those_of_scaled_rows_in_nats():
    batch = Batch(inputs={"row": torch.zeros(1, 4)}, targets={"row": torch.zeros(1, 4)})
    model = LinearGaussian(torch.zeros(4, 2), 1.0)
    found = evidence(model, batch, noise(3), log_variance=torch.tensor(0.0))
    assert found.importance.item() == pytest.approx(-2 * torch.tensor(2 * pi).log().item())
    assert found.divergence.item() == 0

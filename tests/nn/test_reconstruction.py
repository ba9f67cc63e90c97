from math import log, pi

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Bernoulli, Normal

from ensuite.core.backbone import Backbone
from ensuite.core.batch import Batch, States
from ensuite.core.errors import UsageError
from ensuite.nn.reconstruction import (
    DecodingHead,
    decoded_numbers,
    log_likelihood,
    reconstruction_errors,
)


def pair(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, generator=generator), torch.rand(*shape, generator=generator)


def test_squared_errors_are_summed_over_features():
    values, targets = pair(4, 3)
    found = reconstruction_errors(values, targets)
    torch.testing.assert_close(found, F.mse_loss(values, targets, reduction="none").sum(1))


def test_cross_entropies_are_summed_over_pixels():
    values, targets = pair(4, 2, 3, 3)
    found = reconstruction_errors(values, targets, criterion="binary")
    expected = F.binary_cross_entropy(values.sigmoid(), targets, reduction="none")
    torch.testing.assert_close(found, expected.sum((1, 2, 3)))


def test_padding_and_unknown_numbers_do_not_count():
    values, targets = pair(2, 4, 3)
    mask = torch.tensor([[True, True, False, False], [True, True, True, True]])
    targets[1, 0, 2] = float("nan")
    found = reconstruction_errors(values, targets, mask)
    squares = (values - targets.nan_to_num()).square()
    assert found[0] == pytest.approx(squares[0, :2].sum().item())
    assert found[1] == pytest.approx((squares[1].sum() - squares[1, 0, 2]).item())
    other = torch.where(mask[..., None], values, 1e6)
    assert torch.equal(reconstruction_errors(other, targets, mask), found)
    assert torch.equal(log_likelihood(other, targets, mask), log_likelihood(values, targets, mask))


@pytest.mark.parametrize("variance", [0.1, 0.5, 2.0])
def test_the_likelihood_of_a_gaussian(variance):
    values, targets = pair(4, 3)
    expected = Normal(values, variance**0.5).log_prob(targets).sum(1)
    log_variance = torch.tensor(log(variance))
    found = log_likelihood(values, targets, log_variance=log_variance)
    torch.testing.assert_close(found, expected)
    errors = reconstruction_errors(values, targets, log_variance=log_variance)
    torch.testing.assert_close(errors, -expected - 3 * 0.5 * log(2 * pi))
    if variance == 0.5:
        torch.testing.assert_close(log_likelihood(values, targets), expected)


def test_the_likelihood_of_coins():
    values, targets = pair(4, 3)
    targets = targets.round()
    expected = Bernoulli(logits=values).log_prob(targets).sum(1)
    torch.testing.assert_close(log_likelihood(values, targets, criterion="binary"), expected)


def test_what_is_decoded_is_log_odds_under_the_cross_entropy():
    values, _ = pair(2, 3)
    assert decoded_numbers(values, "squared") is values
    assert torch.equal(decoded_numbers(values, "binary"), values.sigmoid())


class Twice(Backbone):
    width, field = 2, "row"

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)

    def forward(self, batch: Batch) -> States:
        return States(batch.inputs["row"], code=batch.inputs["row"])

    def encode(self, batch: Batch) -> torch.Tensor:
        return batch.inputs["row"]

    def decode(self, code: torch.Tensor, batch: Batch) -> torch.Tensor:
        return 2 * code


def test_the_head_decodes_and_has_no_parameters():
    backbone, batch = Twice(), Batch(inputs={"row": torch.ones(3, 2)})
    head = DecodingHead(backbone)
    assert not list(head.parameters())
    assert torch.equal(head(backbone(batch), batch), torch.full((3, 2), 2.0))
    decoded = States(torch.ones(3, 2), decoded=torch.zeros(3, 2))
    assert torch.equal(head(decoded, batch), torch.zeros(3, 2))
    with pytest.raises(UsageError, match="has no code to decode: choose one with the trait codes"):
        head(States(torch.ones(3, 2)), batch)

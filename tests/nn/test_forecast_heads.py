"""Heads of forecasts: quantiles in order, their loss by hand, what is known of each step."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ensuite.nn.forecasting import ForecastHead, PositionHead, ordered, quantile_loss


@given(st.lists(st.floats(-50, 50), min_size=5, max_size=5))
def test_quantiles_are_in_order_around_the_middle_number(numbers: list[float]) -> None:
    found = ordered(torch.tensor(numbers))
    assert (found.diff() >= 0).all()
    assert found[2] == torch.tensor(numbers)[2]
    assert ordered(torch.tensor([1.5])).tolist() == [1.5]


def test_the_quantile_loss_by_hand() -> None:
    values = torch.tensor([[[1.0, 2.0, 3.0]], [[0.0, 0.0, 0.0]]])
    targets, levels = torch.tensor([[4.0], [float("nan")]]), torch.tensor([0.1, 0.5, 0.9])
    expected = 2 * (0.1 * 3 + 0.5 * 2 + 0.9 * 1) / 3
    assert float(quantile_loss(values, targets, levels)) == pytest.approx(expected)
    median = quantile_loss(values[..., 1:2], targets, levels[1:2])
    assert float(median) == pytest.approx(2.0)  # the absolute error


@pytest.mark.parametrize("kind", ["direct", "positions"])
@pytest.mark.parametrize("future", [0, 3])
def test_shapes_and_gradients(kind: str, future: int) -> None:
    sizes = {"columns": 2, "levels": 5, "future": future}
    head: torch.nn.Module = (
        ForecastHead(8, 7, **sizes)
        if kind == "direct"
        else PositionHead(8, 7, segment=3, **sizes)  # 7 is not a multiple of 3
    )
    known = torch.randn(4, 7, future) if future else None
    found = head(torch.randn(4, 8), known)
    assert found.shape == (4, 7, 2, 5)
    found.square().sum().backward()
    assert all(parameter.grad is not None for parameter in head.parameters())


def test_what_is_known_of_a_step_changes_that_step_alone() -> None:
    torch.manual_seed(0)
    head = ForecastHead(8, 7, columns=1, levels=1, future=3)
    summary, known = torch.randn(1, 8), torch.randn(1, 7, 3)
    other = known.clone()
    other[0, 4] += 1
    apart = (head(summary, known) - head(summary, other))[0, :, 0, 0]
    assert apart.nonzero().ravel().tolist() == [4]

"""Noise has the strength that is asked for, and is the same for the same generator."""

import pytest
import torch

from ensuite.nn.corrupt import KINDS, corrupt


def draw(noise: str, strength: float, values: torch.Tensor, **how: object) -> torch.Tensor:
    return corrupt(values, noise, strength, torch.Generator().manual_seed(0), **how)  # type: ignore[arg-type]


@pytest.mark.parametrize("noise", KINDS)
@pytest.mark.parametrize("shape", [(64, 30), (64, 20, 5), (16, 3, 12, 12)])
def test_it_is_drawn_again_from_the_same_generator(noise: str, shape: tuple[int, ...]) -> None:
    values = torch.rand(shape)
    noisy = draw(noise, 0.3, values, bounds=(0.0, 1.0))
    assert noisy.shape == values.shape
    assert torch.equal(noisy, draw(noise, 0.3, values, bounds=(0.0, 1.0)))
    assert not torch.equal(noisy, values)
    assert noisy.min() >= 0
    assert noisy.max() <= 1


def test_gaussian_noise_has_its_deviation() -> None:
    noisy = draw("gaussian", 0.5, torch.zeros(200, 100))
    assert noisy.std().item() == pytest.approx(0.5, abs=0.01)
    assert noisy.mean().item() == pytest.approx(0, abs=0.01)


def test_salt_and_pepper_are_the_extremes_in_equal_shares() -> None:
    noisy = draw("salt-and-pepper", 0.2, torch.full((200, 100), 0.5), bounds=(0.0, 1.0))
    for extreme in (0.0, 1.0):
        assert (noisy == extreme).float().mean().item() == pytest.approx(0.1, abs=0.01)
    unbounded = draw("salt-and-pepper", 0.2, torch.zeros(50, 50))
    assert unbounded.unique().tolist() == [-3, 0, 3]


def test_masking_takes_numbers_and_sensors_whole_columns() -> None:
    ones = torch.ones(200, 20, 5)
    masked, dropped = draw("masking", 0.3, ones), draw("sensors", 0.3, ones)
    for noisy in (masked, dropped):
        assert (noisy == 0).float().mean().item() == pytest.approx(0.3, abs=0.05)
    assert set(dropped.mean(1).unique().tolist()) == {0.0, 1.0}
    assert len(masked.mean(1).unique()) > 2

import math

import pytest
import torch

from ensuite.core.errors import DataError
from ensuite.nn.position import LearnedPositions, RelativePositions, sinusoids


def test_sinusoids_are_sines_and_cosines_of_longer_and_longer_waves():
    vectors = sinusoids(torch.arange(50), 16)
    rates = 10_000 ** -(torch.arange(8) / 7)
    angles = torch.arange(50)[:, None] * rates
    torch.testing.assert_close(vectors, torch.cat([angles.sin(), angles.cos()], dim=1))
    assert 2 * math.pi / rates[0] == pytest.approx(2 * math.pi)
    assert 2 * math.pi / rates[-1] == pytest.approx(20_000 * math.pi)


def test_sinusoids_are_unique_and_nothing_is_learned():
    vectors = sinusoids(torch.arange(1000), 32)
    distances = torch.cdist(vectors, vectors) + 9 * torch.eye(1000)
    assert distances.min() > 0.1
    assert vectors.norm(dim=1).sub(4).abs().max() < 1e-4  # the root of half the width


@pytest.mark.parametrize("further", [1, 7, 100])
def test_a_step_is_the_same_rotation_wherever_it_is_taken(further):
    places = torch.arange(300)
    here, there = sinusoids(places, 8).double(), sinusoids(places + further, 8).double()
    angles = further * 10_000 ** -(torch.arange(4).double() / 3)
    cos, sin = angles.cos().diag(), angles.sin().diag()
    rotation = torch.cat([torch.cat([cos, -sin], dim=1), torch.cat([sin, cos], dim=1)])
    torch.testing.assert_close(here @ rotation, there, rtol=0, atol=1e-4)
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(8).double())


def test_odd_widths_and_several_rows_have_positions_too():
    assert sinusoids(torch.zeros(2, 3, dtype=torch.long), 5).shape == (2, 3, 5)
    assert sinusoids(torch.arange(3), 1).shape == (3, 1)


def test_learned_positions_are_rows_of_a_table():
    positions = LearnedPositions(4, 3)
    places = torch.tensor([[0, 3], [2, 2]])
    torch.testing.assert_close(positions(places), positions.vectors.weight[places])
    positions(places).sum().backward()
    assert positions.vectors.weight.grad[1].abs().max() == 0


def test_a_place_beyond_those_learned_is_named():
    with pytest.raises(DataError, match=r"has 6 positions, but the model has learned 4.*longest"):
        LearnedPositions(4, 3)(torch.arange(6)[None])


def test_relative_positions_know_the_distance_alone():
    positions = RelativePositions(2, reach=3)
    places = torch.arange(9)[None]
    bias = positions(places, places)
    assert bias.shape == (1, 2, 9, 9)
    torch.testing.assert_close(positions(places + 5, places + 5), bias)
    torch.testing.assert_close(bias[..., 1:, 1:], bias[..., :-1, :-1])  # one number a diagonal
    torch.testing.assert_close(bias[0, :, 0, 3], bias[0, :, 0, 8])  # from reach on all are alike
    assert not torch.equal(bias[0, :, 0, 1], bias[0, :, 1, 0])  # before is not behind

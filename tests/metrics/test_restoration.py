"""Metrics of denoising, on cases that have a closed form."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensuite.metrics import restoration

random = np.random.default_rng(0)


def test_squared_errors_count_every_number_alike() -> None:
    cleaned, truths = [np.zeros(2), np.zeros(6)], [np.ones(2), np.zeros(6)]
    assert restoration.mean_squared_error(cleaned, truths).value == 0.25


def test_decibels_follow_the_range() -> None:
    noise = np.full((3, 4), 25.5)
    score = restoration.peak_signal_to_noise([noise, noise], [noise * 0, noise], 255)
    assert score.value == pytest.approx((20 + 100) / 2)  # no error: 100 dB


def test_equal_images_are_alike_and_opposite_ones_are_not() -> None:
    image = random.random((12, 9, 3))
    assert restoration.similarity(image, image, 1.0) == pytest.approx(1.0)
    assert restoration.similarity(image, 1 - image, 1.0) < 0


@given(one=st.floats(0, 1), other=st.floats(0, 1), side=st.integers(1, 9))
def test_flat_images_differ_in_their_mean_alone(one: float, other: float, side: int) -> None:
    found = restoration.similarity(np.full((side, 8, 1), one), np.full((side, 8, 1), other), 1.0)
    assert found == pytest.approx((2 * one * other + 1e-4) / (one**2 + other**2 + 1e-4), abs=1e-6)


def test_more_noise_is_less_alike() -> None:
    image = random.random((20, 20, 1))
    noise = random.normal(size=image.shape)
    found = [restoration.similarity(image, image + share * noise, 1.0) for share in (0, 0.1, 0.3)]
    assert found[0] > found[1] > found[2]

"""Total-variation denoising on cases that have a closed form."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensuite.baselines.total_variation import divergence, slope, smooth

random = np.random.default_rng(0)


def test_two_steps_move_towards_each_other_by_the_weight() -> None:
    noisy = np.array([[[0.0], [1.0]]])
    np.testing.assert_allclose(smooth(noisy, 0.1).ravel(), [0.1, 0.9], atol=1e-4)
    np.testing.assert_allclose(smooth(noisy, 0.8, 200).ravel(), [0.5, 0.5], atol=1e-3)


@settings(max_examples=10)
@given(
    shape=st.sampled_from([(2, 5, 1), (1, 1, 2), (3, 4, 5, 2), (1, 1, 1, 1)]),
    weight=st.sampled_from([0.05, 0.5]),
    seed=st.integers(0, 1000),
)
def test_the_result_is_nearer_to_the_least_than_what_is_beside_it(
    shape: tuple[int, ...], weight: float, seed: int
) -> None:
    noisy = np.random.default_rng(seed).normal(size=shape)
    found = smooth(noisy, weight, 300)

    def cost(values: Any) -> float:
        slopes = np.stack([slope(values, axis) for axis in range(1, values.ndim - 1)])
        variation = np.sqrt(np.square(slopes).sum(0)).sum()
        return float(0.5 * np.square(values - noisy).sum() + weight * variation)

    best = cost(found)
    assert best <= cost(noisy) + 1e-9
    for other in (
        noisy.mean() + 0 * noisy,
        found + 1e-2 * np.random.default_rng(1).normal(size=shape),
    ):
        assert best <= cost(other) + 1e-4
    axes = tuple(range(1, noisy.ndim - 1))
    np.testing.assert_allclose(found.mean(axes), noisy.mean(axes), atol=1e-9)


@given(seed=st.integers(0, 1000))
def test_the_divergence_is_minus_the_adjoint_of_the_slopes(seed: int) -> None:
    drawn = np.random.default_rng(seed)
    values, fields = drawn.normal(size=(2, 3, 4, 1)), drawn.normal(size=(2, 2, 3, 4, 1))
    slopes = np.stack([slope(values, axis) for axis in (1, 2)])
    fields *= np.stack([slope(np.arange(24.0).reshape(2, 3, 4, 1), axis) != 0 for axis in (1, 2)])
    assert (slopes * fields).sum() == pytest.approx(-(values * divergence(fields)).sum())


def test_a_constant_stays_and_an_answer_alone_is_that_in_a_batch() -> None:
    flat = np.full((2, 4, 4, 1), 0.3, np.float32)
    np.testing.assert_allclose(smooth(flat, 0.4), flat)
    several = random.random((3, 5, 6, 2)).astype(np.float32)
    together = smooth(several, 0.1)
    assert together.dtype == np.float32
    np.testing.assert_array_equal(smooth(several[1:2], 0.1)[0], together[1])

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ensuite.tasks.reduce_walks import MOST_UNITS, interpolation, traversal


def test_one_unit_moves_at_a_time() -> None:
    codes = traversal(40, 5)
    assert codes.shape == (MOST_UNITS, 5, 40)
    assert ((codes != 0).sum(-1) <= 1).all()
    assert codes[3, 0, 3] == -2
    assert codes[3, -1, 3] == 2


@given(seed=st.integers(0, 99), steps=st.integers(2, 6), size=st.integers(1, 8))
def test_a_way_begins_and_ends_at_its_codes_and_no_step_is_shorter_than_both(
    seed: int, steps: int, size: int
) -> None:
    ends = np.random.default_rng(seed).normal(size=(6, size))
    codes = interpolation(ends, steps)
    assert codes.shape == (3, steps, size)
    np.testing.assert_allclose(codes[:, 0], ends[::2], atol=1e-9)
    np.testing.assert_allclose(codes[:, -1], ends[1::2], atol=1e-9)


def test_on_an_arc_lengths_stay() -> None:
    codes = interpolation(np.array([[2.0, 0.0], [0.0, 2.0]]), 5)[0]
    np.testing.assert_allclose(np.linalg.norm(codes, axis=1), 2)


def test_ends_in_one_direction_are_joined_by_a_line() -> None:
    ends = np.array([[1.0, 0.0], [3.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    codes = interpolation(ends, 3)
    np.testing.assert_allclose(codes[:, 1], [[2, 0], [0, 0], [0.5, 0.5]], atol=1e-9)
    assert np.isfinite(codes).all()

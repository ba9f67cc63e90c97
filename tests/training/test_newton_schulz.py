"""Matrices are made orthogonal by matrix products."""

import pytest
import torch

from ensuite.training.newton_schulz import orthogonalise


@pytest.mark.parametrize("shape", [(8, 8), (5, 12), (12, 5), (1, 7), (7, 1)])
def test_singular_vectors_stay_and_singular_values_are_about_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    made = left.T @ orthogonalise(matrix[None])[0] @ right.T
    values = made.diagonal()
    assert ((values > 0.65) & (values < 1.25)).all(), values
    torch.testing.assert_close(made, values.diag(), rtol=0, atol=1e-9)


def test_the_length_of_a_matrix_makes_no_difference():
    matrix = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(orthogonalise(1e-4 * matrix), orthogonalise(matrix))
    torch.testing.assert_close(orthogonalise(1e6 * matrix), orthogonalise(matrix))


def test_zeros_stay_zeros():
    assert orthogonalise(torch.zeros(2, 3, 4)).equal(torch.zeros(2, 3, 4))


def test_each_matrix_of_several_is_made_as_if_alone():
    several = torch.randn(3, 9, 5, generator=torch.Generator().manual_seed(2))
    alone = torch.cat([orthogonalise(each[None]) for each in several])
    torch.testing.assert_close(orthogonalise(several), alone)

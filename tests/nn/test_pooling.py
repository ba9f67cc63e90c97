import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ensuite.nn import pool

HOW = ["mean", "max"]


@pytest.mark.parametrize("how", HOW)
@given(row=st.lists(st.booleans(), min_size=1, max_size=8))
def test_only_real_positions_count(how, row):
    mask = torch.tensor([row, [True] * len(row)])
    sequence = torch.randn(2, len(row), 3)
    sequence[~mask] = float("nan")
    real = sequence[0, mask[0]]
    expected = torch.zeros(3)
    if any(row):
        expected = real.mean(0) if how == "mean" else real.max(0).values
    torch.testing.assert_close(pool(sequence, mask, how)[0], expected)
    torch.testing.assert_close(pool(sequence, mask, how)[1], pool(sequence[1:], None, how)[0])


@pytest.mark.parametrize("how", HOW)
def test_a_row_without_a_real_position_is_zero_and_has_no_gradient(how):
    sequence = torch.randn(2, 4, 3, requires_grad=True)
    mask = torch.tensor([[False] * 4, [True] * 4])
    pooled = pool(sequence, mask, how)
    assert pooled[0].tolist() == [0, 0, 0]
    pooled.sum().backward()
    assert sequence.grad[0].abs().max() == 0
    torch.testing.assert_close(sequence.grad[1].sum(0), torch.ones(3))

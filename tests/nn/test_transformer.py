import pytest
import torch

from ensuite.nn.transformer import Block

MASK = torch.tensor([[True, True, True], [True, True, False]])


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_block_one_position_at_a_time_is_the_block(norm):
    block = Block(8, 2, 16, memory=True, norm=norm)
    inputs, seen = torch.randn(2, 5, 8), block.remember(torch.randn(2, 3, 8), MASK)
    causal = torch.ones(5, 5, dtype=torch.bool).tril()[None, None]
    whole = block(inputs, causal, seen=seen)
    past, hidden = None, []
    for now in inputs.split(1, dim=1):
        made = block(now, past=past, seen=seen)
        past = made.past
        hidden.append(made.hidden)
    torch.testing.assert_close(torch.cat(hidden, dim=1), whole.hidden)
    torch.testing.assert_close(past.keys, whole.past.keys)


def test_what_a_block_asked_tells_where_it_looked():
    block = Block(8, 2, 16, memory=True)
    encoded = torch.randn(2, 3, 8)
    seen = block.remember(encoded, MASK)
    asked = block(torch.randn(2, 5, 8), seen=seen).asked
    weights = block.weights(asked, seen)
    assert weights.shape == (2, 2, 5, 3)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 5))
    assert weights[1, ..., 2].abs().max() == 0
    assert Block(8, 2, 16)(encoded).asked is None


def test_dropout_only_while_training():
    block, inputs = Block(8, 2, 16, dropout=0.5), torch.randn(2, 5, 8)
    assert not torch.equal(block(inputs).hidden, block(inputs).hidden)
    block.eval()
    assert torch.equal(block(inputs).hidden, block(inputs).hidden)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_where_the_norm_stands(norm):
    """Vectors that are normed last have mean 0 and variance 1; those a block adds to do not."""
    hidden = Block(8, 2, 16, norm=norm)(3 + 5 * torch.randn(4, 5, 8)).hidden
    assert (hidden.mean(-1).abs().max() < 1e-5) == (norm == "post")

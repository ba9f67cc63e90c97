import pytest
import torch

from ensuite.nn import Embedding


def test_padding_is_zero_and_learns_nothing():
    embedding = Embedding(5, 3, padding=0)
    vectors = embedding(torch.tensor([[0, 2], [4, 0]]))
    assert vectors[0, 0].abs().max() == vectors[1, 1].abs().max() == 0
    vectors.sum().backward()
    assert embedding.weight.grad.sum(1).tolist() == [0, 0, 3, 0, 3]


def test_any_token_may_be_padding_or_none():
    plain, other = Embedding(5, 3), Embedding(5, 3, padding=4)
    assert plain.weight.abs().sum(1).min() > 0
    other.redraw(2.0)
    assert other.weight[4].abs().max() == 0
    assert other.weight[:4].abs().sum(1).min() > 0
    (plain(torch.tensor([[0, 1]])) + other(torch.tensor([[0, 4]]))).sum().backward()
    assert plain.weight.grad.sum(1).tolist() == [3, 3, 0, 0, 0]
    assert other.weight.grad.sum(1).tolist() == [3, 0, 0, 0, 0]


def test_vectors_start_small():
    weight = Embedding(2000, 50).weight
    assert weight.std().item() == pytest.approx(0.1, rel=0.02)  # 100 000 draws: 0.2 %


def test_dropout_drops_the_same_numbers_at_every_position():
    embedding = Embedding(9, 40, dropout=0.5)
    tokens = torch.randint(1, 9, (4, 6))
    ratio = embedding(tokens) / embedding.weight[tokens]
    # the scale is 2, up to a rounding in the ratio
    assert torch.equal((ratio > 0.1), (ratio[:, :1] > 0.1).expand_as(ratio))
    torch.testing.assert_close(ratio.max(), torch.tensor(2.0))
    kept = (ratio[:, 0] > 0.1).float()
    assert 0.3 < kept.mean() < 0.7
    assert not torch.equal(kept[0], kept[1])


def test_word_dropout_drops_whole_words():
    embedding = Embedding(9, 10, word_dropout=0.25)
    tokens = torch.randint(1, 9, (50, 100))
    vectors = embedding(tokens)
    dropped = (vectors == 0).all(-1)
    assert dropped.float().mean().item() == pytest.approx(0.25, abs=0.03)  # 5 sigma of 5000 draws
    assert torch.equal(vectors[~dropped], embedding.weight[tokens[~dropped]])


def test_nothing_is_dropped_when_not_training():
    embedding = Embedding(9, 10, dropout=0.5, word_dropout=0.5).eval()
    tokens = torch.randint(1, 9, (3, 4))
    assert torch.equal(embedding(tokens), embedding.weight[tokens])

"""Hidden tokens: the share that is said, within texts, whole words where that is said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from numpy.typing import NDArray

from ensuite.data import masks
from ensuite.data.masks import Shares

LENGTHS = some.lists(some.integers(0, 40), min_size=1, max_size=6)
SHARE = some.floats(0.05, 0.9)


def rows(lengths: list[int], seed: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which positions are text, and at which a word begins: always at the first."""
    random = np.random.default_rng(seed)
    inside = np.arange(42) - 1 < np.array(lengths)[:, None]
    inside[:, 0] = False
    begins = inside & (random.random(inside.shape) < 0.5)
    begins[:, 1] = inside[:, 1]
    return inside, begins


@given(LENGTHS, SHARE, some.integers(0, 99))
def test_as_many_tokens_are_hidden_as_said(lengths: list[int], share: float, seed: int) -> None:
    inside, begins = rows(lengths, seed)
    chosen = masks.draw(inside, begins, share, np.random.default_rng(seed))
    assert not (chosen & ~inside).any()
    counts = np.array(lengths)
    wanted = np.where(counts > 0, np.maximum(1, np.rint(share * counts)), 0)
    assert chosen.sum(1).tolist() == wanted.tolist()


@given(LENGTHS, SHARE, some.integers(0, 99))
def test_whole_words_are_hidden_together(lengths: list[int], share: float, seed: int) -> None:
    inside, begins = rows(lengths, seed)
    chosen = masks.draw(inside, begins, share, np.random.default_rng(seed), words=True)
    assert not (chosen & ~inside).any()
    for row, (own, text) in enumerate(zip(chosen, inside, strict=True)):
        words = np.cumsum(begins[row])[text]
        for word in np.unique(words):
            assert len(set(own[text][words == word].tolist())) == 1
        assert own.sum() >= (np.rint(share * text.sum()) if text.any() else 0)


@given(some.integers(0, 99))
def test_what_is_not_hidden_is_read_as_it_is(seed: int) -> None:
    inside, begins = rows([30, 5, 0], seed)
    random = np.random.default_rng(seed)
    chosen = masks.draw(inside, begins, 0.3, random)
    tokens = np.full(inside.shape, 7)
    ordinary = np.arange(5, 20)
    read = masks.corrupt(tokens, chosen, Shares(0.8, 0.1, 0.1), 4, ordinary, random)
    assert (read[~chosen] == 7).all()
    assert np.isin(read[chosen], [4, *ordinary]).all()
    masked = masks.corrupt(tokens, chosen, Shares(1, 0, 0), 4, ordinary, random)
    assert (masked[chosen] == 4).all()
    assert (masks.corrupt(tokens, chosen, Shares(0, 0, 1), 4, ordinary, random) == 7).all()


@pytest.mark.parametrize(
    ("place", "expected"), [(0, 0.8), (1, 0.1), (2, 0.1)], ids=["mask", "random", "keep"]
)
def test_the_shares_are_those_of_bert(place: int, expected: float) -> None:
    random = np.random.default_rng(0)
    tokens, chosen = np.full((50, 400), 1), np.ones((50, 400), dtype=bool)
    read = masks.corrupt(tokens, chosen, Shares(0.8, 0.1, 0.1), 0, np.array([2]), random)
    kinds = [(read == 0), (read == 2), (read == 1)]
    assert kinds[place].mean() == pytest.approx(expected, abs=0.01)


@given(some.lists(some.booleans(), max_size=60), SHARE, some.integers(0, 99))
def test_each_token_is_in_one_group_and_words_are_whole(
    begins: list[bool], share: float, seed: int
) -> None:
    flags = np.array(begins, dtype=bool)
    groups = masks.groups(flags, share, np.random.default_rng(seed))
    total = np.sum(groups, axis=0) if groups else np.zeros(0)
    assert (total == 1).all()
    assert len(total) == len(flags)
    assert all(group.any() for group in groups)
    for group in groups:
        assert (group[1:] == group[:-1])[~flags[1:]].all()

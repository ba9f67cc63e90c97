"""A key-value cache gives an attention what it has read, however it was read."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from torch import Tensor

from ensuite.nn.cache import LEAST, Cache, room


def numbered(first: int, count: int, offset: float = 0.0) -> Tensor:
    """Return vectors of two rows and one head that tell their positions."""
    places = torch.arange(first, first + count, dtype=torch.float32)
    return (places + offset).view(1, 1, -1, 1).expand(2, 1, -1, 3)


def empty() -> Tensor:
    return torch.zeros(2, 1, 0, 3)


def extended(sizes: list[int], most: int | None) -> list[list[int]]:
    """Return the positions that each read may attend to."""
    cache, found, first = Cache(empty(), empty(), 0, most), [], 0
    for size in sizes:
        keys, values = cache.extend(numbered(first, size), numbered(first, size, 0.5))
        assert torch.equal(values, keys + 0.5)
        assert torch.equal(keys[0], keys[1])
        found.append(keys[0, 0, :, 0].int().tolist())
        first += size
        cache = Cache(cache.keys, cache.values, first, most)
    return found


@given(some.lists(some.integers(1, 40), min_size=1, max_size=6))
def test_it_keeps_everything(sizes: list[int]) -> None:
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    assert extended(sizes, None) == [list(range(end)) for end in ends]


@given(some.lists(some.integers(1, 9), min_size=1, max_size=8), some.integers(1, 20))
def test_a_ring_keeps_the_last(sizes: list[int], most: int) -> None:
    first = 0
    for size, seen in zip(sizes, extended(sizes, most), strict=True):
        before = list(range(max(0, first - most), first))
        new = list(range(first, first + size))
        if size == 1:
            assert sorted(seen) == [*before, *new][-most:]
        else:
            assert seen == [*before, *new]
        first += size


def test_room_doubles_and_keeps_within_the_most() -> None:
    assert room(empty(), 1).shape[2] == LEAST
    assert room(empty(), LEAST + 1).shape[2] == 2 * LEAST
    assert room(empty(), LEAST + 1, LEAST + 3).shape[2] == LEAST + 3
    held = room(empty(), 5)
    assert room(held, LEAST) is held


@pytest.mark.parametrize("grad", [False, True])
def test_it_is_written_in_place_where_no_gradient_is_needed(grad: bool) -> None:
    cache = Cache(room(empty(), 4), room(empty(), 4), 2)
    keys = cache.keys
    news = numbered(2, 1).clone().requires_grad_(grad)
    seen, _ = cache.extend(news, news)
    assert (cache.keys is keys) != grad
    if grad:
        seen.sum().backward()
        assert news.grad is not None
        assert (news.grad == 1).all()

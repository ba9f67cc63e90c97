"""Linear attention against its definition, in blocks, with documents, padding and states."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from torch import Tensor

from ensuite.nn import linear_attention as here
from ensuite.nn.linear_attention import LinearState, Spans, features, find_spans, linear_attention

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def draw(rows: int = 2, time: int = 9, heads: int = 3, size: int = 4) -> tuple[Tensor, ...]:
    """Return the features of queries and keys, and values."""
    generator = torch.Generator().manual_seed(0)
    shape = (3, rows, heads, time, size)
    queries, keys, values = torch.randn(*shape, generator=generator)
    return features(queries), features(keys), values


def plain(rows: int, time: int) -> Spans:
    """Return rows of one document without padding."""
    real = torch.ones(rows, time, dtype=torch.bool)
    return find_spans(torch.zeros(rows, time, dtype=torch.long), real)


def nothing(rows: int = 2, heads: int = 3, size: int = 4) -> LinearState:
    return LinearState.zeros(rows, heads, size, torch.zeros(()))


def definition(queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor) -> Tensor:
    """Return the weighted means by the matrix of all weights."""
    weights = (queries @ keys.transpose(-2, -1)) * allowed[:, None]
    return weights @ values / (weights.sum(-1, keepdim=True) + here.EPSILON)


@pytest.fixture(params=[64, 4, 1])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "BLOCK", request.param)


in_blocks = pytest.mark.usefixtures("block")


@in_blocks
def test_it_is_a_mean_weighted_by_positive_products() -> None:
    tensors, allowed = draw(), torch.ones(2, 9, 9).tril()
    found, _ = linear_attention(*tensors, plain(2, 9), nothing())
    torch.testing.assert_close(found, definition(*tensors, allowed), **CLOSE)


@in_blocks
def test_documents_and_padding_are_kept_apart() -> None:
    tensors = draw()
    documents = torch.tensor([[7, 7, 7, 7, 2, 2, 2, 2, 2], [0, 0, 5, 5, 5, 6, 6, 0, 0]])
    real = torch.tensor([[True] * 9, [False] * 2 + [True] * 5 + [False] * 2])
    allowed = (documents[:, :, None] == documents[:, None]) & real[:, None]
    found, _ = linear_attention(*tensors, find_spans(documents, real), nothing())
    expected = definition(*tensors, allowed.tril())
    torch.testing.assert_close(found.transpose(1, 2)[real], expected.transpose(1, 2)[real], **CLOSE)


@in_blocks
@pytest.mark.parametrize("ends", [(4,), (2, 7), (1, 2, 3)])
def test_a_state_goes_on(ends: tuple[int, ...]) -> None:
    tensors, state = draw(), nothing()
    whole, last = linear_attention(*tensors, plain(2, 9), state)
    parts = []
    for start, stop in zip((0, *ends), (*ends, 9), strict=True):
        now = (each[:, :, start:stop] for each in tensors)
        part, state = linear_attention(*now, plain(2, stop - start), state)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, 2), whole, **CLOSE)
    torch.testing.assert_close(tuple(state), tuple(last), **CLOSE)


@in_blocks
def test_the_state_of_a_document_that_is_over_is_not_seen() -> None:
    tensors, other = draw(), LinearState(*(torch.rand_like(part) for part in nothing()))
    spans = plain(2, 9)._replace(seen=torch.tensor([0, -1]))
    found, state = linear_attention(*tensors, spans, other)
    alone, left = linear_attention(*tensors, plain(2, 9), nothing())
    torch.testing.assert_close(found[1], alone[1], **CLOSE)
    torch.testing.assert_close(state.keys[1], left.keys[1], **CLOSE)
    torch.testing.assert_close(state.keys[0], left.keys[0] + other.keys[0], **CLOSE)
    assert not torch.allclose(found[0], alone[0])


@in_blocks
def test_padding_keeps_the_state() -> None:
    other = LinearState(*(torch.rand_like(part) for part in nothing()))
    real = torch.zeros(2, 9, dtype=torch.bool)
    spans = find_spans(torch.zeros(2, 9, dtype=torch.long), real)
    found, state = linear_attention(*draw(), spans, other)
    assert found.isfinite().all()
    torch.testing.assert_close(tuple(state), tuple(other), **CLOSE)


@given(some.lists(some.integers(0, 2), min_size=1, max_size=12), some.integers(0, 3), some.data())
def test_labels_change_where_documents_do(numbers: list[int], before: int, data: Any) -> None:
    after = data.draw(some.integers(0, 3))
    documents = torch.tensor([[1] * before + numbers + [1] * after])
    real = torch.tensor([[False] * before + [True] * len(numbers) + [False] * after])
    labels = find_spans(documents, real).labels[0, before : before + len(numbers)].tolist()
    changes = [a != b for a, b in pairwise(numbers)]
    assert labels == [sum(changes[:place]) for place in range(len(numbers))]

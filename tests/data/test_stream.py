"""The stream of all documents: the same whether it stands in memory or is put together."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from ensuite.data import stream
from ensuite.data.encoded import flat
from ensuite.data.stream import Chunks, Lanes, Stream

EXAMPLES = some.lists(
    some.tuples(some.lists(some.integers(5, 9), max_size=4), some.booleans()), max_size=6
)
EDGES = some.sampled_from([(2,), (2, 1)])


def make(
    examples: Sequence[tuple[list[int], bool]], edges: tuple[int, ...], *, ends: bool
) -> Stream:
    begins = np.array([number == 0 or new for number, (_, new) in enumerate(examples)], dtype=bool)
    texts = flat([np.array(ids, dtype=np.int32) for ids, _ in examples])
    return Stream(texts, begins, ends and bool(examples), edges)


def by_hand(
    examples: Sequence[tuple[list[int], bool]], edges: tuple[int, ...], *, ends: bool
) -> tuple[list[int], list[int], list[int]]:
    """Return all tokens, the document that each is read in, and the example that each is of."""
    tokens, documents, owners = [], [], []
    document = -1
    for number, (ids, new) in enumerate(examples):
        if number == 0 or new:
            for edge in edges[-1:] if number == 0 else edges:
                document += edge == edges[-1]
                tokens.append(edge)
                documents.append(document)
                owners.append(max(0, number - 1))
        tokens += ids
        documents += [document] * len(ids)
        owners += [number] * len(ids)
    if ends and examples:
        tokens.append(edges[0])
        documents.append(document)
        owners.append(len(examples) - 1)
    return tokens, documents, owners


@given(EXAMPLES, EDGES, some.booleans())
def test_a_stream_is_what_it_is_by_hand(
    examples: list[tuple[list[int], bool]], edges: tuple[int, ...], ends: bool
) -> None:
    found = make(examples, edges, ends=ends)
    tokens, documents, owners = by_hand(examples, edges, ends=ends)
    whole = found.read(0, len(found))
    assert len(found) == max(0, len(tokens) - 1)
    assert whole.tokens.tolist() == tokens[:-1]
    assert whole.targets.tolist() == tokens[1:]
    assert whole.documents.tolist() == documents[:-1]
    assert whole.examples.tolist() == owners[1:]
    assert not whole.unknown_bytes.any()


@given(EXAMPLES, EDGES, some.integers(1, 5))
def test_chunks_are_the_same_in_memory_or_not(
    examples: list[tuple[list[int], bool]], edges: tuple[int, ...], size: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        found = make(examples, edges, ends=True)
        inside = [*Chunks(found, size)]
        patch.setattr(stream, "IN_MEMORY", -1)
        outside = [*Chunks(found, size)]
    assert len(inside) == len(outside)
    for one, other in zip(inside, outside, strict=True):
        for column, same in zip(one, other, strict=True):
            assert np.array_equal(column, same)
    whole = found.read(0, len(found))
    joined = [token for chunk in inside for token in chunk.tokens.tolist()]
    assert joined == whole.tokens.tolist()


def test_what_is_untold_stands_beside_its_target() -> None:
    texts = flat([np.array([[5, 0], [1, 3]], dtype=np.int32)], (2,))
    whole = Stream(texts, np.array([True]), True, (2,)).read(0, 3)
    assert whole.targets.tolist() == [5, 1, 2]
    assert whole.unknown_bytes.tolist() == [0, 3, 0]


@given(some.lists(some.integers(1, 6), min_size=1, max_size=5), some.booleans())
def test_lanes_are_worked_out_batch_by_batch(lengths: list[int], marked: bool) -> None:
    runs, start = [], 0
    for length in sorted(lengths, reverse=True):
        runs.append(range(start, start + length))
        start += length
    fresh = np.random.default_rng(0).random(start) < 0.5
    lanes = Lanes(runs, 10, fresh if marked else None)
    drawn = iter(fresh.tolist())
    for time, batch in enumerate(lanes):
        expected = [run[time] % 10 for run in runs if time < len(run)]
        assert batch == [n + 10 * (marked and next(drawn)) for n in expected]
    assert len(lanes) == max(lengths)
    assert lanes[-1:] == [lanes[len(lanes) - 1]]

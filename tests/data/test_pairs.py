"""Pairs of texts: half follow each other, half are of two documents, none is too long."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from ensuite.core.batch import IGNORE
from ensuite.data import pairs
from ensuite.data.encoded import flat
from ensuite.data.pairs import FOLLOWS, OTHER, Pool, Text
from ensuite.data.processors.documents import SENTENCE, WORD


def text(document: int, lengths: list[int]) -> Text:
    """Return a text of sentences of some lengths; its ids name its document and their order."""
    rows = np.zeros((sum(lengths), 3), dtype=np.int32)
    rows[:, 0] = 1000 * document + np.arange(len(rows))
    rows[:, 1] = WORD
    starts = np.cumsum([0, *lengths[:-1]]) if lengths else []
    rows[np.array(starts, dtype=int), 1] |= SENTENCE
    return rows


SENTENCES = some.lists(some.integers(1, 6), min_size=1, max_size=5)


@given(some.lists(SENTENCES, min_size=2, max_size=5), some.integers(0, 999))
def test_a_drawn_pair_is_what_it_says(lengths: list[list[int]], seed: int) -> None:
    pieces = [text(number, each) for number, each in enumerate(lengths)]
    pool = Pool(flat(pieces, (3,)), np.arange(len(pieces)))
    room, random = 30, np.random.default_rng(seed)
    pair = pairs.draw(pieces[0], 0, pool, room, random)
    if len(lengths[0]) == 1:
        assert pair.second is None
        assert pair.answer == IGNORE
        return
    assert pair.second is not None
    assert len(pair.first) + len(pair.second) <= room
    first, second = pair.first[:, 0], pair.second[:, 0]
    assert (first < 1000).all()
    if pair.answer == FOLLOWS:
        both = np.concatenate([first, second])
        assert both.tolist() == pieces[0][: len(both), 0].tolist()
    else:
        assert pair.answer == OTHER
        assert (second >= 1000).all()
    assert pair.second[0, 1] & SENTENCE


def test_half_of_the_drawn_pairs_follow() -> None:
    pool = Pool(flat([text(0, [3, 3]), text(1, [3, 3])], (3,)), np.arange(2))
    random = np.random.default_rng(0)
    answers = [pairs.draw(pool.pieces[0], 0, pool, 20, random).answer for _ in range(400)]
    assert 160 < answers.count(OTHER) < 240
    assert 160 < answers.count(FOLLOWS) < 240


def test_the_length_of_a_pair_does_not_tell_its_answer() -> None:
    pieces = [text(0, [4] * 6), text(1, [1, 2]), text(2, [9, 3, 7]), text(3, [24])]
    pool, random = Pool(flat(pieces, (3,)), np.arange(4)), np.random.default_rng(0)
    lengths: dict[int, list[int]] = {FOLLOWS: [], OTHER: []}
    for _ in range(12_000):
        pair = pairs.draw(pieces[0], 0, pool, 24, random)
        assert pair.second is not None
        lengths[pair.answer].append(len(pair.first) + len(pair.second))
    assert np.mean(lengths[FOLLOWS]) == pytest.approx(np.mean(lengths[OTHER]), abs=0.4)
    assert np.std(lengths[FOLLOWS]) == pytest.approx(np.std(lengths[OTHER]), abs=0.4)


@given(SENTENCES, SENTENCES, some.integers(6, 40), some.integers(0, 999))
def test_the_evaluation_asks_of_a_true_and_a_false_pair(
    own: list[int], others: list[int], room: int, seed: int
) -> None:
    found = pairs.both(text(0, own), text(1, others), room, np.random.default_rng(seed))
    if len(own) == 1:
        assert found == []
        return
    true, false = found
    assert (true.answer, false.answer) == (FOLLOWS, OTHER)
    assert true.first is false.first
    for pair in found:
        assert pair.second is not None
        assert len(pair.first) > 0
        assert len(pair.second) > 0
        assert len(pair.first) + len(pair.second) <= room
    assert true.second is not None
    assert false.second is not None
    assert len(true.second) == len(false.second)
    assert true.second[0, 0] == true.first[-1, 0] + 1


@given(SENTENCES, SENTENCES, some.integers(6, 40))
def test_of_two_long_texts_what_lies_next_to_the_border_is_read(
    one: list[int], two: list[int], room: int
) -> None:
    first, second = text(0, one), text(1, two)
    before, after = pairs.around(first, second, room)
    assert len(before) + len(after) == min(room, len(first) + len(second))
    assert before.tolist() == first[len(first) - len(before) :].tolist()
    assert after.tolist() == second[: len(after)].tolist()

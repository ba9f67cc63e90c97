from itertools import product

import pytest
import torch

from decoding.invented import END, START, VOCABULARY, Invented, rows_of
from ensuite.core.errors import UsageError
from ensuite.decoding.beam import beam_search, normalise
from ensuite.decoding.greedy import greedy

HOW = {"start": START, "end": END, "longest": 12}
WORDS = [word for word in range(VOCABULARY) if word != END]


@pytest.mark.parametrize("penalty", [0.0, 0.6, 2.0])
def test_a_beam_of_one_is_greedy(penalty):
    model, batch = Invented(), rows_of(0, 1, 2, 3)
    found = beam_search(model, batch, beam=1, length_penalty=penalty, **HOW)
    expected = greedy(model, batch, **HOW)
    assert [each.tokens for each in found] == [each.tokens for each in expected]
    assert [e.score for e in found] == pytest.approx([e.score for e in expected], abs=1e-4)


@pytest.mark.parametrize("penalty", [0.0, 0.6, 2.0])
def test_a_beam_that_holds_everything_finds_the_best_there_is(penalty):
    longest = 3
    model = Invented()

    def rank(row, tokens):
        length = torch.tensor(float(len(tokens) + 1))
        return float(normalise(torch.tensor(model.score(row, tokens)), length, penalty))

    every = [tokens for n in range(longest) for tokens in product(WORDS, repeat=n)]
    found = beam_search(
        model, rows_of(0, 1, 2, 3), start=START, end=END, longest=longest, beam=200,
        length_penalty=penalty,
    )  # fmt: skip
    for row, written in enumerate(found):
        best = max(every, key=lambda tokens, row=row: rank(row, tokens))
        assert tuple(written.tokens) == best
        assert written.score == pytest.approx(model.score(row, best), abs=1e-4)


def test_a_wider_beam_finds_sequences_that_are_no_less_probable():
    model, totals = Invented(), []
    for beam in (1, 2, 4, 16, 64):
        written = beam_search(
            model, rows_of(0, 1, 2, 3), start=START, end=END, longest=6, beam=beam, length_penalty=0
        )
        totals.append(sum(each.score for each in written))
    assert totals == sorted(totals)
    assert totals[-1] > totals[0]


def test_a_batch_gives_what_each_row_gives_alone():
    model, rows = Invented(), (3, 0, 2, 1, 0, 3)
    together = beam_search(model, rows_of(*rows), beam=3, **HOW)
    alone = [beam_search(model, rows_of(row), beam=3, **HOW)[0] for row in rows]
    assert [each.tokens for each in together] == [each.tokens for each in alone]
    assert [e.score for e in together] == pytest.approx([e.score for e in alone], abs=1e-5)


def test_rows_all_of_whose_beams_have_ended_leave():
    model = Invented()
    beam_search(model, rows_of(0, 1, 2, 3), beam=2, **HOW)
    assert model.asked[0] == 8
    assert model.asked[-1] < 8


def test_the_length_penalty_makes_up_for_length():
    model, lengths = Invented(), []
    for penalty in (0.0, 1.0, 4.0):
        written = beam_search(model, rows_of(0, 1, 2, 3), beam=16, length_penalty=penalty, **HOW)
        lengths.append(sum(len(each.tokens) for each in written))
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]


def test_a_beam_wider_than_the_vocabulary_holds_no_twin():
    model = Invented()
    found = beam_search(model, rows_of(0), beam=50, start=START, end=END, longest=1)
    expected = greedy(model, rows_of(0), start=START, end=END, longest=1)
    assert len(found[0].tokens) <= 1
    assert found[0].score <= expected[0].score + 1e-6


def test_a_beam_of_nothing_is_refused():
    with pytest.raises(UsageError, match="The beam is 0; give 1 or more"):
        beam_search(Invented(), rows_of(0), beam=0, **HOW)

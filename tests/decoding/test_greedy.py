import pytest
import torch

from decoding.invented import END, START, Invented, rows_of
from ensuite.core.batch import DECODER
from ensuite.decoding.greedy import greedy
from ensuite.decoding.interfaces import attention_weights

HOW = {"start": START, "end": END, "longest": 12}


def plainly(model, row):
    """Write one row as the definition says."""
    carry, word, tokens = model.begin(rows_of(row)), START, []
    while len(tokens) < HOW["longest"]:
        values, carry = model.step({DECODER: torch.tensor([word])}, carry)
        word = int(values.argmax())
        if word == END:
            break
        tokens.append(word)
    return tokens


def test_greedy_takes_the_most_probable_token_until_the_end():
    model = Invented()
    written = greedy(model, rows_of(0, 1, 2, 3), **HOW)
    lengths = {len(each.tokens) for each in written}
    assert len(lengths) > 1
    for row, each in enumerate(written):
        assert each.tokens == plainly(model, row)
        ended = len(each.tokens) < HOW["longest"]
        assert each.score == pytest.approx(model.score(row, each.tokens, ended=ended), abs=1e-4)


def test_a_batch_gives_what_each_row_gives_alone():
    model, rows = Invented(), (3, 0, 2, 1, 0, 3)
    together = greedy(model, rows_of(*rows), **HOW)
    alone = [greedy(model, rows_of(row), **HOW)[0] for row in rows]
    assert [each.tokens for each in together] == [each.tokens for each in alone]
    assert [e.score for e in together] == pytest.approx([e.score for e in alone], abs=1e-5)


def test_rows_that_have_ended_leave():
    model = Invented()
    written = greedy(model, rows_of(0, 1, 2, 3), **HOW)
    assert model.asked[0] == 4
    assert model.asked[-1] < 4
    longest = max(len(each.tokens) for each in written)
    assert len(model.asked) == min(longest + 1, HOW["longest"])


def test_what_never_ends_is_cut_off():
    model = Invented()
    model.table[..., END] = -100
    (written,) = greedy(model, rows_of(1), start=START, end=END, longest=5)
    assert len(written.tokens) == 5


def test_where_a_model_looks_can_be_asked_for():
    model = Invented(attends=True)
    sequences = [[1, 3, 4], [], [0]]
    seen = attention_weights(model, rows_of(2, 0, 1), sequences, start=START)
    assert [each.shape for each in seen] == [(4, 3), (1, 3), (2, 3)]
    assert seen[0][:, 1].tolist() == [2] * 4  # its row
    assert seen[0][:, 2].tolist() == [START, 1, 3, 4]  # what it read
    assert attention_weights(Invented(), rows_of(0), [[1]], start=START) is None


def test_where_it_looks_is_not_kept_while_it_writes():
    class Watched(Invented):
        def step(self, inputs, carry):
            assert set(carry) == {"row", "place"}
            return super().step(inputs, carry)

    greedy(Watched(attends=True), rows_of(0, 1), **HOW)

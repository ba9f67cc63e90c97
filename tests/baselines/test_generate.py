"""Counts of short sequences, smoothed."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from ensuite.baselines.generate import NONE, NGram, before, discounts, hashes
from ensuite.core.batch import Batch
from ensuite.data.processors.writing import Writing
from ensuite.decoding.sampling import Sampling
from ensuite.tasks.generate import Example, Generate

LINES = ["abracadabra", "a cab", "", "bad crab"]
DOCUMENTS = [Example(line, number) for number, line in enumerate(LINES)]
TASK = Generate(writing=Writing(unit="characters")).prepare(DOCUMENTS)
EDGE = TASK.writing.start
BASELINE = NGram.fit(TASK, DOCUMENTS, [], 0)


def likely(model: NGram, ids: list[int]) -> np.ndarray:
    """Return how probable each token is after others, (size,)."""
    past = [*([NONE] * model.longest), *ids][: -model.longest : -1]
    contexts = hashes(np.array(past)[:, None])
    return model.probabilities(contexts, np.arange(model.size))


@given(some.lists(some.integers(1, TASK.writing.size - 1), max_size=8))
def test_the_probabilities_sum_to_one(ids: list[int]) -> None:
    found = likely(BASELINE, [EDGE, *ids])
    assert found.sum() == pytest.approx(1, abs=1e-9)
    assert found.min() > 0


def test_the_bits_of_a_text_are_those_of_its_tokens() -> None:
    ids = [EDGE, *TASK.writing.encode(["cabar"])[0].tolist(), EDGE]
    asked = [likely(BASELINE, ids[:place])[ids[place]] for place in range(1, len(ids))]
    (found,) = BASELINE.predict(TASK, [Example("cabar")])
    assert found == (pytest.approx(-np.log2(asked).sum()), 6, 5)


def test_counts_by_hand() -> None:
    """Bigrams of one text, all discounts 1/2: equation 27 of Chen & Goodman, written out."""
    task = Generate(writing=Writing(unit="words")).prepare([Example("a a b a")])
    model = NGram.fit(task, [Example("a a b a")], [], 0)
    assert model.longest == 3
    a, spaced = (int(task.writing.encode([word])[0][0]) for word in ("a", " a"))
    # Each of 4 different tokens stands after the same number of others, but " a", after two.
    uniform = 1 / model.size
    single = {a: 0.5 / 5 + 0.5 * uniform * 4 / 5, spaced: 1.5 / 5 + 0.5 * uniform * 4 / 5}
    left = likely(model, [EDGE])
    # After the edge only "a" was seen, once, in both longer contexts.
    assert left[a] == pytest.approx(0.5 + 0.5 * (0.5 + 0.5 * single[a]))
    assert left[spaced] == pytest.approx(0.25 * single[spaced])


def test_a_document_does_not_see_the_one_before() -> None:
    together = BASELINE.predict(TASK, DOCUMENTS)
    assert together == [BASELINE.predict(TASK, [each])[0] for each in DOCUMENTS]
    columns = before(TASK.stream(DOCUMENTS), 4)
    starts = TASK.stream(DOCUMENTS).tokens == EDGE
    assert set(columns[1][starts]) == set(columns[2][starts]) == {NONE}


def test_discounts_take_something_of_every_count() -> None:
    found = discounts(np.array([1] * 50 + [2] * 20 + [3] * 10 + [4] * 6))
    share = 50 / 90
    expected = [0, 1 - 2 * share * 20 / 50, 2 - 3 * share * 10 / 20, 3 - 4 * share * 6 / 10]
    assert found.tolist() == pytest.approx(expected)
    assert discounts(np.array([5, 6])).tolist() == [0, 0.5, 0.5, 0.5]


def test_what_was_read_costs_less_than_what_was_not() -> None:
    known, new = BASELINE.predict(TASK, [Example("abracadabra"), Example("rrrrddddccc")])
    assert known.bits < 0.5 * new.bits


def test_an_unknown_token_is_charged_as_the_task_charges_it() -> None:
    task = Generate(writing=Writing(unit="words")).prepare(DOCUMENTS)
    model = NGram.fit(task, DOCUMENTS, [], 0)
    (two,) = model.predict(task, [Example("é", ends=False)])
    (three,) = model.predict(task, [Example("€", ends=False)])
    assert three.bits - two.bits == pytest.approx(8)


def test_it_writes_as_a_network_does() -> None:
    carry = BASELINE.begin(Batch(inputs={"tokens": torch.tensor([[EDGE]] * 2)}))
    words = torch.tensor([EDGE, EDGE])
    for token in TASK.writing.encode(["cra"])[0].tolist():
        values, carry = BASELINE.step({"tokens": words}, carry)
        words = torch.tensor([token, token])
    ids = [EDGE, *TASK.writing.encode(["cr"])[0].tolist()]
    torch.testing.assert_close(values[1].exp(), torch.tensor(likely(BASELINE, ids)).float())
    pieces = TASK.generator(BASELINE).stream(["a c"], Sampling(temperature=0, max_new_tokens=20))
    assert "".join(piece for _, piece in pieces) == "ab"


@given(some.lists(some.text("abc d", max_size=8), max_size=4))
def test_saved_and_restored_it_answers_the_same(texts: list[str]) -> None:
    settings = json.loads(json.dumps(BASELINE.settings()))
    restored = NGram.restore(BASELINE.arrays(), settings)
    asked = [Example(text) for text in texts]
    assert restored.predict(TASK, asked) == BASELINE.predict(TASK, asked)


@pytest.mark.parametrize("texts", [[], [""], ["a"], ["", "", ""]])
def test_little_to_learn_from_is_enough(texts: list[str]) -> None:
    examples = [Example(text, number) for number, text in enumerate(texts)]
    model = NGram.fit(TASK, examples, [], 0)
    assert likely(model, [EDGE]).sum() == pytest.approx(1)
    assert model.predict(TASK, []) == []

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensuite.baselines.classify import MostFrequent, NumberLogistic, TfidfLogistic
from ensuite.data.processors import Columns, Series, Text
from ensuite.tasks.classify import Classify, Example


def copy(baseline):
    """Return what is left of a baseline when it is saved and loaded."""
    arrays = {name: array.copy() for name, array in baseline.arrays().items()}
    return type(baseline).restore(arrays, json.loads(json.dumps(baseline.settings())))


def accuracy(baseline, task, examples):
    predictions = baseline.predict(task, examples)
    assert len(predictions) == len(examples)
    return task.score(predictions, examples)["accuracy"].value


def reviews(count):
    good = [Example(f"a fine film number {n} !", "good") for n in range(count)]
    return good + [Example(f"a dull film number {n} .", "bad") for n in range(count)]


def numbers(generator, shape, count, labels=2):
    made = [(generator.normal(label, 0.3, shape), str(label)) for label in range(labels)] * count
    return [Example(array + 0.01 * n, label) for n, (array, label) in enumerate(made)]


def series(generator, count, *, several_lengths):
    """Make series that rise or fall."""
    examples = []
    for n in range(count):
        steps = np.linspace(0, 1, 6 + n % 5 if several_lengths else 8)[:, None]
        up = n % 2 == 0
        noise = generator.normal(0, 0.05, (len(steps), 2))
        examples.append(Example((steps if up else 1 - steps) + noise, "up" if up else "down"))
    return examples


TAGGED = [
    Example("red round apple", ("red", "round")),
    Example("red square brick", ("red",)),
    Example("blue round ball", ("round",)),
    Example("blue square box", ()),
] * 5

NAMES = [("anna", "f"), ("otto", "m"), ("maria", "f"), ("marco", "m"), ("pia", "f")] * 3

PAIRS = [(("it rains", "wet"), "yes"), (("it rains", "dry"), "no")] * 6

GENERATOR = np.random.default_rng(0)
EVEN = series(GENERATOR, 20, several_lengths=False)
UNEVEN = series(GENERATOR, 20, several_lengths=True)
CASES = {
    "text": (TfidfLogistic, Text(), reviews(8)),
    "characters": (TfidfLogistic, Text(unit="characters"), [Example(*pair) for pair in NAMES]),
    "pairs": (TfidfLogistic, Text(unit="words"), [Example(*pair) for pair in PAIRS]),
    "several": (TfidfLogistic, Text(unit="words"), TAGGED),
    "row": (NumberLogistic, Columns(), numbers(GENERATOR, 4, 10)),
    "three labels": (NumberLogistic, Columns(), numbers(GENERATOR, 4, 10, labels=3)),
    "series": (NumberLogistic, Series(), EVEN),
    "uneven series": (NumberLogistic, Series(), UNEVEN),
}


@pytest.fixture(params=CASES)
def case(request):
    method, processor, examples = CASES[request.param]
    several = isinstance(examples[0].label, tuple)
    return method, Classify(processor=processor, several=several).prepare(examples), examples


def test_learns_what_is_easy(case):
    method, task, examples = case
    assert method.fits(task)
    assert accuracy(method.fit(task, examples, examples[:4], 0), task, examples) == 1.0


@pytest.mark.parametrize("method", [None, MostFrequent])
def test_restored_answers_are_equal(case, method):
    own, task, examples = case
    baseline = (method or own).fit(task, examples, examples[:4], 0)
    restored = copy(baseline)
    assert restored.predict(task, examples) == baseline.predict(task, examples)
    assert restored.parameters == baseline.parameters
    assert all(array.dtype != object for array in baseline.arrays().values())


@pytest.mark.parametrize("held_out", [0, 1])
def test_fits_with_hardly_any_validation_rows(case, held_out):
    method, task, examples = case
    assert accuracy(method.fit(task, examples, examples[:held_out], 0), task, examples) == 1.0


def test_alone_as_among_others_and_the_same_again(case):
    method, task, examples = case
    baseline, again = (method.fit(task, examples, examples[:4], seed) for seed in (0, 1))
    together = baseline.predict(task, examples)
    assert together == again.predict(task, examples)
    alone = [baseline.predict(task, [example])[0] for example in examples]
    assert [p.label for p in alone] == [p.label for p in together]
    probabilities = [[p.probabilities for p in predictions] for predictions in (alone, together)]
    np.testing.assert_allclose(*probabilities, rtol=1e-5)  # float32 sums may be in another order


def test_probabilities_are_probabilities(case):
    method, task, examples = case
    predictions = method.fit(task, examples, [], 0).predict(task, examples)
    probabilities = np.array([p.probabilities for p in predictions])
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    if not task.several:
        np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-12)


def test_unlabelled_examples_teach_nothing(case):
    method, task, examples = case
    more = [*examples, *(Example(e.input) for e in examples[:3])]
    for each in (method, MostFrequent):
        with_more, without = (each.fit(task, rows, rows[-2:], 0) for rows in (more, examples))
        if each is MostFrequent:
            assert with_more.predict(task, more) == without.predict(task, more)
        assert accuracy(with_more, task, examples) == accuracy(without, task, examples)


def test_most_frequent_says_how_often():
    examples = [Example("a", "x")] * 3 + [Example("b", "y")]
    task = Classify(processor=Text()).prepare(examples)
    prediction = MostFrequent.fit(task, examples, [], 0).predict(task, [Example("b")])[0]
    assert prediction == ("x", 0.75, (0.75, 0.25))


def test_each_reads_its_own_kind():
    text, row = Classify(processor=Text()), Classify(processor=Columns())
    assert TfidfLogistic.fits(text)
    assert not TfidfLogistic.fits(row)
    assert NumberLogistic.fits(row)
    assert not NumberLogistic.fits(text)
    assert MostFrequent.fits(text)
    assert MostFrequent.fits(row)


@pytest.mark.parametrize("texts", [["", " ", "", " "], ["same"] * 4])
def test_texts_that_say_nothing_give_the_shares(texts):
    examples = [Example(t, lab) for t, lab in zip(texts, ["a", "b", "b", "b"], strict=True)]
    task = Classify(processor=Text(unit="words")).prepare(examples)
    predictions = TfidfLogistic.fit(task, examples, [], 0).predict(task, examples)
    assert {p.label for p in predictions} == {"b"}
    assert predictions[0].probability == pytest.approx(0.75, abs=0.02)


def test_a_thousand_texts_that_share_no_word():
    examples = [Example(f"w{n}", "ab"[n % 2]) for n in range(1000)]
    task = Classify(processor=Text(unit="words")).prepare(examples)
    predictions = TfidfLogistic.fit(task, examples, [], 0).predict(task, [Example("w1")])
    assert predictions[0].probability == pytest.approx(0.5, abs=1e-3)


def test_case_and_accents_are_read_as_the_candidates_read_them():
    examples = [Example("CAF\u00c9 noir", "a"), Example("th\u00e9 vert", "b")] * 3
    asked = [Example("cafe\u0301 noir"), Example("CAF\u00c9 noir")]
    lower, kept = (
        Classify(processor=Text(unit="words", lowercase=lowercase)).prepare(examples)
        for lowercase in (True, False)
    )
    for task, alike in ((lower, True), (kept, False)):
        one, other = TfidfLogistic.fit(task, examples, [], 0).predict(task, asked)
        assert (one == other) == alike


def test_a_label_that_every_row_has():
    examples = [Example(f"text {n}", ("all", "odd") if n % 2 else ("all",)) for n in range(8)]
    task = Classify(processor=Text(unit="words"), several=True).prepare(examples)
    predictions = TfidfLogistic.fit(task, examples, [], 0).predict(task, examples)
    assert all("all" in p.label for p in predictions)
    assert predictions[0].probabilities[0] == pytest.approx(9 / 10)  # rule of succession


def test_series_of_another_length_than_those_learned_from():
    examples = series(np.random.default_rng(0), 20, several_lengths=False)
    task = Classify(processor=Series()).prepare(examples)
    baseline = NumberLogistic.fit(task, examples, [], 0)
    assert baseline.flat
    shorter, longer = (np.linspace(0, 1, steps)[:, None].repeat(2, 1) for steps in (5, 20))
    assert len(baseline.predict(task, [Example(shorter), Example(longer)])) == 2


def test_long_series_are_summed_up():
    examples = [Example(np.full((6000, 1), float(n % 2)), "ab"[n % 2]) for n in range(6)]
    task = Classify(processor=Series()).prepare(examples)
    baseline = NumberLogistic.fit(task, examples, [], 0)
    assert len(baseline.mean) == 5
    assert accuracy(baseline, task, examples) == 1.0


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)


@settings(max_examples=40)
@given(st.lists(TEXTS, min_size=2, max_size=8), st.sampled_from(["words", "characters"]))
def test_any_text_is_saved_and_answered(texts, unit):
    examples = [Example(text, "ab"[n % 2]) for n, text in enumerate(texts)]
    task = Classify(processor=Text(unit=unit)).prepare(examples)
    baseline = TfidfLogistic.fit(task, examples, examples[:1], 0)
    assert copy(baseline).predict(task, examples) == baseline.predict(task, examples)

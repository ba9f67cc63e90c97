import json

import numpy as np
import pytest

from ensuite.baselines.regress import Mean, NumberRidge, TfidfRidge
from ensuite.data.processors import Columns, Image, Series, Text
from ensuite.tasks.regress import Example, Regress


def copy(baseline):
    """Return what is left of a baseline when it is saved and loaded."""
    arrays = {name: array.copy() for name, array in baseline.arrays().items()}
    return type(baseline).restore(arrays, json.loads(json.dumps(baseline.settings())))


def r2(baseline, task, examples):
    predictions = baseline.predict(task, examples)
    assert len(predictions) == len(examples)
    return task.score(predictions, examples)["r2"].value


def reviews(count):
    words = {"awful": 1.0, "dull": 2.0, "fair": 3.0, "fine": 4.0, "great": 5.0}
    return [
        Example(f"a {w} film no {n}", stars) for n in range(count) for w, stars in words.items()
    ]


def rows(count, shape=(4,)):
    random = np.random.default_rng(0)
    made = [random.normal(size=shape) for _ in range(count)]
    return [Example(each, float(1000 + 50 * each.sum())) for each in made]


def uneven(count):
    """Make series whose target is their length."""
    return [Example(np.full((n % 7 + 2, 1), 0.1 * n), float(n % 7)) for n in range(count)]


TWO = [Example(e.input, (e.target, -2 * e.target)) for e in rows(60)]
CASES = {
    "text": (TfidfRidge, Text(), reviews(12)),
    "characters": (TfidfRidge, Text(unit="characters"), reviews(12)),
    "row": (NumberRidge, Columns(), rows(60)),
    "series": (NumberRidge, Series(), rows(60, (5, 2))),
    "uneven series": (NumberRidge, Series(), uneven(60)),
    "two targets": (NumberRidge, Columns(), TWO),
}


@pytest.fixture(params=CASES)
def case(request):
    method, processor, examples = CASES[request.param]
    return method, Regress(processor=processor).prepare(examples), examples


def test_learns_what_is_easy(case):
    method, task, examples = case
    assert method.fits(task)
    assert r2(method.fit(task, examples, examples[:8], 0), task, examples) > 0.9


@pytest.mark.parametrize("method", [None, Mean])
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
    assert r2(method.fit(task, examples, examples[:held_out], 0), task, examples) > 0.8


def test_alone_as_among_others_and_the_same_again(case):
    method, task, examples = case
    baseline, again = (method.fit(task, examples, examples[:4], seed) for seed in (0, 1))
    together = baseline.predict(task, examples)
    assert together == again.predict(task, examples)
    alone = [baseline.predict(task, [example])[0] for example in examples]
    np.testing.assert_allclose([p.value for p in alone], [p.value for p in together], rtol=1e-5)


def test_examples_without_a_target_teach_nothing(case):
    method, task, examples = case
    more = [*examples, *(Example(e.input) for e in examples[:3])]
    for each in (method, Mean):
        with_more, without = (each.fit(task, given, given[-4:], 0) for given in (more, examples))
        answers = (copy(one).predict(task, examples[:5]) for one in (with_more, without))
        np.testing.assert_allclose(*([p.value for p in some] for some in answers), rtol=0.05)


def test_the_mean_is_that_of_the_training_rows():
    task = Regress(processor=Columns()).prepare(rows(60))
    few = rows(60)[:10]
    (answer,) = Mean.fit(task, few, [], 0).predict(task, few[:1])
    assert answer.value == pytest.approx(np.mean([e.target for e in few]))
    assert Mean.fit(task, few, [], 0).parameters == 0


def test_the_penalty_is_chosen_by_the_validation_rows():
    random = np.random.default_rng(1)
    noise = [Example(random.normal(size=40), random.normal()) for _ in range(60)]
    task = Regress(processor=Columns()).prepare(noise)
    calm = NumberRidge.fit(task, noise, [Example(e.input, task.mean[0]) for e in noise], 0)
    close = NumberRidge.fit(task, noise, noise, 0)
    assert np.abs(calm.weights).sum() < 0.8 * np.abs(close.weights).sum()


def test_each_reads_its_own_kind():
    text, *others = (Regress(processor=each()) for each in (Text, Columns, Series, Image))
    assert TfidfRidge.fits(text)
    assert not NumberRidge.fits(text)
    assert all(NumberRidge.fits(each) and not TfidfRidge.fits(each) for each in others)

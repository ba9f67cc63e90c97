import numpy as np
import pytest

from ensuite.comparison import bootstrap
from ensuite.comparison.bootstrap import count_items, resample
from ensuite.core.score import Score
from ensuite.metrics.classification import macro_f1
from ensuite.metrics.ranking import roc_auc


def score(values):
    return Score.mean(values, np.ones(len(values), bool))


def ranked(generator, items=200):
    truths = generator.integers(2, size=items)
    return roc_auc(truths + generator.normal(size=items), truths)


def test_the_same_items_for_every_row_and_run():
    values = np.random.default_rng(0).random(50)
    rows = {"a": [score(values), score(values + 1)], "b": [score(2 * values)]}
    a, b = resample(rows, draws=20)
    assert (a.shape, b.shape) == ((20, 2), (20, 1))
    np.testing.assert_allclose(a[:, 1], a[:, 0] + 1)
    np.testing.assert_allclose(b[:, 0], 2 * a[:, 0])


def test_the_deviation_of_the_draws_is_the_standard_error_of_the_mean():
    values = np.random.default_rng(0).random(1000)
    (draws,) = resample({"a": [score(values)]}, draws=4000)
    assert draws.std() == pytest.approx(values.std() / np.sqrt(1000), rel=0.05)


def test_auroc_is_drawn_as_rows_would_be():
    generator = np.random.default_rng(0)
    truths = generator.integers(2, size=30)
    values = truths + generator.normal(size=(2, 30))
    rows = {"a": [roc_auc(each, truths) for each in values], "b": [score(values[0])]}
    found, _ = resample(rows, draws=5)
    weights = bootstrap._weights(np.random.default_rng(0), 5, 30).astype(int)
    for draw, counts in enumerate(weights):
        for run in range(2):
            redone = roc_auc(np.repeat(values[run], counts), np.repeat(truths, counts))
            assert found[draw, run] == pytest.approx(redone.value)


def test_the_error_of_auroc_is_that_of_hanley_and_mcneil():
    score = ranked(np.random.default_rng(0), items=2000)
    (draws,) = resample({"a": [score]}, draws=500)
    area, positives = score.value, 1000  # about half of each kind
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    square = area * (1 - area) + (positives - 1) * (q1 + q2 - 2 * area**2)
    assert draws.std() == pytest.approx(np.sqrt(square) / positives, rel=0.15)


@pytest.mark.parametrize("kind", ["sums", "ranks"])
def test_blocks_are_drawn_whole(kind):
    generator = np.random.default_rng(0)
    score_of = score if kind == "sums" else lambda v: roc_auc(v, np.arange(len(v)) % 3 > 0)
    values = generator.random(60)
    blocks = np.repeat(["x", "y", "z"], 20)
    (found,) = resample({"a": [score_of(values)]}, blocks, draws=5)
    weights = bootstrap._weights(np.random.default_rng(0), 5, 3)[:, np.repeat(range(3), 20)]
    expected = score_of(values).function(weights @ score_of(values).statistics)
    np.testing.assert_allclose(found[:, 0], expected)


def test_draws_in_many_parts_are_the_same(monkeypatch):
    rows = {"a": [score(np.arange(40.0))], "b": [ranked(np.random.default_rng(0), 40)]}
    whole = resample(rows, draws=30)
    monkeypatch.setattr(bootstrap, "CELLS_AT_ONCE", 100)  # two draws at a time
    for one, other in zip(whole, resample(rows, draws=30), strict=True):
        np.testing.assert_allclose(one, other)


def test_items_are_examples_or_blocks_that_count():
    known = np.arange(20) < 15
    rows = {"a": [Score.mean(np.ones(20), known)], "b": [Score.mean(np.zeros(20), known)]}
    assert count_items(rows) == 15
    assert count_items(rows, np.repeat(np.arange(10), 2)) == 8
    truths = np.where(known, np.arange(20) % 2, -1)
    assert count_items({"a": [roc_auc(np.ones(20), truths)]}) == 15
    assert count_items({"a": [macro_f1(np.eye(2)[np.arange(20) % 2], truths)]}) == 15
    assert count_items({"a": [Score.mean([np.nan, 1], [True, True])]}) == 1

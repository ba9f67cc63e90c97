import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensuite.comparison import statistics
from ensuite.comparison.statistics import smallest_visible_difference, spread, tie_groups
from ensuite.core.score import Score


def score(values, *, higher_is_better=True):
    return Score.mean(values, np.ones(len(values), bool), higher_is_better=higher_is_better)


def right(generator, share, items=400):
    """Return the accuracy of a run that gets ``share`` of the items right."""
    return score(generator.random(items) < share)


def test_spread():
    assert spread([0.5]) is None
    assert spread([1.0, 2.0, 3.0]) == pytest.approx(1.0)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(2, 5), st.integers(1, 40))
def test_identical_candidates_tie(seed, seeds, candidates, items):
    generator = np.random.default_rng(seed)
    runs = [right(generator, 0.7, items) for _ in range(seeds)]
    groups = tie_groups({str(number): runs for number in range(candidates)}, draws=200)
    assert set(groups.values()) == {"A"}


def test_clear_differences_separate_in_order():
    generator = np.random.default_rng(0)
    shares = {"low": 0.3, "high": 0.9, "middle": 0.6}
    rows = {name: [right(generator, s) for _ in range(3)] for name, s in shares.items()}
    assert tie_groups(rows) == {"low": "C", "high": "A", "middle": "B"}


def test_lower_is_better():
    generator = np.random.default_rng(0)
    rows = {
        name: [score(generator.normal(mean, 1, 400), higher_is_better=False) for _ in range(3)]
        for name, mean in {"worse": 2.0, "better": 1.0}.items()
    }
    assert tie_groups(rows) == {"worse": "B", "better": "A"}


def test_one_run_against_three():
    generator = np.random.default_rng(0)
    rows = {"baseline": [right(generator, 0.5)], "lstm": [right(generator, 0.8) for _ in range(3)]}
    assert tie_groups(rows) == {"baseline": "B", "lstm": "A"}


def test_what_all_find_hard_cancels():
    # One is right on 10 of 1000 items more, and on the rest alike: paired, that is plain to see.
    hard = np.random.default_rng(0).random(1000) < 0.5
    better = hard.copy()
    better[np.flatnonzero(~hard)[:10]] = True
    assert tie_groups({"a": [score(better)], "b": [score(hard)]}) == {"a": "A", "b": "B"}


def test_seeds_that_disagree_prove_nothing():
    generator = np.random.default_rng(0)
    steady = [right(generator, 0.80, 5000) for _ in range(3)]
    wild = [right(generator, share, 5000) for share in (0.60, 0.75, 0.90)]
    assert set(tie_groups({"steady": steady, "wild": wild}).values()) == {"A"}


def declared_different(generator, seeds, shift, trials, items):
    """Return how often equals are told apart: the same skill, items and seeds at random."""
    found = 0
    for _ in range(trials):
        ease = generator.normal(1, 1.5, items)
        rows = {}
        for name in "ab":
            own = ease + generator.normal(0, 0.7, items)  # what this candidate finds easy
            runs = [
                own + generator.normal(0, 0.5, items) + generator.normal(0, shift)
                for _ in range(seeds)
            ]
            rows[name] = [score(run > 0) for run in runs]
        groups = tie_groups(rows, draws=400)
        found += groups["a"] != groups["b"]
    return found / trials


@pytest.mark.parametrize(("seeds", "shift"), [(1, 0.0), (3, 0.0), (3, 0.3)])
def test_equals_are_told_apart_as_rarely_as_promised(seeds, shift):
    # 5 % is meant. Resampling three seeds gave 19 % where a seed shifts the whole result.
    rate = declared_different(np.random.default_rng(1), seeds, shift, trials=300, items=200)
    assert 0.01 <= rate <= 0.09


def test_blocks_of_copies_are_no_more_evidence():
    a = np.repeat([True, True, False, False], [22, 8, 5, 5])
    b = np.repeat([True, False, True, False], [22, 8, 5, 5])  # 8 items worse, 5 better
    rows = {name: [score(np.repeat(values, 50))] for name, values in (("a", a), ("b", b))}
    once = {"a": [score(a)], "b": [score(b)]}
    blocks = np.repeat(np.arange(40), 50)
    assert tie_groups(rows) == {"a": "A", "b": "B"}
    assert tie_groups(rows, blocks=blocks) == tie_groups(once) == {"a": "A", "b": "A"}
    expected = smallest_visible_difference(once)
    assert smallest_visible_difference(rows, blocks=blocks) == pytest.approx(expected)


def test_a_score_that_is_not_finite_is_last():
    generator = np.random.default_rng(0)
    rows = {
        "diverged": [score(np.full(400, np.nan))],
        "fine": [right(generator, 0.5)],
        "one seed gone": [score(np.full(400, np.nan)), right(generator, 0.5)],
    }
    assert tie_groups(rows) == {"diverged": "B", "fine": "A", "one seed gone": "B"}
    pair = {name: rows[name] for name in ("diverged", "fine")}
    assert smallest_visible_difference(pair) is None


def test_more_groups_than_letters():
    rows = {str(number): [score(np.full(30, float(number)))] for number in range(28)}
    groups = tie_groups(rows)
    assert [groups[name] for name in ("27", "2", "1", "0")] == ["A", "Z", "AA", "BB"]


def test_the_order_of_candidates_changes_nothing():
    generator = np.random.default_rng(0)
    rows = {str(n): [right(generator, 0.7 + n / 40) for _ in range(3)] for n in range(4)}
    turned = dict(reversed(rows.items()))
    assert tie_groups(rows) == tie_groups(turned)
    assert list(tie_groups(turned)) == list(turned)
    assert smallest_visible_difference(rows) == smallest_visible_difference(turned)


def test_smallest_visible_difference_is_the_normal_one():
    generator = np.random.default_rng(0)
    a, b = generator.random(2000) < 0.8, generator.random(2000) < 0.8
    error = (a.astype(float) - b).std() / np.sqrt(2000)
    found = smallest_visible_difference({"a": [score(a)], "b": [score(b)]})
    assert found == pytest.approx(1.96 * error, rel=0.1)
    assert smallest_visible_difference({"a": [score(a)]}) is None


def test_draws_in_many_parts_are_the_same(monkeypatch):
    rows = {name: [right(np.random.default_rng(int(name)), 0.7)] for name in "12"}
    whole = smallest_visible_difference(rows)
    monkeypatch.setattr(statistics, "CELLS_AT_ONCE", 1000)  # two draws at a time
    assert smallest_visible_difference(rows) == whole

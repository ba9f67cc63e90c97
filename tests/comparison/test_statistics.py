import warnings
from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from ensuite.comparison.statistics import (
    LEVEL,
    _levels,
    judge,
    judge_folds,
    spread,
)
from ensuite.core.score import Score
from ensuite.metrics.ranking import average_precision, roc_auc


def score(values, *, higher_is_better=True):
    return Score.mean(values, np.ones(len(values), bool), higher_is_better=higher_is_better)


def right(generator, share, items=400):
    """Return the accuracy of a run that gets ``share`` of the items right."""
    return score(generator.random(items) < share)


def judged(rows, **given):
    """Judge rows of which the first is the cheapest, and so on."""
    return judge(rows, {name: cost for cost, name in enumerate(rows)}, **given)


def groups(rows, **given):
    return dict(judged(rows, **given).groups)


def test_spread():
    assert spread([0.5]) is None
    assert spread([1.0, 2.0, 3.0]) == pytest.approx(1.0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(2, 5), st.integers(30, 60))
def test_identical_rows_are_one_group_and_the_cheapest_is_taken(seed, seeds, rows, items):
    generator = np.random.default_rng(seed)
    runs = [right(generator, 0.7, items) for _ in range(seeds)]
    found = judged({str(number): runs for number in range(rows)}, draws=100)
    assert set(found.groups.values()) == {"A"}
    assert found.take == "0"
    assert not found.beats


def test_clear_differences_separate_in_order():
    generator = np.random.default_rng(0)
    shares = {"low": 0.3, "high": 0.9, "middle": 0.6}
    found = judged({name: [right(generator, s) for _ in range(3)] for name, s in shares.items()})
    assert found.groups == {"low": "C", "high": "A", "middle": "B"}
    assert found.beats == {("high", "low"), ("high", "middle"), ("middle", "low")}
    assert found.take == "high"
    assert (found.items, found.one_seed) == (400, False)


def test_lower_is_better():
    generator = np.random.default_rng(0)
    rows = {
        name: [score(generator.normal(mean, 1, 400), higher_is_better=False) for _ in range(3)]
        for name, mean in {"worse": 2.0, "better": 1.0}.items()
    }
    assert groups(rows) == {"worse": "B", "better": "A"}


def test_a_baseline_has_no_seeds_and_a_model_with_one_run_has():
    generator = np.random.default_rng(0)
    shares = [right(generator, share) for share in (0.7, 0.8, 0.9)]
    rows = {"single": [right(generator, 0.65)], "lstm": shares}
    assert groups(rows, deterministic=["single"], draws=500) == {"single": "A", "lstm": "A"}
    as_baseline = judged(rows, deterministic=["single"]).limits
    as_model = judged(rows).limits
    assert min(as_model.values()) > 1.2 * min(as_baseline.values())


def test_what_all_find_hard_cancels():
    # One is right on 10 of 1000 items more, and on the rest alike: paired, that is plain to see.
    hard = np.random.default_rng(0).random(1000) < 0.5
    better = hard.copy()
    better[np.flatnonzero(~hard)[:10]] = True
    assert groups({"a": [score(better)], "b": [score(hard)]}) == {"a": "A", "b": "B"}


@pytest.mark.parametrize("metric", [roc_auc, average_precision])
def test_metrics_of_rows_are_judged_like_those_of_sums(metric):
    generator = np.random.default_rng(0)
    truths = generator.integers(2, size=300)
    rows = {
        name: [metric(scale * truths + generator.normal(size=300), truths) for _ in range(2)]
        for name, scale in (("poor", 0.5), ("good", 3.0), ("as good", 3.0))
    }
    found = judged(rows, draws=200)
    assert found.groups == {"poor": "B", "good": "A", "as good": "A"}
    assert 0.005 < found.smallest_difference([("good", "as good")]) < 0.1


@pytest.mark.parametrize("seed", [12, 13, 25, 36])
def test_two_seeds_of_rows_far_apart_are_told_apart(seed):
    # Here little is left of the seeds' variance once chance is taken off. By the degrees of freedom
    # of what is left, below one, t would find no difference between .94 and .50.
    generator = np.random.default_rng(seed)

    def run(count):
        return score(generator.permutation(90) < count)

    rows = {"poor": [run(41), run(48)], "good": [run(85), run(85)]}
    assert groups(rows) == {"good": "A", "poor": "B"}


def test_seeds_that_disagree_prove_nothing():
    generator = np.random.default_rng(0)
    steady = [right(generator, 0.80, 5000) for _ in range(3)]
    wild = [right(generator, share, 5000) for share in (0.60, 0.75, 0.90)]
    assert set(groups({"steady": steady, "wild": wild}).values()) == {"A"}


def test_group_a_is_every_row_that_no_other_beats():
    # A steady row is beaten by a steady one, not by the noisy leader; a noisy row by none.
    generator = np.random.default_rng(0)
    shares = {
        "leader": (0.99, 0.90, 0.80),
        "steady": (0.85, 0.86, 0.85),
        "beaten": (0.70, 0.71, 0.70),
        "noisy": (0.60, 0.75, 0.90),
    }
    rows = {name: [right(generator, s, 5000) for s in each] for name, each in shares.items()}
    # As in truth: without it, what three seeds of every row show on average is added to each.
    found = judged(rows, deterministic=["steady", "beaten"])
    assert found.groups == {"leader": "A", "steady": "A", "beaten": "B", "noisy": "A"}
    assert found.beats == {("steady", "beaten")}


def test_blocks_of_copies_are_no_more_evidence():
    a = np.repeat([True, True, False, False], [22, 8, 5, 5])
    b = np.repeat([True, False, True, False], [22, 8, 5, 5])  # 8 items worse, 5 better
    rows = {name: [score(np.repeat(values, 50))] for name, values in (("a", a), ("b", b))}
    once, blocks = {"a": [score(a)], "b": [score(b)]}, np.repeat(np.arange(40), 50)
    assert groups(rows) == {"a": "A", "b": "B"}
    inside, alone = judged(rows, blocks=blocks), judged(once)
    assert inside.groups == alone.groups == {"a": "A", "b": "A"}
    assert inside.items == alone.items == 40
    pair = [("a", "b")]
    assert inside.smallest_difference(pair) == pytest.approx(alone.smallest_difference(pair))


@pytest.mark.parametrize("items", [29, 30])
def test_too_few_items_make_no_groups(items):
    values = np.random.default_rng(0).random((2, items))
    rows = {"near": [score(values[0])], "best": [score(values[1] + 5)]}
    found = judged(rows)
    assert found.take == "best"
    assert set(found.groups.values()) == ({None} if items < 30 else {"A", "B"})
    assert bool(found.beats) == bool(found.limits) == (items >= 30)
    same = judged({"b": rows["near"], "a": rows["near"]})
    assert same.take == "b"
    blocks = np.repeat(np.arange(items), 2)
    doubled = {name: [score(np.repeat(run.statistics[:, 0], 2))] for name, (run,) in rows.items()}
    assert (judged(doubled, blocks=blocks).groups["best"] is None) == (items < 30)


@pytest.mark.parametrize(("worse", "taken"), [(1, "cheap"), (2, "cheap"), (4, "best")])
def test_the_cheapest_within_one_standard_error_of_the_best_is_taken(worse, taken):
    # Of 400 items the cheap row alone has one right and the best alone has ``worse``: it is
    # (worse - 1) / sqrt(worse + 1) standard errors behind, which is 0, 0.6 and 1.3.
    cheap, best = np.ones(400), np.ones(400)
    cheap[:worse] = 0
    best[-1] = 0
    found = judged({"cheap": [score(cheap)], "best": [score(best)]})
    assert set(found.groups.values()) == {"A"}
    assert found.take == taken


def test_a_noisy_row_is_no_nearer_for_its_noise():
    generator = np.random.default_rng(0)
    cheap = [right(generator, share) for share in (0.55, 0.72, 0.89)]
    rows = {"cheap": cheap, "best": [right(generator, 0.85) for _ in range(3)]}
    found = judged(rows)
    assert set(found.groups.values()) == {"A"}
    assert found.take == "best"


def test_rows_that_answer_alike_have_no_limit():
    everything = score(np.ones(400))
    found = judged({"one": [everything] * 3, "other": [everything] * 3})
    assert found.groups == {"one": "A", "other": "A"}
    assert not found.limits


def test_of_equal_costs_the_better_is_taken():
    generator = np.random.default_rng(1)
    rows = {str(number): [right(generator, 0.8)] for number in range(4)}
    best = max(rows, key=lambda name: rows[name][0].value)
    assert judge(rows, dict.fromkeys(rows, (1.0, 2))).take == best


def test_one_seed_is_told():
    generator = np.random.default_rng(0)
    one = {name: [right(generator, 0.8)] for name in ("baseline", "lstm")}
    assert judged(one).one_seed
    assert not judged(one, deterministic=["baseline", "lstm"]).one_seed
    two = {**one, "lstm": one["lstm"] * 2}
    assert not judged(two, deterministic=["baseline"]).one_seed


def test_a_score_that_is_not_finite_is_behind_all_others():
    generator = np.random.default_rng(0)
    fine = [right(generator, 0.2) for _ in range(2)]
    rows = {
        "diverged": [score(np.full(400, np.nan))] * 2,
        "fine": fine,
        "one seed gone": [fine[0], score(np.full(400, np.inf))],
        "opposite": [score(np.full(400, np.inf)), score(np.full(400, -np.inf))],
        "huge": [score(np.full(400, -1e200)), score(np.arange(400) * -1e200)],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = judged(rows)
    gone = dict.fromkeys(("diverged", "one seed gone", "opposite"), "B")
    assert {name: found.groups[name] for name in gone} == gone
    assert {("fine", name) for name in gone} <= found.beats
    assert found.groups["fine"] == "A"
    assert found.take == "fine"
    assert found.smallest_difference([("diverged", "fine")]) is None
    nothing = judged({name: rows[name] for name in gone})
    assert nothing.take is None
    assert set(nothing.groups.values()) <= {"A", None}


def test_failed_rows_cost_the_others_nothing():
    generator = np.random.default_rng(0)
    rows = {name: [right(generator, 0.8)] for name in "ab"}
    failed = {str(number): [score(np.full(400, np.nan))] for number in range(9)}
    assert judged({**rows, **failed}).limits == judged(rows).limits


def test_more_groups_than_letters():
    rows = {str(number): [score(np.full(30, float(number)))] for number in range(28)}
    found = groups(rows, draws=50)
    assert [found[name] for name in ("27", "2", "1", "0")] == ["A", "Z", "AA", "BB"]


def test_the_order_of_rows_changes_nothing():
    generator = np.random.default_rng(0)
    rows = {str(n): [right(generator, 0.7 + n / 40) for _ in range(3)] for n in range(4)}
    costs, turned = {name: -int(name) for name in rows}, dict(reversed(rows.items()))
    one, other = judge(rows, costs), judge(turned, costs)
    assert (one.groups, one.take, one.beats) == (other.groups, other.take, other.beats)
    assert one.limits == pytest.approx(other.limits)
    assert list(other.groups) == list(turned)


def test_without_seeds_the_smallest_difference_is_the_normal_one():
    generator = np.random.default_rng(0)
    a, b = generator.random(2000) < 0.8, generator.random(2000) < 0.8
    error = (a.astype(float) - b).std() / np.sqrt(2000)
    found = judged({"a": [score(a)], "b": [score(b)]})
    assert found.smallest_difference([("b", "a")]) == pytest.approx(1.96 * error, rel=0.1)
    assert found.smallest_difference([]) is None
    assert judged({"a": [score(a)]}).smallest_difference([("a", "a")]) is None


def test_with_seeds_alone_the_test_is_that_of_welch():
    # A run's items are all alike, so chance in the items is nothing, and the test a textbook's.
    values = np.random.default_rng(0).normal(size=5)
    rows = {
        name: [score(np.full(40, value + more)) for value in values]
        for name, more in (("a", 0), ("b", 9))
    }
    welch = stats.ttest_ind(values, values + 9, equal_var=False)
    limit = judged(rows).smallest_difference([("a", "b")])
    assert welch.df == pytest.approx(8)
    assert limit == pytest.approx(stats.t.isf(0.025, welch.df) * 9 / abs(welch.statistic))


def test_seeds_that_agree_by_luck_vary_like_those_of_the_other_rows():
    values = np.random.default_rng(0).normal(size=(3, 4))
    values[0] = 5.0
    rows = {
        str(row): [score(np.full(40, value)) for value in runs] for row, runs in enumerate(values)
    }
    average = np.var(values, axis=1, ddof=1).mean() / 4
    own = [max(np.var(runs, ddof=1) / 4, average) for runs in values]
    for one, other in combinations(range(3), 2):
        limit = judged(rows).limits[frozenset({str(one), str(other)})]
        assert limit > stats.norm.isf(0.025) * np.sqrt(own[one] + own[other])
        assert limit < stats.t.isf(0.025 / 3, 3) * np.sqrt(own[one] + own[other])


p_values = st.lists(st.floats(0, 0.2) | st.sampled_from([0.0, 0.01, 0.05, 1.0]), max_size=12)


@given(p_values)
def test_the_levels_are_those_of_holm(found):
    p = np.array(found)
    order = p.argsort(kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    near = np.isclose(adjusted, LEVEL, rtol=1e-9)  # rounding decides
    assert (((p <= _levels(p)) == (adjusted <= LEVEL)) | near).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(2, 6), st.sampled_from([0, 0.1]))
@example(seed=1, seeds=1, count=4, deviation=0.1)  # two rows are right about the same items
def test_no_difference_contradicts_the_groups(seed, seeds, count, deviation):
    generator = np.random.default_rng(seed)
    shares = generator.uniform(0.5, 0.9, count)
    rows = {
        str(number): [
            right(generator, share + deviation * generator.normal(), 200) for _ in range(seeds)
        ]
        for number, share in enumerate(shares)
    }
    found = judged(rows, draws=100)
    beaten = {worse for _, worse in found.beats}
    assert {name for name in rows if found.groups[name] == "A"} == set(rows) - beaten
    assert found.take not in beaten
    for pair in combinations(rows, 2):
        difference = abs(found.scores[pair[0]] - found.scores[pair[1]])
        shown = bool({pair, pair[::-1]} & found.beats)
        limit = found.limits.get(frozenset(pair))
        if limit is None:  # every item is answered alike: no error is seen, and no difference
            assert difference == 0
            assert not shown
        else:
            assert shown == (difference >= limit)
    for names in ([n for n in rows if found.groups[n] == "A"], list(rows)):
        pairs = list(combinations(names, 2))
        smallest = found.smallest_difference(pairs)
        for one, other in pairs if smallest is not None else []:
            shown = bool({(one, other), (other, one)} & found.beats)
            assert shown == (abs(found.scores[one] - found.scores[other]) >= smallest)


def folds(values, **given):
    return [score(np.full(20, value), **given) for value in values]


def test_folds_are_compared_by_the_corrected_t_test():
    one, other = np.array([0.7, 0.8, 0.75, 0.9, 0.7]), np.array([0.6, 0.65, 0.7, 0.7, 0.66])
    rows = {"one": folds(one), "other": folds(other)}
    found = judge_folds(rows, {"one": 1, "other": 0})
    error = np.std(one - other, ddof=1) * np.sqrt(1 / 5 + 1 / 4)
    assert found.limits == {frozenset(rows): pytest.approx(stats.t.isf(0.025, 4) * error)}
    assert found.groups == {"one": "A", "other": "A"}  # .108 is below .141
    assert not found.one_seed
    assert found.items == 100
    far = judge_folds({**rows, "other": folds(other - 0.1)}, {"one": 1, "other": 0})
    assert far.groups == {"one": "A", "other": "B"}
    assert far.take == "one"


def test_folds_where_lower_is_better():
    rows = {
        "a": folds([1.0, 1.1, 1.2], higher_is_better=False),
        "b": folds([2.0, 2.1, 2.3], higher_is_better=False),
    }
    assert judge_folds(rows, {"a": 1, "b": 0}).groups == {"a": "A", "b": "B"}


def test_folds_of_other_sizes_are_pooled():
    rows = {"a": [score(np.ones(60)), score(np.zeros(20))]}
    assert judge_folds(rows, {"a": 0}).scores == {"a": 0.75}


@pytest.mark.parametrize("metric", [roc_auc, average_precision])
def test_folds_of_a_ranking_are_averaged(metric):
    generator = np.random.default_rng(0)
    truths = generator.integers(2, size=(5, 40))
    truths[3] = 0  # average precision and AUROC are not defined here, for any row
    noise = generator.normal(size=truths.shape)
    rows = {
        name: [metric(scale * t + e, t) for t, e in zip(truths, noise, strict=True)]
        for name, scale in (("good", 4.0), ("bad", -1.0))
    }
    found = judge_folds(rows, {"good": 1, "bad": 0})
    defined = [rows["good"][fold].value for fold in (0, 1, 2, 4)]
    assert found.scores["good"] == pytest.approx(np.mean(defined))
    assert found.items == 160
    assert found.groups == {"good": "A", "bad": "B"}


def test_a_fold_that_failed_puts_its_row_behind():
    rows = {"whole": folds([0.1, 0.2, 0.1]), "failed": folds([0.9, np.nan, 0.9])}
    found = judge_folds(rows, {"whole": 1, "failed": 0})
    assert found.groups == {"whole": "A", "failed": "B"}
    nothing = judge_folds({"failed": folds([np.nan, np.nan])}, {"failed": 0}, fewest=0)
    assert (nothing.take, nothing.groups) == (None, {"failed": "A"})


def test_one_defined_fold_shows_nothing():
    rows = {"a": folds([0.1, np.nan]), "b": folds([0.9, np.nan])}
    found = judge_folds(rows, {"a": 0, "b": 1}, fewest=20)
    assert set(found.groups.values()) == {"A"}
    assert found.smallest_difference([("a", "b")]) is None


def test_blocks_of_folds_are_distinct():
    rows = {"a": folds([0.5, 0.6]), "b": folds([0.4, 0.6])}
    blocks = [np.repeat(np.arange(5), 4)] * 2
    assert judge_folds(rows, {"a": 0, "b": 1}, blocks=blocks, fewest=1).items == 10

"""The table: costs in classes, means over seeds, folds together."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ensuite.comparison.board import Result, average, find_costs, make_row, smallest_difference
from ensuite.comparison.measure import measure_latency
from ensuite.comparison.plan import Plan
from ensuite.comparison.statistics import judge, judge_folds
from ensuite.comparison.trial import Trial
from ensuite.core.score import Score

FIGURES = {"parameters": 10, "train_seconds": 1.0, "converged": True, "still_rising": False,
           "busy": False, "epochs": 2.0}  # fmt: skip


@dataclass(frozen=True)
class Entrant:
    """A candidate that has a name only."""

    name: str
    kind: str = "trained"
    seeded: bool = True

    @property
    def variant(self) -> str:
        return self.name


def result(name: str, *shares: float, **figures: Any) -> Result:
    """Return a candidate that gets these shares of 40 items right."""
    trials = [
        Trial(seed, Path(), {"accuracy": right(share)}, {**FIGURES, **figures}, [])
        for seed, share in enumerate(shares or (0.5,))
    ]
    return Result(Entrant(name), trials, "", name)  # type: ignore[arg-type]


def right(share: float) -> Score:
    return Score.mean(np.arange(40) < 40 * share, np.ones(40, bool))


def test_latencies_within_a_fifth_cost_the_same_then_fewer_parameters_count() -> None:
    plan = Plan(latency={"a": 1.0, "b": 1.19, "c": 1.21, "d": 5.0})
    small = result("b", parameters=5)
    costs = find_costs([result("a"), small, result("c"), result("d"), result("e")], plan)
    assert costs["b"] < costs["a"] < costs["c"] < costs["d"] < costs["e"]
    assert math.isinf(costs["e"][0])
    slow = result("b", train_seconds=2.0)
    costs = find_costs([result("a"), slow], plan)
    assert costs["a"] < costs["b"]


def test_marks_are_those_of_any_seed_and_figures_are_means() -> None:
    row = make_row(result("a", 0.5, 0.7), "accuracy", Plan(latency={"a": 3.0}, promised={"a": 9.0}))
    assert row.score == pytest.approx(0.6)
    assert (row.epochs, row.promised_epochs, row.latency_ms) == (2.0, 9.0, 3.0)
    assert (row.still_rising, row.busy, row.failed) == (False, False, "")
    seeds = result("a", 0.5, 0.7)
    seeds.trials[1].figures["busy"] = True  # type: ignore[index]
    assert make_row(seeds, "accuracy", Plan()).busy is True


def test_a_score_that_is_no_number_is_a_failure() -> None:
    row = make_row(result("a", 0.5)._replace(trials=[
        Trial(0, Path(), {"accuracy": Score.mean([0.0], [False])}, FIGURES, [])
    ]), "accuracy", Plan())  # fmt: skip
    assert (row.score, row.failed) == (None, "Its accuracy is not a number.")


def test_folds_are_scored_together_and_keep_their_sign() -> None:
    def r_squared(value: float) -> Score:
        return Score(np.ones((40, 1)), lambda sums: value + 0 * sums[..., 0])

    scores = [r_squared(-0.5), r_squared(-0.7)]
    trials = [Trial(n, Path(), {"r2": each}, FIGURES, []) for n, each in enumerate(scores)]
    judgement = judge_folds({"a": scores}, {"a": 0})
    found = make_row(result("a")._replace(trials=trials), "r2", Plan(), judgement, folds=2)
    assert found.score == pytest.approx(-0.6)
    assert found.metrics["r2"] == pytest.approx(-0.6)


def test_the_difference_is_that_of_the_pairs_that_matter() -> None:
    rows = {"a": [right(0.9)], "b": [right(0.85)], "c": [right(0.1)]}
    found = judge(rows, dict.fromkeys(rows, 0), deterministic=rows)
    assert dict(found.groups) == {"a": "A", "b": "A", "c": "B"}
    assert smallest_difference(found) == found.limits[frozenset({"a", "b"})]


def test_an_average_of_what_does_not_apply_is_none() -> None:
    assert average([1.0, 2.0]) == 1.5
    assert average([1.0, None]) is None


class Asked:
    """A predictor that takes a time of its own for each answer, on a clock of all."""

    def __init__(self, name: str, seconds: float, log: list[str], now: list[float]) -> None:
        self.name, self.seconds, self.log, self.now = name, seconds, log, now

    def predict_examples(self, examples: Any) -> list[Any]:
        self.log.append(self.name)
        self.now[0] += self.seconds
        return list(examples)


def test_predictors_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    log, now = list[str](), [0.0]
    both: Any = {"a": Asked("a", 0.001, log, now), "b": Asked("b", 0.003, log, now)}
    found = measure_latency(both, range(90), clock=lambda: now[0])
    assert found == pytest.approx({"a": 1.0, "b": 3.0})
    assert log == ["a", "b"] * 31


def test_slow_predictors_are_asked_less_often() -> None:
    log, now = list[str](), [0.0]
    slow: Any = {"a": Asked("a", 4.0, log, now)}
    assert measure_latency(slow, range(90), clock=lambda: now[0]) == {"a": 4000.0}
    assert len(log) == 3

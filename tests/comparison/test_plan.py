"""The division of a total: measured costs, a budget for each trial, what is kept."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from ensuite.candidates import Trained
from ensuite.comparison import plan
from ensuite.comparison.plan import Cost, Record, Terms, divide, make_plan, measure_cost
from ensuite.core.errors import NonFiniteGradientError, UsageError
from ensuite.problem import Problem, open_problem
from ensuite.specs import Settings, choose

ROWS = [{"x": n, "z": n % 5, "label": "ab"[n % 3 == 0]} for n in range(60)]

COST = Cost(
    update=0.01, stretch=1.0, updates=100, tokens=50.0, valid_tokens=100, evaluation=0.5, rest=2.0
)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return open_problem("classify", ROWS)


def trained(problem: Problem, *specs: str) -> list[Trained]:
    chosen = choose(specs, problem, Settings(), torch.device("cpu"))
    return [each for each in chosen if isinstance(each, Trained)]


def test_the_defaults_are_ten_minutes_for_everything() -> None:
    assert (Terms.parse(None, None).total, Terms.parse(None, None).budget) == (600.0, None)
    terms = Terms.parse("50s", None)
    assert terms.total is None
    assert str(terms.budget) == "50 s"
    both = Terms.parse("50s", "5m")
    assert (str(both.budget), both.total) == ("50 s", 300.0)


def test_evaluations_follow_the_rules_of_training() -> None:
    assert COST.evaluations(100.0) == 1 + 100  # one an epoch, which is more than a twentieth
    short = COST._replace(updates=10)
    assert short.evaluations(100.0) == 1 + 200  # one in fifty updates at most
    dear = COST._replace(valid_tokens=100_000)
    assert dear.evaluations(100.0) == pytest.approx(1 + 10_000 * 50 / 300_000)


costs = some.builds(
    Cost,
    update=some.floats(1e-4, 1.0), stretch=some.floats(1.0, 3.0), updates=some.integers(1, 1000),
    tokens=some.floats(1, 1e4), valid_tokens=some.integers(0, 10_000),
    evaluation=some.floats(0, 5), rest=some.floats(0, 5),
)  # fmt: skip


@given(some.floats(1.0, 1e4), some.lists(costs, min_size=1, max_size=4), some.integers(1, 5))
def test_the_trials_take_what_is_left(left: float, each: list[Cost], rounds: int) -> None:
    seconds = divide(left, each, rounds=rounds)
    wall = rounds * sum(cost.wall(seconds) for cost in each)
    if seconds > 1e-6:
        assert wall == pytest.approx(left, rel=1e-3)
    else:
        assert rounds * sum(cost.wall(0) for cost in each) >= left * 0.999


def test_side_by_side_they_have_more_time() -> None:
    assert divide(100, [COST], rounds=4, jobs=2) > 1.5 * divide(100, [COST], rounds=4)


def test_a_cost_is_measured_in_updates_and_one_evaluation(problem: Problem) -> None:
    (mlp,) = trained(problem, "mlp:width=4")
    ticks = iter(range(10_000))
    cost = measure_cost(mlp, problem, clock=lambda: float(next(ticks)))
    assert cost.updates == 2  # 48 rows, 32 at once
    assert cost.evaluation == 1.0
    assert cost.rest == 1.0 + len(problem.parts["test"]) / len(problem.parts["valid"])
    assert cost.tokens == pytest.approx(24, abs=8)
    assert cost.update > 0
    assert cost.stretch >= 1


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let each candidate cost the same, and return who was measured."""
    seen: list[str] = []

    def cost(candidate: Trained, problem: Problem) -> Cost:
        seen.append(candidate.variant)
        if "width=6" in candidate.variant:
            raise NonFiniteGradientError("It diverges.")
        return COST

    monkeypatch.setattr(plan, "measure_cost", cost)
    monkeypatch.setattr(plan, "best_threads", lambda candidate, problem: 2)
    return seen


def planned(problem: Problem, folder: Path, *specs: str, **how: Any) -> Record:
    terms = Terms.parse(how.pop("budget", None), how.pop("total", "100s"), **how)
    record = Record.open(folder, problem, terms, None)
    entrants = trained(problem, *specs)
    make_plan(record, entrants, problem, terms, rounds=3, elapsed=lambda: 10.0)
    return record


def test_the_total_is_divided_once(problem: Problem, tmp_path: Path, measured: list[str]) -> None:
    first = planned(problem, tmp_path, "mlp:width=4", "mlp:width=5").plan
    assert first.budget is not None
    assert first.budget.amount == pytest.approx(divide(90.0, [COST, COST], rounds=3), rel=0.01)
    assert first.budget.patience is not None
    assert first.threads == {"mlp width=4": 2, "mlp width=5": 2}
    assert first.promised["mlp width=4"] == pytest.approx(first.budget.amount)
    measured.clear()
    again = planned(problem, tmp_path, "mlp:width=4", "mlp:width=5", "mlp:width=7").plan
    assert measured == ["mlp width=7"]
    assert again.budget == first.budget
    assert again.threads.keys() == {"mlp width=4", "mlp width=5", "mlp width=7"}


def test_a_number_of_threads_is_taken_as_it_is(
    problem: Problem, tmp_path: Path, measured: list[str]
) -> None:
    found = planned(problem, tmp_path, "mlp:width=4", threads=3, budget="5steps", total=None)
    assert found.plan.threads == {"mlp width=4": 3}
    assert measured == []  # a budget of steps promises no epochs
    assert json.loads((tmp_path / "comparison.json").read_text())["threads"] == {"mlp width=4": 3}


def test_who_fails_while_measured_gets_no_share(
    problem: Problem, tmp_path: Path, measured: list[str]
) -> None:
    found = planned(problem, tmp_path, "mlp:width=6", "mlp:width=4").plan
    assert found.threads["mlp width=6"] == 2
    assert found.budget is not None
    assert found.budget.amount == pytest.approx(divide(90.0, [COST], rounds=3), rel=0.01)


def test_a_total_that_leaves_nothing_is_refused(
    problem: Problem, tmp_path: Path, measured: list[str]
) -> None:
    with pytest.raises(UsageError, match=r"--total 12 s leaves no time to train: 1 x 3"):
        planned(problem, tmp_path, "mlp:width=4", total="12s")

"""The number of threads follows from timings, which are made up here."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from ensuite.training import threads
from ensuite.training.threads import choose_threads, set_threads, use_threads
from ensuite.training.training import Training
from training.line import start


class Machine:
    """A clock on which each update takes what the number of threads says; reading it costs 0."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: dict[int, list[float]]) -> None:
        self.now, self.count, self.order = 0.0, torch.get_num_threads(), list[int]()
        left: dict[int, Iterator[float]] = {key: iter(times) for key, times in seconds.items()}
        last = {key: times[-1] for key, times in seconds.items()}

        def update(training: object) -> None:
            self.order.append(self.count)
            self.now += next(left[self.count], last[self.count])

        monkeypatch.setattr(threads, "update", update)
        monkeypatch.setattr(threads, "available_cores", lambda: 2)
        monkeypatch.setattr(torch, "set_num_threads", lambda count: setattr(self, "count", count))

    def clock(self) -> float:
        return self.now

    def choose(self) -> int:
        return choose_threads(start, clock=self.clock)


@pytest.mark.parametrize(
    ("one", "two", "chosen"),
    [
        ([0.121], [0.1], 2),
        ([0.119], [0.1], 1),
        ([0.1], [0.5], 1),
        ([9.0, 0.1], [0.1], 1),  # the first update of each compiles, and does not count
        ([0.2, 0.1, 0.1, 2.0, 0.1, 0.1], [0.1], 1),  # one that something else slowed down
        ([0.2, 0.2, 0.2, 0.2, 0.1, 0.2], [0.1], 2),
    ],
)
def test_two_threads_must_be_faster_by_a_fifth(
    one: list[float], two: list[float], chosen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    machine = Machine(monkeypatch, {1: one, 2: two})
    assert machine.choose() == chosen
    rounds = machine.order[2:]
    assert rounds == ([1, 2, 2, 1] * threads.ROUNDS)[: len(rounds)]  # they take turns
    assert len(rounds) >= 8
    assert machine.count == before


def test_a_clear_lead_ends_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, {1: [0.01], 2: [0.02]})
    assert machine.choose() == 1
    assert len(machine.order) == 2 * (1 + threads.LEAD)


def test_an_unclear_one_takes_all_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, {1: [0.02, *([0.02, 0.01] * 15), 0.02], 2: [0.01]})
    assert machine.choose() == 2
    assert len(machine.order) == 2 * (1 + threads.ROUNDS)


@pytest.mark.parametrize(("fast", "chosen"), [(0.7, 2), (0.3, 1)])
def test_rounds_that_are_wrong_by_chance_hardly_ever_decide(
    fast: float, chosen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random, wrong = np.random.default_rng(0), 0
    for _ in range(300):
        times = np.where(random.random(threads.ROUNDS + 1) < fast, 0.02, 0.01).tolist()
        wrong += Machine(monkeypatch, {1: times, 2: [0.01]}).choose() != chosen
    assert wrong <= 6


def test_a_large_model_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, {1: [20.0], 2: [10.0]})
    assert machine.choose() == 2
    assert machine.order == [1, 2, 1, 2]


def test_one_core_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, {1: [2.0], 2: [1.0]})
    monkeypatch.setattr(threads, "available_cores", lambda: 1)
    assert machine.choose() == 1
    assert machine.order == []


def test_threads_come_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, {1: [1.0], 2: [1.0]})
    before = machine.count

    def fail(training: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(threads, "update", fail)
    with pytest.raises(ZeroDivisionError):
        machine.choose()
    assert machine.count == before


def test_real_updates_are_timed() -> None:
    before, made = torch.get_num_threads(), list[Training]()

    def make() -> Training:
        made.append(start())
        return made[-1]

    assert choose_threads(make) in (1, 2)
    assert torch.get_num_threads() == before
    steps = [each.state.spent.steps for each in made]
    assert all(1 < each <= 1 + threads.ROUNDS for each in steps)
    assert len(steps) == (1 if threads.available_cores() > 1 else 0)


def test_threads_are_one_or_more() -> None:
    before = torch.get_num_threads()
    set_threads(before)
    with pytest.raises(ValueError, match="1 or more, not 0"):
        set_threads(0)
    assert torch.get_num_threads() == before


def test_threads_are_used_for_a_while() -> None:
    before = torch.get_num_threads()
    with pytest.raises(KeyError), use_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise KeyError
    assert torch.get_num_threads() == before
    with use_threads(None):
        assert torch.get_num_threads() == before

"""Checkpoints are spaced by what they cost."""

import pytest

from ensuite.training.checkpoints import LARGEST_SHARE, SAVE_EVERY, Saver


class Machine:
    """A clock that moves by what is done: updates, and checkpoints of a known cost."""

    def __init__(self, cost: float) -> None:
        self.now, self.trained, self.cost = 100.0, 0.0, cost
        self.saved: list[float] = []

    def save(self) -> None:
        self.now += self.cost
        self.saved.append(self.trained)

    def train(self, seconds: float) -> None:
        self.now += seconds
        self.trained += seconds

    def saver(self) -> Saver:
        return Saver(self.save, lambda: self.trained, lambda: self.now)


def run(cost: float, seconds: int) -> Machine:
    """Train for so many seconds, asking after every update of one."""
    machine = Machine(cost)
    saver = machine.saver()
    for _ in range(seconds):
        machine.train(1.0)
        saver.save_if_due()
    return machine


def test_cheap_ones_are_written_every_ten_seconds() -> None:
    assert run(0.01, 60).saved == [10, 20, 30, 40, 50, 60]


@pytest.mark.parametrize("cost", [0.5, 1.0, 2.8, 30.0])
def test_dear_ones_take_a_twentieth_of_training_at_most(cost: float) -> None:
    machine = run(cost, 2000)
    first, *later = machine.saved
    assert first == SAVE_EVERY  # before that its cost is not known
    for number, trained in enumerate(later, 2):
        assert number * cost <= LARGEST_SHARE * trained
    assert len(machine.saved) >= int(2000 * LARGEST_SHARE / cost) - 1


def test_one_that_is_asked_for_is_written_and_counts() -> None:
    machine = Machine(1.0)
    saver = machine.saver()
    machine.train(5.0)
    saver.save()
    for _ in range(34):
        machine.train(1.0)
        saver.save_if_due()
    assert machine.saved == [5.0]
    machine.train(1.0)
    saver.save_if_due()
    assert machine.saved == [5.0, 40.0]


def test_what_was_trained_before_a_resume_pays_for_nothing() -> None:
    machine = Machine(1.0)
    machine.trained = 1e6
    saver = machine.saver()
    for _ in range(30):
        machine.train(1.0)
        saver.save_if_due()
    assert machine.saved == [1e6 + 10]

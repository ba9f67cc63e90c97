from itertools import pairwise
from math import inf, isfinite, nan

import pytest
import torch

from ensuite.core.errors import NonFiniteGradientError
from ensuite.core.loss import Loss, Part
from ensuite.training.loop import fit
from stress import test_lanes as lanes
from training.line import InOrder, Line, exact, examples, start


def weights(training):
    return {name: t.clone() for name, t in training.model.state_dict().items()}


class Broken(Line):
    """The loss is worth nothing at some updates."""

    def loss(self, outputs, batch):
        total = super().loss(outputs, batch).parts["target"].total
        return Loss({"target": Part(total * self.script.pop(0))})

    def score(self, predictions, examples):
        return Line().score(predictions, examples)


def test_one_progress_for_each_update_until_the_budget_is_spent():
    progress = [*fit(training := start(budget="12steps"))]
    assert [each.update for each in progress] == [*range(1, 13)]
    assert progress[-1].share == 1 <= training.share
    assert [*fit(training)] == []
    assert progress[-1].scores.keys() == {"quality", "constant"}
    assert isfinite(progress[0].norm)
    assert progress[0].loss.parts["target"].total.requires_grad is False


@pytest.mark.parametrize(
    ("budget", "updates"), [("2epochs", 10), ("0.3epochs", 2), ("17tokens", 5)]
)
def test_a_budget_ends_at_the_first_update_beyond_it(budget, updates):
    assert len([*fit(start(budget=budget))]) == updates


def test_whoever_iterates_may_leave_and_come_back():
    training, whole = start(), start()
    for each in fit(whole):
        assert each.update <= 12
    training = start()
    for each in fit(training):
        if each.update == 5:
            break
    assert [each.update for each in fit(training)] == [*range(6, 13)]
    torch.testing.assert_close(weights(training), weights(whole), rtol=0, atol=0)


def test_settings_of_the_process_are_not_held_between_updates():
    for _ in fit(start(budget="2steps")):
        assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("without", [0, 5])  # rows of the first batches that count nothing
def test_accumulated_batches_equal_one_large_batch(optimizer, without):
    how = {"data": examples(16, without=without), "budget": "3epochs", "optimizer": optimizer}
    large = start(InOrder(), exact, batch_size=8, **how)
    small = start(InOrder(), exact, batch_size=2, accumulate=4, **how)
    losses = [[each.loss.value.item() for each in fit(training)] for training in (large, small)]
    # The same sums in another order: equal to the float32 rounding of a few updates.
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(weights(large), weights(small), rtol=1e-5, atol=1e-6)
    assert small.state.spent.steps == large.state.spent.steps == 6


def test_the_last_update_of_an_epoch_may_have_fewer_batches():
    task = Line()
    training = start(task, budget="1epoch", accumulate=3)  # five batches: three, then two
    updates = [*fit(training)]
    assert [each.update for each in updates] == [1, 2]
    assert len(task.seen) == 5
    assert (training.state.epoch, training.state.batch) == (1, 0)


def test_a_long_gradient_is_shortened_and_its_length_told():
    training = start(make=exact, optimizer="sgd", learning_rate=1.0, clip=1e-3, budget="1steps")
    before = weights(training)
    (progress,) = fit(training)
    moved = torch.cat([(t - before[name]).flatten() for name, t in weights(training).items()])
    assert progress.norm > 1e-3
    assert moved.norm().item() == pytest.approx(1e-3, rel=1e-3)


def test_large_numbers_of_a_gradient_are_cut():
    limits = {"clip": None, "clip_value": 1e-3}
    training = start(make=exact, optimizer="sgd", learning_rate=1.0, budget="1steps", **limits)
    before = weights(training)
    (progress,) = fit(training)
    moved = torch.cat([(t - before[name]).flatten() for name, t in weights(training).items()])
    assert progress.norm > 1e-3
    assert moved.abs().max().item() == pytest.approx(1e-3, rel=1e-3)


def test_without_a_limit_the_gradient_is_as_long_as_it_is():
    training = start(make=exact, optimizer="sgd", learning_rate=1.0, budget="1steps", clip=None)
    before = weights(training)
    (progress,) = fit(training)
    moved = torch.cat([(t - before[name]).flatten() for name, t in weights(training).items()])
    assert moved.norm().item() == pytest.approx(progress.norm.item(), rel=1e-5)


def test_the_rate_follows_the_share_of_the_budget_and_tasks_are_told_it(monkeypatch):
    task, rates = Line(), []
    training = start(task, budget="4steps", learning_rate=1.0)
    monkeypatch.setattr(training.optimizer, "step", rates.append)
    for _ in fit(training):
        pass
    assert rates == pytest.approx([1.0, 0.75, 0.5, 0.25])
    assert [batch.progress for batch in task.seen] == [0.0, 0.25, 0.5, 0.75]


@pytest.mark.parametrize("bad", [nan, inf])
def test_a_gradient_that_is_not_finite_leaves_the_weights(bad):
    training = start(Broken(script=[1, 1, bad, 1]), budget="4steps")
    seen = [weights(training)]
    for progress in fit(training):
        seen.append(weights(training))
        assert isfinite(progress.norm) == (progress.update != 3)
    same = [all(a[k].equal(b[k]) for k in a) for a, b in pairwise(seen)]
    assert same == [False, False, True, False]
    assert training.state.failures == 0


def test_five_such_gradients_in_a_row_stop_training_and_name_the_batch():
    task = Broken(script=[1, nan, nan, nan, nan, 1, *[nan] * 5])
    updates = fit(training := start(task, budget="50steps"))
    for _ in range(10):
        next(updates)
    before = weights(training)
    message = (
        r"5 updates in a row .* the last at batch 1 of epoch 3 \(examples \[\d+(, \d+){3}\].*"
        r"--set recipe\.learning_rate=0\.001$"
    )
    with pytest.raises(NonFiniteGradientError, match=message):
        next(updates)
    torch.testing.assert_close(weights(training), before, rtol=0, atol=0)


def test_a_carry_that_may_not_be_finite_is_dropped():
    training = lanes.start()
    for _ in zip(range(2), fit(training), strict=False):
        assert training.carry
    training.carry["hidden"].fill_(nan)
    next(fit(training))
    assert training.state.failures == 1
    assert training.carry is None
    next(fit(training))
    assert training.state.failures == 0

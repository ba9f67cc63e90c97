import errno
import os
from dataclasses import replace
from itertools import pairwise
from math import nan

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ensuite.core.errors import DataError, EnsuiteError, RunError, UsageError
from ensuite.core.files import read_json, read_tensors
from ensuite.training.budget import Budget
from ensuite.training.clock import Moment, charged_seconds
from ensuite.training.loop import fit
from ensuite.training.training import checkpoints
from stress.harness import check_equal
from training.line import Line, Pass, exact, examples, start


def finish(training):
    for _ in fit(training):
        pass
    return training


def weights(training):
    return {name: t.clone() for name, t in training.model.state_dict().items()}


def steps(training):
    return [each["steps"] for each in training.state.history]


# Evaluation and the best weights


@pytest.mark.parametrize("budget", ["200steps", "40epochs", "800tokens"])
def test_the_schedule_of_evaluations_repeats_and_has_twenty_at_most(budget):
    one, other = finish(start(budget=budget)), finish(start(budget=budget))
    assert steps(one) == steps(other) == [*range(10, 201, 10)]


@pytest.mark.parametrize(("budget", "expected"), [
    ("200steps", [*range(15, 200, 15), 200]),  # three times 20 rows are 15 updates of 4
    ("20steps", [15, 20]),
    ("7steps", [7]),
    ("1steps", [1]),
])  # fmt: skip
def test_no_more_is_evaluated_than_a_third_of_what_was_trained_on(budget, expected):
    training = finish(start(budget=budget, valid=examples(20)))
    assert training.valid_tokens == 20
    assert steps(training) == expected


@given(
    rows=st.integers(1, 60), batch=st.integers(1, 9), valid=st.integers(1, 30),
    amount=st.integers(1, 60), unit=st.sampled_from(["steps", "epochs", "tokens"]),
)  # fmt: skip
def test_evaluations_cost_a_third_of_training_at_most_and_the_last_always_comes(
    rows, batch, valid, amount, unit
):
    training = start(
        budget=f"{amount}{unit}", data=examples(rows), valid=examples(valid), batch_size=batch
    )
    training.evaluate = lambda: training.state.history.append(training.state.spent.tokens) or {}
    for _ in fast(training):
        pass
    evaluated = training.state.history
    assert 1 <= len(evaluated) <= 20
    assert evaluated[-1] == training.state.spent.tokens
    assert all(b - a >= 3 * valid for a, b in pairwise([0, *evaluated[:-1]]))


def fast(training):
    """Go through all updates without computing them."""
    while not training.over:
        training.next_batches()
        training.advance(Moment(0.0, 0.0))
        yield training.evaluate_if_due()


def test_patience_evaluates_each_epoch_but_short_ones():
    for budget, expected in [(Budget(1000, "epochs", 99), [50, 100]), ("1000epochs", [])]:
        training = start(budget=budget)  # five updates each; a twentieth is 250 updates
        for progress in fit(training):
            if progress.update == 120:
                break
        assert steps(training) == expected


def test_patience_waits_for_three_times_what_is_evaluated():
    training = start(budget=Budget(200, "epochs", 2), valid=examples(100))
    task = Line(script=[0.5, 0.4, 0.3, 0.9])
    training.task = task
    assert steps(finish(training)) == [75, 150, 225]  # 300 rows each, fifteen epochs


# What a budget of time charges


class Clocks:
    """Clocks on which an update of one thread takes these seconds, of the wall and of the CPU."""

    def __init__(self, monkeypatch, wall, cpu):
        self.wall, self.cpu, self.reads = wall, cpu, 0
        monkeypatch.setattr(Moment, "now", self.now)
        monkeypatch.setattr(torch, "get_num_threads", lambda: 1)

    def now(self):
        self.reads += 1
        updates = self.reads // 2  # read before and after each
        return Moment(self.wall * updates, self.cpu * updates)


def test_waiting_for_a_busy_machine_is_not_charged(monkeypatch):
    Clocks(monkeypatch, wall=2.5, cpu=1.0)
    training = finish(start(budget="10s"))
    spent = training.state.spent
    assert (spent.steps, spent.seconds, spent.wall_seconds) == (10, 10.0, 25.0)
    assert not training.state.busy


@pytest.mark.parametrize("threads", [1, 2])
def test_cpu_seconds_are_divided_by_the_threads(monkeypatch, threads):
    Clocks(monkeypatch, wall=1.0, cpu=2.0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    training = finish(start(budget="10s"))
    assert training.state.spent.steps == 5 * threads


def test_a_trial_ends_at_three_times_its_budget_and_is_evaluated_and_marked(monkeypatch):
    Clocks(monkeypatch, wall=10.0, cpu=1.0)
    training = finish(start(budget="10s"))
    spent = training.state.spent
    assert (spent.steps, spent.seconds, spent.wall_seconds) == (3, 3.0, 30.0)
    assert training.state.busy
    assert training.over
    assert steps(training)[-1] == 3
    assert training.best_weights


@pytest.mark.parametrize("budget", ["12steps", "2epochs", "60tokens"])
def test_other_budgets_have_no_wall_limit(monkeypatch, budget):
    Clocks(monkeypatch, wall=1e9, cpu=1.0)
    assert not finish(start(budget=budget)).state.busy


def test_on_a_gpu_wall_time_is_charged():
    began, ended = Moment(1.0, 10.0), Moment(3.0, 10.5)
    assert charged_seconds(began, ended, torch.device("cuda"), threads=2) == 2.0
    assert charged_seconds(began, ended, torch.device("cpu"), threads=2) == 0.25


# Whether more training would help


@pytest.mark.parametrize(
    ("script", "error", "rising"),
    [
        ([0.1, 0.5, 0.5, 0.5, 0.5], 0.0, False),
        ([0.1, 0.2, 0.3, 0.4, 0.6], 0.1, True),
        ([0.1, 0.2, 0.3, 0.55, 0.6], 0.1, False),  # by less than its standard error
        ([0.1, 0.6, 0.5, 0.4, 0.5], 0.0, False),
        ([nan, nan, nan, nan, nan], None, False),
        ([nan, nan, nan, nan, 0.5], 0.1, True),
        ([0.1, 0.2, 0.3, 0.4, 0.6], None, True),
    ],
)
def test_still_rising_is_more_than_its_error_in_the_last_fifth(script, error, rising, monkeypatch):
    monkeypatch.setattr("ensuite.training.training.standard_error", lambda score: error)
    task = Line(script=script)
    training = finish(start(task, budget="5steps", data=examples(4)))
    assert len(training.state.history) == 5
    assert training.still_rising == rising


def test_a_loss_that_falls_is_still_rising():
    task = Line(script=[5.0, 4.0, 3.0, 2.0, 1.0], higher_is_better=False)
    assert finish(start(task, budget="5steps", data=examples(4))).still_rising


def test_less_than_an_epoch_is_still_rising_and_patience_ends_that():
    assert finish(start(Line(script=[0.5] * 4), budget="4steps")).still_rising
    training = start(Line(script=[0.5] * 9), budget=Budget(100, "steps", patience=2))
    assert not finish(training).still_rising
    assert training.over


def test_without_an_earlier_evaluation_nothing_shows_that_it_stopped():
    training = finish(start(budget="5steps", valid=examples(50)))
    assert (len(training.state.history), training.state.spent.epochs) == (1, 1.0)
    assert training.still_rising


def test_training_stops_when_evaluations_bring_no_gain():
    task = Line(script=[0.1, 0.3, 0.2, 0.3, 0.25, 0.9])
    training = finish(start(task, budget=Budget(100, "steps", patience=3)))
    assert len(steps(training)) == 5  # 0.9 was never reached
    assert training.state.best == 0.3
    assert training.converged


def test_the_best_weights_are_kept_and_come_back():
    training, seen = start(Line(script=[0.1, 0.9, 0.5, 0.2]), budget="4steps"), []
    for _ in fit(training):
        seen.append(weights(training))
    assert not seen[1]["head.weight"].equal(seen[3]["head.weight"])
    training.restore_best()
    torch.testing.assert_close(weights(training), seen[1], rtol=0, atol=0)
    assert training.state.best_share == 0.5
    assert training.converged


def test_among_equals_the_one_trained_longest_is_best():
    training, seen = start(Line(script=[0.1, 0.9, 0.9, 0.2]), budget="4steps"), []
    for _ in fit(training):
        seen.append(weights(training))
    torch.testing.assert_close(training.best_weights, seen[2], rtol=0, atol=0)
    assert training.state.best_share == 0.5  # an equal is no gain


@pytest.mark.parametrize(
    ("script", "higher", "best"),
    [
        ([3, 1, 2], False, 1),
        ([3, 1, 2], True, 0),
        ([nan, 1, nan], True, 1),
        ([nan, nan, 1], False, 2),
    ],
)
def test_best_means_what_the_metric_means_and_is_never_nan(script, higher, best):
    task = Line(script=[float(each) for each in script], higher_is_better=higher)
    training, seen = start(task, budget="3steps"), []
    for _ in fit(training):
        seen.append(weights(training))
    torch.testing.assert_close(training.best_weights, seen[best], rtol=0, atol=0)


def test_without_a_number_to_judge_by_the_last_weights_stay():
    training = finish(start(Line(script=[nan] * 3), budget="3steps"))
    last = weights(training)
    training.restore_best()
    torch.testing.assert_close(weights(training), last, rtol=0, atol=0)
    assert training.state.history[0]["scores"] == {"quality": None}  # as JSON has it


def test_another_metric_may_rank():
    training = finish(start(metric="constant", budget="3steps"))
    assert training.state.best == 1.0
    with pytest.raises(UsageError, match='no metric "constent"; did you mean constant'):
        finish(start(metric="constent", budget="3steps"))


# What a beginning is made of


def test_a_seed_decides_everything():
    one, same, other = (finish(start(seed=seed)) for seed in (3, 3, 4))
    torch.testing.assert_close(weights(one), weights(same), rtol=0, atol=0)
    assert not weights(one)["head.weight"].equal(weights(other)["head.weight"])


def test_a_twin_learns_the_same_and_leaves_the_first_alone():
    first = start(make=exact)
    before, twin = weights(first), first.twin()
    finish(twin)
    torch.testing.assert_close(weights(first), before, rtol=0, atol=0)
    assert first.state.spent.steps == 0
    torch.testing.assert_close(weights(finish(first)), weights(twin), rtol=0, atol=0)
    assert finish(first.twin()).state.spent.steps == 12


def test_the_noise_of_a_batch_depends_on_seed_epoch_and_place():
    class Noisy(Line):
        def collate(self, items, generator=None):
            noise = torch.rand((), generator=generator).item()
            return replace(super().collate(items), progress=noise)

    def drawn(seed):
        training = start(Noisy(), seed=seed, accumulate=5)
        torch.seed()  # whatever else the process has drawn
        first = training.next_batches()
        training.state.epoch, training.state.batch = 1, 0
        return [batch.progress for batch in [*first, *training.next_batches()]]

    assert drawn(0) == drawn(0)
    assert len({*drawn(0), *drawn(1)}) == 20


def test_nothing_to_learn_from_is_refused():
    class Nothing(Line):
        def items(self, examples):
            return []

    with pytest.raises(DataError, match="no example to learn from"):
        start(Nothing())


@pytest.mark.parametrize("make", [Pass, exact])
def test_bfloat16_trains_and_keeps_weights_and_losses_in_float32(make):
    training = start(make=make, precision="bfloat16", budget="40steps")
    losses = [progress.loss.value for progress in fit(training)]
    assert {t.dtype for t in [*losses, *training.model.parameters()]} == {torch.float32}
    assert sum(losses[-10:]) < sum(losses[:10])
    whole = start(make=make, budget="40steps")
    assert next(fit(whole)).loss.value.item() == pytest.approx(losses[0].item(), rel=0.05)


# On disk


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "muon"])
@pytest.mark.parametrize("updates", range(1, 12))
def test_resuming_at_any_update_changes_nothing(tmp_path, optimizer, updates):
    whole = finish(start(optimizer=optimizer))
    for progress in fit(first := start(optimizer=optimizer)):
        if progress.update == updates:
            first.save(tmp_path)
            break
    training = start(optimizer=optimizer)
    torch.rand(7)
    assert training.resume(tmp_path)
    assert training.state == first.state
    check_equal(whole, finish(training), tmp_path)


def test_patience_outlives_a_checkpoint_even_without_a_score(tmp_path):
    budget = Budget(100, "steps", patience=4)
    for progress in fit(first := start(Line(script=[nan] * 9), budget=budget)):
        if progress.scores and len(first.state.history) == 2:
            first.save(tmp_path)
            break
    training = start(Line(script=[nan] * 9), budget=budget)
    training.resume(tmp_path)
    assert len(finish(training).state.history) == 4


def test_other_threads_are_told_when_training_goes_on(tmp_path, monkeypatch):
    finish(start(budget="3steps")).save(tmp_path)
    said = []
    for threads in (torch.get_num_threads(), 7):
        monkeypatch.setattr(torch, "get_num_threads", lambda count=threads: count)
        training = start()
        training.say = said.append
        assert training.resume(tmp_path)
    assert len(said) == 1
    assert "goes on with 7" in said[0]


def test_best_weights_outlive_the_checkpoint_they_came_from(tmp_path):
    training = finish(start(budget="3steps"))
    training.save(tmp_path)
    again = start()
    again.resume(tmp_path)
    again.save(tmp_path)  # deletes the one before
    torch.testing.assert_close(again.best_weights, training.best_weights, rtol=0, atol=0)


def test_a_checkpoint_copies_no_weights(tmp_path, monkeypatch):
    training = finish(start(budget="3steps"))
    monkeypatch.setattr(torch.Tensor, "clone", None)
    training.save(tmp_path)
    assert start().resume(tmp_path)


def test_frozen_weights_stay_and_resume(tmp_path):
    def frozen(inputs):
        return exact(inputs).requires_grad_(False)

    training = start(make=frozen)
    before = weights(training)
    finish(training).save(tmp_path)
    after = weights(training)
    assert after["backbone.layer.0.weight"].equal(before["backbone.layer.0.weight"])
    assert not after["head.weight"].equal(before["head.weight"])
    assert start(make=frozen).resume(tmp_path)


def test_a_checkpoint_is_safetensors_and_json_and_only_the_newest_is_kept(tmp_path):
    training = start()
    for _ in fit(training):
        training.save(tmp_path)
    (newest,) = tmp_path.iterdir()
    assert checkpoints(tmp_path) == [newest]
    assert {each.name for each in newest.iterdir()} == {"state.safetensors", "training_state.json"}
    assert read_json(newest / "training_state.json")["spent"]["steps"] == 12
    assert "model.head.weight" in read_tensors(newest / "state.safetensors")


def test_the_last_one_saved_is_the_newest_whatever_stood_there(tmp_path):
    finish(start(budget="9steps")).save(tmp_path)
    finish(start(budget="2steps")).save(tmp_path)  # begun anew in the same folder
    training = start()
    training.resume(tmp_path)
    assert training.state.spent.steps == 2


def test_without_a_checkpoint_there_is_nothing_to_go_on_from(tmp_path):
    assert not start().resume(tmp_path)
    assert not start().resume(tmp_path / "never made")


def test_a_half_written_checkpoint_is_ignored_and_cleared_away(tmp_path, monkeypatch):
    training = finish(start(budget="3steps"))
    training.save(tmp_path)
    before = weights(training)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(EnsuiteError, match="No space left"):
            training.save(tmp_path)
    assert (tmp_path / ".draft").exists()
    (tmp_path / ".draft" / "state.safetensors").write_bytes(b"half")
    again = start()
    assert again.resume(tmp_path)
    torch.testing.assert_close(weights(again), before, rtol=0, atol=0)
    again.save(tmp_path)
    assert [*tmp_path.iterdir()] == checkpoints(tmp_path)


def wider(inputs):
    backbone = exact(inputs)
    backbone.layer = nn.Linear(3, 8)
    backbone.width = 8
    return backbone


def deeper(inputs):
    backbone = exact(inputs)
    backbone.more = nn.Linear(4, 4)
    return backbone


@pytest.mark.parametrize("make", [wider, deeper])
def test_the_checkpoint_of_another_model_is_refused(tmp_path, make):
    finish(start(make=exact)).save(tmp_path)
    with pytest.raises(RunError, match="is not a checkpoint of this model"):
        start(make=make).resume(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("state.safetensors", None, "cannot be read"),  # cut in the middle
        ("training_state.json", b"{", "cannot be read"),
        ("training_state.json", b"[]", "is not a checkpoint"),
        ("training_state.json", b'{"spent": {}, "mood": 1}', "is not a checkpoint"),
    ],
)
def test_a_damaged_checkpoint_is_a_sentence(tmp_path, name, content, message):
    finish(start()).save(tmp_path)
    path = checkpoints(tmp_path)[0] / name
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(RunError, match=message):
        start().resume(tmp_path)

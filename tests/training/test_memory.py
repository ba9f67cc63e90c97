"""Where memory runs out, training goes on in smaller pieces, to the same updates."""

from itertools import chain

import pytest
import torch

from ensuite.core.batch import Batch
from ensuite.core.errors import OutOfMemoryError
from ensuite.training.evaluate import predict, validation_loss
from ensuite.training.loop import fit
from ensuite.training.memory import is_out_of_memory, join, split
from stress import test_lanes as lanes
from training.line import InOrder, Line, exact, examples, start

CPU = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 8 bytes.")
GPU = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


class Small(InOrder):
    """A machine on which only so many rows fit into memory."""

    error = CPU
    fits = 2

    def forward(self, model, batch):
        outputs = super().forward(model, batch)
        if len(batch) > self.fits:
            raise self.error
        return outputs


class Cramped(Small):
    """Such a machine, which also predicts."""

    def __init__(self):
        super().__init__()
        self.tried = []

    def predict(self, model, batch):
        self.tried.append(len(batch))
        if len(batch) > self.fits:
            raise self.error
        return super().predict(model, batch)


def weights(training):
    return {name: t.clone() for name, t in training.model.state_dict().items()}


@pytest.mark.parametrize("error", [CPU, GPU, MemoryError()])
@pytest.mark.parametrize("without", [0, 5])
def test_smaller_pieces_give_the_same_updates(error, without, monkeypatch):
    monkeypatch.setattr(Small, "error", error)
    how = {"data": examples(19, without=without), "batch_size": 8, "budget": "3epochs"}
    whole, small, said = start(InOrder(), exact, **how), start(Small(), exact, **how), []
    small.say = said.append
    losses = [[each.loss.value.item() for each in fit(training)] for training in (whole, small)]
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(weights(small), weights(whole), rtol=1e-5, atol=1e-6)
    assert small.state.pieces == 4
    assert small.state.spent.tokens == whole.state.spent.tokens == 57
    assert ["8 rows at once: batches are now computed 4 rows" in each for each in said] == [1, 0]
    assert "4 rows at once: batches are now computed 2 rows" in said[1]


def test_evaluation_goes_on_in_smaller_batches():
    asked, machine, model = examples(9), Cramped(), start().model.train()
    torch.testing.assert_close(predict(machine, model, asked), predict(Line(), model, asked))
    assert machine.tried == [9, 4, 2, 2, 2, 2, 1]
    assert model.training
    losses = [validation_loss(task, model, asked).statistics.sum(0) for task in (Small(), Line())]
    assert losses[0] == pytest.approx(losses[1])


def test_an_error_in_evaluation_leaves_the_model_in_training(monkeypatch):
    model = start().model.train()
    monkeypatch.setattr(Cramped, "fits", 0)
    with pytest.raises(RuntimeError, match="allocate memory"):
        predict(Cramped(), model, examples(9))
    assert model.training


def test_accumulated_batches_are_all_cut():
    how = {"data": examples(16), "batch_size": 8, "accumulate": 2, "budget": "4steps"}
    whole, small = start(InOrder(), exact, **how), start(Small(), exact, **how)
    for training in (whole, small):
        list(fit(training))
    torch.testing.assert_close(weights(small), weights(whole), rtol=1e-5, atol=1e-6)


def test_pieces_outlive_a_checkpoint(tmp_path):
    how = {"data": examples(16), "batch_size": 8, "budget": "4steps"}
    training = start(Small(), exact, **how)
    next(fit(training))
    training.save(tmp_path)
    again, said = start(Small(), exact, **how), []
    again.say = said.append
    again.resume(tmp_path)
    list(fit(again))
    assert (again.state.pieces, said) == (4, [])


def test_a_row_that_does_not_fit_is_a_sentence(monkeypatch):
    monkeypatch.setattr(Small, "fits", 0)
    with pytest.raises(OutOfMemoryError, match="out of memory with a single row; choose a smaller"):
        list(fit(start(Small(), exact)))


def test_another_error_is_not_caught():
    class Broken(Line):
        def forward(self, model, batch):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        next(fit(start(Broken())))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_lanes_hand_their_state_on_piece_by_piece():
    whole, small = lanes.start(), lanes.start()
    whole.model.eval()
    small.model.eval()
    small.state.pieces = 2
    batches = [whole.next_batches() for _ in range(3)]
    for batch in chain.from_iterable(batches):
        together = whole.forward(batch).value
        apart = sum(loss.value for loss in small.losses(batch))
        torch.testing.assert_close(apart, together)
        torch.testing.assert_close(small.carry, whole.carry)
        assert whole.carry


def test_a_batch_is_split_in_order_into_as_many_pieces_as_it_has_rows_for():
    rows = torch.arange(10.0).reshape(5, 2)
    batch = Batch(
        inputs={"row": rows}, mask=rows > 0, targets={"y": rows[:, 0]}, documents=rows,
        carry={"state": rows}, counts={"y": 5}, progress=0.5,
    )  # fmt: skip
    assert split(batch, 1) == [batch]
    for pieces, sizes in [(2, [3, 2]), (4, [2, 2, 1]), (8, [1] * 5)]:
        found = split(batch, pieces)
        assert [len(each) for each in found] == sizes
        assert {each.progress for each in found} == {0.5}
        for name in ("mask", "documents"):
            assert torch.cat([getattr(each, name) for each in found]).equal(getattr(batch, name))
        for name in ("inputs", "targets", "carry"):
            (key,) = getattr(batch, name)
            joined = torch.cat([getattr(each, name)[key] for each in found])
            assert joined.equal(getattr(batch, name)[key])


def test_a_batch_without_rows_first_cannot_be_split():
    batch = Batch(inputs={"row": torch.zeros(4, 2)}, targets={"chosen": torch.zeros(7)})
    with pytest.raises(OutOfMemoryError, match=r"recipe\.batch_size=2 --set recipe\.accumulate=2"):
        split(batch, 2)


def test_a_carry_is_joined_unless_a_piece_has_none():
    one = {"state": torch.zeros(2, 3)}
    assert join([]) is None
    assert join([one]) is one
    assert join([one, None]) is None
    joined = join([one, one])
    assert joined is not None
    assert joined["state"].shape == (4, 3)

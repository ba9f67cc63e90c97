"""Padding is put around time alone, whatever else happens to be as long."""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ensuite.core.backbone import Backbone
from ensuite.core.batch import FUTURE, Batch, Inputs, States, Values
from ensuite.core.model import Model
from ensuite.laws import (
    alone_as_in_a_batch,
    difference,
    pad,
    padding_changes_nothing,
    random_batch,
    rows_of,
    values,
    without_time,
)

TIME = 3


def mixed() -> Batch:
    """Return fields with and without time, whose second dimension is as long as time."""
    return Batch(
        inputs={
            "tokens": torch.ones(2, TIME, dtype=torch.long),
            "values": torch.ones(2, TIME, 4),
            "characters": torch.ones(2, TIME, 5, dtype=torch.long),
            "image": torch.ones(2, TIME, TIME, 4),
            "row": torch.ones(2, TIME),
        },
        mask=torch.tensor([[True, True, True], [True, True, False]]),
    )


def test_a_picture_and_a_row_are_not_padded() -> None:
    padded = pad(mixed(), 1, 2)
    assert {name: tensor.shape[1] for name, tensor in padded.inputs.items()} == {
        "tokens": 6, "values": 6, "characters": 6, "image": TIME, "row": TIME
    }  # fmt: skip


def test_a_row_alone_keeps_its_picture() -> None:
    _, second = rows_of(mixed())
    assert {name: tensor.shape[1] for name, tensor in second.inputs.items()} == {
        "tokens": 2, "values": 2, "characters": 2, "image": TIME, "row": TIME
    }  # fmt: skip


class Pair(NamedTuple):
    """Two parts of an output."""

    words: Tensor
    follows: Tensor


def test_outputs_are_compared_part_by_part_and_the_one_that_differs_is_named() -> None:
    one = Pair(torch.zeros(2, 3), torch.zeros(2))._asdict()
    other = Pair(torch.zeros(2, 3), torch.tensor([0.0, 0.5]))._asdict()
    assert difference(one, other) == (0.5, "follows")
    assert str(difference(one, other)) == "0.5 in follows"
    assert difference(one, one).size == 0
    lost = difference({"": torch.tensor([float("nan")])}, {"": torch.zeros(1)})
    assert (lost.size, str(lost)) == (float("inf"), "inf")


class TwoHeads(nn.ModuleDict):
    """A head with two parts, of which one depends on how much padding there is."""

    def forward(self, states: States, batch: Batch) -> Pair:
        assert batch.mask is not None
        length = torch.full((len(batch),), float(batch.mask.shape[1]))
        return Pair(states.summary[:, None].expand(-1, batch.mask.shape[1], -1), length)


class Mean(Backbone):
    """The mean of real positions."""

    width = 4

    def forward(self, batch: Batch) -> States:
        assert batch.mask is not None
        weights = batch.mask[..., None] / batch.mask.sum(1)[:, None, None]
        return States((batch.inputs["values"] * weights).sum(1))


def test_a_law_names_the_part_that_breaks_it() -> None:
    batch = replace(mixed(), inputs={"values": mixed().inputs["values"]})
    verdict = padding_changes_nothing(Model(Mean(), TwoHeads()), batch)
    assert not verdict.holds
    assert "in follows" in verdict.measure


class Both(NamedTuple):
    """Values of each position, and values of steps of which there are as many by chance."""

    each: Tensor
    steps: Tensor


class Chance(nn.Module):
    """A head whose second part has no time axis of the batch."""

    def forward(self, states: States, batch: Batch) -> Both:
        return Both(batch.inputs["values"], states.summary[:, None].expand(-1, TIME, -1))


def test_values_that_are_as_long_as_the_batch_by_chance_are_not_masked() -> None:
    model = Model(Mean(), Chance())
    batch = replace(mixed(), inputs={"values": torch.randn(2, TIME, 4)})
    found = values(model, batch, without_time(model, batch))
    assert found["steps"].shape == (2, TIME * 4)
    assert found["each"].shape == (5, 4)
    assert padding_changes_nothing(model, batch).holds
    longer = pad(batch, 0, 2)
    longer = replace(longer, mask=torch.tensor([[True] * 5, [True] * 3 + [False] * 2]))
    assert alone_as_in_a_batch(model, longer).holds  # one row has as many steps, the batch has not


def test_what_is_known_of_the_future_has_steps_of_its_own() -> None:
    inputs: Inputs = {"values": Values(2), FUTURE: Values(3, steps=5, reader="head")}
    batch = random_batch(inputs, rows=4, longest=5)
    assert batch.inputs[FUTURE].shape == (4, 5, 3)
    assert pad(batch, 1, 2).inputs[FUTURE].shape == (4, 5, 3)
    assert all(row.inputs[FUTURE].shape == (1, 5, 3) for row in rows_of(batch))

"""A row is computed by itself: neither the rows beside it nor padding change its loss."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ensuite.core.batch import Batch, States
from ensuite.core.errors import PaddingLeakError, RowLeakError
from ensuite.training.independence import (
    ROWS,
    require_independent_rows,
    rows_of_many_lengths,
    rows_of_one_length,
)
from stress import test_lanes as lanes
from stress.harness import starter
from training.line import Line, Pass, examples, start


class Mixing(Pass):
    """Each row sees the mean of its batch."""

    def forward(self, batch: Batch) -> States:
        summary = super().forward(batch).summary
        return States(summary + summary.mean(0))


class Unmasked(lanes.Carrier):
    """Each position sees the mean over time, padding included."""

    def forward(self, batch: Batch) -> States:
        states = super().forward(batch)
        mean = self.embed(batch.inputs["tokens"]).mean(1, keepdim=True)
        return states._replace(sequence=states.sequence + mean)


def lanes_of(make: Any) -> Any:
    task = lanes.start().task
    data = [[1, 5, 6, 7, 8], [2, 5], [3, 6, 7, 5], [4, 8, 5, 6, 7, 8, 6]]
    return starter(task, make, data, data, budget="4steps", batch_size=2)()


def test_rows_that_are_independent_pass_and_nothing_is_changed() -> None:
    training = start()
    state, before = torch.get_rng_state(), training.model.state_dict()
    weights = {name: tensor.clone() for name, tensor in before.items()}
    assert require_independent_rows(training) < 1e-6
    assert training.model.training
    assert torch.get_rng_state().equal(state)
    torch.testing.assert_close(training.model.state_dict(), weights, rtol=0, atol=0)
    assert require_independent_rows(lanes_of(lanes.Carrier)) < 1e-6


def test_a_model_that_mixes_rows_is_refused() -> None:
    with pytest.raises(RowLeakError, match="Mixing for a row depends on the other rows"):
        require_independent_rows(start(make=Mixing))


def test_a_model_that_reads_padding_is_refused() -> None:
    with pytest.raises(PaddingLeakError, match=r"Unmasked for a row depends on its padding"):
        require_independent_rows(lanes_of(Unmasked))


def test_one_row_has_nothing_beside_it() -> None:
    assert require_independent_rows(start(make=Mixing, data=examples(1))) == 0.0


def test_a_loss_that_is_not_finite_is_found_elsewhere() -> None:
    class Broken(Line):
        def collate(self, items: Any, generator: Any = None) -> Batch:
            batch = super().collate(items)
            batch.inputs["row"].fill_(float("inf"))
            return batch

    assert require_independent_rows(start(Broken())) == 0.0


@given(arrays("int64", st.integers(0, 40), elements=st.integers(0, 9)))
def test_any_lengths_give_rows_that_are_not_empty(lengths: Any) -> None:
    one, many = rows_of_one_length(lengths), rows_of_many_lengths(lengths)
    assert len({int(lengths[number]) for number in one}) <= 1
    assert [lengths[number] for number in many] == sorted(lengths[many])
    for numbers in (one, many):
        assert len(set(numbers)) == len(numbers) <= ROWS
        assert all(lengths[number] > 0 for number in numbers)
        assert bool(numbers) == bool((lengths > 0).any())
    if many:
        assert lengths[many[-1]] == lengths.max()
        assert torch.tensor(lengths[many]).min() == lengths[lengths > 0].min()

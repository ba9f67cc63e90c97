"""Padding is put around time alone, whatever else happens to be as long."""

import torch

from ensuite.core.batch import Batch
from ensuite.laws import pad, rows_of

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

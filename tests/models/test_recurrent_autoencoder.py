import pytest
import torch

from ensuite.core.batch import Batch, Row, Values
from ensuite.models.recurrent_autoencoder import RecurrentAutoencoderOptions

SERIES = {"values": Values(2, steps=6)}


def batch() -> Batch:
    torch.manual_seed(0)
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    return Batch(inputs={"values": torch.randn(2, 6, 2) * mask[..., None]}, mask=mask)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"width": 0}, "width and layers must be 1 or more"),
        ({"layers": 0}, "width and layers must be 1 or more"),
        ({"truncate": 0}, "truncate must be 1 step or more, or none"),
        ({"code": 0}, "code must be from 1"),
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        RecurrentAutoencoderOptions(**wrong)


def test_rows_have_no_steps() -> None:
    with pytest.raises(TypeError, match="cannot be read by a recurrent autoencoder"):
        RecurrentAutoencoderOptions().build({"row": Row(3)})


def test_reversed_the_last_step_is_written_first() -> None:
    torch.manual_seed(0)
    forwards = RecurrentAutoencoderOptions(code=3, width=5).build(SERIES).eval()
    torch.manual_seed(0)
    backwards = RecurrentAutoencoderOptions(code=3, width=5, reverse=True).build(SERIES).eval()
    rows = batch()
    code = forwards.encode(rows)
    assert torch.equal(code, backwards.encode(rows))
    one, other = (each.decode(code, rows) for each in (forwards, backwards))
    torch.testing.assert_close(other[0], one[0].flip(0))
    torch.testing.assert_close(other[1, :4], one[1, :4].flip(0))


def test_as_many_steps_are_written_as_were_read() -> None:
    model = RecurrentAutoencoderOptions(code=3, width=5).build(SERIES).eval()
    for steps in (1, 6, 9):  # longer than any training series, too
        rows = Batch(inputs={"values": torch.randn(2, steps, 2)})
        assert model.decode(model.encode(rows), rows).shape == (2, steps, 2)

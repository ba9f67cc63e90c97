"""What only a convolutional network does; the laws are tried elsewhere."""

from typing import Any

import pytest
import torch
from torch import Tensor

from ensuite.core.batch import Batch, Characters, Image, Inputs, Tokens, Values
from ensuite.core.errors import UsageError
from ensuite.core.options import set_options
from ensuite.laws import random_batch
from ensuite.models.conv import ConvOptions


def states(options: ConvOptions, inputs: Inputs, batch: Batch) -> Any:
    torch.manual_seed(0)
    with torch.no_grad():
        return options.build(inputs).eval()(batch)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"width": 0}, "width, layers, embedding and character_embedding must be 1 or more"),
        ({"layers": 0}, "width, layers, embedding and character_embedding must be 1 or more"),
        ({"kernel": 4}, "kernel must be odd, and 3 or more"),
        ({"kernel": 1}, "kernel must be odd, and 3 or more"),
        ({"dropout": 1.0}, "dropout must be from 0 to less than 1"),
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ConvOptions(**wrong)


def test_an_impossible_option_that_was_typed_is_a_sentence() -> None:
    with pytest.raises(UsageError, match="the model conv: kernel must be odd"):
        set_options(ConvOptions(), {"kernel": "2"}, "the model conv")


@pytest.mark.parametrize(("kernel", "layers", "reach"), [(3, 1, 1), (3, 3, 7), (5, 2, 6)])
def test_each_layer_over_time_reaches_twice_as_far(kernel: int, layers: int, reach: int) -> None:
    options = ConvOptions(kernel=kernel, layers=layers, width=8)
    values = torch.zeros(1, 31, 1)
    other = values.clone()
    other[:, 15] = 1.0
    inputs = {"values": Values(1)}
    one, two = (states(options, inputs, Batch(inputs={"values": v})) for v in (values, other))
    changed = (one.sequence != two.sequence).any(-1)[0].nonzero().flatten().tolist()
    assert changed == list(range(15 - reach, 15 + reach + 1))


def test_over_time_it_is_the_same_filter_everywhere() -> None:
    values = torch.randn(1, 40, 2)
    batch, later = Batch(inputs={"values": values}), Batch(inputs={"values": values.roll(3, 1)})
    one, two = (states(ConvOptions(), {"values": Values(2)}, b).sequence for b in (batch, later))
    torch.testing.assert_close(one[:, 10:25], two[:, 13:28])


def test_a_picture_is_halved_by_every_layer_but_the_last() -> None:
    for height, width, places in ((28, 28, 49), (9, 5, 6), (1, 1, 1), (60, 30, 120)):
        inputs = {"image": Image(1, height, width)}
        found = states(ConvOptions(width=16), inputs, random_batch(inputs, rows=2))
        assert found.sequence.shape == (2, places, 16)
        assert found.summary.shape == (2, 16)


def test_the_dense_layer_of_a_large_picture_stays_small() -> None:
    sizes = []
    for side in (28, 280):
        backbone = ConvOptions().build({"image": Image(3, side, side)})
        sizes.append(sum(parameter.numel() for parameter in backbone.parameters()))
    assert sizes[0] == sizes[1]


def test_where_in_a_picture_something_stands_is_seen() -> None:
    inputs = {"image": Image(1, 28, 28)}
    image: Tensor = torch.zeros(2, 1, 28, 28)
    image[0, :, 4:8, 4:8] = 1.0
    image[1, :, 20:24, 20:24] = 1.0
    summary = states(ConvOptions(), inputs, Batch(inputs={"image": image})).summary
    assert not torch.allclose(summary[0], summary[1])


def test_mean_and_max_stand_side_by_side() -> None:
    inputs = {"values": Values(2)}
    batch = random_batch(inputs, rows=4, longest=9)
    mean, largest, both = (
        states(ConvOptions(summary=how), inputs, batch).summary
        for how in ("mean", "max", "mean-max")
    )
    assert torch.equal(both, torch.cat([mean[:, :32], largest[:, 32:]], dim=1))


def test_spelled_words_are_read_with_their_tokens() -> None:
    inputs = {"tokens": Tokens(9), "characters": Characters(7)}
    batch = random_batch(inputs, rows=3, longest=6)
    spelled = {**batch.inputs, "characters": batch.inputs["characters"].clamp(max=1)}
    one = states(ConvOptions(), inputs, batch).summary
    assert not torch.equal(
        one, states(ConvOptions(), inputs, Batch(inputs=spelled, mask=batch.mask)).summary
    )


def test_what_it_cannot_read_together_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot be read together with an image"):
        ConvOptions().build({"image": Image(1, 8, 8), "tokens": Tokens(9)})

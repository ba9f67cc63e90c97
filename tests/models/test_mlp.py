from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ensuite.core.batch import Batch, Image, Row, Tokens, Values
from ensuite.core.errors import UsageError
from ensuite.core.options import set_options
from ensuite.models.mlp import MLPOptions, last_steps


@pytest.mark.parametrize(
    "wrong", [{"width": 0}, {"layers": 0}, {"dropout": 1.0}, {"dropout": -0.1}]
)
def test_impossible_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="width and layers must be 1 or more, dropout from 0"):
        MLPOptions(**wrong)


def test_no_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="steps must be 1 or more, or none"):
        MLPOptions(steps=0)


def test_an_impossible_option_that_was_typed_is_a_sentence() -> None:
    with pytest.raises(UsageError, match="the model mlp: width and layers must be 1 or more"):
        set_options(MLPOptions(), {"layers": "0"}, "the model mlp")


def test_fields_are_read_side_by_side() -> None:
    torch.manual_seed(0)
    whole = MLPOptions(width=6).build({"row": Row(5)}).eval()
    torch.manual_seed(0)
    parts = MLPOptions(width=6).build({"size": Row(2), "weight": Row(3)}).eval()
    row = torch.randn(4, 5)
    fields = {"weight": row[:, 2:], "size": row[:, :2]}  # in the order of inputs, not of the batch
    found = parts(Batch(inputs=fields)).summary
    assert torch.equal(found, whole(Batch(inputs={"row": row})).summary)


def test_a_picture_is_read_as_its_pixels_in_a_line() -> None:
    torch.manual_seed(0)
    flat = MLPOptions(width=6).build({"row": Row(24)}).eval()
    torch.manual_seed(0)
    picture = MLPOptions(width=6).build({"image": Image(2, 4, 3)}).eval()
    image = torch.rand(5, 2, 4, 3)
    found = picture(Batch(inputs={"image": image})).summary
    assert torch.equal(found, flat(Batch(inputs={"row": image.flatten(1)})).summary)


def test_a_series_of_the_longest_length_is_read_as_its_numbers_in_a_line() -> None:
    torch.manual_seed(0)
    flat = MLPOptions(width=6).build({"row": Row(12)}).eval()
    torch.manual_seed(0)
    backbone = MLPOptions(width=6).build({"values": Values(3, steps=4)}).eval()
    series = torch.randn(5, 4, 3)
    found = backbone(Batch(inputs={"values": series})).summary
    assert torch.equal(found, flat(Batch(inputs={"row": series.flatten(1)})).summary)


@given(
    st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=4),
    st.integers(1, 8),
)
def test_the_last_real_steps_are_read_wherever_padding_is(rows: Any, steps: int) -> None:
    mask = torch.tensor(rows)
    series = torch.randn(*mask.shape, 2)
    found = last_steps(series, mask, steps)
    assert found.shape == (len(rows), steps, 2)
    for row, real in enumerate(mask):
        kept = series[row, real][-steps:]
        missing = steps - len(kept)
        assert torch.equal(found[row, missing:], kept)
        assert (found[row, :missing] == 0).all()


def test_without_a_mask_all_steps_are_real() -> None:
    series = torch.arange(1.0, 7).view(1, 3, 2)
    assert torch.equal(last_steps(series, None, 2), series[:, 1:])
    assert last_steps(series, None, 4)[0].tolist() == [[0, 0], [1, 2], [3, 4], [5, 6]]


def test_the_option_steps_comes_before_the_length_of_the_data() -> None:
    backbone = MLPOptions(width=8, layers=1, steps=2).build({"values": Values(3, steps=4)})
    weight, _ = backbone.parameters()
    assert weight.shape == (8, 6)


def test_series_of_unknown_length_need_the_option_steps() -> None:
    with pytest.raises(UsageError, match="set the option steps of the model"):
        MLPOptions().build({"values": Values(3)})
    assert MLPOptions(steps=4).build({"values": Values(3)}).width == 64


def test_tokens_are_refused() -> None:
    with pytest.raises(TypeError, match="an mlp cannot read Tokens"):
        MLPOptions().build({"tokens": Tokens(9)})


@pytest.mark.parametrize(("layers", "count"), [(1, 5 * 8 + 8), (3, 5 * 8 + 8 + 2 * (8 * 8 + 8))])
def test_parameters_of_each_layer(layers: int, count: int) -> None:
    backbone = MLPOptions(width=8, layers=layers).build({"row": Row(5)})
    assert sum(parameter.numel() for parameter in backbone.parameters()) == count


def test_one_layer_is_a_weighted_sum_and_a_rectifier() -> None:
    backbone = MLPOptions(width=3, layers=1).build({"row": Row(2)}).eval()
    weight, bias = backbone.parameters()
    row = torch.randn(4, 2)
    expected = (row @ weight.T + bias).clamp(min=0)
    torch.testing.assert_close(backbone(Batch(inputs={"row": row})).summary, expected)


def test_dropout_only_while_training() -> None:
    backbone = MLPOptions(width=64, layers=1, dropout=0.5).build({"row": Row(2)})
    batch = Batch(inputs={"row": torch.randn(4, 2)})
    assert not torch.equal(backbone(batch).summary, backbone(batch).summary)
    backbone.eval()
    assert torch.equal(backbone(batch).summary, backbone(batch).summary)

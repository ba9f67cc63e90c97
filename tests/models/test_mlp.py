from typing import Any

import pytest
import torch

from ensuite.core.batch import Batch, Image, Row, Values
from ensuite.core.errors import UsageError
from ensuite.core.options import set_options
from ensuite.models.mlp import MLPOptions


@pytest.mark.parametrize(
    "wrong", [{"width": 0}, {"layers": 0}, {"dropout": 1.0}, {"dropout": -0.1}]
)
def test_impossible_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="width and layers must be 1 or more, dropout from 0"):
        MLPOptions(**wrong)


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


def test_a_series_is_of_no_fixed_size() -> None:
    with pytest.raises(TypeError, match="is of no fixed size"):
        MLPOptions().build({"values": Values(3)})


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

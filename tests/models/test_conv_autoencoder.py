import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ensuite.core.batch import Batch, Image
from ensuite.models.conv_autoencoder import ConvAutoencoderOptions


@given(
    height=st.integers(1, 17),
    width=st.integers(1, 17),
    channels=st.integers(1, 4),
    layers=st.integers(1, 4),
    upsampling=st.sampled_from(["transposed", "nearest"]),
)
def test_any_image_comes_back_in_its_size(
    height: int, width: int, channels: int, layers: int, upsampling: str
) -> None:
    options = ConvAutoencoderOptions(code=3, width=4, layers=layers, upsampling=upsampling)
    model = options.build({"image": Image(channels, height, width)})
    batch = Batch(inputs={"image": torch.rand(2, channels, height, width)})
    assert model.encode(batch).shape == (2, 3)
    assert model.decode(model.encode(batch), batch).shape == (2, channels, height, width)


@pytest.mark.parametrize("wrong", [{"width": 0}, {"layers": 0}])
def test_impossible_options_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="width and layers must be 1 or more"):
        ConvAutoencoderOptions(**wrong)


def test_a_wrong_code_is_refused_here_too() -> None:
    with pytest.raises(ValueError, match="code must be from 1"):
        ConvAutoencoderOptions(code=0)

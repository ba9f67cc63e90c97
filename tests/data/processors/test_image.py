"""Pictures to tensors from 0 to 1; size, channels and largest value come from training alone."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image as Pillow

from ensuite.core.backbone import Pretrained
from ensuite.core.batch import Image as ImageKind
from ensuite.core.errors import DataError
from ensuite.data.processors import Image

BYTES = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)


def tensors(processor: Image, raws: list[Any]) -> torch.Tensor:
    batch = processor.collate([window for (window,) in processor.windows(raws)])
    assert batch.mask is None
    return batch.inputs["image"]


def save(path: Path, pixels: Any) -> str:
    Pillow.fromarray(pixels).save(path)
    return str(path)


def test_bytes_become_channels_from_0_to_1() -> None:
    processor = Image().prepare([BYTES, BYTES])
    assert processor.inputs == {"image": ImageKind(3, 4, 5)}
    found = tensors(processor, [BYTES])
    assert found.dtype == torch.float32
    torch.testing.assert_close(found[0], torch.tensor(BYTES / 255.0).permute(2, 0, 1).float())


@given(
    some.lists(some.floats(-1e6, 1e6, width=32), min_size=6, max_size=6),
    some.sampled_from([np.float64, np.float32, np.int64]),
)
def test_any_training_numbers_lie_from_0_to_1(values: list[float], kind: Any) -> None:
    raw = np.array(values, dtype=kind).reshape(2, 3)
    found = tensors(Image().prepare([raw]), [raw])
    assert found.shape == (1, 1, 2, 3)
    assert found.min() >= -1e-6
    assert found.max() <= 1 + 1e-6


def test_the_largest_training_number_is_1() -> None:
    processor = Image().prepare([np.array([[0, 16.0]]), np.array([[4, 8.0]])])
    assert (processor.smallest, processor.largest) == (0, 16)
    assert tensors(processor, [np.array([[8.0, 32]])]).tolist() == [[[[0.5, 2.0]]]]


def test_files_are_coloured_where_one_is(tmp_path: Path) -> None:
    grey = save(tmp_path / "grey.png", BYTES[..., 0])
    colour = save(tmp_path / "colour.png", BYTES)
    assert Image().prepare([grey]).shape == (4, 5, 1)
    mixed = Image().prepare([grey, colour])
    assert mixed.shape == (4, 5, 3)
    found = tensors(mixed, [grey, tmp_path / "colour.png"])
    assert torch.equal(found[0, 0], found[0, 2])
    assert tensors(Image().prepare([grey]), [colour]).shape == (1, 1, 4, 5)


def test_several_sizes_are_told_and_brought_to_one(tmp_path: Path) -> None:
    raws = [save(tmp_path / f"{n}.png", np.zeros((n, 9), np.uint8)) for n in (9, 12)]
    with pytest.raises(DataError, match=r"9\.png is 9 x 9 greyscale and .*12\.png 12 x 9 .*size=9"):
        Image().prepare(raws)
    processor = Image(size=6).prepare(raws)
    assert tensors(processor, raws).shape == (2, 1, 6, 6)
    assert tensors(processor, [np.zeros((30, 20), np.uint8)]).shape == (1, 1, 6, 6)
    said = processor.check(raws)[0].sentence
    assert said == "1 of 9 x 9 greyscale, 1 of 12 x 9 greyscale; all brought to 6 x 6 greyscale"


def test_a_checkpoint_brings_its_size() -> None:
    processor = Image().prepare([BYTES], Pretrained(image=(8, 8)))
    assert processor.inputs == {"image": ImageKind(3, 8, 8)}


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (np.zeros((4, 6, 3), np.uint8), "a picture, is 4 x 6 RGB, but the model was trained on 4"),
        (np.zeros((4, 5), np.uint8), "4 x 5 greyscale, but the model was trained on 4 x 5 RGB"),
        (np.zeros(20), r"numbers of shape \(20,\)"),
        (np.zeros((0, 5)), r"numbers of shape \(0, 5\)"),
        ([["a", "b"]], "a picture is a file, or an array"),
        (np.full((4, 5, 3), np.nan), "NaN or infinite"),
        ("nowhere.png", "There is no picture nowhere.png"),
    ],
)
def test_what_the_model_does_not_read_is_told(raw: Any, sentence: str) -> None:
    processor = Image().prepare([BYTES])
    with pytest.raises(DataError, match=sentence):
        processor.windows([raw])


def test_the_check_refuses_a_test_picture_of_another_size() -> None:
    with pytest.raises(DataError, match="5 x 5 RGB, but the model was trained on 4 x 5 RGB"):
        Image().prepare([BYTES]).check([BYTES, np.zeros((5, 5, 3), np.uint8)])


def test_training_arrays_of_other_channels_are_told() -> None:
    with pytest.raises(DataError, match="give all the same channels"):
        Image().prepare([BYTES, BYTES[..., :1]])


def test_equal_pictures_are_known_by_their_content(tmp_path: Path) -> None:
    one, two = save(tmp_path / "1.png", BYTES), save(tmp_path / "2.png", BYTES)
    assert Image().key(one) == Image().key(two)
    assert Image().key(BYTES) == Image().key(BYTES.copy())
    assert Image().key(BYTES) != Image().key(BYTES[::-1])


def test_shown_by_name_or_size() -> None:
    assert Image().show("cats/1.png") == "cats/1.png"
    assert Image().show(BYTES) == "4 x 5 RGB image"


def test_drawn_small_as_the_model_reads_it(tmp_path: Path) -> None:
    def drawn(processor: Image, raw: Any) -> np.ndarray:
        picture = processor.picture(raw)
        assert picture is not None
        return np.asarray(Pillow.open(BytesIO(picture)))

    processor = Image().prepare([BYTES])
    np.testing.assert_array_equal(drawn(processor, BYTES), BYTES)
    np.testing.assert_array_equal(drawn(processor, save(tmp_path / "1.png", BYTES)), BYTES)
    numbers = np.array([[0.0, 8.0], [16.0, 16.0]])
    scaled = Image().prepare([numbers])
    np.testing.assert_array_equal(drawn(scaled, numbers), [[0, 127], [255, 255]])
    large = np.zeros((400, 200), np.uint8)
    assert drawn(Image().prepare([large]), large).shape == (160, 80)


def test_channels_that_no_screen_shows_are_not_drawn() -> None:
    assert Image().prepare([BYTES[..., :2]]).picture(BYTES[..., :2]) is None


def test_an_impossible_size_is_refused() -> None:
    with pytest.raises(ValueError, match="size must be 1 or more"):
        Image(size=0)

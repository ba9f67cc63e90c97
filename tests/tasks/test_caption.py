"""Caption: what is read, how it is judged, and where it was looked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from ensuite.core.batch import DECODER, Image, Tokens
from ensuite.core.errors import DataError
from ensuite.core.model import Model
from ensuite.core.options import set_options
from ensuite.data import readers
from ensuite.problem import open_problem
from ensuite.specs import model_options
from ensuite.tasks.caption import Caption
from ensuite.tasks.writer import Example, Prediction
from ensuite.training.evaluate import predict

PICTURES = np.random.default_rng(0).integers(0, 256, (5, 9, 12), dtype=np.uint8)
ENGLISH = ("a red car", "a cat", "sky", "a dog", "two cats")
FRENCH = ("une auto", "un chat", "ciel", "un chien", "deux chats")
EXAMPLES = [Example(*pair) for pair in zip(PICTURES, ENGLISH, strict=True)]


def read(columns: Mapping[str, Any], **given: Any) -> list[Example]:
    asking = given.pop("asking", False)
    return Caption().read(readers.read(columns), given, asking=asking)[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of pictures and a file of captions in two languages."""
    rows = ["image,text,fr"]
    for number, (picture, *texts) in enumerate(zip(PICTURES, ENGLISH, FRENCH, strict=True)):
        Pillow.fromarray(picture).save(tmp_path / f"{number}.png")
        rows.append(",".join([f"{number}.png", *texts]))
    (tmp_path / "captions.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_pictures_and_captions_are_columns_by_their_usual_names() -> None:
    for picture, text in (("image", "text"), ("pixels", "caption"), ("photo", "title")):
        found = read({text: ["a cat"], picture: [PICTURES[0].tolist()]})
        assert [example.target for example in found] == ["a cat"]
        assert np.array_equal(found[0].source, PICTURES[0])
    named = read({"image": PICTURES, "en": ["a"] * 5, "fr": ["un"] * 5}, text="fr")
    assert {example.target for example in named} == {"un"}
    assert [e.target for e in read({"image": PICTURES}, asking=True)] == [None] * 5


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"image": PICTURES}, "has no column for the text"),
        ({"text": ["a cat"], "id": [1]}, "has no column of pictures: name it, --column image="),
        (
            {"image": PICTURES, "text": ["a", " ", *"bcd"]},
            "row 2 .*the column text is empty or not",
        ),
        (
            {"image": PICTURES, "text": ["a", "b", 3, "c", "d"]},
            "row 3 .*the column text is empty or not",
        ),
        ({"image": ["1.png"], "text": ["a"]}, r"row 1 .*There is no picture 1\.png"),
    ],
)
def test_what_is_not_as_it_should_be_is_told(columns: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read(columns)


def test_a_folder_with_a_file_of_captions_is_read(folder: Path) -> None:
    problem = open_problem("caption", str(folder))
    found = {Path(e.source).name: e.target for part in problem.parts.values() for e in part}
    assert found == {f"{number}.png": text for number, text in enumerate(ENGLISH)}
    french = open_problem("caption", str(folder), given={"text": "fr"})
    assert {e.target for part in french.parts.values() for e in part} == set(FRENCH)


def test_a_picture_that_a_file_of_captions_names_must_be_there(folder: Path) -> None:
    (folder / "1.png").unlink()
    with pytest.raises(DataError, match=r"row 2 of .*/captions.csv: There is no picture .*1\.png"):
        open_problem("caption", str(folder))


def test_pictures_of_captions_are_of_one_size(folder: Path) -> None:
    Pillow.fromarray(PICTURES[0][:5]).save(folder / "1.png")
    with pytest.raises(DataError, match=r"read in one size, but .*--set size="):
        open_problem("caption", str(folder))
    settings = {"size": "8"}
    inputs = open_problem("caption", str(folder), settings=settings).task.inputs
    assert inputs["image"] == Image(1, 8, 8)


def test_what_is_learned_of_the_data() -> None:
    inputs = Caption().prepare(EXAMPLES).inputs
    assert inputs["image"] == Image(1, 9, 12)
    assert isinstance(inputs[DECODER], Tokens)
    assert Caption().extent(EXAMPLES[0]) == 3


def test_asked_about_as_a_path_an_array_or_by_name(folder: Path) -> None:
    task = Caption().prepare(EXAMPLES)
    for raw in (str(folder / "0.png"), {"image": str(folder / "0.png")}, PICTURES[0]):
        (item,) = task.items([task.ask(raw)])
        assert np.array_equal(item.source, PICTURES[0])
    with pytest.raises(DataError, match=r"There is no picture 9\.png"):
        task.items([task.ask("9.png")])


def test_captions_however_short_are_judged_by_bleu_and_exact_match() -> None:
    right = [Prediction(e.target or "") for e in EXAMPLES]
    scores = Caption().score(right, EXAMPLES)
    assert {name: score.value for name, score in scores.items()} == pytest.approx(
        {"bleu": 100, "exact_match": 1}
    )
    one_wrong = Caption().score([*right[:4], Prediction("a cat")], EXAMPLES)
    assert one_wrong["exact_match"].value == 0.8
    assert 0 < one_wrong["bleu"].value < 100


def test_any_of_several_captions_of_a_picture_is_right() -> None:
    several = [Example(PICTURES[0], "a car"), Example(PICTURES[0], "a red car")]
    scores = Caption().score([Prediction("a car")] * 2, several)
    assert scores["exact_match"].value == 1


@pytest.mark.parametrize("beam", ["1", "3"])
def test_where_it_looked_can_be_asked_for(beam: str) -> None:
    """A row for each word and the end, a column for each region: 9 x 12 halved twice is 3 x 3."""
    settings = {"return_attention": "true", "beam": beam}
    task = set_options(Caption(), settings, "the task").prepare(EXAMPLES)
    torch.manual_seed(0)
    backbone = model_options("seq2seq")[1].tiny().build(task.inputs)
    model = Model(backbone, task.head(backbone))
    for found in predict(task, model, EXAMPLES):
        looked = np.array(found.attention.weights)
        assert looked.shape[1] == 9
        np.testing.assert_allclose(looked.sum(1), 1, rtol=1e-5)
